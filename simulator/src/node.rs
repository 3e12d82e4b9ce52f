//! A node of the world: a shard of an edge or an origin, driven as `node_io::ShardLoop` drives it, in virtual time.

use crate::time::{Clock, SimTime};
use edge_sfu::shard::{EdgeCommand, EdgeOutput, EdgeShard};
use origin_sfu::{OriginCommand, OriginOutput, OriginShard};
use relay_proto::{Machine, Now, Outbox, Progress, ShardInput, Transmit};
use sfu_core::report::ShardReport;
use std::time::Instant;

/// A deadline that does not move although it was served is served so often at one moment; then the shard is looked after
/// again a little later, and that is counted.
const ROUNDS_MAX: usize = 8;

/// Something for the control runtime.
#[derive(Debug)]
pub(crate) enum NodeOutput {
    Edge(EdgeOutput),
    Origin(OriginOutput),
}

/// Something from the control runtime.
#[derive(Clone, Debug)]
pub(crate) enum NodeCommand {
    Edge(EdgeCommand),
    Origin(OriginCommand),
}

/// A machine with its outbox.
pub(crate) struct Driven<M: Machine> {
    machine: M,
    outbox: Outbox<M::Output>,
}

/// Takes every burst that a machine sends.
pub(crate) type Post<'a> = &'a mut dyn FnMut(&Transmit, &[u8]);

impl<M: Machine> Driven<M> {
    fn new(machine: M) -> Self {
        Self { machine, outbox: Outbox::new() }
    }

    fn handle(&mut self, now: Now, input: M::Input<'_>, post: Post<'_>) {
        self.machine.handle(now, input, &mut self.outbox);
        if self.outbox.is_full() {
            self.post(post);
        }
    }

    /// What follows a batch of inputs: the deadline, if it has passed, then slices until nothing is left. Answers
    /// whether the deadline lies in the future again.
    fn settle(&mut self, now: Now, post: Post<'_>) -> bool {
        for _ in 0..ROUNDS_MAX {
            if self.is_due(now.mono) {
                self.machine.on_deadline(now, &mut self.outbox);
                self.post(post);
            }
            while self.machine.flush(now, &mut self.outbox) == Progress::More {
                self.post(post);
            }
            self.post(post);
            if !self.is_due(now.mono) {
                return true;
            }
        }
        false
    }

    fn is_due(&self, now: Instant) -> bool {
        self.machine.deadline().is_some_and(|at| at <= now)
    }

    fn post(&mut self, post: Post<'_>) {
        for (transmit, bytes) in self.outbox.net.transmits() {
            post(transmit, bytes);
        }
        self.outbox.net.clear();
    }
}

/// The two roles.
pub(crate) enum Shard {
    Edge(Box<Driven<EdgeShard>>),
    Origin(Box<Driven<OriginShard>>),
}

/// A node.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) wall_us: i64,
    shard: Shard,
    /// Whether its process has died: it takes nothing and says nothing.
    dead: bool,
    /// Times a deadline was served and did not move.
    pub(crate) stuck: u64,
}

impl Node {
    pub(crate) fn edge(name: String, region: String, wall_us: i64, shard: EdgeShard) -> Self {
        Self::new(name, region, wall_us, Shard::Edge(Box::new(Driven::new(shard))))
    }

    pub(crate) fn origin(name: String, region: String, wall_us: i64, shard: OriginShard) -> Self {
        Self::new(name, region, wall_us, Shard::Origin(Box::new(Driven::new(shard))))
    }

    fn new(name: String, region: String, wall_us: i64, shard: Shard) -> Self {
        Self { name, region, wall_us, shard, dead: false, stuck: 0 }
    }

    /// Its process dies.
    pub(crate) fn kill(&mut self) {
        self.dead = true;
    }

    pub(crate) fn is_edge(&self) -> bool {
        matches!(self.shard, Shard::Edge(_))
    }

    /// A datagram came.
    pub(crate) fn receive(
        &mut self,
        now: Now,
        datagram: &mut crate::wire::Datagram,
        post: Post<'_>,
    ) {
        if self.dead {
            return;
        }
        let (socket, from, ecn) = (datagram.socket, datagram.from, datagram.ecn);
        let data = &mut datagram.bytes[..];
        match &mut self.shard {
            Shard::Edge(edge) => {
                edge.handle(now, ShardInput::Datagram { socket, from, ecn, data }, post)
            }
            Shard::Origin(origin) => {
                origin.handle(now, ShardInput::Datagram { socket, from, ecn, data }, post)
            }
        }
    }

    /// The control runtime says something. What is for the other role is not said.
    pub(crate) fn command(&mut self, now: Now, command: NodeCommand, post: Post<'_>) {
        match (&mut self.shard, command) {
            _ if self.dead => {}
            (Shard::Edge(edge), NodeCommand::Edge(c)) => {
                edge.handle(now, ShardInput::Command(c), post)
            }
            (Shard::Origin(origin), NodeCommand::Origin(c)) => {
                origin.handle(now, ShardInput::Command(c), post)
            }
            _ => {}
        }
    }

    /// After a batch of inputs, or at the deadline.
    pub(crate) fn settle(&mut self, now: Now, post: Post<'_>) {
        if self.dead {
            return;
        }
        let moved = match &mut self.shard {
            Shard::Edge(edge) => edge.settle(now, post),
            Shard::Origin(origin) => origin.settle(now, post),
        };
        self.stuck += u64::from(!moved);
    }

    pub(crate) fn deadline(&self, clock: &Clock) -> Option<SimTime> {
        let at = match &self.shard {
            _ if self.dead => None,
            Shard::Edge(edge) => edge.machine.deadline(),
            Shard::Origin(origin) => origin.machine.deadline(),
        };
        at.map(|at| clock.time_of(at))
    }

    /// What it has for the control runtime.
    pub(crate) fn take_outputs(&mut self, outputs: &mut Vec<NodeOutput>) {
        match &mut self.shard {
            Shard::Edge(edge) => outputs.extend(edge.outbox.events.drain(..).map(NodeOutput::Edge)),
            Shard::Origin(origin) => {
                outputs.extend(origin.outbox.events.drain(..).map(NodeOutput::Origin))
            }
        }
    }

    pub(crate) fn report(&self) -> ShardReport {
        match &self.shard {
            Shard::Edge(edge) => edge.machine.report(),
            Shard::Origin(origin) => origin.machine.report(),
        }
    }
}
