//! The model by itself, and the service over loopback QUIC.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test: what must not be fails it"
)]
#![allow(clippy::disallowed_methods, reason = "the service is tested over sockets and files")]

#[cfg(feature = "service")]
mod cluster;
#[cfg(feature = "service")]
mod group;
#[cfg(feature = "service")]
mod hostile;
mod model;
mod placement;
mod properties;
#[cfg(feature = "service")]
mod service;
mod wire;
mod world;
