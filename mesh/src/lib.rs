//! The composition root: roles, configuration, `mesh dev`.

pub mod api;
pub mod cli;
mod config;
pub mod dev;
mod load;
pub mod node;
pub mod signalling;
pub mod token;
