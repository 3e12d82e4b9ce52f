//! One meeting's forwarding, written once for edge and origin.
//!
//! Pure: nothing here reads a clock or a socket.

pub mod drop_reason;
pub mod packet;
pub mod slot_packet;
pub mod vp8;

pub use drop_reason::{DropReason, Drops};
pub use packet::Packet;
pub use slot_packet::SlotPacket;
