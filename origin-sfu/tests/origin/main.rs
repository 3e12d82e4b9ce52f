//! One shard of an origin, whole, over real links, in memory and virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test: what must not be fails it"
)]
#![allow(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]

mod chat;
mod demand;
mod edge;
mod epochs;
#[path = "../../../edge-sfu/tests/shard/far.rs"]
#[allow(unreachable_pub, dead_code, reason = "shared with the tests of edge-sfu")]
mod far;
mod full;
mod heads;
mod host;
mod no_alloc;
mod roster;
mod world;
