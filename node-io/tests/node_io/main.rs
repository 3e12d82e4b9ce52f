//! Shards and HTTP over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod http;
mod shard;
mod toy;
