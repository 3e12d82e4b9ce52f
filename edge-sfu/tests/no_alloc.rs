//! The packet path allocates nothing: not for sealing, not for opening, not for refusing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test: what must not be fails it, and time begins somewhere"
)]

use allocation_counter::measure;
use dimpl::{Dtls, Output, SrtpProfile};
use edge_sfu::gate::{Gate, Kind};
use edge_sfu::transport::srtp::{KeyOwner, Profile, SrtpSession};
use edge_sfu::transport::{
    ClearClient, DtlsIdentity, DtlsRole, Fingerprint, FingerprintHash, LocalIce, Opened, RemoteIce,
    SecureTransport, TransportConfig, TransportEvent,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_proto::machine::{Net, SLICE_DATAGRAMS};
use relay_proto::time::{Now, NtpTime};
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);
const PAYLOAD: usize = 1_100;

fn write_rtp(buf: &mut [u8], ssrc: u32, sequence: u16) -> Option<usize> {
    let len = 12 + PAYLOAD;
    let packet = buf.get_mut(..len)?;
    packet.fill(sequence as u8);
    packet[..2].copy_from_slice(&[0x80, 96]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    Some(len)
}

fn datagrams(net: &Net) -> Vec<Vec<u8>> {
    net.transmits().flat_map(|(t, bytes)| bytes.chunks(t.segment).map(<[u8]>::to_vec)).collect()
}

/// A connected server with its gate, and the keys of its client: dimpl's DTLS client, and checks by the clear client.
fn connect(now: Now) -> (Gate, SecureTransport, SrtpSession) {
    let identity = DtlsIdentity::generate().unwrap();
    let config = TransportConfig::dtls(Arc::clone(&identity), Vec::new());
    let local = LocalIce::generate(&mut StdRng::seed_from_u64(1));
    let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
    let remote = RemoteIce {
        ufrag: "them".into(),
        pwd: String::new(),
        fingerprint: Fingerprint::of(FingerprintHash::Sha256, &certificate.certificate),
        setup: DtlsRole::Passive,
    };
    let mut server = SecureTransport::server(now, &config, &local, &remote);
    let mut gate = Gate::new();
    gate.register(0, &local).unwrap();
    let mut net = Net::new();
    ClearClient::new(now, CLIENT, "them", &local).on_deadline(now, &mut net);
    let mut check = datagrams(&net).remove(0);
    net.clear();
    gate.route(now, CLIENT, &check).unwrap();
    assert_eq!(server.handle(now, CLIENT, &mut check, &mut net), Opened::Nothing);
    net.clear();

    let mut client = Dtls::new_12(Arc::new(dimpl::Config::default()), certificate, now.mono);
    client.set_active(true);
    client.handle_timeout(now.mono).unwrap();
    let mut keys = None;
    for _ in 0..10 {
        let mut buf = [0; 2_048];
        let mut records = Vec::new();
        loop {
            match client.poll_output(&mut buf) {
                Output::Packet(record) => records.push(record.to_vec()),
                Output::KeyingMaterial(material, profile) => keys = Some((material, profile)),
                Output::Timeout(_) => break,
                _ => {}
            }
        }
        for mut record in records {
            gate.route(now, CLIENT, &record).unwrap();
            let opened = server.handle(now, CLIENT, &mut record, &mut net);
            if opened == Opened::Event(TransportEvent::Connected) {
                gate.opened(0);
            }
        }
        for record in datagrams(&net) {
            client.handle_packet(&record).unwrap();
        }
        net.clear();
    }
    let (material, profile) = keys.unwrap();
    assert_eq!(profile, SrtpProfile::AEAD_AES_256_GCM);
    let session = SrtpSession::new(Profile::Gcm256, &material, KeyOwner::Client).unwrap();
    (gate, server, session)
}

#[test]
fn sealing_and_opening_a_stream_allocates_nothing() {
    let now = Now { mono: Instant::now(), wall: NtpTime(0) };
    let (mut gate, mut server, mut client) = connect(now);
    let mut net = Net::new();
    let send = |server: &mut SecureTransport, net: &mut Net, ssrc, sequence| {
        server.seal_rtp(net, 12 + PAYLOAD, |buf| write_rtp(buf, ssrc, sequence)).unwrap();
    };
    // A source's first packet makes its table entry.
    for ssrc in 0..8 {
        send(&mut server, &mut net, ssrc, 0);
    }
    net.clear();
    let sealing = measure(|| {
        for sequence in 1..2_000 {
            send(&mut server, &mut net, u32::from(sequence) % 8, sequence);
            if net.len() == SLICE_DATAGRAMS {
                net.clear();
            }
        }
    });
    assert_eq!(sealing.count_total, 0, "sealing");

    let mut wire: Vec<_> = (0..1_000_u16)
        .map(|sequence| {
            let mut packet = vec![0; 12 + PAYLOAD + 16];
            write_rtp(&mut packet, 7, sequence).unwrap();
            client.seal_rtp(&mut packet, 12 + PAYLOAD).unwrap();
            packet
        })
        .collect();
    let mut again = wire.clone();
    let mut handle = |packet: &mut [u8]| {
        assert_eq!(gate.route(now, CLIENT, packet).unwrap().kind, Kind::Srtp);
        server.handle(now, CLIENT, packet, &mut net)
    };
    assert_eq!(handle(&mut wire[0]), Opened::Rtp(12 + PAYLOAD));
    let opening = measure(|| {
        for packet in &mut wire[1..] {
            assert_eq!(handle(packet), Opened::Rtp(12 + PAYLOAD));
        }
    });
    assert_eq!(opening.count_total, 0, "opening");

    let refusing = measure(|| {
        for packet in &mut again {
            assert_eq!(handle(packet), Opened::Dropped(DropReason::Replay));
            packet[11] ^= 1;
            assert_eq!(handle(packet), Opened::Dropped(DropReason::SrtpAuth));
        }
    });
    assert_eq!(refusing.count_total, 0, "refusing");
}

#[test]
fn the_gate_refuses_strangers_without_allocating() {
    let now = Now { mono: Instant::now(), wall: NtpTime(0) };
    let (mut gate, _, _) = connect(now);
    let stranger = SocketAddr::from(([192, 0, 2, 9], 9));
    let nobody = LocalIce { ufrag: "nobody".into(), pwd: "x".into() };
    let mut net = Net::new();
    ClearClient::new(now, stranger, "them", &nobody).on_deadline(now, &mut net);
    let check = datagrams(&net).remove(0);
    let media = [0x80; 100];
    let refusing = measure(|| {
        for _ in 0..1_000 {
            assert_eq!(gate.route(now, stranger, &check), Err(DropReason::StunRefused));
            assert_eq!(gate.route(now, stranger, &media), Err(DropReason::UnknownAddress));
        }
    });
    assert_eq!(refusing.count_total, 0);
}

#[test]
fn the_fallback_cipher_allocates_nothing_either() {
    let keying = [7; 60];
    let mut client = SrtpSession::new(Profile::CmSha1, &keying, KeyOwner::Client).unwrap();
    let mut server = SrtpSession::new(Profile::CmSha1, &keying, KeyOwner::Server).unwrap();
    let mut packet = [0; 12 + PAYLOAD + 10];
    let mut round = |sequence| {
        write_rtp(&mut packet, 7, sequence).unwrap();
        let len = client.seal_rtp(&mut packet, 12 + PAYLOAD).unwrap();
        assert_eq!(server.open_rtp(&mut packet[..len]), Ok(12 + PAYLOAD));
    };
    round(0);
    assert_eq!(measure(|| (1..1_000).for_each(&mut round)).count_total, 0);
}

/// HALF_OPEN_MAX reckons with 60 KB a handshake; S4 of the reliability notes wants 1 MiB at most.
#[test]
fn a_peer_is_small() {
    let now = Now { mono: Instant::now(), wall: NtpTime(0) };
    let mut kept = None;
    let first = measure(|| kept = Some(connect(now)));
    let (gate, server, client) = kept.take().unwrap();
    drop((gate, client));
    let server_only = measure(|| drop(server));
    let bytes = -server_only.bytes_current;
    println!("a connected transport: {bytes} bytes; made with {} allocations", first.count_total);
    assert!((1_000..60_000).contains(&bytes), "{bytes}");
}
