//! The origin role: one meeting's controller. Links below, no participants: it fans streams out to the regions, elects the floor,
//! keeps the roster's order, and names the head of each region.
//!
//! Pure: nothing here reads a clock or a socket.

mod attach;
mod meeting;
mod roster;
mod shard;

pub use shard::{OriginCommand, OriginConfig, OriginOutput, OriginShard};
