//! One meeting's forwarding, written once for edge and origin.
//!
//! Pure: nothing here reads a clock or a socket.

pub mod drop_reason;
pub mod packet;

pub use drop_reason::{DropReason, Drops};
pub use packet::Packet;
