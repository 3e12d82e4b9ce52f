//! The gate: who gets in, and that nobody else changes anything.

use super::*;
use relay_proto::time::NtpTime;

fn now() -> Now {
    Now { mono: Instant::now(), wall: NtpTime(0) }
}

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn credentials(name: &str) -> LocalIce {
    LocalIce { ufrag: name.into(), pwd: format!("the password of {name}") }
}

fn check(of: &LocalIce, nominate: bool) -> Vec<u8> {
    check_with(of, &of.pwd, nominate)
}

fn check_with(of: &LocalIce, pwd: &str, nominate: bool) -> Vec<u8> {
    let mut buf = [0; stun::STUN_BYTES_MAX];
    let user = format!("{}:them", of.ufrag);
    let len = stun::write_request(&mut buf, [7; 12], &user, nominate, &stun::key(pwd)).unwrap();
    buf[..len].to_vec()
}

fn hello() -> Vec<u8> {
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40];
    record.extend([1; 40]);
    record
}

fn media() -> Vec<u8> {
    let mut packet = vec![0; 60];
    packet[0] = 0x80;
    packet
}

fn state(gate: &Gate) -> String {
    format!("{gate:?}")
}

#[test]
fn a_check_is_routed_by_its_ufrag_and_opens_the_address() {
    let (mut gate, now) = (Gate::new(), now());
    let names = ["anna", "berta", "carla"].map(credentials);
    for (key, local) in names.iter().enumerate() {
        gate.register(key, local).unwrap();
    }
    for (key, local) in names.iter().enumerate().rev() {
        let from = addr(1_000 + key as u16);
        assert_eq!(gate.route(now, from, &media()), Err(DropReason::UnknownAddress));
        assert_eq!(gate.route(now, from, &hello()), Err(DropReason::UnknownAddress));
        let routed = gate.route(now, from, &check(local, false));
        assert_eq!(routed, Ok(Routed { peer: key, kind: Kind::Stun }));
        assert_eq!(gate.route(now, from, &media()), Ok(Routed { peer: key, kind: Kind::Srtp }));
        assert_eq!(gate.route(now, from, &hello()), Ok(Routed { peer: key, kind: Kind::Dtls }));
    }
    assert_eq!(gate.route(now, addr(9), &media()), Err(DropReason::UnknownAddress));
}

#[test]
fn a_check_with_a_wrong_password_changes_nothing() {
    let (mut gate, now) = (Gate::new(), now());
    let anna = credentials("anna");
    gate.register(0, &anna).unwrap();
    gate.register(0, &credentials("anna again")).unwrap();
    let before = state(&gate);
    for nominate in [false, true] {
        let forged = check_with(&credentials("anna again"), "guess", nominate);
        assert_eq!(gate.route(now, addr(1), &forged), Err(DropReason::StunRefused));
        assert_eq!(
            gate.route(now, addr(1), &check(&credentials("nobody"), nominate)),
            Err(DropReason::StunRefused)
        );
    }
    let mut cut = check(&anna, true);
    for bit in 0..cut.len() * 8 {
        cut[bit / 8] ^= 1 << (bit % 8);
        assert!(gate.route(now, addr(1), &cut).is_err());
        cut[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(state(&gate), before);
    assert!(gate.route(now, addr(1), &cut).is_ok());
}

#[test]
fn what_is_neither_stun_nor_dtls_nor_srtp_is_dropped() {
    let kinds = [
        (vec![], Err(DropReason::NotWebRtc)),
        (vec![70; 100], Err(DropReason::NotWebRtc)),
        (vec![255; 100], Err(DropReason::NotWebRtc)),
        (vec![0; 100], Err(DropReason::StunRefused)),
        (vec![128; 21], Err(DropReason::Malformed)),
        (vec![128; 22], Ok(Kind::Srtp)),
        (hello(), Ok(Kind::Dtls)),
        (hello()[..30].to_vec(), Err(DropReason::DtlsRefused)),
        (hello()[..12].to_vec(), Err(DropReason::DtlsRefused)),
        ([hello(), hello()].concat(), Ok(Kind::Dtls)),
        ([hello(), vec![22]].concat(), Err(DropReason::DtlsRefused)),
        // An alert in the clear, and a sealed record without room for a tag.
        (vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40], Err(DropReason::DtlsRefused)),
        (
            [vec![23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16], vec![0; 16]].concat(),
            Err(DropReason::DtlsRefused),
        ),
    ];
    for (data, expected) in kinds {
        assert_eq!(classify(&data), expected, "{data:?}");
    }
}

#[test]
fn a_removed_peer_leaves_nothing_behind() {
    let (mut gate, now) = (Gate::new(), now());
    let anna = credentials("anna");
    let empty = state(&gate);
    gate.register(3, &anna).unwrap();
    gate.register(3, &credentials("restart")).unwrap();
    gate.route(now, addr(1), &check(&anna, true)).unwrap();
    gate.route(now, addr(2), &check(&anna, true)).unwrap();
    gate.remove(3);
    gate.remove(3);
    assert_eq!(state(&gate), empty);
    assert_eq!(gate.route(now, addr(1), &media()), Err(DropReason::UnknownAddress));
}

#[test]
fn an_ice_restart_retires_the_old_credentials_when_it_nominates() {
    let (mut gate, now) = (Gate::new(), now());
    let (old, new) = (credentials("old"), credentials("new"));
    gate.register(5, &old).unwrap();
    gate.register(5, &new).unwrap();
    assert!(gate.route(now, addr(1), &check(&old, true)).is_ok());
    assert!(gate.route(now, addr(2), &check(&new, false)).is_ok());
    assert!(gate.route(now, addr(1), &check(&old, true)).is_ok(), "both are good until then");
    assert!(gate.route(now, addr(2), &check(&new, true)).is_ok());
    assert_eq!(gate.route(now, addr(1), &check(&old, true)), Err(DropReason::StunRefused));
    assert!(gate.route(now, addr(2), &check(&new, true)).is_ok());
}

#[test]
fn a_third_set_of_credentials_replaces_the_unfinished_second() {
    let (mut gate, now) = (Gate::new(), now());
    let all = ["one", "two", "three"].map(credentials);
    all.iter().for_each(|c| gate.register(5, c).unwrap());
    let good = all.map(|c| gate.route(now, addr(1), &check(&c, false)).is_ok());
    assert_eq!(good, [true, false, true]);
}

#[test]
fn an_address_lapses_without_checks() {
    let (mut gate, now) = (Gate::new(), now());
    let anna = credentials("anna");
    gate.register(0, &anna).unwrap();
    gate.route(now, addr(1), &check(&anna, true)).unwrap();
    let almost = now.plus(ADDRESS_LIFETIME - Duration::from_millis(1));
    assert!(gate.route(almost, addr(1), &media()).is_ok());
    assert_eq!(
        gate.route(now.plus(ADDRESS_LIFETIME), addr(1), &media()),
        Err(DropReason::UnknownAddress)
    );
}

#[test]
fn an_address_in_use_is_not_handed_to_another_peer() {
    let (mut gate, now) = (Gate::new(), now());
    let (anna, berta) = (credentials("anna"), credentials("berta"));
    gate.register(0, &anna).unwrap();
    gate.register(1, &berta).unwrap();
    gate.route(now, addr(1), &check(&anna, true)).unwrap();
    assert_eq!(gate.route(now, addr(1), &check(&berta, true)), Err(DropReason::StunRefused));
    assert_eq!(gate.route(now, addr(1), &media()).map(|r| r.peer), Ok(0));
    let later = now.plus(ADDRESS_HELD);
    assert!(
        gate.route(later, addr(1), &check(&berta, true)).is_ok(),
        "a silent peer's address is free"
    );
    assert_eq!(gate.route(later, addr(1), &media()).map(|r| r.peer), Ok(1));
    gate.remove(0);
    assert_eq!(gate.route(later, addr(1), &media()).map(|r| r.peer), Ok(1));
}

#[test]
fn a_peer_has_at_most_so_many_addresses_and_keeps_the_live_ones() {
    let (mut gate, now) = (Gate::new(), now());
    let anna = credentials("anna");
    gate.register(0, &anna).unwrap();
    for port in 0..200_u16 {
        let now = now.plus(Duration::from_millis(u64::from(port)));
        gate.route(now, addr(10_000), &check(&anna, true)).unwrap();
        gate.route(now, addr(port), &check(&anna, false)).unwrap();
    }
    assert_eq!(gate.addresses.len(), ADDRESSES_MAX);
    assert!(gate.route(now, addr(10_000), &media()).is_ok());
    assert!(gate.route(now, addr(199), &media()).is_ok());
    assert!(gate.route(now, addr(0), &media()).is_err());
}

#[test]
fn half_open_handshakes_are_bounded() {
    let mut gate = Gate::new();
    for key in 0..HALF_OPEN_MAX {
        gate.register(key, &credentials(&format!("peer{key}"))).unwrap();
    }
    let one_more = credentials("one more");
    assert_eq!(gate.register(HALF_OPEN_MAX, &one_more), Err(DropReason::Limit));
    gate.opened(0);
    gate.opened(0);
    assert_eq!(gate.half_open(), HALF_OPEN_MAX - 1);
    assert_eq!(gate.register(HALF_OPEN_MAX, &one_more), Ok(()));
    gate.remove(0);
    assert_eq!(gate.half_open(), HALF_OPEN_MAX, "a connected peer was not half-open");
}

#[test]
fn a_ufrag_belongs_to_one_peer() {
    let mut gate = Gate::new();
    gate.register(0, &credentials("anna")).unwrap();
    assert_eq!(gate.register(1, &credentials("anna")), Err(DropReason::Limit));
    assert_eq!(gate.half_open(), 1);
}

#[test]
fn a_half_open_peer_has_a_budget_of_handshake_datagrams() {
    let (mut gate, now) = (Gate::new(), now());
    let anna = credentials("anna");
    gate.register(0, &anna).unwrap();
    gate.route(now, addr(1), &check(&anna, true)).unwrap();
    for _ in 0..HANDSHAKE_DATAGRAMS_MAX {
        gate.route(now, addr(1), &hello()).unwrap();
    }
    assert_eq!(gate.route(now, addr(1), &hello()), Err(DropReason::Limit));
    gate.opened(0);
    assert!(gate.route(now, addr(1), &hello()).is_ok(), "a client may resend its last flight");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_gate_panic_or_change(data in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut gate = Gate::new();
        gate.register(0, &credentials("anna")).unwrap();
        let before = state(&gate);
        proptest::prop_assert!(gate.route(now(), addr(1), &data).is_err());
        proptest::prop_assert_eq!(state(&gate), before);
    }
}
