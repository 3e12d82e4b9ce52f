//! QUIC under the links: quinn-proto, driven without a socket or a task.

pub mod identity;
