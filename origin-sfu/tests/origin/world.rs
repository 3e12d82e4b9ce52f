//! An origin's shard with edges around it. Datagrams take one step each way; nothing is lost but what a dead edge was sent.

use crate::edge::Edge;
use origin_sfu::{OriginCommand, OriginConfig, OriginOutput, OriginShard};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use relay_proto::control::Body;
use relay_proto::transport::dev::DevCa;
use relay_proto::{
    Epoch, Lane, Links, LinksConfig, Machine, MeetingId, NodeId, NodeName, Now, NtpTime, Outbox,
    Progress, ShardInput, Socket,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How far everybody is away, one way.
pub(crate) const STEP: Duration = Duration::from_millis(5);
pub(crate) const ORIGIN: NodeId = NodeId(1);
pub(crate) const MEETING: MeetingId = MeetingId(77);
pub(crate) const EPOCH: Epoch = Epoch(4);
pub(crate) const LANE: Lane = Lane(3);

pub(crate) fn addr(node: NodeId) -> SocketAddr {
    SocketAddr::from(([10, 0, (node.0 >> 8) as u8, node.0 as u8], 4_000))
}

pub(crate) fn links(now: Now, node: NodeId, region: &str) -> Links {
    let name = NodeName { trust_domain: "mesh.test".into(), region: region.into(), node };
    let identity = DevCa::new([7; 32]).unwrap().issue(&name).unwrap();
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&node.0.to_be_bytes());
    Links::new(now, LinksConfig::new(name, 1, identity, seed)).unwrap()
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) shard: OriginShard,
    pub(crate) out: Outbox<OriginOutput>,
    pub(crate) edges: Vec<Option<Edge>>,
    /// Meetings the shard asked the topology for.
    pub(crate) asked: Vec<MeetingId>,
    /// Datagrams on their way to the origin.
    pub(crate) up: Vec<(SocketAddr, Vec<u8>)>,
    /// All edges but the first take and answer what they were sent only so often: that much is under way to them.
    pub(crate) lag: Duration,
    answered: Instant,
}

impl World {
    /// An origin that was granted [`MEETING`].
    pub(crate) fn new() -> Self {
        let mut world = Self::without_meeting();
        world.grant(MEETING, EPOCH);
        world
    }

    pub(crate) fn without_meeting() -> Self {
        let wall = NtpTime::from_unix(Duration::from_secs(1_790_000_000));
        let now = Now { mono: Instant::now(), wall };
        let (links, rng) = (links(now, ORIGIN, "us"), ChaCha12Rng::from_seed([3; 32]));
        let shard = OriginShard::new(OriginConfig { node: ORIGIN }, links, rng);
        let (edges, asked, up) = (Vec::new(), Vec::new(), Vec::new());
        let (lag, answered) = (Duration::ZERO, now.mono);
        Self { now, shard, out: Outbox::new(), edges, asked, up, lag, answered }
    }

    pub(crate) fn command(&mut self, command: OriginCommand) {
        self.shard.handle(self.now, ShardInput::Command(command), &mut self.out);
        self.flush();
    }

    pub(crate) fn grant(&mut self, meeting: MeetingId, epoch: Epoch) {
        self.command(OriginCommand::Granted { meeting, epoch });
    }

    /// An edge whose link is up, by its place.
    pub(crate) fn edge(&mut self, region: &str) -> usize {
        let place = self.edges.len();
        let node = NodeId(place as u32 + 2);
        self.edges.push(Some(Edge::new(self.now, node, region)));
        for _ in 0..100 {
            if self.at(place).link.is_some() {
                // The origin hears of it a little later.
                self.run(4 * STEP);
                return place;
            }
            self.step();
        }
        panic!("no link after half a second");
    }

    /// An edge that has attached.
    pub(crate) fn attached(&mut self, region: &str) -> usize {
        let place = self.edge(region);
        self.attach(place);
        place
    }

    pub(crate) fn attach(&mut self, place: usize) {
        let region = self.at(place).region.clone();
        self.say(place, Body::Attach { region });
        self.run(4 * STEP);
    }

    pub(crate) fn at(&mut self, place: usize) -> &mut Edge {
        self.edges[place].as_mut().expect("it lives")
    }

    pub(crate) fn say(&mut self, place: usize, body: Body) {
        self.say_under(place, EPOCH, body);
    }

    pub(crate) fn say_under(&mut self, place: usize, epoch: Epoch, body: Body) {
        let now = self.now;
        self.at(place).say(now, epoch, body);
    }

    /// What an edge was told since it was last asked.
    pub(crate) fn told(&mut self, place: usize) -> Vec<Body> {
        self.run(4 * STEP);
        self.at(place).take()
    }

    /// The process dies without a word.
    pub(crate) fn kill(&mut self, place: usize) {
        self.edges[place] = None;
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.now.mono < end {
            self.step();
        }
    }

    /// Steps until `f` finds something; how long it took.
    pub(crate) fn until<R>(
        &mut self,
        most: Duration,
        mut f: impl FnMut(&mut Self) -> Option<R>,
    ) -> (Duration, R) {
        let began = self.now.mono;
        loop {
            if let Some(found) = f(self) {
                return (self.now.mono - began, found);
            }
            assert!(self.now.mono < began + most, "not within {most:?}");
            self.step();
        }
    }

    /// Carries every datagram one way, and lets time pass.
    pub(crate) fn step(&mut self) {
        for (from, mut data) in std::mem::take(&mut self.up) {
            let input =
                ShardInput::Datagram { socket: Socket::Relay, from, ecn: 0, data: &mut data };
            self.shard.handle(self.now, input, &mut self.out);
        }
        self.flush();
        self.now = self.now.plus(STEP);
        for _ in 0..8 {
            if self.shard.deadline().is_some_and(|at| at <= self.now.mono) {
                self.shard.on_deadline(self.now, &mut self.out);
                self.flush();
            }
        }
        self.edges_step();
    }

    fn edges_step(&mut self) {
        let all = self.now.mono >= self.answered + self.lag;
        if all {
            self.answered = self.now.mono;
        }
        let answering = if all { self.edges.len() } else { 1 };
        for edge in self.edges.iter_mut().take(answering).flatten() {
            let from = addr(edge.node);
            self.up.extend(edge.step(self.now).into_iter().map(|data| (from, data)));
        }
    }

    /// Somebody at an edge speaks and is seen for 20 ms; the datagrams are on their way.
    pub(crate) fn far_moment(&mut self, place: usize) {
        let now = self.now;
        let edge = self.at(place);
        edge.far_moment(now);
        let (from, sent) = (addr(edge.node), edge.step(now));
        self.up.extend(sent.into_iter().map(|data| (from, data)));
    }

    /// Slices until nothing is left.
    fn flush(&mut self) {
        while self.shard.flush(self.now, &mut self.out) == Progress::More {
            self.carry();
        }
        self.carry();
    }

    /// Takes what the shard left in its outbox.
    pub(crate) fn carry(&mut self) {
        for (transmit, bytes) in self.out.net.transmits() {
            let to = self.edges.iter_mut().flatten().find(|e| addr(e.node) == transmit.dest);
            let Some(edge) = to else { continue };
            edge.arriving.extend(bytes.chunks(transmit.segment).map(<[u8]>::to_vec));
        }
        self.out.net.clear();
        for output in self.out.events.drain(..) {
            if let OriginOutput::NeedPlacement(meeting) = output {
                self.asked.push(meeting);
            }
        }
    }
}
