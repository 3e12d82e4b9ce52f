//! The media side's only threads, sockets and clocks, and the control runtime's HTTP and metrics helpers.
//!
//! This crate drives any [`Machine`](relay_proto::machine::Machine) and knows no role. One shard is one thread with
//! at most two UDP sockets ([`spawn_shard`]); control talks to it through a bounded [`MailboxSender`] and hears from
//! it through a bounded channel of outputs. A shard never waits for either.

pub mod http;
pub mod metrics;

mod bind;
mod burst;
mod clock;
mod limits;
mod mailbox;
mod outputs;
mod recv;
mod shard;
mod socket;
mod stats;

pub use http::{HttpServer, Readiness, operations_router};
pub use mailbox::{MailboxFull, MailboxSender};
pub use metrics::Metrics;
pub use shard::{ShardAddrs, ShardConfig, ShardHandle, StopHandle, spawn_shard, try_spawn_shard};
pub use stats::{ShardStats, SocketStats, TURN_BUCKETS, TurnHistogram};
