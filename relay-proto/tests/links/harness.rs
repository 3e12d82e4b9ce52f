//! A tiny virtual world: nodes with a `Links` each, wires with a delay and loss, and nobody's real clock.

use relay_proto::transport::dev::DevCa;
use relay_proto::{
    Class, FlowId, Lane, LinkEvent, LinkId, LinkInput, Links, LinksConfig, Machine, NodeId,
    NodeName, Now, NtpTime, Outbox, PacketFacts, Progress,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) const LANE: Lane = Lane(3);
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

pub(crate) struct Node {
    pub(crate) links: Option<Links>,
    pub(crate) events: Vec<LinkEvent>,
    /// When each event since the start of the world was told.
    pub(crate) told: Vec<Duration>,
    pub(crate) skew_us: i64,
    out: Outbox<LinkEvent>,
}

type Fate = Box<dyn FnMut(usize, usize, u64) -> bool>;

/// From, to, ECN, bytes.
type InFlight = (usize, usize, u8, Vec<u8>);

pub(crate) struct World {
    base: Instant,
    pub(crate) at: Duration,
    pub(crate) nodes: Vec<Node>,
    pub(crate) delay: Duration,
    /// (from, length, how many datagrams before) -> lost?
    pub(crate) lose: Fate,
    /// Bit/s of each node's way out, if limited, and when it is free again.
    pub(crate) rate: Option<u64>,
    free: BTreeMap<usize, Duration>,
    wire: BTreeMap<(Duration, u64), InFlight>,
    sent: u64,
    /// When, who, how long.
    pub(crate) trace: Vec<(Duration, usize, usize)>,
}

pub(crate) fn name(node: u32) -> NodeName {
    NodeName { trust_domain: "mesh.test".into(), region: format!("r{node}"), node: NodeId(node) }
}

pub(crate) fn config(ca: u8, node: u32, instance: u64) -> LinksConfig {
    let identity = DevCa::new([ca; 32]).unwrap().issue(&name(node)).unwrap();
    LinksConfig::new(name(node), instance, identity, [node as u8 + instance as u8; 32])
}

pub(crate) fn addr(node: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node as u8 + 1], 4_000))
}

impl World {
    /// Nodes 1, 2, ... with the given configurations.
    pub(crate) fn new(configs: Vec<LinksConfig>) -> Self {
        let mut world = Self {
            base: Instant::now(),
            at: Duration::ZERO,
            nodes: Vec::new(),
            delay: Duration::from_millis(20),
            lose: Box::new(|_, _, _| false),
            rate: None,
            free: BTreeMap::new(),
            wire: BTreeMap::new(),
            sent: 0,
            trace: Vec::new(),
        };
        for config in configs {
            let (links, events) = (None, Vec::new());
            world.nodes.push(Node {
                links,
                events,
                told: Vec::new(),
                skew_us: 0,
                out: Outbox::new(),
            });
            world.start(world.nodes.len() - 1, config);
        }
        world
    }

    /// Two nodes of one cluster.
    pub(crate) fn pair() -> Self {
        Self::new(vec![config(7, 1, 1), config(7, 2, 1)])
    }

    pub(crate) fn start(&mut self, node: usize, config: LinksConfig) {
        let now = self.now(node);
        self.nodes[node].links = Some(Links::new(now, config).unwrap());
    }

    /// The process dies without a word.
    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].links = None;
    }

    pub(crate) fn now(&self, node: usize) -> Now {
        let skew = self.nodes[node].skew_us;
        let wall =
            NtpTime::from_unix(Duration::from_secs(1_790_000_000) + self.at).plus_micros(skew);
        Now { mono: self.base + self.at, wall }
    }

    /// Does something with a node's links, then flushes it.
    pub(crate) fn with<R>(&mut self, node: usize, f: impl FnOnce(&mut Links, Now) -> R) -> R {
        let now = self.now(node);
        let result = f(self.nodes[node].links.as_mut().unwrap(), now);
        self.flush(node);
        result
    }

    pub(crate) fn links(&self, node: usize) -> &Links {
        self.nodes[node].links.as_ref().unwrap()
    }

    pub(crate) fn connect(&mut self, from: usize, to: usize) -> LinkId {
        self.with(from, |l, now| l.connect(now, NodeId(to as u32 + 1), LANE, addr(to)))
    }

    fn flush(&mut self, node: usize) {
        let now = self.now(node);
        loop {
            let Node { links, out, .. } = &mut self.nodes[node];
            let Some(links) = links else { return };
            let progress = links.flush(now, out);
            self.collect(node);
            self.drain(node);
            if progress == Progress::Done {
                return;
            }
        }
    }

    fn collect(&mut self, node: usize) {
        let Node { out, events, told, .. } = &mut self.nodes[node];
        told.resize(told.len() + out.events.len(), self.at);
        events.append(&mut out.events);
    }

    fn drain(&mut self, from: usize) {
        let mut datagrams = Vec::new();
        for (transmit, bytes) in self.nodes[from].out.net.transmits() {
            for segment in bytes.chunks(transmit.segment) {
                datagrams.push((transmit.dest, transmit.ecn, segment.to_vec()));
            }
        }
        self.nodes[from].out.net.clear();
        for (dest, ecn, bytes) in datagrams {
            self.trace.push((self.at, from, bytes.len()));
            self.sent += 1;
            let mut leaves = self.at;
            if let Some(rate) = self.rate {
                let free = self.free.entry(from).or_insert(self.at);
                *free = (*free).max(self.at)
                    + Duration::from_secs_f64(bytes.len() as f64 * 8.0 / rate as f64);
                leaves = *free;
            }
            let lost = (self.lose)(from, bytes.len(), self.sent);
            if let (false, Some(to)) = (lost, (0..self.nodes.len()).find(|n| addr(*n) == dest)) {
                self.wire.insert((leaves + self.delay, self.sent), (from, to, ecn, bytes));
            }
        }
    }

    /// Delivers bytes as if `from` had sent them.
    pub(crate) fn inject(&mut self, from: SocketAddr, to: usize, mut bytes: Vec<u8>) {
        let now = self.now(to);
        let Node { links, out, .. } = &mut self.nodes[to];
        let Some(links) = links else { return };
        links.handle(now, LinkInput::Datagram { from, ecn: 0, data: &mut bytes }, out);
        self.collect(to);
        self.flush(to);
    }

    /// One moment: the next delivery or deadline, but not past `until`. False when nothing is left before it.
    fn step(&mut self, until: Duration) -> bool {
        let base = self.base;
        let deadline = |n: &Node| {
            let at = n.links.as_ref()?.deadline()?;
            Some(at.saturating_duration_since(base))
        };
        let due = self.nodes.iter().filter_map(deadline).min();
        let next = self.wire.keys().next().map(|(at, _)| *at);
        let Some(at) = due.into_iter().chain(next).min().filter(|at| *at <= until) else {
            self.at = until;
            return false;
        };
        self.at = self.at.max(at);
        while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.at) {
            let (from, to, _ecn, bytes) = entry.remove();
            self.inject(addr(from), to, bytes);
        }
        for node in 0..self.nodes.len() {
            let now = self.now(node);
            let Node { links: Some(links), out, .. } = &mut self.nodes[node] else { continue };
            if links.deadline().is_some_and(|at| at <= now.mono) {
                links.on_deadline(now, out);
                self.collect(node);
                self.flush(node);
            }
        }
        true
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.at + time;
        let mut steps = 0_u64;
        while self.step(until) {
            steps += 1;
            assert!(steps < 10_000_000, "the world does not come to rest");
        }
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// Runs until a node says something that `f` picks.
    pub(crate) fn until<R>(
        &mut self,
        node: usize,
        ms: u64,
        f: impl Fn(&LinkEvent) -> Option<R>,
    ) -> Option<R> {
        let end = self.at + Duration::from_millis(ms);
        loop {
            if let Some(found) = self.nodes[node].events.iter().find_map(&f) {
                return Some(found);
            }
            if !self.step(end) {
                return None;
            }
        }
    }

    /// Connects A to B and waits until both are up.
    pub(crate) fn link_up(&mut self) -> (LinkId, LinkId) {
        let a = self.connect(A, B);
        self.until(A, 2_000, up).expect("up at A");
        let b = self.until(B, 2_000, up).expect("up at B");
        (a, b)
    }

    pub(crate) fn take(&mut self, node: usize) -> Vec<LinkEvent> {
        self.nodes[node].told.clear();
        std::mem::take(&mut self.nodes[node].events)
    }

    /// Events with the time at which they were told.
    pub(crate) fn take_timed(&mut self, node: usize) -> Vec<(Duration, LinkEvent)> {
        let told = std::mem::take(&mut self.nodes[node].told);
        let events = std::mem::take(&mut self.nodes[node].events);
        assert_eq!(told.len(), events.len());
        told.into_iter().zip(events).collect()
    }

    pub(crate) fn send(
        &mut self,
        node: usize,
        link: LinkId,
        flow: u64,
        facts: &PacketFacts,
        rtp: &[u8],
    ) {
        let sent = self.with(node, |l, now| {
            l.send_media(now, link, FlowId(flow), facts, |buf| {
                buf[..rtp.len()].copy_from_slice(rtp);
                Some(rtp.len())
            })
        });
        assert_eq!(sent, Ok(()));
    }
}

pub(crate) fn up(event: &LinkEvent) -> Option<LinkId> {
    match event {
        LinkEvent::Up { link, .. } => Some(*link),
        _ => None,
    }
}

pub(crate) fn rtp(seq: u16, len: usize) -> Vec<u8> {
    let mut packet =
        vec![0x80, 111, (seq >> 8) as u8, seq as u8, 0, 1, 2, 3, 0xde, 0xad, 0xbe, 0xef];
    packet.resize(len.max(12), seq as u8);
    packet
}

pub(crate) const VIDEO: PacketFacts = PacketFacts {
    class: Class::Base,
    key: true,
    frame_start: true,
    frame_end: false,
    discardable: false,
    spatial: 1,
    temporal: 2,
};

impl World {
    /// Copies of the next datagrams that a node sends; they are delivered too.
    pub(crate) fn capture(&mut self, node: usize, count: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let end = self.at + Duration::from_secs(10);
        let mut last = 0;
        while found.len() < count && self.step(end) {
            for ((_, id), (from, _, _, bytes)) in &self.wire {
                if *from == node && *id > last {
                    found.push(bytes.clone());
                    last = *id;
                }
            }
        }
        found
    }
}
