//! The topology over the network: a server of one process, one of a Raft group, and the client of nodes and operators.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the shell of this crate: it owns sockets, tasks, files and clocks"
)]

mod authorise;
mod backend;
mod checksum;
mod client;
mod connection;
mod core;
mod detector;
mod feed;
mod frames;
mod identity;
mod interpret;
mod raft;
mod random;
mod registration;
mod session;
mod single;
mod store;
mod store_file;
mod tls;
mod view;

pub use client::{CallError, ClientConfig, TopologyClient};
pub use identity::{Identity, IdentityError};
pub use raft::{Group, GroupConfig, Profile, UnknownProfile};
pub use registration::Registration;
pub use single::{Service, ServiceConfig, ServiceError, serve};
pub use store::StoreError;
pub use tls::{TlsError, client_config, load_identity};
pub use view::TopologyView;

/// Certificate chain, key and CA of a process; the same type the relay links use.
pub type TlsIdentity = relay_proto::NodeIdentity;
