//! The edge role: participants' WebRTC peers below, links above.
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

pub mod gate;
pub mod peer;
pub mod rtcp;
pub mod sdp;
pub mod shard;
pub mod signal;
pub mod transport;
