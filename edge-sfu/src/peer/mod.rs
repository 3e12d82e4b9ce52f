//! One participant's WebRTC peer: packets in from their sources, packets out to their slots, and RTCP both ways.

mod event;
pub mod limits;

pub use event::{CloseReason, PeerEvent, PeerSink, SlotIndex};
