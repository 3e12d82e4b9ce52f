//! A packet from sealed input to sealed output allocates nothing.

use crate::far::Far;
use crate::neighbour::Neighbour;
use crate::world::{EDGE, MEETING, ORIGIN, STEP, World, links, relay_addr};
use allocation_counter::measure;
use edge_sfu::shard::EdgeCommand;
use relay_proto::control::{Body, Want};
use relay_proto::{
    Encoding, EncodingSet, Lane, LinkEvent, LinkInput, Links, Machine, NodeId, Now, Outbox,
    Progress, ShardInput, TrackId, TrackKind,
};
use sfu_core::relay::NodeAddress;
use std::time::Duration;

const VIEWERS: usize = 20;
const VOICE_EVERY: Duration = Duration::from_millis(20);
/// Loud, in -dBov.
const LOUD: u8 = 30;

/// What handling packets one by one has cost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    packets: usize,
    sent: usize,
    allocations: u64,
}

/// 20 ms of the publisher: a voice packet, and every other time a picture of five packets in each encoding.
fn moment(world: &mut World, nth: u32) -> Vec<Vec<u8>> {
    let media = &mut world.people[0].media;
    let mut packets = vec![media.voice(LOUD)];
    if nth.is_multiple_of(2) {
        for (encoding, count) in [(Encoding::Q, 1), (Encoding::H, 2), (Encoding::F, 5)] {
            packets.extend(media.frame(encoding, count, 1_000));
        }
    }
    packets
}

fn talk(world: &mut World, time: Duration) {
    for nth in 0..(time.as_millis() / VOICE_EVERY.as_millis()) as u32 {
        let packets = moment(world, nth);
        world.send(0, &packets);
        world.run(VOICE_EVERY);
    }
}

/// Hands the publisher's datagrams over one by one, flushing after each, and counts.
fn measured(world: &mut World, time: Duration) -> Cost {
    measured_of(world, time, |world, nth| {
        let packets = moment(world, nth);
        world.run(VOICE_EVERY);
        world.send(0, &packets);
    })
}

/// `send` lets 20 ms pass and leaves datagrams on their way to the edge.
fn measured_of(world: &mut World, time: Duration, send: impl Fn(&mut World, u32)) -> Cost {
    let mut cost = Cost::default();
    for nth in 0..(time.as_millis() / VOICE_EVERY.as_millis()) as u32 {
        send(world, nth);
        for (socket, from, mut data) in world.take_up() {
            let (shard, out, now) = (&mut world.shard, &mut world.out, world.now);
            let input = ShardInput::Datagram { socket, from, ecn: 0, data: &mut data };
            let mut more = Progress::More;
            let handled = measure(|| {
                shard.handle(now, input, out);
                more = shard.flush(now, out);
            });
            cost.packets += 1;
            cost.allocations += handled.count_total;
            loop {
                cost.sent += world.out.net.len();
                world.carry();
                if more == Progress::Done {
                    break;
                }
                let (shard, out, now) = (&mut world.shard, &mut world.out, world.now);
                cost.allocations += measure(|| more = shard.flush(now, out)).count_total;
            }
        }
    }
    cost
}

/// Zero is a result only where one allocation counts as one.
#[test]
fn allocations_are_counted() {
    let counted = measure(|| drop(std::hint::black_box(Box::new(7_u64))));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn voices_and_pictures_reach_twenty_viewers_without_an_allocation() {
    let mut world = World::meeting(1, VIEWERS);
    talk(&mut world, Duration::from_secs(6));
    let before = world.people[1].rtp.len();
    let cost = measured(&mut world, Duration::from_secs(3));
    assert_eq!(cost.packets, 150 + 75 * 8);
    let f_and_voice = (150 + 75 * 5) * VIEWERS;
    assert!(cost.sent >= f_and_voice, "{cost:?}: every viewer has the voice and the picture f");
    assert!(world.people[1].rtp.len() > before, "and can open them");
    assert_eq!(cost.allocations, 0, "{cost:?}");
}

/// Over a link QUIC allocates: a datagram is a `Bytes`, frames are kept until acknowledged. That is counted apart, with nobody else
/// served, and printed.
#[test]
fn with_a_relay_link_only_quic_allocates() {
    let mut world = World::new();
    world.neighbour = Some(Neighbour::new(world.now));
    let address = |node| NodeAddress { node, region: "here".into(), relay: vec![relay_addr(node)] };
    world.command(EdgeCommand::Nodes(vec![address(ORIGIN)]));
    world.gather(1, VIEWERS);
    talk(&mut world, Duration::from_secs(1));
    let track = world.neighbour.as_ref().unwrap().heard.iter().find_map(|body| match body {
        Body::Announce(a) if a.track.kind == TrackKind::Camera => Some(a.track),
        _ => None,
    });
    let camera: TrackId = track.expect("the camera was announced");
    let wants = vec![Want { track: camera, encodings: EncodingSet::NONE.with(Encoding::F) }];
    let demand = Body::Demand { seq: 1, wants, voices: true };
    let now = world.now;
    world.neighbour.as_mut().unwrap().say(now, MEETING, demand);
    talk(&mut world, Duration::from_secs(6));
    let media = world.neighbour.as_ref().unwrap().media;
    let cost = measured(&mut world, Duration::from_secs(3));
    world.run(Duration::from_millis(50));
    let crossed = world.neighbour.as_ref().unwrap().media - media;
    assert!(crossed >= 150 + 75 * 5, "{crossed} packets crossed the link");
    println!(
        "edge with a link: {} packets in, {} datagrams out, {crossed} over the link: {} allocations, {:.2} a packet that crossed",
        cost.packets,
        cost.sent,
        cost.allocations,
        cost.allocations as f64 / crossed as f64,
    );
}

/// An edge's links without its shard, and a neighbour of their own that sends what the shard's neighbour sends: what QUIC itself
/// allocates for the same datagrams at the same times.
struct Alone {
    now: Now,
    links: Links,
    out: Outbox<LinkEvent>,
    neighbour: Neighbour,
    arriving: Vec<Vec<u8>>,
}

impl Alone {
    fn new(now: Now) -> Self {
        let mut links = links(now, EDGE);
        links.connect(now, ORIGIN, Lane::of(MEETING), relay_addr(ORIGIN));
        let neighbour = Neighbour::new(now);
        Self { now, links, out: Outbox::new(), neighbour, arriving: Vec::new() }
    }

    fn carry(&mut self) {
        for (transmit, bytes) in self.out.net.transmits() {
            let datagrams = bytes.chunks(transmit.segment).map(<[u8]>::to_vec);
            self.neighbour.arriving.extend(datagrams);
        }
        self.out.net.clear();
        self.out.events.clear();
    }

    fn flush(&mut self) {
        while self.links.flush(self.now, &mut self.out) == Progress::More {
            self.carry();
        }
        self.carry();
    }

    /// As [`World::run`].
    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.now.mono < end {
            for mut data in std::mem::take(&mut self.arriving) {
                let from = relay_addr(ORIGIN);
                let input = LinkInput::Datagram { from, ecn: 0, data: &mut data };
                self.links.handle(self.now, input, &mut self.out);
            }
            self.flush();
            self.now = self.now.plus(STEP);
            if self.links.deadline().is_some_and(|at| at <= self.now.mono) {
                self.links.on_deadline(self.now, &mut self.out);
                self.flush();
            }
            let sent = self.neighbour.step(self.now);
            self.arriving.extend(sent);
        }
    }

    fn far_moment(&mut self) {
        self.neighbour.far_moment(self.now);
        let sent = self.neighbour.step(self.now);
        self.arriving.extend(sent);
    }

    /// As [`measured_of`].
    fn measured(&mut self, time: Duration) -> Cost {
        let mut cost = Cost::default();
        for _ in 0..time.as_millis() / VOICE_EVERY.as_millis() {
            self.run(VOICE_EVERY);
            self.far_moment();
            for mut data in std::mem::take(&mut self.arriving) {
                let (links, out, now) = (&mut self.links, &mut self.out, self.now);
                let input =
                    LinkInput::Datagram { from: relay_addr(ORIGIN), ecn: 0, data: &mut data };
                let handled = measure(|| {
                    links.handle(now, input, out);
                    out.events.clear();
                    let _ = links.flush(now, out);
                });
                cost.packets += 1;
                cost.allocations += handled.count_total;
                self.carry();
            }
        }
        cost
    }
}

/// Whoever admitted the far participant.
const FAR_EDGE: NodeId = NodeId(3);

#[test]
fn media_that_came_over_a_link_reaches_twenty_viewers_without_an_allocation_of_ours() {
    let mut world = World::new();
    world.neighbour = Some(Neighbour::new(world.now));
    let address = |node| NodeAddress { node, region: "here".into(), relay: vec![relay_addr(node)] };
    world.command(EdgeCommand::Nodes(vec![address(ORIGIN)]));
    world.gather(0, VIEWERS);
    let now = world.now;
    world.neighbour.as_mut().unwrap().announce(now, MEETING, Far::new(FAR_EDGE, 1));
    let send = |world: &mut World, _: u32| {
        world.run(VOICE_EVERY);
        world.far_moment();
    };
    for nth in 0..300 {
        send(&mut world, nth);
    }
    let seen = world.people[1].rtp.len();
    let cost = measured_of(&mut world, Duration::from_secs(3), send);
    world.run(Duration::from_millis(50));

    let mut alone = Alone::new(now);
    alone.run(Duration::from_millis(200));
    alone.neighbour.announce(alone.now, MEETING, Far::new(FAR_EDGE, 1));
    for _ in 0..300 {
        alone.run(VOICE_EVERY);
        alone.far_moment();
    }
    let quic = alone.measured(Duration::from_secs(3));

    println!(
        "edge behind a link: {} relay datagrams in, {} out to viewers, {} allocations, {:.3} a datagram; the links alone {} for {}, {:.3}",
        cost.packets,
        cost.sent,
        cost.allocations,
        cost.allocations as f64 / cost.packets as f64,
        quic.allocations,
        quic.packets,
        quic.allocations as f64 / quic.packets as f64,
    );
    let f_and_voice = 150 + 75 * 5;
    assert!(cost.sent >= f_and_voice * VIEWERS, "{cost:?}: every viewer has the voice and f");
    assert!(world.people[1].rtp.len() >= seen + f_and_voice, "and can open them");
    assert!(cost.allocations <= quic.allocations, "{cost:?}, the links alone {quic:?}");
    // A received datagram is copied into memory that is used again: it costs no allocation of its own.
    assert!(quic.allocations * 10 < quic.packets as u64, "{quic:?}");
}
