//! QUIC under the links: quinn-proto, driven without a socket, a clock or a task.

pub mod channel;
mod cids;
pub mod congestion;
mod conn;
#[cfg(feature = "dev-identity")]
pub mod dev;
mod endpoint;
pub mod identity;
mod settings;
mod tls;
pub mod verifier;

pub(crate) use conn::{CloseCode, Conn, ConnEvent};
pub(crate) use endpoint::{ConnKey, Side, Transport};
pub(crate) use settings::Settings;
pub(crate) use tls::{Tls, ToldClock};
