//! Running one node: its shards, its control runtime, its place in the topology.

mod config;
mod edge;
mod exported;
mod load;
mod origin;
mod report;
mod topo;
mod web;

pub use config::{Identity, NodeOptions};
pub use edge::run_edge;
pub use origin::run_origin;
pub use topo::{MemberOptions, TopologyOptions, run_topology};

use rand::RngCore;
use rand::TryRngCore;
use rand::rngs::OsRng;

/// Entropy for a node's generators.
fn seed() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed)?;
    Ok(seed)
}

/// A number that distinguishes two runs of one node.
fn instance() -> anyhow::Result<u64> {
    Ok(OsRng.unwrap_err().next_u64())
}
