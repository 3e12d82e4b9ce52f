//! An edge's shard with thin participants around it. Datagrams take one step each way; nothing is lost.

use crate::neighbour::Neighbour;
use crate::thin::{Identity, Media, Thin, published};
use edge_sfu::peer::PeerConfig;
use edge_sfu::shard::limits::PEERS_MAX;
use edge_sfu::shard::{EdgeCommand, EdgeConfig, EdgeOutput, EdgeShard, Join, Placement, SocketId};
use edge_sfu::signal::{ClientMessage, ServerMessage};
use edge_sfu::transport::{DtlsIdentity, Opened, TransportConfig};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use relay_proto::transport::dev::DevCa;
use relay_proto::{
    Epoch, Links, LinksConfig, Machine, MeetingId, NodeId, NodeName, Now, NtpTime, Outbox,
    Progress, ShardInput, Socket,
};
use sfu_core::relay::NodeAddress;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How far everybody is away, one way.
pub(crate) const STEP: Duration = Duration::from_millis(5);
pub(crate) const EDGE: NodeId = NodeId(1);
pub(crate) const ORIGIN: NodeId = NodeId(2);
pub(crate) const MEETING: MeetingId = MeetingId(77);
pub(crate) const EPOCH: Epoch = Epoch(2);

static IDENTITY: LazyLock<Identity> = LazyLock::new(Identity::generate);

pub(crate) fn media_addr() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5_000))
}

pub(crate) fn relay_addr(node: NodeId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, node.0 as u8], 4_000))
}

pub(crate) fn participant_addr(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 1, (index >> 8) as u8, index as u8], 6_000))
}

pub(crate) fn links(now: Now, node: NodeId) -> Links {
    let name = NodeName { trust_domain: "mesh.test".into(), region: "here".into(), node };
    let identity = DevCa::new([7; 32]).unwrap().issue(&name).unwrap();
    Links::new(now, LinksConfig::new(name, 1, identity, [node.0 as u8; 32])).unwrap()
}

/// A participant with the datagrams that are on their way to them.
pub(crate) struct Participant {
    pub(crate) thin: Option<Thin>,
    offer: String,
    pub(crate) media: Media,
    pub(crate) said: Vec<ServerMessage>,
    pub(crate) closed: bool,
    /// RTP packets that came: their opened bytes.
    pub(crate) rtp: Vec<Vec<u8>>,
    arriving: Vec<Vec<u8>>,
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) shard: EdgeShard,
    pub(crate) out: Outbox<EdgeOutput>,
    pub(crate) people: Vec<Participant>,
    pub(crate) neighbour: Option<Neighbour>,
    /// Another edge of the region.
    pub(crate) head: Option<Neighbour>,
    /// What the shard asked of the topology and has not been told.
    pub(crate) asked: Vec<MeetingId>,
    /// Sealed datagrams on their way to the edge.
    up: Vec<(Socket, SocketAddr, Vec<u8>)>,
    checked: Instant,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_room(PEERS_MAX)
    }

    pub(crate) fn with_room(peers_max: usize) -> Self {
        let wall = NtpTime::from_unix(Duration::from_secs(1_790_000_000));
        let now = Now { mono: Instant::now(), wall };
        let transport =
            TransportConfig::dtls(DtlsIdentity::generate().unwrap(), vec![media_addr()]);
        let config = EdgeConfig {
            node: EDGE,
            name: "edge-1".into(),
            region: "here".into(),
            peer: PeerConfig { transport },
            peers_max,
        };
        let rng = ChaCha12Rng::from_seed([3; 32]);
        Self {
            now,
            shard: EdgeShard::new(config, links(now, EDGE), rng),
            out: Outbox::new(),
            people: Vec::new(),
            neighbour: None,
            head: None,
            asked: Vec::new(),
            up: Vec::new(),
            checked: now.mono,
        }
    }

    /// The origin there is, whose address the edge knows.
    pub(crate) fn meets(&mut self, origin: Neighbour) {
        self.neighbour = Some(origin);
        let relay = vec![relay_addr(ORIGIN)];
        let address = NodeAddress { node: ORIGIN, region: "here".into(), relay };
        self.command(EdgeCommand::Nodes(vec![address]));
    }

    pub(crate) fn command(&mut self, command: EdgeCommand) {
        self.shard.handle(self.now, ShardInput::Command(command), &mut self.out);
        self.flush();
    }

    /// Wants to join; the place in `people`.
    pub(crate) fn join(&mut self, meeting: MeetingId, publishes: bool) -> usize {
        self.join_as(meeting, publishes, |_| {})
    }

    /// As [`Self::join`], with another token.
    pub(crate) fn join_as(
        &mut self,
        meeting: MeetingId,
        publishes: bool,
        change: impl FnOnce(&mut Join),
    ) -> usize {
        let index = self.people.len();
        let offer = if publishes { &IDENTITY.publisher } else { &IDENTITY.attendee };
        self.people.push(Participant {
            thin: None,
            offer: offer.clone(),
            media: Media::default(),
            said: Vec::new(),
            closed: false,
            rtp: Vec::new(),
            arriving: Vec::new(),
        });
        let mut join = Join {
            socket: SocketId(index as u64),
            meeting,
            name: format!("p{index}"),
            may_publish: publishes,
            may_chat: publishes,
            owner: false,
            wait: false,
            identity: 0,
            sdp: offer.clone(),
            publish: if publishes { published() } else { Vec::new() },
        };
        change(&mut join);
        self.command(EdgeCommand::Join(Box::new(join)));
        index
    }

    pub(crate) fn placed(&mut self, meeting: MeetingId) {
        let placement = Some(Placement { epoch: EPOCH, origin: ORIGIN });
        self.command(EdgeCommand::Placement { meeting, placement });
    }

    pub(crate) fn say(&mut self, index: usize, message: ClientMessage) {
        self.command(EdgeCommand::Client { socket: SocketId(index as u64), message });
    }

    /// A meeting with publishers first, then attendees, all connected.
    pub(crate) fn meeting(publishers: usize, attendees: usize) -> Self {
        let mut world = Self::new();
        world.gather(publishers, attendees);
        world
    }

    pub(crate) fn gather(&mut self, publishers: usize, attendees: usize) {
        for i in 0..publishers + attendees {
            self.join(MEETING, i < publishers);
        }
        self.placed(MEETING);
        for _ in 0..100 {
            if self.people.iter().all(|p| p.thin.as_ref().is_some_and(Thin::is_connected)) {
                self.run(Duration::from_millis(50));
                return;
            }
            self.step();
        }
        panic!("not connected after half a second");
    }

    /// The publisher `index` sends plaintext packets, sealed.
    pub(crate) fn send(&mut self, index: usize, packets: &[Vec<u8>]) {
        let thin = self.people[index].thin.as_mut().unwrap();
        for packet in packets {
            let sealed = thin.seal(packet);
            self.up.push((Socket::Media, participant_addr(index), sealed));
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.now.mono < end {
            self.step();
        }
    }

    /// Carries every datagram one way, and lets time pass.
    pub(crate) fn step(&mut self) {
        for (socket, from, mut data) in std::mem::take(&mut self.up) {
            let input = ShardInput::Datagram { socket, from, ecn: 0, data: &mut data };
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
        self.participants();
        for neighbour in self.neighbour.iter_mut().chain(&mut self.head) {
            for data in neighbour.step(self.now) {
                self.up.push((Socket::Relay, relay_addr(neighbour.node), data));
            }
        }
    }

    fn participants(&mut self) {
        let check = self.now.mono >= self.checked + Duration::from_secs(2);
        if check {
            self.checked = self.now.mono;
        }
        for (index, person) in self.people.iter_mut().enumerate() {
            let Some(thin) = &mut person.thin else { continue };
            let mut answers = thin.handshake(self.now);
            for mut data in std::mem::take(&mut person.arriving) {
                match thin.handle(&mut data, &mut answers) {
                    Opened::Rtp(len) => person.rtp.push(data[..len].to_vec()),
                    Opened::Rtcp(len) => person.media.feedback(&data[..len]),
                    Opened::Dropped(reason) => panic!("{reason:?}"),
                    _ => {}
                }
            }
            if check {
                answers.push(thin.check().to_vec());
            }
            let from = participant_addr(index);
            self.up.extend(answers.into_iter().map(|data| (Socket::Media, from, data)));
        }
    }

    /// Slices until nothing is left.
    pub(crate) fn flush(&mut self) {
        while self.shard.flush(self.now, &mut self.out) == Progress::More {
            self.carry();
        }
        self.carry();
    }

    /// Takes what the shard left in its outbox.
    pub(crate) fn carry(&mut self) {
        for (transmit, bytes) in self.out.net.transmits() {
            for datagram in bytes.chunks(transmit.segment) {
                if transmit.socket == Socket::Relay {
                    let mut all = self.neighbour.iter_mut().chain(&mut self.head);
                    if let Some(neighbour) = all.find(|n| relay_addr(n.node) == transmit.dest) {
                        neighbour.arriving.push(datagram.to_vec());
                    }
                } else if let SocketAddr::V4(to) = transmit.dest {
                    let [_, _, high, low] = to.ip().octets();
                    let index = usize::from(high) << 8 | usize::from(low);
                    self.people[index].arriving.push(datagram.to_vec());
                }
            }
        }
        self.out.net.clear();
        for output in std::mem::take(&mut self.out.events) {
            self.output(output);
        }
    }

    fn output(&mut self, output: EdgeOutput) {
        match output {
            EdgeOutput::Send { socket, message } => self.told(socket, *message),
            EdgeOutput::SendAll { sockets, message } => {
                sockets.into_iter().for_each(|s| self.told(s, (*message).clone()));
            }
            EdgeOutput::Close(socket) => self.people[socket.0 as usize].closed = true,
            EdgeOutput::NeedPlacement(meeting) => self.asked.push(meeting),
            EdgeOutput::Report(_) | EdgeOutput::Link { .. } => {}
        }
    }

    fn told(&mut self, socket: SocketId, message: ServerMessage) {
        let (index, now) = (socket.0 as usize, self.now);
        if let ServerMessage::Joined { sdp, .. } = &message {
            let thin = Thin::new(now, &IDENTITY, &self.people[index].offer, sdp);
            let check = thin.check().to_vec();
            self.people[index].thin = Some(thin);
            self.up.push((Socket::Media, participant_addr(index), check));
        }
        self.people[index].said.push(message);
    }

    /// Datagrams on their way to the edge, taken off it: for those who want to hand them over themselves.
    pub(crate) fn take_up(&mut self) -> Vec<(Socket, SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.up)
    }

    /// Who is far away sends 20 ms; the datagrams are on their way.
    pub(crate) fn far_moment(&mut self) {
        let Some(neighbour) = &mut self.neighbour else { return };
        neighbour.far_moment(self.now);
        let sent = neighbour.step(self.now);
        self.up.extend(sent.into_iter().map(|data| (Socket::Relay, relay_addr(ORIGIN), data)));
    }
}
