//! The state itself, and the door commands come in by.

use super::repair::Lost;
use super::requests::Requests;
use super::{
    ApplyError, Command, CommandKind, Meeting, Node, NodeState, Occupancy, Reply, Role, RttTable,
    Status,
};
use crate::limits::RTT_CELLS_MAX;
use relay_proto::{MeetingId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a command touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A node is new or different.
    Node(NodeId),
    /// A node is forgotten.
    NodeGone(NodeId),
    /// A meeting is new or different.
    Meeting(MeetingId),
    /// An ended meeting is forgotten.
    MeetingGone(MeetingId),
}

/// The replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(super) revision: u64,
    pub(super) clock_ms: u64,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) meetings: BTreeMap<MeetingId, Meeting>,
    /// Meetings that have not ended.
    pub(super) live: u32,
    /// Ended meetings, oldest first.
    pub(super) ended: VecDeque<MeetingId>,
    pub(super) occupancy: BTreeMap<MeetingId, BTreeMap<NodeId, Occupancy>>,
    pub(super) rtt: RttTable,
    pub(super) requests: Requests,
    /// Lost their origin or standby; first in line.
    pub(super) broken: BTreeMap<MeetingId, Lost>,
    /// Sit on a draining node; second in line.
    pub(super) leaving: BTreeSet<MeetingId>,
    /// Nobody had room for an origin or a standby; back in line when somebody has.
    pub(super) unplaced: BTreeMap<MeetingId, Lost>,
}

impl State {
    /// Apply one command. `changes` gets what it touched.
    ///
    /// # Errors
    /// Why it was refused; then nothing changed, the revision included.
    pub fn apply(
        &mut self,
        command: &Command,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        if let Some(reply) = command.request.and_then(|id| self.requests.answer(id)) {
            return Ok(reply.clone());
        }
        let now_ms = self.clock_ms.max(command.now_ms);
        let reply = self.dispatch(&command.kind, now_ms, changes)?;
        self.clock_ms = now_ms;
        self.revision += 1;
        if let Some(id) = command.request {
            self.requests.remember(id, reply.clone());
        }
        Ok(reply)
    }

    fn dispatch(
        &mut self,
        kind: &CommandKind,
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        match kind {
            CommandKind::RegisterNode(record) => self.register_node(record, now_ms, changes),
            CommandKind::NodeHeartbeat { node, instance, load } => {
                self.node_heartbeat(*node, *instance, *load, changes)
            }
            CommandKind::SetState { node, instance, state } => {
                self.set_node_state(*node, *instance, *state, changes)
            }
            CommandKind::Drain { node, on } => self.drain(*node, *on, changes),
            CommandKind::Forget { node } => self.forget(*node, changes),
            CommandKind::CreateMeeting { meeting, spec } => {
                self.create_meeting(*meeting, spec, now_ms, changes)
            }
            CommandKind::EndMeeting { meeting } => self.end_meeting(*meeting, changes),
            CommandKind::ReplaceOrigin { meeting, from_epoch, to } => {
                self.replace_origin(*meeting, *from_epoch, *to, changes)
            }
            CommandKind::ReportOccupancy { node, reports } => self.report_occupancy(*node, reports),
            CommandKind::SetRtt(table) => {
                super::node::check_len("round-trip table", table.len(), RTT_CELLS_MAX)?;
                self.rtt = table.clone();
                Ok(Reply::Done)
            }
            CommandKind::Repair => Ok(self.repair(changes)),
        }
    }

    /// Commands that had an effect so far.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Largest time a command carried, in milliseconds since 1970.
    #[must_use]
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// All nodes, by number.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// One meeting, ended ones included as long as they are remembered.
    #[must_use]
    pub fn meeting(&self, id: MeetingId) -> Option<&Meeting> {
        self.meetings.get(&id)
    }

    /// All meetings, by number.
    pub fn meetings(&self) -> impl Iterator<Item = &Meeting> {
        self.meetings.values()
    }

    /// Round-trip times in force.
    #[must_use]
    pub fn rtt(&self) -> &RttTable {
        &self.rtt
    }

    /// Participants of a meeting by the nodes' last reports.
    #[must_use]
    pub fn participants(&self, meeting: MeetingId) -> u32 {
        let nodes = self.occupancy.get(&meeting).into_iter().flat_map(BTreeMap::values);
        nodes.fold(0, |sum, o| sum.saturating_add(o.participants))
    }

    /// Meetings a [`CommandKind::Repair`] would look at.
    #[must_use]
    pub fn repairs_waiting(&self) -> usize {
        self.broken.len() + self.leaving.len()
    }

    /// Those of them that lost their origin or standby: they cannot wait.
    #[must_use]
    pub fn broken(&self) -> usize {
        self.broken.len()
    }

    /// Numbers about the whole.
    #[must_use]
    pub fn status(&self) -> Status {
        let participants = self.occupancy.values().flat_map(BTreeMap::values);
        Status {
            revision: self.revision,
            nodes: self.nodes.len() as u32,
            nodes_online: self.nodes.values().filter(|n| n.state == NodeState::Online).count()
                as u32,
            meetings: self.live,
            participants: participants.map(|o| u64::from(o.participants)).sum(),
            unplaced: (self.unplaced.len() + self.broken.len()) as u32,
        }
    }

    /// Whether `node` is there at all, and an origin.
    pub(super) fn alive_origin(node: &Node) -> bool {
        node.state != NodeState::Down && node.record.role == Role::Origin
    }

    /// Whether `node` may be given a meeting.
    pub(super) fn takes_meetings(node: &Node) -> bool {
        node.state == NodeState::Online && node.record.role == Role::Origin
    }
}
