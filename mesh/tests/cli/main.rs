//! The binary from outside: configuration, and `mesh dev` with real child processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test: what must not be fails it"
)]

mod config;
mod deploy;
mod dev;
mod harness;
mod tls;
mod turn;
