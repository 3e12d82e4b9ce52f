//! The WebRTC peer, as a participant and the hub see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test: what must not be fails it, and virtual time begins somewhere"
)]

#[path = "../client/mod.rs"]
mod client;
mod harness;
mod negotiation;
mod no_alloc;
mod reports;
mod rtc_client;
mod slots;
mod sources;
