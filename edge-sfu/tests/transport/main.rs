//! Gate and transport together, against a client that shares no code with them, in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test: what must not be fails it, and virtual time begins somewhere"
)]

mod clear;
#[path = "../client/mod.rs"]
mod client;
mod sdp;

use client::{RtcClient, Srtp};
use edge_sfu::gate::Gate;
use edge_sfu::transport::srtp::Profile;
use edge_sfu::transport::{
    CloseReason, DtlsIdentity, DtlsRole, LocalIce, Opened, SecureTransport, TransportConfig,
    TransportEvent, TransportState,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use relay_proto::machine::Net;
use relay_proto::time::{Now, NtpTime};
use rtc::sansio::Protocol;
use sdp::{CLIENT_SSRC, SERVER_SSRC};
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

static IDENTITY: LazyLock<Arc<DtlsIdentity>> = LazyLock::new(|| DtlsIdentity::generate().unwrap());
const KEY: usize = 17;
const CHROMIUM: [Srtp; 3] =
    [Srtp::Srtp_Aes128_Cm_Hmac_Sha1_80, Srtp::Srtp_Aead_Aes_128_Gcm, Srtp::Srtp_Aead_Aes_256_Gcm];

fn addr(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

struct World {
    now: Now,
    gate: Gate,
    server: SecureTransport,
    net: Net,
    client: RtcClient,
    events: Vec<TransportEvent>,
    opened: Vec<Opened>,
    payloads: Vec<Vec<u8>>,
    drops: Vec<DropReason>,
    /// Which datagrams are lost, by their number.
    loses: Range<usize>,
    carried: usize,
    /// The client's handshake datagrams, if somebody wants them.
    records: Option<Vec<Vec<u8>>>,
}

impl World {
    fn new(profiles: &[Srtp], setup: DtlsRole, tamper: bool) -> Self {
        let now = Now { mono: Instant::now(), wall: NtpTime(0) };
        let mut client = sdp::client(now.mono, addr(2, 4_000), profiles);
        let local = LocalIce::generate(&mut StdRng::seed_from_u64(1));
        let config = TransportConfig::dtls(Arc::clone(&IDENTITY), vec![addr(1, 5_000)]);
        let mut remote = sdp::remote_ice(&client.offer(now.mono), setup);
        if tamper {
            remote.fingerprint.bytes[0] ^= 1;
        }
        let server = SecureTransport::server(now, &config, &local, &remote);
        let fingerprint = config.fingerprint().to_string();
        let answer = sdp::answer(addr(1, 5_000), &local, &fingerprint, setup);
        client.answer(now.mono, &answer);
        let mut gate = Gate::new();
        gate.register(KEY, &local).unwrap();
        Self {
            now,
            gate,
            server,
            net: Net::new(),
            client,
            events: Vec::new(),
            opened: Vec::new(),
            payloads: Vec::new(),
            drops: Vec::new(),
            loses: 0..0,
            carried: 0,
            records: None,
        }
    }

    fn is_lost(&mut self) -> bool {
        self.carried += 1;
        self.loses.contains(&self.carried)
    }

    /// Moves everything that is under way; `false` if nothing was.
    fn carry(&mut self) -> bool {
        let before = self.carried;
        while let Some(mut data) = self.client.poll_write() {
            if !self.is_lost() {
                self.arrive(self.client.addr, &mut data);
            }
        }
        let sent: Vec<_> = self
            .net
            .transmits()
            .flat_map(|(t, bytes)| {
                bytes.chunks(t.segment).map(|d| (t.dest, d.to_vec())).collect::<Vec<_>>()
            })
            .collect();
        self.net.clear();
        for (dest, data) in sent {
            if dest == self.client.addr && !self.is_lost() {
                self.client.handle(self.now.mono, addr(1, 5_000), &data);
            }
        }
        self.carried != before
    }

    fn arrive(&mut self, from: SocketAddr, data: &mut [u8]) {
        if let Some(records) = self.records.as_mut().filter(|_| data[0] == 22) {
            records.push(data.to_vec());
        }
        let routed = match self.gate.route(self.now, from, data) {
            Ok(routed) => routed,
            Err(reason) => return self.drops.push(reason),
        };
        assert_eq!(routed.peer, KEY);
        match self.server.handle(self.now, from, data, &mut self.net) {
            Opened::Event(event) => self.event(event),
            Opened::Dropped(reason) => self.drops.push(reason),
            Opened::Nothing => {}
            opened @ (Opened::Rtp(len) | Opened::Rtcp(len)) => {
                self.opened.push(opened);
                self.payloads.push(data[..len].to_vec());
            }
        }
    }

    fn event(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::Connected => self.gate.opened(KEY),
            TransportEvent::Closed(_) => self.gate.remove(KEY),
            TransportEvent::AddressChanged { .. } => {}
        }
        self.events.push(event);
    }

    fn run(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now.mono + limit;
        while !done(self) && self.now.mono < end {
            if self.carry() {
                continue;
            }
            let due = [self.server.deadline(), self.client.deadline(), Some(end)];
            let next = due.into_iter().flatten().min().unwrap();
            let step = next.saturating_duration_since(self.now.mono).max(Duration::from_millis(1));
            self.now = self.now.plus(step);
            if let Some(event) = self.server.on_deadline(self.now, &mut self.net) {
                self.event(event);
            }
            self.client.on_deadline(self.now.mono);
        }
    }

    fn connect(&mut self) {
        self.run(Duration::from_secs(10), |w| w.server.is_connected() && w.client.connected);
        assert!(
            self.server.is_connected() && self.client.connected,
            "{:?} {:?}",
            self.events,
            self.drops
        );
        assert_eq!(self.gate.half_open(), 0);
    }

    fn profile(&self) -> Option<Profile> {
        match &self.server {
            SecureTransport::Dtls(dtls) => dtls.profile(),
            SecureTransport::Clear(_) => None,
        }
    }

    fn send_rtp(&mut self, sequence: u16, payload: &[u8]) -> Result<(), DropReason> {
        self.server.seal_rtp(&mut self.net, 12 + payload.len(), |buf| {
            buf[..2].copy_from_slice(&[0x80, 96]);
            buf[2..4].copy_from_slice(&sequence.to_be_bytes());
            buf[8..12].copy_from_slice(&SERVER_SSRC.to_be_bytes());
            buf[12..].copy_from_slice(payload);
            Some(buf.len())
        })
    }

    fn send_pli(&mut self) -> Result<(), DropReason> {
        self.server.seal_rtcp(&mut self.net, 12, |buf| {
            buf[..4].copy_from_slice(&[0x81, 206, 0, 2]);
            buf[4..8].copy_from_slice(&SERVER_SSRC.to_be_bytes());
            buf[8..12].copy_from_slice(&CLIENT_SSRC.to_be_bytes());
            Some(12)
        })
    }

    /// Media both ways.
    fn exchange(&mut self) {
        for sequence in 0..40_u16 {
            let sequence = sequence.wrapping_add(65_520);
            let packet = (96, CLIENT_SSRC, sequence);
            self.client.send(self.now.mono, 0, packet, b"from the client");
            self.send_rtp(sequence, b"from the server").unwrap();
            self.run(Duration::from_millis(20), |_| false);
        }
        self.send_pli().unwrap();
        self.run(Duration::from_millis(50), |_| false);
        let from_client = self.opened.iter().filter(|o| matches!(o, Opened::Rtp(_))).count();
        assert_eq!(from_client, 40);
        assert!(self.payloads.iter().any(|p| p.ends_with(b"from the client")));
        assert!(
            self.client.rtp.iter().filter(|p| &p.payload[..] == b"from the server").count() >= 39
        );
    }
}

#[test]
fn a_client_that_lists_sha1_first_ends_up_on_gcm_and_media_flows_both_ways() {
    let mut world = World::new(&CHROMIUM, DtlsRole::Passive, false);
    world.connect();
    assert_eq!(world.profile(), Some(Profile::Gcm256), "dimpl's server prefers it");
    world.exchange();
    assert_eq!(world.drops, []);
}

#[test]
fn every_profile_works_and_we_can_be_the_dtls_client() {
    for (listed, expected) in [
        (vec![Srtp::Srtp_Aes128_Cm_Hmac_Sha1_80], Profile::CmSha1),
        (vec![Srtp::Srtp_Aes128_Cm_Hmac_Sha1_80, Srtp::Srtp_Aead_Aes_128_Gcm], Profile::Gcm128),
        (vec![Srtp::Srtp_Aead_Aes_256_Gcm], Profile::Gcm256),
    ] {
        for setup in [DtlsRole::Passive, DtlsRole::Active] {
            let mut world = World::new(&listed, setup, false);
            world.connect();
            assert_eq!(world.profile(), Some(expected), "{setup:?}");
            world.exchange();
        }
    }
}

#[test]
fn any_lost_datagram_delays_the_handshake_but_does_not_stop_it() {
    // Two checks and four flights; the last numbers lie behind the handshake.
    for lost in 1..=10 {
        let mut world = World::new(&CHROMIUM, DtlsRole::Passive, false);
        world.loses = lost..lost + 1;
        world.connect();
    }
}

#[test]
fn another_certificate_gets_nothing() {
    for setup in [DtlsRole::Passive, DtlsRole::Active] {
        let mut world = World::new(&CHROMIUM, setup, true);
        world.run(Duration::from_secs(20), |w| !w.events.is_empty());
        assert_eq!(world.events, [TransportEvent::Closed(CloseReason::FingerprintMismatch)]);
        assert_eq!(world.server.state(), TransportState::Closed);
        assert_eq!(world.send_rtp(1, b"secret"), Err(DropReason::NotConnected));
        assert_eq!(world.opened, []);
    }
}

#[test]
fn strangers_are_neither_heard_nor_answered() {
    let mut world = World::new(&CHROMIUM, DtlsRole::Passive, false);
    let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60];
    hello.extend([1; 60]);
    let media = vec![0x80; 100];
    let spray = |world: &mut World| {
        for port in 0..64 {
            world.arrive(addr(66, port), &mut hello.clone());
            world.arrive(addr(66, port), &mut media.clone());
        }
        assert!(world.drops.drain(..).all(|d| d == DropReason::UnknownAddress));
        assert!(world.net.transmits().all(|(t, _)| t.dest != addr(66, 0)));
    };
    spray(&mut world);
    for _ in 0..200 {
        spray(&mut world);
        world.run(Duration::from_millis(5), |_| false);
    }
    assert!(world.server.is_connected() && world.client.connected);
    world.exchange();
}

#[test]
fn a_broken_hello_with_the_clients_address_does_not_spoil_the_handshake() {
    let mut world = World::new(&CHROMIUM, DtlsRole::Passive, false);
    world.run(Duration::from_secs(5), |w| w.server.remote_addr().is_some());
    for version in [0xff, 0xfd] {
        // A ClientHello of DTLS 1.0, and one without anything we could choose.
        let mut body = vec![0xfe, version];
        body.extend([7; 32]);
        body.extend([0, 0, 0, 2, 0xc0, 0x09, 1, 0]);
        let mut hello = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12 + body.len() as u8];
        hello.extend([1, 0, 0, body.len() as u8, 0, 0, 0, 0, 0, 0, 0, body.len() as u8]);
        hello.extend(body);
        world.arrive(world.client.addr, &mut hello);
    }
    world.connect();
}

#[test]
fn goodbye_ends_it_at_once_on_either_side() {
    let mut world = World::new(&CHROMIUM, DtlsRole::Passive, false);
    world.connect();
    world.client.pc.close().unwrap();
    world.run(Duration::from_secs(2), |w| w.server.state() == TransportState::Closed);
    assert_eq!(world.events.last(), Some(&TransportEvent::Closed(CloseReason::PeerClosed)));

    let mut world = World::new(&CHROMIUM, DtlsRole::Passive, false);
    world.connect();
    world.server.close(world.now, &mut world.net);
    assert_eq!(world.server.state(), TransportState::Closed);
    assert_eq!(world.net.len(), 1, "close_notify");
    assert_eq!(world.send_rtp(1, b"x"), Err(DropReason::NotConnected));
    assert_eq!(world.server.deadline(), None);
}

#[test]
fn a_client_that_vanishes_is_paused_then_dropped() {
    let mut world = World::new(&CHROMIUM, DtlsRole::Passive, false);
    world.connect();
    world.exchange();
    world.loses = 0..usize::MAX;
    let start = world.now.mono;
    world.run(Duration::from_secs(40), |w| w.server.state() == TransportState::Paused);
    let paused = world.now.mono - start;
    assert!(paused <= Duration::from_secs(10), "{paused:?}");
    assert_eq!(world.send_rtp(1, b"x"), Err(DropReason::NotConnected));
    world.run(Duration::from_secs(40), |w| w.server.state() == TransportState::Closed);
    assert!(world.now.mono - start <= Duration::from_secs(16));
    assert_eq!(world.events.last(), Some(&TransportEvent::Closed(CloseReason::ConsentLost)));
}

/// Handshake records with one to four bytes changed, some of them in the middle of a handshake, some after it: the
/// association stands, and nobody gains one.
#[test]
fn mangled_records_do_no_harm() {
    let mut luck = StdRng::seed_from_u64(4);
    let mut recorded = World::new(&CHROMIUM, DtlsRole::Passive, false);
    recorded.records = Some(Vec::new());
    recorded.connect();
    let records = recorded.records.take().unwrap();
    assert!(records.len() >= 2);
    for connected in [true, false] {
        for round in 0..if connected { 3_000 } else { 300 } {
            let mut world = if connected {
                None
            } else {
                Some(World::new(&CHROMIUM, DtlsRole::Passive, false))
            };
            let world = world.as_mut().unwrap_or(&mut recorded);
            if !connected {
                world.run(Duration::from_secs(5), |w| w.server.remote_addr().is_some());
            }
            let mut bad = records[round % records.len()].clone();
            for _ in 0..luck.random_range(1..=4) {
                let at = luck.random_range(1..bad.len());
                bad[at] = luck.random();
            }
            world.arrive(world.client.addr, &mut bad);
            assert_eq!(world.server.is_connected(), connected, "round {round}");
        }
    }
    recorded.net.clear();
    recorded.exchange();
}
