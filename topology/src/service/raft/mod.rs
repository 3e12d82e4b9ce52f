//! The replicated service: members of a Raft group, each with the whole state, one of them leading.
//!
//! All of openraft is used below this module and nowhere else. [`machine`] gives the log its meaning through the pure
//! `model`; [`log`] and [`log_file`] keep it on disk; [`wire`], [`peers`], [`network`], [`append_stream`] and [`serve`]
//! carry it between members; [`replica`], [`duties`] and [`members`] answer clients and operators; [`group`] starts and
//! stops it all.

mod append_stream;
mod disk;
mod duties;
mod group;
mod log;
mod log_file;
mod machine;
mod members;
mod network;
mod peers;
mod profile;
mod records;
mod replica;
mod serve;
#[cfg(test)]
mod sim;
mod snapshot;
mod types;
mod wire;

pub use group::{Group, GroupConfig};
pub use profile::{Profile, UnknownProfile};
pub(super) use replica::Replica;
pub(super) use serve::serve_member;
pub(super) use wire::ALPN;
