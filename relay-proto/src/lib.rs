//! What nodes of the mesh say to each other, and the one contract of everything that decides.
//!
//! Pure: nothing here reads a clock or a socket.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "a test chooses the instant it starts from")
)]

pub mod clock;
pub mod control;
pub mod envelope;
pub mod facts;
pub mod fence;
pub mod frame;
pub mod heartbeat;
pub mod ids;
pub mod limits;
pub mod links;
mod links_api;
pub mod machine;
pub mod queue;
pub mod roles;
pub mod session;
pub mod time;
pub mod transport;
pub mod varint;
pub mod window;

pub use facts::{Class, PacketFacts};
pub use ids::{
    Encoding, EncodingSet, Epoch, FlowId, Lane, MeetingId, NodeId, ParticipantId, TrackId,
    TrackKind,
};
pub use links::{
    DownReason, LinkCounters, LinkDrop, LinkEvent, LinkId, LinkInfo, LinkInput, Links, LinksConfig,
    LinksError, LinksStats,
};
pub use machine::{Machine, Net, Outbox, Progress, ShardInput, Socket, Transmit};
pub use time::{Now, NtpTime};
pub use transport::identity::{NodeIdentity, NodeName};
