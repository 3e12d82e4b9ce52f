//! What the control runtime and an edge's shard say to each other.

use crate::signal::{ClientMessage, ErrorCode, PublishLine, ServerMessage};
use relay_proto::roles::MemberRole;
use relay_proto::{Epoch, MeetingId, NodeId};
use sfu_core::relay::NodeAddress;
use sfu_core::report::ShardReport;
use std::sync::Arc;

/// One WebSocket, as the control runtime numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Where a meeting's origin is, as the topology granted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Under this epoch.
    pub epoch: Epoch,
    /// The origin.
    pub origin: NodeId,
}

/// A verified wish to enter a meeting: the token was checked by the control runtime.
#[derive(Clone, Debug)]
pub struct Join {
    /// The socket to answer.
    pub socket: SocketId,
    /// The meeting the token names.
    pub meeting: MeetingId,
    /// Display name.
    pub name: String,
    /// Whether the token grants publishing.
    pub may_publish: bool,
    /// Whether the token grants hosting.
    pub owner: bool,
    /// Whether a host must let them in, however the meeting is set.
    pub wait: bool,
    /// Tells one person from another; 0: the token names nobody ([`relay_proto::control::Member::identity`]).
    pub identity: u64,
    /// Whether the token grants writing.
    pub may_chat: bool,
    /// The SDP offer.
    pub sdp: String,
    /// What the own tracks are.
    pub publish: Vec<PublishLine>,
}

impl Join {
    /// The role that the token gives.
    #[must_use]
    pub fn role(&self) -> MemberRole {
        match (self.owner, self.may_publish) {
            (true, _) => MemberRole::Host,
            (false, true) => MemberRole::Panelist,
            (false, false) => MemberRole::Attendee,
        }
    }
}

/// What the shard is told.
#[derive(Clone, Debug)]
pub enum EdgeCommand {
    /// A participant wants to enter.
    Join(Box<Join>),
    /// A participant who entered says something.
    Client {
        /// Their socket.
        socket: SocketId,
        /// What they say.
        message: ClientMessage,
    },
    /// A socket is gone.
    SocketClosed(SocketId),
    /// Where a meeting is; `None`: there is no such meeting, or it is over.
    Placement {
        /// The meeting.
        meeting: MeetingId,
        /// Its placement.
        placement: Option<Placement>,
    },
    /// The topology cannot be asked where a meeting is: those who wait are told, those who are in it go on.
    PlacementUnknown(MeetingId),
    /// All nodes there are.
    Nodes(Vec<NodeAddress>),
    /// Say how things stand.
    Report,
}

/// What the shard wants.
#[derive(Clone, Debug)]
pub enum EdgeOutput {
    /// Say this to one client.
    Send {
        /// Its socket.
        socket: SocketId,
        /// What to say.
        message: Box<ServerMessage>,
    },
    /// Say this to several: encoded once.
    SendAll {
        /// Their sockets.
        sockets: Vec<SocketId>,
        /// What to say.
        message: Arc<ServerMessage>,
    },
    /// Close this socket after what was said to it.
    Close(SocketId),
    /// Ask the topology where this meeting is; answer with [`EdgeCommand::Placement`].
    NeedPlacement(MeetingId),
    /// How things stand.
    Report(Box<ShardReport>),
    /// For the logs: a link came up or went down.
    Link {
        /// The neighbour.
        node: NodeId,
        /// Whether it is up.
        up: bool,
        /// Why it is not.
        reason: String,
    },
}

/// A refusal that ends the socket.
#[must_use]
pub(super) fn refusal(
    socket: SocketId,
    code: ErrorCode,
    message: impl Into<String>,
) -> [EdgeOutput; 2] {
    let message = ServerMessage::Error {
        code,
        message: message.into(),
        fatal: true,
        retry_after_ms: None,
        edges: Vec::new(),
    };
    [EdgeOutput::Send { socket, message: Box::new(message) }, EdgeOutput::Close(socket)]
}

/// A complaint that leaves the socket open.
#[must_use]
pub(super) fn complaint(
    socket: SocketId,
    code: ErrorCode,
    message: impl Into<String>,
) -> EdgeOutput {
    EdgeOutput::Send {
        socket,
        message: Box::new(ServerMessage::Error {
            code,
            message: message.into(),
            fatal: false,
            retry_after_ms: None,
            edges: Vec::new(),
        }),
    }
}
