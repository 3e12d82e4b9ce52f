//! Shards and HTTP over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what must not be fails it, and figures are printed"
)]

mod http;
mod shard;
mod toy;
