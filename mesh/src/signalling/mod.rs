//! The WebSocket side of an edge: from a socket to its shard and back.

mod counters;
mod joins;
mod session;
mod sockets;

pub use counters::SignalCounters;
pub use joins::JoinGate;
pub(crate) use session::named;
pub use session::{SignalState, signal_router};
pub use sockets::Sockets;
