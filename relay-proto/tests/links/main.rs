//! Links between nodes in virtual time: real QUIC, real TLS, no socket and no clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what must not be fails it, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "virtual time begins at some instant")]

mod chaos;
mod failure;
mod golden;
mod handshake;
mod harness;
mod hostile;
mod media;
