//! A call goes on while its edge is attacked.

use crate::stage::{EU, SOON, Stage, US};
use mesh_tests::client::Spec;
use mesh_tests::clock;
use mesh_tests::fleet::Who;
use mesh_tests::flood::{self, Flood, Sent};
use mesh_tests::mesh::NodeInfo;
use mesh_tests::publish::Turns;
use mesh_tests::record::GAP_NOTED_US;
use mesh_tests::wait::{observe, until};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Of each kind.
const DATAGRAMS: u64 = 100_000;
const RATE_MIN: f64 = 20_000.0;
/// Aimed at, so that the least is reached on a machine that pauses.
const RATE: f64 = 23_000.0;
/// As long as one kind takes.
const CONTROL: Duration = Duration::from_secs(5);
const GAP_US_MAX: u64 = 60_000;
const GROWTH_KIB_MAX: u64 = 32 * 1_024;
const LOG_LINES_MAX: usize = 100;
/// Of what the kernel took, what the edge must have counted: it reports every 250 ms, and its kernel may have dropped some.
const COUNTED: f64 = 0.99;
/// Packets of the victim that are sent again and again.
const REPLAYED: usize = 256;

/// The edge under attack and those who talk over it.
pub(crate) struct Siege {
    stage: Stage,
    edge: NodeInfo,
    speaker: Who,
    listener: Who,
    /// One on the same edge, one from another region.
    voices: [u32; 2],
    media: SocketAddr,
    relay: SocketAddr,
    /// What was worst so far.
    worst_us: u64,
}

/// What an edge's process and log look like.
struct Health {
    resident_kib: u64,
    log_lines: usize,
}

impl Siege {
    fn lay() -> Self {
        let stage = Stage::with_origin_in(EU);
        let edge = stage.mesh.edge(US);
        let speaking = |name| Spec::listener(name).speaking(Turns::Always);
        let speaker = stage.join(&edge, speaking("speaker"));
        let far = stage.join(&stage.mesh.edge(EU), speaking("far speaker"));
        let listener = stage.join(&edge, Spec::listener("listener"));
        let voices = [stage.id(speaker), stage.id(far)];
        voices.iter().for_each(|v| stage.until_heard(listener, *v, 50));
        let (media, relay) = stage.mesh.addresses(&edge);
        stage.fleet.lock().get(speaker).sent = Some(VecDeque::with_capacity(REPLAYED));
        Self { stage, edge, speaker, listener, voices, media, relay, worst_us: 0 }
    }

    fn health(&self) -> Health {
        let pid = self.edge.pid.expect("a process");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let resident = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|l| l.trim().strip_suffix(" kB")?.parse().ok());
        let log = std::fs::read_to_string(&self.edge.log).expect("its log");
        Health { resident_kib: resident.expect("VmRSS"), log_lines: log.lines().count() }
    }

    fn drops(&self, reasons: &[&str]) -> u64 {
        let drops = self.stage.mesh.shard(&self.edge).counters.drops;
        reasons.iter().filter_map(|r| drops.get(*r)).sum()
    }

    /// Datagrams of the relay socket that belong to no connection and began none.
    fn strays(&self) -> u64 {
        let refused = self.stage.mesh.shard(&self.edge).counters.relay_refused;
        refused.get("stray").copied().unwrap_or_default()
    }

    /// Counters of a family by the value of their one label, as Prometheus reads them.
    pub(crate) fn counted(&self, family: &str, label: &str) -> BTreeMap<String, u64> {
        let metrics = self.stage.mesh.metrics(&self.edge);
        let of = |name: &str| {
            let labels = name.strip_prefix(family)?.strip_prefix('{')?;
            let value = labels.split(&format!("{label}=\"")).nth(1)?;
            value.split('"').next().map(str::to_owned)
        };
        metrics.iter().filter_map(|(name, n)| Some((of(name)?, *n as u64))).collect()
    }

    /// The longest pause that the way made, and packets heard, of both voices since `from_us`.
    fn heard(&self, from_us: u64) -> (u64, Vec<u64>) {
        let mut core = self.stage.fleet.lock();
        let record = &core.get(self.listener).record;
        let streams = |v: u32| record.voice(v);
        let pauses = self.voices.iter().flat_map(|v| streams(*v));
        let longest = pauses.map(|s| s.longest_gap_us(from_us)).max().unwrap_or(u64::MAX);
        (longest, self.voices.iter().map(|v| streams(*v).map(|s| s.packets).sum()).collect())
    }

    /// Attacks, and listens meanwhile. A pause of the whole machine is not one of the edge and does not come twice, so a
    /// pause that is too long is given one more try.
    fn attack<T>(&mut self, what: &str, attack: impl Fn(&Self) -> T) -> T {
        for attempt in 1.. {
            self.stage.clear();
            let from_us = clock::now_us();
            let done = attack(self);
            let window = (clock::now_us() - from_us) as f64 / 1e6;
            let (gap_us, packets) = self.heard(from_us);
            println!(
                "{what}: longest gap {:.1} ms, packets {packets:?} in {window:.1} s",
                gap_us as f64 / 1e3
            );
            let whole = packets.iter().all(|n| *n as f64 >= 48.0 * (window - 0.5));
            if gap_us <= GAP_US_MAX && whole {
                self.worst_us = self.worst_us.max(gap_us);
                return done;
            }
            assert!(
                attempt == 1,
                "{what}: a gap of {} ms, twice; packets {packets:?}",
                gap_us / 1_000
            );
        }
        unreachable!("the loop returns or panics")
    }

    /// Floods a socket and checks that the edge counted what came.
    fn flood(&mut self, what: &str, flood: &Flood, to: SocketAddr, counted: impl Fn(&Self) -> u64) {
        let before = counted(self);
        let sent = self.attack(what, |_| flood.send(to, DATAGRAMS, RATE));
        let Sent { datagrams, within } = sent;
        println!("{what}: {datagrams} datagrams within {within:.2?}, {:.0}/s", sent.rate());
        assert!(sent.rate() >= RATE_MIN, "{what}: only {:.0} datagrams/s were sent", sent.rate());
        until(SOON, &format!("{what} is counted"), || {
            let now = counted(self) - before;
            if now as f64 >= datagrams as f64 * COUNTED {
                Ok(())
            } else {
                Err(format!("{now} of {datagrams}"))
            }
        });
    }
}

/// Pauses of less than 30 ms are not kept.
fn shown(gap_us: u64) -> String {
    match gap_us {
        0 => format!("under {} ms", GAP_NOTED_US / 1_000),
        us => format!("{:.1} ms", us as f64 / 1e3),
    }
}

/// Recent RTP packets of the victim, sealed; every fourth damaged.
fn replayed(siege: &Siege) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    siege.stage.fleet.until(SOON, "the victim's packets are known", |core| {
        let sent = core.get(siege.speaker).sent.clone().unwrap_or_default();
        let is_rtp = |p: &&Vec<u8>| p.len() > 12 && p[0] >> 6 == 2 && !(192..224).contains(&p[1]);
        packets = sent.iter().filter(is_rtp).cloned().collect();
        if packets.len() > 100 { Ok(()) } else { Err(format!("{}", packets.len())) }
    });
    for packet in packets.iter_mut().step_by(4) {
        packet[20] ^= 1;
    }
    packets
}

#[test]
fn a_call_goes_on_while_its_edge_is_attacked() {
    let mut siege = Siege::lay();
    let before = siege.health();
    siege.attack("nothing", |_| observe(CONTROL));
    let control_us = std::mem::take(&mut siege.worst_us);

    let (ip, media, relay) = (siege.stage.mesh.media_ip(), siege.media, siege.relay);
    let ufrag = siege.stage.fleet.lock().get(siege.listener).edge_ufrag.clone();
    assert!(ufrag.len() >= 4);
    let mut n = 0;
    let stun = Flood::new(ip, |rng| {
        n += 1;
        flood::stun(rng, if n % 2 == 0 { &ufrag } else { "nobody" })
    });
    siege.flood("STUN with bad integrity", &stun, media, |s| s.drops(&["stun_refused"]));
    let unknown = ["unknown_address", "dtls_refused", "malformed"];
    let dtls = Flood::new(ip, flood::dtls);
    siege.flood("DTLS from unknown addresses", &dtls, media, move |s| s.drops(&unknown));
    let ssrc = 0x1000_0000;
    let rtp = Flood::new(ip, |rng| flood::rtp(rng, ssrc));
    siege.flood("RTP from unknown addresses", &rtp, media, move |s| s.drops(&unknown));
    let own = siege.stage.fleet.lock().get(siege.speaker).socket().udp();
    let replay = Flood::again(replayed(&siege), own);
    siege.flood("replayed SRTP", &replay, media, |s| s.drops(&["replay", "srtp_auth"]));
    let flights = siege.stage.mesh.first_flights(200);
    let quic = Flood::new(relay.ip(), |rng| flood::cut_quic(rng, &flights));
    siege.flood("cut relay datagrams", &quic, relay, Siege::strays);
    siege.attack("bad signalling", crate::nonsense::signalling);
    crate::nonsense::tokens(&siege);

    let after = siege.health();
    let growth = after.resident_kib.saturating_sub(before.resident_kib);
    let lines = after.log_lines - before.log_lines;
    println!(
        "longest gap {} under attack, {} before; {growth} KiB more memory; {lines} log lines",
        shown(siege.worst_us),
        shown(control_us)
    );
    assert!(growth <= GROWTH_KIB_MAX, "{growth} KiB more memory");
    assert!(lines <= LOG_LINES_MAX, "{lines} log lines");
    siege.survived();
}

impl Siege {
    /// The call is whole and somebody new can join.
    fn survived(&self) {
        let log = std::fs::read_to_string(&self.edge.log).expect("its log");
        assert!(!log.contains("panicked"), "the edge panicked:\n{log}");
        let late = self.stage.join(&self.edge, Spec::listener("late"));
        self.voices.iter().for_each(|v| self.stage.until_heard(late, *v, 20));
        let mut core = self.stage.fleet.lock();
        for who in [self.speaker, self.listener, late] {
            let client = core.get(who);
            assert!(client.errors.is_empty() && !client.closed, "{:?}", client.errors);
        }
    }

    pub(crate) fn edge(&self) -> (&Stage, &NodeInfo) {
        (&self.stage, &self.edge)
    }
}
