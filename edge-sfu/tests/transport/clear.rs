//! The clear transport drives the same agent, gate and states: moves, restarts and silence are tested with it.

use super::addr;
use edge_sfu::gate::Gate;
use edge_sfu::transport::{
    ClearClient, CloseReason, DtlsRole, Fingerprint, FingerprintHash, LocalIce, Opened, RemoteIce,
    RestartRefused, SecureTransport, TransportConfig, TransportEvent, TransportState,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_proto::machine::Net;
use relay_proto::time::{Now, NtpTime};
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const KEY: usize = 3;

struct Clear {
    now: Now,
    gate: Gate,
    server: SecureTransport,
    local: LocalIce,
    remote: RemoteIce,
}

fn remote() -> RemoteIce {
    let fingerprint = Fingerprint::of(FingerprintHash::Sha256, b"client");
    RemoteIce { ufrag: "them".into(), pwd: String::new(), fingerprint, setup: DtlsRole::Passive }
}

impl Clear {
    fn new() -> Self {
        let now = Now { mono: Instant::now(), wall: NtpTime(0) };
        let local = LocalIce::generate(&mut StdRng::seed_from_u64(1));
        let config = TransportConfig::clear(vec![addr(1, 5_000)]);
        let server = SecureTransport::server(now, &config, &local, &remote());
        let mut gate = Gate::new();
        gate.register(KEY, &local).unwrap();
        Self { now, gate, server, local, remote: remote() }
    }

    fn client(&self, ufrag: &str) -> ClearClient {
        ClearClient::new(self.now, addr(1, 5_000), ufrag, &self.local)
    }

    /// Carries what `net` holds to the server, and its answers back to the client, until all is quiet.
    fn carry(&mut self, client: &mut ClearClient, from: SocketAddr, net: &mut Net) -> Vec<Opened> {
        let mut seen = Vec::new();
        while !net.is_empty() {
            let mut answers = Net::new();
            for mut data in datagrams(net) {
                let opened = match self.gate.route(self.now, from, &data) {
                    Ok(_) => self.server.handle(self.now, from, &mut data, &mut answers),
                    Err(reason) => Opened::Dropped(reason),
                };
                seen.push(opened);
            }
            net.clear();
            for mut data in datagrams(&answers) {
                client.handle(self.now, &mut data, net);
            }
        }
        seen.retain(|o| *o != Opened::Nothing);
        seen
    }

    fn tick(&mut self, client: &mut ClearClient, from: SocketAddr) -> Vec<Opened> {
        let mut net = Net::new();
        client.on_deadline(self.now, &mut net);
        self.carry(client, from, &mut net)
    }

    /// Lets time pass for the server alone.
    fn wait(&mut self, by: Duration) -> Option<TransportEvent> {
        let end = self.now.plus(by);
        while let Some(due) = self.server.deadline().filter(|due| *due <= end.mono) {
            self.now = self.now.plus(due.saturating_duration_since(self.now.mono));
            let event = self.server.on_deadline(self.now, &mut Net::new());
            if event.is_some() {
                return event;
            }
        }
        self.now = end;
        None
    }

    fn seal(&mut self) -> Result<(), DropReason> {
        self.server.seal_rtp(&mut Net::new(), 50, |buf| {
            buf[0] = 0x80;
            Some(50)
        })
    }
}

fn datagrams(net: &Net) -> Vec<Vec<u8>> {
    net.transmits().flat_map(|(t, bytes)| bytes.chunks(t.segment).map(<[u8]>::to_vec)).collect()
}

#[test]
fn the_flights_connect_and_packets_keep_their_sizes() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    assert_eq!(world.seal(), Err(DropReason::NotConnected));
    let seen = world.tick(&mut client, addr(2, 1));
    assert_eq!(seen, [Opened::Event(TransportEvent::Connected)]);
    assert!(client.is_connected() && world.server.is_connected());
    assert_eq!(world.server.remote_addr(), Some(addr(2, 1)));

    let mut net = Net::new();
    let mut rtp = vec![0x80, 96, 0, 1];
    rtp.resize(40, 1);
    client.send(&mut net, &rtp).unwrap();
    assert_eq!(datagrams(&net)[0].len(), 40 + 16);
    assert_eq!(world.carry(&mut client, addr(2, 1), &mut net), [Opened::Rtp(40)]);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    client.send(&mut net, &report).unwrap();
    assert_eq!(datagrams(&net)[0].len(), 8 + 20);
    assert_eq!(world.carry(&mut client, addr(2, 1), &mut net), [Opened::Rtcp(8)]);
}

#[test]
fn a_lost_flight_is_sent_again() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    for _ in 0..3 {
        // The checks are answered, every other datagram of the handshake is lost.
        let mut net = Net::new();
        client.on_deadline(world.now, &mut net);
        for mut data in datagrams(&net) {
            let mut answers = Net::new();
            if world.gate.route(world.now, addr(2, 1), &data).is_ok() {
                world.server.handle(world.now, addr(2, 1), &mut data, &mut answers);
            }
            for mut data in datagrams(&answers) {
                client.handle(world.now, &mut data, &mut Net::new());
            }
        }
        world.now = world.now.plus(Duration::from_millis(400));
    }
    world.tick(&mut client, addr(2, 1));
    assert!(client.is_connected() && world.server.is_connected());
}

#[test]
fn the_last_nomination_moves_the_stream() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    world.tick(&mut client, addr(2, 1));
    world.now = world.now.plus(Duration::from_millis(2_500));
    let seen = world.tick(&mut client, addr(3, 9));
    let moved = TransportEvent::AddressChanged { from: addr(2, 1), to: addr(3, 9) };
    assert_eq!(seen, [Opened::Event(moved)]);
    assert_eq!(world.server.remote_addr(), Some(addr(3, 9)));
}

#[test]
fn an_ice_restart_moves_when_the_new_credentials_nominate() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    world.tick(&mut client, addr(2, 1));
    let old = world.local.clone();
    world.local = LocalIce::generate(&mut StdRng::seed_from_u64(2));
    world.remote.ufrag = "them2".into();
    world.gate.register(KEY, &world.local).unwrap();
    world.server.restart(&world.local, &world.remote).unwrap();

    world.now = world.now.plus(Duration::from_millis(2_500));
    assert_eq!(world.tick(&mut client, addr(2, 1)), [], "the old session goes on");
    let mut restarted = world.client("them2");
    let seen = world.tick(&mut restarted, addr(4, 4));
    let moved = TransportEvent::AddressChanged { from: addr(2, 1), to: addr(4, 4) };
    assert_eq!(seen, [Opened::Event(moved)]);
    assert!(world.server.is_connected(), "the keys are the same");

    let mut stale = ClearClient::new(world.now, addr(1, 5_000), "them", &old);
    assert_eq!(world.tick(&mut stale, addr(2, 1)), [Opened::Dropped(DropReason::StunRefused)]);
    assert_eq!(world.server.remote_addr(), Some(addr(4, 4)));

    world.remote.fingerprint = Fingerprint::of(FingerprintHash::Sha256, b"other");
    assert_eq!(world.server.restart(&world.local, &world.remote), Err(RestartRefused));
}

#[test]
fn a_check_from_the_wrong_client_is_refused_by_the_transport_too() {
    let mut world = Clear::new();
    let mut stranger = world.client("somebody else");
    let seen = world.tick(&mut stranger, addr(2, 1));
    assert_eq!(seen, [Opened::Dropped(DropReason::StunRefused)]);
    assert_eq!(world.server.remote_addr(), None);
}

#[test]
fn silence_pauses_then_ends_the_stream_and_one_check_resumes_it() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    world.tick(&mut client, addr(2, 1));
    assert_eq!(world.wait(Duration::from_millis(4_900)), None);
    assert_eq!(world.seal(), Ok(()));
    assert_eq!(world.wait(Duration::from_millis(200)), None);
    assert_eq!(world.server.state(), TransportState::Paused);
    assert_eq!(world.seal(), Err(DropReason::NotConnected));
    world.tick(&mut client, addr(2, 1));
    assert_eq!(world.server.state(), TransportState::Connected);
    assert_eq!(world.wait(Duration::from_secs(14)), None);
    let end = world.wait(Duration::from_secs(2));
    assert_eq!(end, Some(TransportEvent::Closed(CloseReason::ConsentLost)));
}

#[test]
fn media_alone_keeps_a_path_for_thirty_seconds_only() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    world.tick(&mut client, addr(2, 1));
    let start = world.now.mono;
    let mut rtp = vec![0x80, 96, 0, 1];
    rtp.resize(40, 1);
    let mut end = None;
    while end.is_none() && world.now.mono < start + Duration::from_secs(60) {
        let mut net = Net::new();
        client.send(&mut net, &rtp).unwrap();
        world.carry(&mut client, addr(2, 1), &mut net);
        end = world.wait(Duration::from_secs(1));
    }
    assert_eq!(end, Some(TransportEvent::Closed(CloseReason::ConsentLost)));
    let lasted = world.now.mono - start;
    assert!((29..=31).contains(&lasted.as_secs()), "{lasted:?}");
}

#[test]
fn whoever_never_comes_or_never_finishes_is_dropped() {
    let mut world = Clear::new();
    let end = world.wait(Duration::from_secs(16));
    assert_eq!(end, Some(TransportEvent::Closed(CloseReason::NeverChecked)));

    let mut world = Clear::new();
    let mut net = Net::new();
    world.client("them").on_deadline(world.now, &mut net);
    let mut check = datagrams(&net).remove(0);
    world.server.handle(world.now, addr(2, 1), &mut check, &mut Net::new());
    let end = world.wait(Duration::from_secs(11));
    assert_eq!(end, Some(TransportEvent::Closed(CloseReason::HandshakeTimeout)));
}

#[test]
fn goodbye_is_heard() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    world.tick(&mut client, addr(2, 1));
    let mut net = Net::new();
    client.close(&mut net);
    let seen = world.carry(&mut client, addr(2, 1), &mut net);
    assert_eq!(seen, [Opened::Event(TransportEvent::Closed(CloseReason::PeerClosed))]);
    assert_eq!(world.server.deadline(), None);

    let mut world = Clear::new();
    let mut client = world.client("them");
    world.tick(&mut client, addr(2, 1));
    let mut net = Net::new();
    world.server.close(world.now, &mut net);
    let mut goodbye = datagrams(&net).remove(0);
    let heard = client.handle(world.now, &mut goodbye, &mut Net::new());
    assert_eq!(heard, Opened::Event(TransportEvent::Closed(CloseReason::PeerClosed)));
}

#[test]
fn a_packet_that_does_not_fit_is_not_sent() {
    let mut world = Clear::new();
    let mut client = world.client("them");
    world.tick(&mut client, addr(2, 1));
    let mut net = Net::new();
    assert_eq!(world.server.seal_rtp(&mut net, 1_485, |_| panic!()), Err(DropReason::TooLarge));
    assert_eq!(world.server.seal_rtp(&mut net, 100, |_| None), Err(DropReason::TooLarge));
    assert_eq!(world.server.seal_rtp(&mut net, 100, |_| Some(101)), Err(DropReason::TooLarge));
    assert!(net.is_empty());
}
