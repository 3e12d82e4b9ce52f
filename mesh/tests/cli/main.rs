//! The binary from outside: configuration, and `mesh dev` with real child processes.

mod config;
mod deploy;
mod dev;
mod harness;
