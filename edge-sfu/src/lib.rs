//! The edge role: participants' WebRTC peers below, links above.
//!
//! Pure: nothing here reads a clock or a socket.

pub mod gate;
pub mod peer;
pub mod rtcp;
pub mod sdp;
pub mod shard;
pub mod signal;
pub mod transport;
