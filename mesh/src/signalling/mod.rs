//! The WebSocket side of an edge: from a socket to its shard and back.

mod carried;
mod counters;
mod joins;
mod session;
mod sockets;

pub use carried::Told;
pub use counters::SignalCounters;
pub use joins::JoinGate;
pub(crate) use session::{MESSAGES_PER_SECOND, named};
pub use session::{SignalState, signal_router};
pub use sockets::Sockets;
