//! Sixty participants over four edges, twelve with a camera: what crosses between nodes and what does not.

use crate::stage::{AP, EU, SOON, Stage, US, VOICE_PPS};
use mesh_tests::client::Spec;
use mesh_tests::fleet::Who;
use mesh_tests::mesh::NodeInfo;
use mesh_tests::publish::{SPEECH_DBOV, Turns};
use mesh_tests::report::{Flow, Shard};
use mesh_tests::wait::observe;
use relay_proto::limits::{VOICES_DOWN_MAX, VOICES_UP_MAX};
use std::time::{Duration, Instant};

const EDGES: usize = 4;
const PER_EDGE: usize = 15;
/// Of each edge's participants, how many speak all the time.
const SPEAKERS: usize = 5;
/// ... and how many have a camera; the first ones, so that speakers are among them.
const CAMERAS: usize = 3;
const WINDOW: Duration = Duration::from_secs(10);
/// Packets beyond 50 a second and voice: sender reports, shard reports that are 250 ms old, and voices that change places
/// when a speaker's thread pauses for 60 ms. A fourth voice would be 1.33.
const SLACK: f64 = 1.25;
/// A voice packet with everything around it: 12 + 12 of RTP, 80 of payload, 8 of shim, QUIC and what is sealed, UDP and IP.
const VOICE_BYTES_MAX: f64 = 200.0;
/// What two nodes say besides media, bytes/s one way: heartbeats, digests, acknowledgements of 200 packets a second.
const CONTROL_BYTES_MAX: f64 = 16_000.0;

struct Crowd {
    stage: Stage,
    edges: Vec<NodeInfo>,
    origin: NodeInfo,
    everybody: Vec<Who>,
}

impl Crowd {
    fn gather() -> Self {
        let stage = Stage::with_origin_in(EU);
        let edges: Vec<NodeInfo> = [US, EU, AP].iter().flat_map(|r| stage.mesh.edges(r)).collect();
        assert_eq!(edges.len(), EDGES);
        let mut wishes = Vec::new();
        for edge in &edges {
            for i in 0..PER_EDGE {
                let turns = if i < SPEAKERS { Turns::Always } else { Turns::Never };
                let spec = Spec::listener(&format!("{}/{i}", edge.name)).speaking(turns);
                let spec = if i < CAMERAS { spec.with_camera() } else { spec };
                wishes.push((edge.clone(), spec));
            }
        }
        let began = Instant::now();
        let everybody = stage.join_all(wishes);
        println!("{} participants joined within {:.2?}", everybody.len(), began.elapsed());
        // No two speakers are equally loud, so that it does not depend on chance who is heard.
        for (i, who) in everybody.iter().enumerate() {
            let mut core = stage.fleet.lock();
            let mic = core.get(*who).mic.as_mut().expect("a microphone");
            mic.level_dbov = SPEECH_DBOV + (i % PER_EDGE) as u8;
        }
        let origin = stage.mesh.origin(EU);
        Self { stage, edges, origin, everybody }
    }

    fn name(&self, id: u32) -> &str {
        self.stage.mesh.nodes().iter().find(|n| n.id == id).map_or("?", |n| n.name.as_str())
    }

    fn settled(&self) {
        self.stage.fleet.until(SOON, "everybody hears three voices and knows everybody", |core| {
            let waits = core.iter_mut().find(|c| {
                let heard = c.record.slots.values().filter(|s| !s.streams.is_empty()).count();
                heard < 3 || c.roster.len() < EDGES * PER_EDGE
            });
            waits.map_or(Ok(()), |c| {
                let heard: Vec<usize> = c.record.slots.values().map(|s| s.streams.len()).collect();
                Err(format!("{}: slots {heard:?}, roster {}", c.spec.name, c.roster.len()))
            })
        });
    }
}

/// Media datagrams by neighbour.
fn sent(shard: &Shard) -> Vec<(u32, u64)> {
    let mut sent: Vec<(u32, u64)> = Vec::new();
    for link in &shard.links {
        match sent.iter_mut().find(|(node, _)| *node == link.node) {
            Some((_, n)) => *n += link.datagrams_sent,
            None => sent.push((link.node, link.datagrams_sent)),
        }
    }
    sent
}

#[test]
fn between_nodes_go_three_voices_up_and_four_down_and_no_picture_unasked() {
    let crowd = Crowd::gather();
    crowd.settled();
    let nodes: Vec<&NodeInfo> = crowd.edges.iter().chain([&crowd.origin]).collect();
    let before: Vec<Shard> = nodes.iter().map(|n| crowd.stage.mesh.shard(n)).collect();
    crowd.stage.clear();
    let (wan, began) = (crowd.stage.mesh.wan(), Instant::now());
    observe(WINDOW);
    let (wan, window) = (crowd.stage.mesh.wan().since(&wan), began.elapsed().as_secs_f64());

    for (node, before) in nodes.iter().zip(&before) {
        let now = crowd.stage.mesh.shard(node);
        let limit = if node.role == "origin" { VOICES_DOWN_MAX } else { VOICES_UP_MAX };
        let flows = crowd.stage.flows(node);
        let asked: Vec<&Flow> = flows.iter().filter(|f| !f.is_audio() && !f.pushed).collect();
        assert!(asked.is_empty(), "{} sends pictures: {asked:?}", node.name);
        for (neighbour, packets) in sent(&now) {
            let packets =
                packets - sent(before).iter().find(|(n, _)| *n == neighbour).map_or(0, |(_, n)| *n);
            let to = || flows.iter().filter(|f| f.node == neighbour);
            let voices = to().filter(|f| f.is_audio()).count();
            let pushed = to().filter(|f| f.pushed).count();
            // A head sends to its region's other edges what an origin sends to heads.
            let down = node.role == "edge" && !crowd.name(neighbour).contains("origin");
            let limit = if down { VOICES_DOWN_MAX } else { limit };
            let rate = packets as f64 / window;
            println!(
                "{} -> {}: {voices} voices, {pushed} pushed pictures, {rate:.0} media datagrams/s",
                node.name,
                crowd.name(neighbour)
            );
            assert!(voices <= limit, "{} voices to {}", voices, crowd.name(neighbour));
            assert!(
                rate <= limit as f64 * VOICE_PPS * SLACK,
                "{rate:.0} datagrams/s to {}",
                crowd.name(neighbour)
            );
        }
    }
    check_wan(&wan, window);
    check_heard(&crowd, window);
}

/// The same, as the emulated network counted it: heads send up to three voices toward the origin's region, the origin up to
/// four to each other region.
fn check_wan(wan: &mesh_tests::report::Wan, window: f64) {
    for (from, to, packets, bytes) in wan.far() {
        let (packets, bytes) = (packets as f64 / window, bytes as f64 / window);
        println!("{from} -> {to}: {packets:.0} datagrams/s, {bytes:.0} bytes/s");
        let voices = match (from, to) {
            (EU, _) => VOICES_DOWN_MAX,
            (_, EU) => VOICES_UP_MAX,
            _ => 0,
        } as f64;
        let most = voices * VOICE_PPS * VOICE_BYTES_MAX + CONTROL_BYTES_MAX;
        assert!(bytes <= most, "{from} -> {to}: {bytes:.0} bytes/s of at most {most:.0}");
        if voices > 0.0 {
            assert!(packets >= VOICE_PPS, "{from} -> {to} carries no voice");
        }
    }
}

/// Everybody hears three voices of others, whole.
fn check_heard(crowd: &Crowd, window: f64) {
    let mut delays = Vec::new();
    let mut core = crowd.stage.fleet.lock();
    println!("longest pause of the clients' thread: {:.1?}", core.longest_turn);
    for who in &crowd.everybody {
        let client = core.get(*who);
        let streams: Vec<_> = client.record.slots.values().flat_map(|s| s.streams.iter()).collect();
        let packets: u64 = streams.iter().map(|(_, s)| s.packets).sum();
        let lost: u64 = streams.iter().map(|(_, s)| s.lost).sum();
        let name = &client.spec.name;
        assert!(
            streams.iter().all(|(id, _)| **id != client.participant),
            "{name} hears themselves"
        );
        let rate = packets as f64 / window;
        assert!(
            (2.7 * VOICE_PPS..=3.0 * VOICE_PPS * SLACK).contains(&rate),
            "{name} hears {rate:.0} packets/s of {streams:?}"
        );
        assert!(lost * 1_000 <= packets, "{name}: {lost} of {packets} lost");
        assert!(client.errors.is_empty() && !client.closed, "{name}: {:?}", client.errors);
        delays.extend(streams.iter().flat_map(|(_, s)| s.delays_us.iter().copied()));
    }
    let (p50, p95) = (
        mesh_tests::record::quantile_ms(delays.clone(), 0.5),
        mesh_tests::record::quantile_ms(delays, 0.95),
    );
    println!("delay over all: p50 {p50:.1} ms, p95 {p95:.1} ms");
}
