//! The WebRTC peer, as a participant and the hub see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
// Virtual time has to begin somewhere.
#![allow(clippy::disallowed_methods)]

mod harness;
mod negotiation;
mod no_alloc;
mod reports;
mod rtc_client;
mod slots;
mod sources;
