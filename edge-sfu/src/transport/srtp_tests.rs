//! Our SRTP against the vectors of RFC 7714 and against `rtc-srtp`, which shares no code with it.

use super::super::kdf::SessionKeys;
use super::super::suite::Suite;
use super::*;
use proptest::prelude::*;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

const MASTER: [u8; 92] = {
    let mut bytes = [0; 92];
    let mut i = 0;
    while i < 92 {
        bytes[i] = (i as u8).wrapping_mul(37).wrapping_add(11);
        i += 1;
    }
    bytes
};

fn keying(profile: Profile) -> &'static [u8] {
    &MASTER[..2 * (profile.key_len() + profile.salt_len())]
}

fn pair(profile: Profile) -> (SrtpSession, SrtpSession) {
    let session = |owner| SrtpSession::new(profile, keying(profile), owner).unwrap();
    (session(KeyOwner::Client), session(KeyOwner::Server))
}

/// The other library with the client's keys, once for each direction.
fn oracle(profile: Profile) -> Context {
    let (key, salt) = (profile.key_len(), profile.salt_len());
    let theirs = match profile {
        Profile::Gcm128 => ProtectionProfile::AeadAes128Gcm,
        Profile::Gcm256 => ProtectionProfile::AeadAes256Gcm,
        Profile::CmSha1 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let provider = rtc_srtp::crypto::default_provider().unwrap();
    let salt = &keying(profile)[2 * key..2 * key + salt];
    Context::new(&keying(profile)[..key], salt, theirs, None, None, provider.crypto()).unwrap()
}

fn rtp(
    ssrc: u32,
    sequence: u16,
    csrcs: usize,
    extension: Option<&[u8]>,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x80 | csrcs as u8 | if extension.is_some() { 0x10 } else { 0 }, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(0xdead_beef_u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    (0..csrcs).for_each(|i| packet.extend((i as u32).to_be_bytes()));
    if let Some(body) = extension {
        packet.extend([0xbe, 0xde]);
        packet.extend((body.len().div_ceil(4) as u16).to_be_bytes());
        packet.extend(body);
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
    packet.extend(payload);
    packet
}

/// A receiver report without blocks, or with a body of whole words.
fn rtcp(ssrc: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201];
    packet.extend((1 + body.len().div_ceil(4) as u16).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(body);
    packet.resize(packet.len().next_multiple_of(4), 0);
    packet
}

fn sealed(session: &mut SrtpSession, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    packet.resize(plain.len() + 20, 0);
    let len = if packet[1] == 201 {
        session.seal_rtcp(&mut packet, plain.len())
    } else {
        session.seal_rtp(&mut packet, plain.len())
    };
    packet.truncate(len.unwrap());
    packet
}

fn opened(session: &mut SrtpSession, sealed: &[u8]) -> Result<Vec<u8>, DropReason> {
    let mut packet = sealed.to_vec();
    let rtcp = packet[1] == 201;
    let len = if rtcp { session.open_rtcp(&mut packet) } else { session.open_rtp(&mut packet) }?;
    packet.truncate(len);
    Ok(packet)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// RFC 7714 sections 16 and 17 name session keys, so they are tested below the key derivation.
#[test]
fn agrees_with_the_vectors_of_the_rfc() {
    let key: Vec<u8> = (0..32).collect();
    let plain_rtp = hex(concat!(
        "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e6973206469766973612069",
        "6e207061727465732074726573"
    ));
    let plain_rtcp = hex(concat!(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeef",
        "deadbeefdeadbeefdeadbeefdeadbeef"
    ));
    let vectors = [
        (
            Profile::Gcm128,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            Profile::Gcm256,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ];
    for (profile, srtp, srtcp) in vectors {
        let suite = Suite::from_session_keys(profile, &key[..profile.key_len()], *b"Quid pro quo");
        let mut packet = plain_rtp.clone();
        packet.resize(plain_rtp.len() + 16, 0);
        suite.seal_rtp(&mut packet, 12, plain_rtp.len(), 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(packet, hex(srtp));
        let len = suite.open_rtp(&mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
        assert_eq!(packet[..len], plain_rtp);

        let mut packet = plain_rtcp.clone();
        packet.resize(plain_rtcp.len() + 20, 0);
        suite.seal_rtcp(&mut packet, plain_rtcp.len(), 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(packet, hex(srtcp));
        assert_eq!(suite.rtcp_index(&packet), Some(0x5d4));
        let len = suite.open_rtcp(&mut packet, 0x4d61_7273, 0x5d4).unwrap();
        assert_eq!(packet[..len], plain_rtcp);
    }
}

/// RFC 7714 section 17.3: authenticated but not encrypted. We never agree to that.
#[test]
fn refuses_reports_in_the_clear() {
    let (mut client, _) = pair(Profile::Gcm128);
    let clear = hex(concat!(
        "81c9000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeef",
        "deadbeefdeadbeef841dd9683dd78ec92ae58790125f62b3000005d4"
    ));
    assert_eq!(opened(&mut client, &clear), Err(DropReason::SrtpAuth));
}

#[test]
fn both_directions_have_their_own_keys() {
    for profile in Profile::ALL {
        let (mut client, mut server) = pair(profile);
        let packet = rtp(7, 1, 0, None, b"hello");
        let sealed_by_client = sealed(&mut client, &packet);
        assert_ne!(sealed_by_client, sealed(&mut server, &packet));
        assert_eq!(opened(&mut client, &sealed_by_client), Err(DropReason::SrtpAuth));
        assert_eq!(opened(&mut server, &sealed_by_client).unwrap(), packet);
    }
}

#[test]
fn keying_material_of_the_wrong_length_is_refused() {
    for profile in Profile::ALL {
        let right = keying(profile).len();
        assert!(SrtpSession::new(profile, &MASTER[..right - 1], KeyOwner::Client).is_none());
    }
}

#[test]
fn nothing_is_opened_twice() {
    for profile in Profile::ALL {
        let (mut client, mut server) = pair(profile);
        let packets: Vec<_> = (0..2_000_u16)
            .map(|i| sealed(&mut client, &rtp(7, 64_800_u16.wrapping_add(i), 0, None, &[1; 20])))
            .collect();
        let report = sealed(&mut client, &rtcp(7, &[0; 24]));
        for packet in &packets {
            assert!(opened(&mut server, packet).is_ok());
        }
        assert!(opened(&mut server, &report).is_ok());
        for packet in packets.iter().chain([&report]) {
            // Far behind, the estimate lands on another circle and the tag fails: a drop either way.
            let again = opened(&mut server, packet).unwrap_err();
            assert!(matches!(again, DropReason::Replay | DropReason::SrtpAuth), "{again:?}");
        }
        let next = sealed(&mut client, &rtp(7, 64_800_u16.wrapping_add(2_000), 0, None, &[1; 20]));
        assert!(opened(&mut server, &next).is_ok(), "the stream goes on");
    }
}

#[test]
fn a_sequence_number_is_never_sealed_twice() {
    let (mut client, _) = pair(Profile::Gcm128);
    let first = rtp(7, 100, 0, None, b"one");
    sealed(&mut client, &first);
    let mut other = rtp(7, 100, 0, None, b"two");
    other.resize(60, 0);
    assert_eq!(client.seal_rtp(&mut other, 15), Err(DropReason::Replay), "the nonce would repeat");
    sealed(&mut client, &rtp(7, 103, 0, None, b"three"));
    sealed(&mut client, &rtp(7, 101, 0, None, b"late is fine"));
}

#[test]
fn garbage_makes_no_state() {
    for profile in Profile::ALL {
        let (_, mut server) = pair(profile);
        for ssrc in 0..10_000_u32 {
            let garbage = rtp(ssrc, 5, 0, None, &[9; 40]);
            assert_eq!(opened(&mut server, &garbage), Err(DropReason::SrtpAuth));
            let mut garbage = rtcp(ssrc, &[9; 40]);
            let at = garbage.len() - 4;
            garbage[at] |= 0x80;
            assert_eq!(opened(&mut server, &garbage), Err(DropReason::SrtpAuth));
        }
        assert_eq!((server.received.len(), server.reports.len()), (0, 0));
    }
}

#[test]
fn the_table_of_sources_is_bounded() {
    let (mut client, mut server) = pair(Profile::Gcm128);
    for ssrc in 0..RECEIVE_SOURCES_MAX as u32 {
        let packet = sealed(&mut client, &rtp(ssrc, 5, 0, None, &[1]));
        assert!(opened(&mut server, &packet).is_ok());
    }
    let packet = sealed(&mut client, &rtp(1_000, 5, 0, None, &[1]));
    assert_eq!(opened(&mut server, &packet), Err(DropReason::TooManySources));
    let packet = sealed(&mut client, &rtp(3, 6, 0, None, &[1]));
    assert!(opened(&mut server, &packet).is_ok());
}

#[test]
fn jumps_of_half_a_circle_do_not_lose_the_stream() {
    for profile in Profile::ALL {
        for jump in [32_767_u16, 32_768, 32_769, 40_000, 1, 65_535] {
            let (mut client, mut server) = pair(profile);
            let mut sequence = 1_000_u16;
            for _ in 0..40 {
                // What the sender believes the index to be, the receiver does too: both see the same packets.
                let plain = rtp(7, sequence, 0, None, &[1; 10]);
                let mut packet = plain.clone();
                packet.resize(plain.len() + 16, 0);
                if let Ok(len) = client.seal_rtp(&mut packet, plain.len()) {
                    assert_eq!(
                        opened(&mut server, &packet[..len]).as_deref(),
                        Ok(&plain[..]),
                        "{jump}"
                    );
                }
                sequence = sequence.wrapping_add(jump);
            }
        }
    }
}

/// Header extension elements with one-byte headers (RFC 8285): the other library takes headers apart and writes them
/// anew, so they must be well-formed.
fn elements() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec((1_u8..15, proptest::collection::vec(any::<u8>(), 1..=16)), 1..4)
        .prop_map(|list| {
            let element =
                |(id, data): (u8, Vec<u8>)| [vec![id << 4 | (data.len() - 1) as u8], data].concat();
            list.into_iter().flat_map(element).collect()
        })
}

fn profiles() -> impl Strategy<Value = Profile> {
    proptest::sample::select(Profile::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_other_library_opens_what_we_seal(
        profile in profiles(), start in any::<u16>(), csrcs in 0_usize..16,
        extension in proptest::option::of(elements()),
        payload in proptest::collection::vec(any::<u8>(), 0..1200),
        steps in proptest::collection::vec(1_u16..200, 1..40),
    ) {
        let (mut ours, mut theirs) = (pair(profile).0, oracle(profile));
        let mut sequence = start;
        for step in steps {
            let plain = rtp(0x1234_5678, sequence, csrcs, extension.as_deref(), &payload);
            let wire = sealed(&mut ours, &plain);
            prop_assert_eq!(wire.len(), plain.len() + profile.rtp_overhead());
            prop_assert_eq!(&theirs.decrypt_rtp(&wire).unwrap()[..], &plain[..]);
            let report = rtcp(0x1234_5678, &payload[..payload.len().min(400)]);
            let wire = sealed(&mut ours, &report);
            prop_assert_eq!(wire.len(), report.len() + profile.rtcp_overhead());
            prop_assert_eq!(&theirs.decrypt_rtcp(&wire).unwrap()[..], &report[..]);
            sequence = sequence.wrapping_add(step);
        }
    }

    #[test]
    fn we_open_what_the_other_library_seals(
        profile in profiles(), start in any::<u16>(), csrcs in 0_usize..16,
        extension in proptest::option::of(elements()),
        payload in proptest::collection::vec(any::<u8>(), 0..1200),
        steps in proptest::collection::vec(1_u16..200, 1..40),
    ) {
        let (mut ours, mut theirs) = (pair(profile).1, oracle(profile));
        let mut sequence = start;
        for step in steps {
            let plain = rtp(0x1234_5678, sequence, csrcs, extension.as_deref(), &payload);
            let wire = theirs.encrypt_rtp(&plain).unwrap();
            prop_assert_eq!(opened(&mut ours, &wire).unwrap(), plain);
            let report = rtcp(0x1234_5678, &payload[..payload.len().min(400)]);
            let wire = theirs.encrypt_rtcp(&report).unwrap();
            prop_assert_eq!(opened(&mut ours, &wire).unwrap(), report);
            sequence = sequence.wrapping_add(step);
        }
    }

    #[test]
    fn a_changed_packet_is_refused_and_changes_nothing(
        profile in profiles(), at in any::<prop::sample::Index>(), flip in 1_u8..,
        payload in proptest::collection::vec(any::<u8>(), 0..100), is_report in any::<bool>(),
    ) {
        let (mut client, mut server) = pair(profile);
        let plain = if is_report { rtcp(9, &payload) } else { rtp(9, 77, 2, Some(b"ext"), &payload) };
        let wire = sealed(&mut client, &plain);
        let mut bad = wire.clone();
        bad[at.index(wire.len())] ^= flip;
        // The second byte decides between RTP and RTCP; as the other kind it is refused no less.
        prop_assert!(opened(&mut server, &bad).is_err());
        prop_assert_eq!((server.received.len(), server.reports.len()), (0, 0));
        prop_assert_eq!(opened(&mut server, &wire).unwrap(), plain);
    }

    #[test]
    fn no_bytes_make_it_panic(profile in profiles(), mut data in proptest::collection::vec(any::<u8>(), 0..80), room in 0_usize..40) {
        let (mut client, _) = pair(profile);
        let _ = client.open_rtp(&mut data.clone());
        let _ = client.open_rtcp(&mut data.clone());
        let len = data.len();
        data.resize(len + room, 0);
        let _ = client.seal_rtp(&mut data.clone(), len);
        let _ = client.seal_rtcp(&mut data, len);
    }
}

#[test]
fn session_keys_differ_by_label() {
    let keys = |base| SessionKeys::new(&MASTER[..16], &MASTER[16..28], base).unwrap();
    assert_ne!(keys(0).encryption::<16>(), keys(3).encryption::<16>());
}
