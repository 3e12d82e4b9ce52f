//! The edge role: participants' WebRTC peers below, links above.
//!
//! Pure: nothing here reads a clock or a socket.

pub mod peer;
pub mod sdp;
pub mod signal;
