//! The composition root: roles, configuration, `mesh dev`.

pub mod cli;
mod config;
pub mod dev;
pub mod node;
pub mod signalling;
pub mod token;
