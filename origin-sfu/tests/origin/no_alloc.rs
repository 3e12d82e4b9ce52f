//! A packet that came over one link and leaves by another costs this shard no allocation.

use crate::edge::Edge;
use crate::far::Far;
use crate::world::{ORIGIN, STEP, World, addr, links};
use allocation_counter::measure;
use relay_proto::control::{Body, Want};
use relay_proto::links::{LinkEvent, LinkId, LinkInput, Links};
use relay_proto::{
    Encoding, EncodingSet, Machine, NodeId, Now, Outbox, Progress, ShardInput, Socket, TrackKind,
};
use std::time::{Duration, Instant};

const VOICE_EVERY: Duration = Duration::from_millis(20);
const WARM: usize = 300;
const MEASURED: usize = 150;
/// Voices, and pictures of q, h and f: 1, 2 and 5 packets.
const SENT: usize = 150 + 75 * 8;
/// Everything is watched.
const ALL: EncodingSet = EncodingSet(7);

/// What handling datagrams one by one has cost.
#[derive(Debug, Default)]
struct Cost {
    datagrams: usize,
    allocations: u64,
    bytes: u64,
}

fn demand(seq: u64, far: &Far) -> Body {
    let wants = vec![Want { track: far.track(TrackKind::Camera), encodings: ALL }];
    Body::Demand { seq, wants, voices: true }
}

/// An origin between a region that sends and regions that watch.
fn shard_between(watching: usize, lag: Duration) -> (Cost, usize) {
    let mut world = World::new();
    let source = world.attached("us");
    let viewers: Vec<usize> =
        (0..watching).map(|n| world.attached(["eu", "ap", "sa"][n])).collect();
    let far = Far::new(NodeId(2), 1);
    for viewer in &viewers {
        world.say(*viewer, demand(1, &far));
    }
    let now = world.now;
    world.at(source).publish(now, far);
    world.run(20 * STEP);
    world.lag = lag;
    for _ in 0..WARM {
        world.run(VOICE_EVERY);
        world.far_moment(source);
    }
    world.run(VOICE_EVERY + lag);
    let received = |world: &mut World| -> usize {
        viewers.iter().map(|v| world.at(*v).media.values().sum::<usize>()).sum()
    };
    let (before, mut cost) = (received(&mut world), Cost::default());
    for _ in 0..MEASURED {
        world.run(VOICE_EVERY);
        world.far_moment(source);
        for (from, mut data) in std::mem::take(&mut world.up) {
            let (shard, out, now) = (&mut world.shard, &mut world.out, world.now);
            let input =
                ShardInput::Datagram { socket: Socket::Relay, from, ecn: 0, data: &mut data };
            let mut more = Progress::More;
            let handled = measure(|| {
                shard.handle(now, input, out);
                more = shard.flush(now, out);
            });
            assert_eq!(more, Progress::Done, "one slice takes it");
            cost.datagrams += 1;
            cost.allocations += handled.count_total;
            cost.bytes += handled.bytes_total;
            world.carry();
        }
    }
    world.run(VOICE_EVERY + lag);
    (cost, received(&mut world) - before)
}

/// Links without a shard, that hand every packet on as it came.
struct Alone {
    now: Now,
    links: Links,
    out: Outbox<LinkEvent>,
    edges: Vec<Edge>,
    /// The links to the edges, in their order.
    ids: Vec<Option<LinkId>>,
    up: Vec<(NodeId, Vec<u8>)>,
    /// Kept from one datagram to the next, as the shard keeps its own.
    events: Vec<LinkEvent>,
    /// As in [`World`].
    lag: Duration,
    answered: Instant,
}

impl Alone {
    fn new(watching: usize) -> Self {
        let now = World::without_meeting().now;
        let edges = (0..=watching).map(|n| Edge::new(now, NodeId(n as u32 + 2), "us")).collect();
        let links = links(now, ORIGIN, "us");
        let ids = vec![None; watching + 1];
        let (up, events) = (Vec::new(), Vec::new());
        let (lag, answered) = (Duration::ZERO, now.mono);
        Self { now, links, out: Outbox::new(), edges, ids, up, events, lag, answered }
    }

    /// What an origin does, without deciding anything.
    fn forward(&mut self) {
        self.events.append(&mut self.out.events);
        for event in self.events.drain(..) {
            match event {
                LinkEvent::Up { link, node, .. } => {
                    let place = self.edges.iter().position(|e| e.node == node).unwrap();
                    self.ids[place] = Some(link);
                }
                LinkEvent::Media { flow, facts, rtp, .. } => {
                    for link in self.ids[1..].iter().flatten() {
                        let write = |buf: &mut [u8]| {
                            buf[..rtp.len()].copy_from_slice(&rtp);
                            Some(rtp.len())
                        };
                        self.links.send_media(self.now, *link, flow, &facts, write).unwrap();
                    }
                }
                _ => {}
            }
        }
    }

    fn handle(&mut self, from: NodeId, data: &mut [u8]) {
        let input = LinkInput::Datagram { from: addr(from), ecn: 0, data };
        self.links.handle(self.now, input, &mut self.out);
        self.forward();
    }

    fn flush(&mut self) -> Progress {
        let progress = self.links.flush(self.now, &mut self.out);
        self.forward();
        progress
    }

    fn carry(&mut self) {
        for (transmit, bytes) in self.out.net.transmits() {
            let to = self.edges.iter_mut().find(|e| addr(e.node) == transmit.dest).unwrap();
            to.arriving.extend(bytes.chunks(transmit.segment).map(<[u8]>::to_vec));
        }
        self.out.net.clear();
    }

    fn settle(&mut self) {
        while self.flush() == Progress::More {
            self.carry();
        }
        self.carry();
    }

    fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.now.mono < end {
            for (from, mut data) in std::mem::take(&mut self.up) {
                self.handle(from, &mut data);
            }
            self.settle();
            self.now = self.now.plus(STEP);
            if self.links.deadline().is_some_and(|at| at <= self.now.mono) {
                self.links.on_deadline(self.now, &mut self.out);
                self.settle();
            }
            let all = self.now.mono >= self.answered + self.lag;
            if all {
                self.answered = self.now.mono;
            }
            let answering = if all { self.edges.len() } else { 1 };
            for edge in self.edges.iter_mut().take(answering) {
                let (node, sent) = (edge.node, edge.step(self.now));
                self.up.extend(sent.into_iter().map(|data| (node, data)));
            }
        }
    }

    fn far_moment(&mut self) {
        let edge = &mut self.edges[0];
        edge.far_moment(self.now);
        let (node, sent) = (edge.node, edge.step(self.now));
        self.up.extend(sent.into_iter().map(|data| (node, data)));
    }

    fn measured(mut self, lag: Duration) -> (Cost, usize) {
        self.run(Duration::from_millis(200));
        assert!(self.ids.iter().all(Option::is_some));
        self.edges[0].far = Some(Far::new(NodeId(2), 1));
        self.lag = lag;
        for _ in 0..WARM {
            self.run(VOICE_EVERY);
            self.far_moment();
        }
        self.run(VOICE_EVERY + lag);
        let received = |alone: &Self| -> usize {
            alone.edges[1..].iter().map(|e| e.media.values().sum::<usize>()).sum()
        };
        let (before, mut cost) = (received(&self), Cost::default());
        for _ in 0..MEASURED {
            self.run(VOICE_EVERY);
            self.far_moment();
            for (from, mut data) in std::mem::take(&mut self.up) {
                let handled = measure(|| {
                    self.handle(from, &mut data);
                    assert_eq!(self.flush(), Progress::Done);
                });
                cost.datagrams += 1;
                cost.allocations += handled.count_total;
                cost.bytes += handled.bytes_total;
                self.carry();
            }
        }
        self.run(VOICE_EVERY + lag);
        let forwarded = received(&self) - before;
        (cost, forwarded)
    }
}

/// Zero is a result only where one allocation counts as one.
#[test]
fn allocations_are_counted() {
    let counted = measure(|| drop(std::hint::black_box(Box::new(7_u64))));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn from_link_to_links_only_quic_allocates() {
    assert_eq!(
        ALL,
        [Encoding::Q, Encoding::H, Encoding::F]
            .into_iter()
            .fold(EncodingSet::NONE, EncodingSet::with)
    );
    // With more under way QUIC has more packets to remember than fit into what it has.
    for (watching, lag_ms) in [(1, 0), (3, 0), (1, 60), (3, 60)] {
        let lag = Duration::from_millis(lag_ms);
        let (cost, forwarded) = shard_between(watching, lag);
        let (quic, copied) = Alone::new(watching).measured(lag);
        let each = |cost: &Cost, packets: usize| cost.allocations as f64 / packets as f64;
        println!(
            "origin to {watching} regions, {lag_ms} ms under way: {forwarded} packets out, {cost:?}, {:.3} a packet; the links alone {copied} out, {quic:?}, {:.3}",
            each(&cost, forwarded),
            each(&quic, copied),
        );
        if lag_ms == 0 {
            assert_eq!((forwarded, copied), (SENT * watching, SENT * watching));
            assert!(cost.allocations <= quic.allocations, "{cost:?}, the links alone {quic:?}");
        }
        // What waits longer may be late, here one packet more than there: the figures are close, not the same.
        assert!(each(&cost, forwarded) <= each(&quic, copied) + 0.005, "{cost:?}, {quic:?}");
        // What comes and goes is kept in memory that is used again.
        assert!(each(&quic, copied) < 0.1, "{quic:?}");
    }
}
