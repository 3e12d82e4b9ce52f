//! The second driver of the pure code: an event queue in virtual time (the first is `node_io::ShardLoop`).

use crate::address;
use crate::builder::Builder;
use crate::digest::{Fingerprint, Part};
use crate::link_model::LinkParams;
use crate::network::Network;
use crate::node::{Node, NodeCommand, NodeOutput};
use crate::observe::Log;
use crate::participant::{Moment, Participant};
use crate::queue::Queue;
use crate::report::Report;
use crate::talk::Turn;
use crate::time::{Clock, SimTime};
use edge_sfu::shard::{EdgeCommand, SocketId};
use edge_sfu::signal::ServerMessage;
use relay_proto::{Epoch, MeetingId, Net, Now, ParticipantId, Socket, Transmit};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// The head of a link arrives.
    Wire(usize),
    /// A node's deadline.
    Node(usize),
    /// A participant's deadline.
    Participant(usize),
    /// The control runtime of a node says something to its shard.
    Command(usize, Box<NodeCommand>),
    /// A participant enters.
    Join(usize),
    /// A participant is told something.
    Told(usize, Arc<ServerMessage>),
    /// What crosses the links is written down.
    Sample,
    /// A path between two nodes changes.
    Path(usize, usize, LinkParams),
    /// A node's process dies without a word.
    Kill(usize),
}

/// A virtual world: nodes, links, participants.
pub struct World {
    pub(crate) clock: Clock,
    pub(crate) time: SimTime,
    pub(crate) queue: Queue<Event>,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    pub(crate) participants: Vec<Participant>,
    /// Participants' ids by their places.
    pub(crate) ids: Vec<Option<ParticipantId>>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) meeting: MeetingId,
    pub(crate) epoch: Epoch,
    /// The origin's place.
    pub(crate) origin: usize,
    pub(crate) control_delay: Duration,
    pub(crate) sample_every: Duration,
    pub(crate) end: SimTime,
    pub(crate) log: Log,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) events: u64,
    pub(crate) outputs: Vec<NodeOutput>,
    /// When each node, and each participant, is due to be woken.
    pub(crate) node_wakes: Vec<Option<SimTime>>,
    pub(crate) participant_wakes: Vec<Option<SimTime>>,
    pub(crate) net: Net,
    pub(crate) about: (String, u64),
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("time", &self.time)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl World {
    /// Describes a world. `base` is any instant: virtual time starts there, and only differences are ever used.
    #[must_use]
    pub fn builder(base: Instant) -> Builder {
        Builder::new(base)
    }

    /// Runs to the end of the scenario.
    #[must_use]
    pub fn run(mut self) -> Report {
        self.run_until(self.end);
        self.report()
    }

    /// Runs until `until`, that moment included.
    pub fn run_until(&mut self, until: SimTime) {
        while let Some((at, event)) = self.queue.pop(until) {
            self.time = at;
            self.events += 1;
            self.happen(event);
        }
        self.time = self.time.max(until);
    }

    /// How the world stands.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::of(self)
    }

    /// Virtual time.
    #[must_use]
    pub fn time(&self) -> SimTime {
        self.time
    }

    /// Changes the path from one node to another at a later moment.
    pub fn change_path(&mut self, at: SimTime, from: usize, to: usize, params: LinkParams) {
        self.queue.push(at.max(self.time), Event::Path(from, to, params));
    }

    /// A node's process dies at a later moment: it says nothing any more, and what is sent to it is lost.
    pub fn kill_node(&mut self, at: SimTime, node: usize) {
        self.queue.push(at.max(self.time), Event::Kill(node));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wire(wire) => self.arrive(wire),
            Event::Node(node) => {
                if self.node_wakes.get(node).copied().flatten() == Some(self.time) {
                    self.node_wakes[node] = None;
                    self.settle(node);
                }
            }
            Event::Participant(place) => {
                if self.participant_wakes.get(place).copied().flatten() == Some(self.time) {
                    self.participant_wakes[place] = None;
                    self.participant_due(place);
                }
            }
            Event::Kill(node) => {
                if let Some(n) = self.nodes.get_mut(node) {
                    n.kill();
                }
            }
            Event::Command(node, command) => {
                let now = self.node_now(node);
                let Self { nodes, network, queue, time, .. } = self;
                if let Some(n) = nodes.get_mut(node) {
                    n.command(now, *command, &mut post(network, queue, *time, node));
                }
                self.settle(node);
            }
            Event::Join(place) => self.join(place),
            Event::Told(place, message) => self.told(place, &message),
            Event::Sample => {
                self.log.sample(self.time, self.nodes.iter().map(Node::report));
                self.queue.push(self.time.plus(self.sample_every), Event::Sample);
            }
            Event::Path(from, to, params) => {
                let wire = self.network.path(from, to);
                if let Some(wire) = self.network.wire(wire) {
                    wire.set_params(params);
                }
            }
        }
    }

    fn node_now(&self, node: usize) -> Now {
        self.clock.now(self.time, self.nodes.get(node).map_or(0, |n| n.wall_us))
    }

    /// Everything that has arrived on a link is handed over.
    fn arrive(&mut self, wire: usize) {
        let Some(to) = self.network.wire(wire).map(|w| w.to) else { return };
        match to {
            address::Whose::Node(node, _) => self.arrive_at_node(wire, node),
            address::Whose::Participant(place) => self.arrive_at_participant(wire, place),
        }
        if let Some(at) = self.network.wire(wire).and_then(|w| w.next()) {
            self.queue.push(at, Event::Wire(wire));
        }
    }

    fn arrive_at_node(&mut self, wire: usize, node: usize) {
        let now = self.node_now(node);
        while let Some(mut datagram) = self.network.wire(wire).and_then(|w| w.receive(self.time)) {
            if datagram.socket == Socket::Relay {
                let size = (datagram.bytes.len() as u64).to_be_bytes();
                self.fingerprint.note(Part::Relay, self.time, wire, &size);
            }
            let Self { nodes, network, queue, time, .. } = self;
            if let Some(n) = nodes.get_mut(node) {
                n.receive(now, &mut datagram, &mut post(network, queue, *time, node));
            }
            self.network.pool.give(datagram.bytes);
        }
        self.settle(node);
    }

    fn settle(&mut self, node: usize) {
        let now = self.node_now(node);
        let Self { nodes, network, queue, time, .. } = self;
        let Some(n) = nodes.get_mut(node) else { return };
        n.settle(now, &mut post(network, queue, *time, node));
        self.take_outputs(node);
        let Some(due) = self.nodes.get(node).and_then(|n| n.deadline(&self.clock)) else { return };
        // A deadline that has passed although it was served would stop the clock.
        let due = if due > self.time { due } else { self.time.plus(STUCK_RETRY) };
        if self.node_wakes[node].is_none_or(|at| due < at) {
            self.node_wakes[node] = Some(due);
            self.queue.push(due, Event::Node(node));
        }
    }

    fn moment(&self, place: usize) -> Moment {
        let p = self.participants.get(place);
        let now = self.clock.now(self.time, p.map_or(0, |p| p.wall_us));
        let edge = p.map_or(0, |p| p.plan.edge);
        Moment { now, time: self.time, edge_wall: self.node_now(edge).wall }
    }

    fn arrive_at_participant(&mut self, wire: usize, place: usize) {
        let moment = self.moment(place);
        while let Some(mut datagram) = self.network.wire(wire).and_then(|w| w.receive(self.time)) {
            let Self { participants, net, ids, .. } = self;
            let header = participants
                .get_mut(place)
                .and_then(|p| p.receive(moment, &mut datagram.bytes, net, ids));
            if let Some(header) = header.and_then(|len| datagram.bytes.get(..len)) {
                self.fingerprint.note(Part::Media, self.time, place, header);
            }
            self.network.pool.give(datagram.bytes);
        }
        self.participant_sent(place);
    }

    fn participant_due(&mut self, place: usize) {
        let moment = self.moment(place);
        let Self { participants, net, .. } = self;
        if let Some(p) = participants.get_mut(place) {
            p.on_deadline(moment.now, moment.time, net);
        }
        self.participant_sent(place);
    }

    /// Carries off what a participant sent, and sees to it that they are woken.
    fn participant_sent(&mut self, place: usize) {
        let Self { participants, net, network, queue, time, .. } = self;
        let from = address::of_participant(place);
        for (transmit, bytes) in net.transmits() {
            for datagram in bytes.chunks(transmit.segment.max(1)) {
                if let Some((wire, at)) =
                    network.send(*time, from, transmit.dest, transmit.ecn, datagram)
                {
                    queue.push(at, Event::Wire(wire));
                }
            }
        }
        net.clear();
        let Some(due) = participants.get(place).and_then(|p| p.deadline(&self.clock)) else {
            return;
        };
        let due = if due > self.time { due } else { self.time.plus(STUCK_RETRY) };
        if self.participant_wakes[place].is_none_or(|at| due < at) {
            self.participant_wakes[place] = Some(due);
            self.queue.push(due, Event::Participant(place));
        }
    }

    fn join(&mut self, place: usize) {
        let Some(p) = self.participants.get(place) else { return };
        let join = p.join(SocketId(place as u64), self.meeting);
        let command = NodeCommand::Edge(EdgeCommand::Join(Box::new(join)));
        let (edge, at) = (p.plan.edge, self.time.plus(self.signal_delay(place)));
        self.queue.push(at, Event::Command(edge, Box::new(command)));
    }

    fn told(&mut self, place: usize, message: &ServerMessage) {
        let now = self.moment(place).now;
        let answer = self.participants.get_mut(place).and_then(|p| p.told(now, message));
        if let Some(answer) = answer {
            self.say_to_edge(place, answer);
        }
        self.participant_sent(place);
    }

    /// What a signalling message takes between a participant and their edge.
    pub(crate) fn signal_delay(&self, place: usize) -> Duration {
        Duration::from_micros(self.network.params(self.network.up(place)).delay_us)
    }
}

/// A deadline that does not move is looked at again after this long.
const STUCK_RETRY: Duration = Duration::from_micros(100);

/// Carries bursts of a node to the links they leave by.
fn post<'a>(
    network: &'a mut Network,
    queue: &'a mut Queue<Event>,
    time: SimTime,
    node: usize,
) -> impl FnMut(&Transmit, &[u8]) + 'a {
    move |transmit, bytes| {
        let from = address::of_node(node, transmit.socket);
        for datagram in bytes.chunks(transmit.segment.max(1)) {
            if let Some((wire, at)) =
                network.send(time, from, transmit.dest, transmit.ecn, datagram)
            {
                queue.push(at, Event::Wire(wire));
            }
        }
    }
}
