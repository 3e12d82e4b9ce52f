//! One shard of an edge, whole, in memory and virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test: what must not be fails it"
)]
#![allow(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]

mod chat;
#[allow(unreachable_pub, dead_code, reason = "shared with the tests of origin-sfu")]
mod far;
mod host;
mod hot_path;
mod meeting;
mod neighbour;
mod no_alloc;
#[allow(unreachable_pub, dead_code, reason = "shared with the benches of mesh-tests")]
mod thin;
mod world;
