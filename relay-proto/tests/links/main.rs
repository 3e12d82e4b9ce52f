//! Links between nodes in virtual time: real QUIC, real TLS, no socket and no clock.

mod failure;
mod golden;
mod handshake;
mod harness;
mod hostile;
mod media;
