//! All relay links of one shard, over one socket: the machine that shards own.

use crate::control::Control;
use crate::facts::PacketFacts;
use crate::ids::{FlowId, Lane, NodeId};
use crate::machine::{Machine, Outbox, Progress};
use crate::time::Now;
pub use crate::links_api::{
    DownReason, LinkCounters, LinkDrop, LinkEvent, LinkId, LinkInfo, LinkInput,
};
use crate::transport::identity::NodeIdentity;
use std::net::SocketAddr;
use std::time::Instant;

/// What a [`Links`] needs to know.
#[derive(Clone, Debug)]
pub struct LinksConfig {
    /// This node; must equal the identity in its certificate.
    pub node: NodeId,
    /// Its region; must equal the identity in its certificate.
    pub region: String,
    /// Distinguishes two runs of one node.
    pub instance: u64,
    /// Certificate chain, key, and the cluster's CA.
    pub identity: NodeIdentity,
    /// Trust domain of the SPIFFE identities.
    pub trust_domain: String,
    /// Seed of everything that is drawn.
    pub seed: [u8; 32],
}

/// Why links cannot be set up at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinksError {
    /// The certificate, key or CA is not usable.
    #[error("identity of this node: {0}")]
    Identity(String),
}

/// All relay links of one shard.
#[derive(Debug)]
pub struct Links {}

impl Links {
    /// No links yet; accepts those of other nodes at once.
    ///
    /// # Errors
    /// When certificate, key, CA and configuration do not fit together.
    pub fn new(_now: Now, _config: LinksConfig) -> Result<Self, LinksError> {
        Ok(Self {})
    }

    /// Wants a link to a node's shard for a lane. Idempotent per (node, lane); a changed address counts from the next
    /// dial. Redials until disconnected. A link that the peer opened for the same node and lane is the same link.
    pub fn connect(&mut self, _now: Now, _node: NodeId, _lane: Lane, _addr: SocketAddr) -> LinkId {
        LinkId { index: 0, generation: 0 }
    }

    /// Wants a link no more: closes it. Its id is void.
    pub fn disconnect(&mut self, _now: Now, _link: LinkId) {}

    /// Queues one RTP packet. `write` gets a buffer of [`crate::machine::DATAGRAM_BYTES_MAX`] bytes and returns how many it used.
    ///
    /// # Errors
    /// The reason of the drop; it is counted.
    pub fn send_media(
        &mut self,
        _now: Now,
        _link: LinkId,
        _flow: FlowId,
        _facts: &PacketFacts,
        _write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), LinkDrop> {
        Err(LinkDrop::NotUp)
    }

    /// Queues one RTCP packet, ahead of video.
    ///
    /// # Errors
    /// The reason of the drop; it is counted.
    pub fn send_rtcp(&mut self, _now: Now, _link: LinkId, _flow: FlowId, _rtcp: &[u8]) -> Result<(), LinkDrop> {
        Err(LinkDrop::NotUp)
    }

    /// Queues one control message. It arrives, in order, or the link goes down.
    ///
    /// # Errors
    /// `NotUp`, or `Backlog` when the link had to be closed.
    pub fn send_control(&mut self, _now: Now, _link: LinkId, _control: &Control) -> Result<(), LinkDrop> {
        Err(LinkDrop::NotUp)
    }

    /// What is known of a link.
    #[must_use]
    pub fn info(&self, _link: LinkId) -> Option<LinkInfo> {
        None
    }

    /// What is known of every link, in the order of their places.
    pub fn iter_info(&self) -> impl Iterator<Item = LinkInfo> + '_ {
        std::iter::empty()
    }

    /// The link to a node on a lane, if there is one.
    #[must_use]
    pub fn find(&self, _node: NodeId, _lane: Lane) -> Option<LinkId> {
        None
    }
}

impl Machine for Links {
    type Input<'a> = LinkInput<'a>;
    type Output = LinkEvent;

    fn handle(&mut self, _now: Now, _input: LinkInput<'_>, _out: &mut Outbox<LinkEvent>) {}

    fn flush(&mut self, _now: Now, _out: &mut Outbox<LinkEvent>) -> Progress {
        Progress::Done
    }

    fn on_deadline(&mut self, _now: Now, _out: &mut Outbox<LinkEvent>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}
