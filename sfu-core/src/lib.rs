//! One meeting's forwarding, written once for edge and origin.
//!
//! Pure: nothing here reads a clock or a socket.
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "a test chooses the instant it starts from"
    )
)]

pub mod alarms;
pub mod allocation;
pub mod arbiter;
pub mod canonical;
pub mod chat;
pub mod clock;
pub mod drop_reason;
pub mod forwarder;
pub mod hub;
pub mod meetings;
pub mod nack;
pub mod packet;
pub mod receive;
pub mod relay;
pub mod report;
pub mod ring;
pub mod rtp;
pub mod rtx;
pub mod slot_packet;
pub mod speakers;
pub mod twcc;
pub mod unwrap;
pub mod vp8;

pub use drop_reason::{DropReason, Drops};
pub use packet::Packet;
pub use slot_packet::SlotPacket;
