//! The origin role: one meeting's controller. Links below, no participants: it fans streams out to the regions, elects the floor,
//! keeps the roster's order, and names the head of each region.
//!
//! Pure: nothing here reads a clock or a socket.
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "a test chooses the instant it starts from"
    )
)]

mod attach;
mod chat;
mod conduct;
mod host;
mod meeting;
mod roster;
mod shard;

pub use shard::{OriginCommand, OriginConfig, OriginOutput, OriginShard};
