//! Whole-system tests: real processes, real sockets, clients that share no code with the servers.
//!
//! [`fleet::Fleet`] drives many participants from one thread; [`mesh::Mesh`] is the mesh they join. Tests are in
//! `tests/system/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this crate is tests: what cannot be is a failed test, and figures are printed"
)]

pub mod client;
pub mod clock;
pub mod feedback;
pub mod fleet;
pub mod flood;
pub mod http;
pub mod mesh;
pub mod publish;
pub mod record;
pub mod report;
pub mod sdp;
pub mod signal;
pub mod socket;
pub mod stamp;
pub mod wait;
