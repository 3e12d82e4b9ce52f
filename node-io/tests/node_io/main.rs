//! Shards and HTTP over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod http;
mod shard;
mod toy;
