//! What can be asked of the replicated state, what it answers, and why it refuses.

use super::{
    Load, Meeting, MeetingSpec, Node, NodeRecord, NodeState, OccupancyReport, Region, RttTable,
    ServiceStatus,
};
use relay_proto::{Epoch, MeetingId, NodeId};
use serde::{Deserialize, Serialize};

/// Names a request; 128 random bits drawn by whoever asks. The same id twice has one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u128);

/// A command as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Whose retry this may be; none for commands that are idempotent by themselves.
    pub request: Option<RequestId>,
    /// Time of the proposer in milliseconds since 1970. The state keeps the largest it has seen.
    pub now_ms: u64,
    /// What to do.
    pub kind: CommandKind,
}

/// What to do. New variants are added at the end: old logs must stay readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandKind {
    /// A process says who it is. The same instance again only refreshes the record; another one is a restart.
    RegisterNode(NodeRecord),
    /// A node lives, and its load moved a step.
    NodeHeartbeat {
        /// Who.
        node: NodeId,
        /// Which process of it.
        instance: u64,
        /// How busy.
        load: Load,
    },
    /// The failure detector's verdict, or a goodbye. `Draining` is set with `Drain`, not here.
    SetState {
        /// Who.
        node: NodeId,
        /// About which process: a verdict on an older one is void.
        instance: u64,
        /// Online, Suspect or Down.
        state: NodeState,
    },
    /// Take a node out of use, or put it back.
    Drain {
        /// Which.
        node: NodeId,
        /// Out, or back.
        on: bool,
    },
    /// Forget a node that is down for good.
    Forget {
        /// Which.
        node: NodeId,
    },
    /// Place a new meeting.
    CreateMeeting {
        /// Drawn by the proposer.
        meeting: MeetingId,
        /// What is wanted.
        spec: MeetingSpec,
    },
    /// The meeting is over.
    EndMeeting {
        /// Which.
        meeting: MeetingId,
    },
    /// Grant a new epoch with another origin.
    ReplaceOrigin {
        /// Which.
        meeting: MeetingId,
        /// The epoch the proposer knew; another one in force refuses the command.
        from_epoch: Epoch,
        /// Who becomes origin; none lets placement choose.
        to: Option<NodeId>,
    },
    /// How many participants of its meetings a node carries.
    ReportOccupancy {
        /// Who reports.
        node: NodeId,
        /// At most `REPORTS_PER_COMMAND`.
        reports: Vec<OccupancyReport>,
    },
    /// Replace the table of round-trip times.
    SetRtt(RttTable),
    /// Place anew what lost its origin or standby, as far as one command may.
    Repair,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// The node as it stands now.
    Node(Box<Node>),
    /// The meeting as it stands now, and its participants over all nodes.
    Meeting {
        /// The meeting.
        meeting: Box<Meeting>,
        /// Sum of the nodes' last reports.
        participants: u32,
    },
    /// Numbers about the whole.
    Status(Status),
    /// Meetings placed anew, and meetings still waiting for it.
    Repaired {
        /// Placed anew.
        placed: u32,
        /// Waiting.
        waiting: u32,
    },
    /// The service's own members. Never the answer to a command.
    Members(Box<ServiceStatus>),
}

/// Numbers about the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Commands that had an effect.
    pub revision: u64,
    /// Nodes known.
    pub nodes: u32,
    /// Nodes online.
    pub nodes_online: u32,
    /// Meetings that have not ended.
    pub meetings: u32,
    /// Participants by the nodes' last reports.
    pub participants: u64,
    /// Meetings waiting for an origin or a standby.
    pub unplaced: u32,
}

/// Why a command was refused. A refused command changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ApplyError {
    /// The id is 13 bits or more.
    #[error("node number {0} is above 4095: give the node a number from 1 to 4095")]
    BadNodeId(NodeId),
    /// The table of nodes is full.
    #[error("all 4095 node numbers are taken: forget nodes that are down for good")]
    NodesFull,
    /// Not registered.
    #[error("node {0} is not registered: register it first")]
    UnknownNode(NodeId),
    /// Another process holds this number now.
    #[error(
        "another process registered as node {node}: stop one of the two, or give this one another number"
    )]
    InstanceReplaced {
        /// The contested number.
        node: NodeId,
    },
    /// Only a node that is down can be forgotten.
    #[error("node {0} is not down: drain and stop it first")]
    NotDown(NodeId),
    /// It is still named by meetings.
    #[error(
        "node {0} is still origin or standby of a meeting: wait until its meetings are placed anew"
    )]
    StillNamed(NodeId),
    /// A state that commands cannot set.
    #[error("a node is drained with the drain command, not by setting its state")]
    UseDrain,
    /// Never created, or ended long ago.
    #[error("there is no meeting {0}: create it first, or check the id")]
    UnknownMeeting(MeetingId),
    /// Over.
    #[error("meeting {0} has ended: create a new one")]
    MeetingEnded(MeetingId),
    /// The drawn id is in use.
    #[error("meeting id {0} is taken: draw another one")]
    MeetingIdTaken(MeetingId),
    /// Too many meetings.
    #[error("there are already {0} meetings: end some, or run another cluster")]
    MeetingsFull(u32),
    /// The origin's region is not among the allowed ones.
    #[error("region {0} is not among the allowed regions: add it there, or choose another")]
    RegionNotAllowed(Region),
    /// No node can take it.
    #[error(
        "no online origin node with room left in {regions}: start one there, or allow more regions"
    )]
    NoOrigin {
        /// Where was looked.
        regions: String,
    },
    /// The proposer acted on an old placement.
    #[error("meeting {meeting} is at epoch {current}: fetch its placement and decide again")]
    StaleEpoch {
        /// Which.
        meeting: MeetingId,
        /// The epoch in force.
        current: Epoch,
    },
    /// The named node cannot be the origin.
    #[error("node {0} cannot be the origin: it must be an online origin node in an allowed region")]
    NotEligible(NodeId),
    /// Something does not fit.
    #[error("{what} is {len}, the limit is {max}: make it shorter")]
    TooLong {
        /// What.
        what: String,
        /// Its length.
        len: u64,
        /// The limit.
        max: u64,
    },
}
