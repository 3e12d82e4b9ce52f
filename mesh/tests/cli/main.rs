//! The binary from outside: configuration, and `mesh dev` with real child processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod config;
mod deploy;
mod dev;
mod harness;
