//! Where meetings live: the replicated truth about nodes and meetings, and the service that keeps it.
//!
//! [`model`] is pure and deterministic: no clock, no socket, integers only. [`protocol`] is what is said over the wire.
//! `service` (feature `service`) owns the sockets: the single-node server and the client.
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "a test chooses the instant it starts from"
    )
)]

pub mod limits;
pub mod model;
pub mod protocol;
#[cfg(feature = "service")]
pub mod service;
