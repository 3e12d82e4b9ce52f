//! How a node stands with the service.

use crate::model::Node;
use crate::protocol::Refusal;
use std::sync::Arc;

/// How the registration of this process stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Registration {
    /// Nothing was asked for, or the service did not answer yet.
    #[default]
    Pending,
    /// The service knows this process; heartbeats flow while it is connected.
    Registered(Arc<Node>),
    /// The service refuses; nothing is tried until the record changes.
    Refused(Refusal),
    /// Another process has this node's number now. This one must stop serving: it is fenced.
    Replaced,
}
