//! What is said to the topology service over QUIC: ALPN `topology/1`, mutual TLS, one request a bidirectional stream.
//!
//! ```text
//!  0               4       5                    5 + N
//!  +---------------+-------+--------------------+
//!  | N (big endian)| = 1   | body (bincode 2)   |      N <= FRAME_BYTES_MAX, requests <= REQUEST_BYTES_MAX
//!  +---------------+-------+--------------------+
//! ```
//!
//! The client writes one [`Request`] frame and finishes; the server answers one [`Response`] frame and finishes. After
//! [`Request::Watch`] the server instead writes [`WatchItem`] frames until either side goes: a snapshot in parts, then
//! updates, and keep-alives in between. A watcher that falls behind gets another snapshot on the same stream.
//! New variants are added at the end; a change of existing ones takes another version.

use crate::limits::FRAME_BYTES_MAX;
use crate::model::{
    ApplyError, Load, Meeting, MeetingSpec, Node, NodeRecord, OccupancyReport, Reply, RequestId,
};
use relay_proto::{Epoch, MeetingId, NodeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Names the protocol in the TLS handshake.
pub const ALPN: &[u8] = b"topology/1";
/// Version of the bodies.
pub const VERSION: u8 = 1;
/// Length and version.
pub const HEADER_BYTES: usize = 5;

/// What a node or an operator asks. A node's number is the one in its certificate, so most requests do not carry it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Nodes: this is me. The record's number and region must be those of the certificate. -> [`Reply::Node`]
    Register {
        /// Names this registration.
        request: RequestId,
        /// Who.
        record: NodeRecord,
    },
    /// Nodes: I live. -> [`Reply::Done`]
    Heartbeat {
        /// Which process of mine.
        instance: u64,
        /// How busy.
        load: Load,
    },
    /// Nodes: I stop now, do not wait for my silence. -> [`Reply::Done`]
    Goodbye {
        /// Which process of mine.
        instance: u64,
    },
    /// Nodes: what I carry of meetings. -> [`Reply::Done`]
    ReportOccupancy {
        /// Changes since the last report; 0 participants forgets a meeting.
        reports: Vec<OccupancyReport>,
    },
    /// Everybody: place a meeting. -> [`Reply::Meeting`]
    CreateMeeting {
        /// Names this creation: a retry with the same id gives the same meeting.
        request: RequestId,
        /// What is wanted.
        spec: MeetingSpec,
    },
    /// Everybody: a meeting is over. -> [`Reply::Done`]
    EndMeeting {
        /// Names this request.
        request: RequestId,
        /// Which.
        meeting: MeetingId,
    },
    /// Everybody: one meeting, also a very new or an ended one. -> [`Reply::Meeting`]
    GetMeeting {
        /// Which.
        meeting: MeetingId,
    },
    /// Operators; a meeting's standby for itself; its origin to give it away. -> [`Reply::Meeting`]
    ReplaceOrigin {
        /// Names this request.
        request: RequestId,
        /// Which.
        meeting: MeetingId,
        /// The even epoch the asker knows.
        from_epoch: Epoch,
        /// Who becomes origin; none lets placement choose.
        to: Option<NodeId>,
    },
    /// Operators; a node for itself: out of use, or back. -> [`Reply::Done`]
    Drain {
        /// Names this request.
        request: RequestId,
        /// Which.
        node: NodeId,
        /// Out, or back.
        on: bool,
    },
    /// Operators: forget a node that is down for good. -> [`Reply::Done`]
    Forget {
        /// Names this request.
        request: RequestId,
        /// Which.
        node: NodeId,
    },
    /// Everybody: numbers about the whole. -> [`Reply::Status`]
    Status,
    /// Everybody: all nodes and meetings, and what changes.
    Watch,
    /// Operators: the service's own members. -> [`Reply::Members`]
    Members(MembersRequest),
}

/// What operators ask of a replicated service about its own members. Each is safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MembersRequest {
    /// How the member that is asked sees them.
    Status,
    /// Found a cluster of the member that is asked and these, all of which must be empty.
    Init {
        /// Where the others are.
        others: Vec<SocketAddr>,
    },
    /// Take in one more, which must be empty or have been taken in already.
    Join {
        /// Where it is.
        address: SocketAddr,
        /// It shall count for majorities, not only learn.
        voter: bool,
    },
    /// Take one out, for good.
    Remove {
        /// Its name, or its id in hexadecimal.
        member: String,
    },
    /// Another one shall lead.
    Transfer {
        /// Its name, or its id in hexadecimal.
        to: String,
    },
    /// The member that is asked shall fold its log into a snapshot.
    Snapshot,
}

/// The answer.
pub type Response = Result<Reply, Refusal>;

/// Why the service does not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The state machine refused.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The certificate does not allow it.
    #[error("{who} may not {what}: use an identity that may, such as an operator's")]
    NotAllowed {
        /// The identity in the certificate.
        who: String,
        /// What it asked for.
        what: String,
    },
    /// The frame or its body could not be read.
    #[error("the request could not be read ({0}): client and service may be of different versions")]
    Malformed(String),
    /// The service cannot write its state or is stopping.
    #[error("the topology service is unavailable: ask again in a second")]
    Unavailable,
    /// The service is one process.
    #[error("this topology service runs with --single: it has no other members")]
    NotReplicated,
    /// A change of the service's members was not made.
    #[error("{0}")]
    Members(String),
}

/// One message of a watch stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchItem {
    /// Forget everything: a snapshot of this revision begins.
    SnapshotBegin {
        /// Names the state's history: a service that lost its state has another one.
        cluster: u64,
        /// The revision.
        revision: u64,
    },
    /// Some of it.
    SnapshotPart(Vec<Entry>),
    /// All of it has been said.
    SnapshotEnd {
        /// The revision.
        revision: u64,
    },
    /// What changed up to `revision`. A large change comes in several updates of one revision.
    Update {
        /// The revision.
        revision: u64,
        /// What changed.
        entries: Vec<Entry>,
    },
    /// Nothing changed; the service lives.
    KeepAlive {
        /// The revision.
        revision: u64,
    },
}

/// A thing as it stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A node.
    Node(Box<Node>),
    /// A node that was forgotten.
    NodeGone(NodeId),
    /// A meeting.
    Meeting(Box<Meeting>),
    /// A meeting that was forgotten.
    MeetingGone(MeetingId),
}

/// Why a frame is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Too long.
    #[error("a frame of {len} bytes is over the limit of {max}")]
    TooLong {
        /// Its body.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Another version.
    #[error("frame version {0}, this is version {VERSION}: upgrade the older side")]
    Version(u8),
    /// The body is not what it should be.
    #[error("frame body: {0}")]
    Body(String),
}

/// bincode 2, variable-length integers, little endian; bounded, so that lengths inside a body allocate nothing large.
fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<FRAME_BYTES_MAX>()
}

/// One frame: header and body.
///
/// # Errors
/// [`FrameError::TooLong`] or [`FrameError::Body`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER_BYTES];
    bincode::serde::encode_into_std_write(message, &mut frame, config())
        .map_err(|e| FrameError::Body(e.to_string()))?;
    let len = frame.len() - HEADER_BYTES;
    check_length(len, FRAME_BYTES_MAX)?;
    frame[..4].copy_from_slice(&(len as u32).to_be_bytes());
    frame[4] = VERSION;
    Ok(frame)
}

/// Length of the body behind `header`, at most `max`.
///
/// # Errors
/// [`FrameError::TooLong`] or [`FrameError::Version`].
pub fn body_length(header: [u8; HEADER_BYTES], max: usize) -> Result<usize, FrameError> {
    let [a, b, c, d, version] = header;
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    check_length(len, max)?;
    Ok(len)
}

fn check_length(len: usize, max: usize) -> Result<(), FrameError> {
    if len <= max { Ok(()) } else { Err(FrameError::TooLong { len, max }) }
}

/// Read a body to its last byte.
///
/// # Errors
/// [`FrameError::Body`] when it is not a `T`, or bytes are left over.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    let (message, used) = bincode::serde::decode_from_slice(body, config())
        .map_err(|e| FrameError::Body(e.to_string()))?;
    if used == body.len() {
        Ok(message)
    } else {
        Err(FrameError::Body(format!("{} bytes left over", body.len() - used)))
    }
}
