//! The words in which [`crate::links::Links`] speaks: its input, its events, what it tells of a link.

use crate::control::Control;
use crate::facts::PacketFacts;
use crate::ids::{FlowId, Lane, NodeId};
use crate::time::NtpTime;
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;

/// Handle of a link. Valid until the link is disconnected, or, if only the peer wanted it, until it is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// Place in the table.
    pub(crate) index: u32,
    /// How often that place was used before.
    pub(crate) generation: u32,
}

impl LinkId {
    /// A small dense number (place in the table), for arrays indexed by link. Reused after a link is gone.
    #[must_use]
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// What [`crate::links::Links`] is given.
#[derive(Debug)]
pub enum LinkInput<'a> {
    /// A datagram from the relay socket.
    Datagram {
        /// The sender.
        from: SocketAddr,
        /// The two ECN bits.
        ecn: u8,
        /// The bytes.
        data: &'a mut [u8],
    },
}

/// Why a link went down, or a connection was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// This node disconnected it.
    #[error("disconnected here")]
    Disconnected,
    /// The peer closed it, saying why.
    #[error("closed by the peer: {0}")]
    ClosedByPeer(String),
    /// Nothing was heard for [`crate::limits::DEAD_AFTER`].
    #[error("nothing heard from the peer")]
    Silent,
    /// The peer dialled anew: it restarted, or gave this link up.
    #[error("replaced by a newer connection of the peer")]
    Replaced,
    /// Both ends dialled; the other pair of connections is kept.
    #[error("the peer is already connected")]
    Duplicate,
    /// The peer took control messages too slowly.
    #[error("control backlog over its limit")]
    Backlog,
    /// The peer sent something that no version of the protocol allows.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The certificate, the hello and the expectation do not name the same node.
    #[error("identity: {0}")]
    Identity(String),
    /// No version in common.
    #[error("version: {0}")]
    Version(String),
    /// QUIC or TLS failed: untrusted certificate, timeout, reset.
    #[error("transport: {0}")]
    Transport(String),
}

/// What [`crate::links::Links`] tells its shard.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkEvent {
    /// Both connections stand and the hellos were exchanged.
    Up {
        /// Which link.
        link: LinkId,
        /// The peer, as its certificate names it.
        node: NodeId,
        /// The lane.
        lane: Lane,
        /// Region of the peer.
        region: String,
    },
    /// A link that was up is up no more. If this node wants it, it is redialled: another `Up` follows with the same id.
    Down {
        /// Which link.
        link: LinkId,
        /// The peer.
        node: NodeId,
        /// The lane.
        lane: Lane,
        /// Why.
        reason: DownReason,
    },
    /// An attempt to bring a wanted link up failed; the next follows after a backoff.
    DialFailed {
        /// Which link.
        link: LinkId,
        /// The peer.
        node: NodeId,
        /// The lane.
        lane: Lane,
        /// Why.
        reason: DownReason,
    },
    /// Four heartbeats in a row were missed on both connections: switch to the standby.
    Suspect {
        /// Which link.
        link: LinkId,
        /// The peer.
        node: NodeId,
        /// The lane.
        lane: Lane,
    },
    /// A suspected link was heard again.
    Recovered {
        /// Which link.
        link: LinkId,
        /// The peer.
        node: NodeId,
        /// The lane.
        lane: Lane,
    },
    /// An RTP packet.
    Media {
        /// From which link.
        link: LinkId,
        /// Which flow; never 0.
        flow: FlowId,
        /// What the ingress edge learned from its payload.
        facts: PacketFacts,
        /// Whether it was sent again on this link.
        retransmitted: bool,
        /// When the peer put it on the link, in this node's wall clock; unknown before the clocks were compared, and
        /// for a packet that came by a stream.
        sent: Option<NtpTime>,
        /// The RTP packet; its version was checked, nothing else.
        rtp: Bytes,
    },
    /// An RTCP packet.
    Rtcp {
        /// From which link.
        link: LinkId,
        /// Which flow.
        flow: FlowId,
        /// The RTCP packet.
        rtcp: Bytes,
    },
    /// A control message whose epoch is not stale.
    Control {
        /// From which link.
        link: LinkId,
        /// The message.
        control: Control,
    },
}

/// Why something was not taken by a link. Each is counted in [`LinkCounters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LinkDrop {
    /// No such link.
    #[error("no such link")]
    UnknownLink,
    /// The link is not up.
    #[error("link is not up")]
    NotUp,
    /// The class queue is full.
    #[error("class queue is full")]
    Queue,
    /// Larger than any datagram of the mesh.
    #[error("packet too large")]
    TooLarge,
    /// The writer had nothing to send.
    #[error("nothing written")]
    Empty,
    /// The control backlog passed its limit: the link is closed and comes up again, the peer attaches anew.
    #[error("control backlog over its limit")]
    Backlog,
}

/// What was counted on one link since it first came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets (RTP and RTCP) given to the link.
    pub packets_in: u64,
    /// Packets handed to QUIC as datagrams.
    pub datagrams_sent: u64,
    /// Packets sent by a stream because no datagram takes them.
    pub oversize_sent: u64,
    /// Packets dropped because a class queue was full.
    pub queue_full: u64,
    /// Packets dropped because their deadline passed in the class queue.
    pub queue_late: u64,
    /// Packets refused because the link was not up.
    pub not_up: u64,
    /// Packets received by datagram or stream.
    pub packets_received: u64,
    /// Datagrams of the peer that never came (gaps of the link sequence).
    pub lost: u64,
    /// Datagrams dropped as seen before, or older than the window.
    pub duplicates: u64,
    /// Datagrams and stream frames that were malformed.
    pub malformed: u64,
    /// Control messages sent.
    pub control_sent: u64,
    /// Control messages received.
    pub control_received: u64,
    /// Control frames of an unknown kind, skipped.
    pub control_unknown: u64,
    /// Control messages refused as stale.
    pub control_stale: u64,
    /// Heartbeats received.
    pub heartbeats: u64,
    /// How often the link came up.
    pub ups: u64,
    /// Datagrams of ours that the peer reports lost.
    pub peer_lost: u64,
}

/// What was counted over all links of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinksStats {
    /// Datagrams that belong to no connection and begin none: garbage, another version, a connection that is long gone.
    pub strays: u64,
    /// First datagrams ignored because [`crate::limits::CONNECTIONS_MAX`] or [`crate::limits::HALF_OPEN_MAX`] was reached.
    pub crowded: u64,
    /// First datagrams answered by a demand to prove the sender's address: many handshakes were open.
    pub retried: u64,
    /// First datagrams that do not decrypt, or say what no first datagram may.
    pub unreadable: u64,
    /// Inbound handshakes that were not finished: no certificate of this cluster, or silence.
    pub handshakes: u64,
    /// Inbound connections refused after the handshake: identity, trust domain, channel.
    pub refused: u64,
    /// Inbound connections refused because of [`crate::limits::LINKS_MAX`].
    pub full: u64,
    /// QUIC connections now, closing ones included.
    pub connections: usize,
    /// Links now.
    pub links: usize,
}

impl LinksStats {
    /// What was refused, by reason: labels of `mesh_relay_refused_total`.
    #[must_use]
    pub fn refusals(&self) -> [(&'static str, u64); 7] {
        [
            ("stray", self.strays),
            ("crowded", self.crowded),
            ("retry", self.retried),
            ("unreadable", self.unreadable),
            ("handshake", self.handshakes),
            ("identity", self.refused),
            ("links_full", self.full),
        ]
    }
}

/// What is known of one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its handle.
    pub link: LinkId,
    /// The peer.
    pub node: NodeId,
    /// The lane.
    pub lane: Lane,
    /// Region of the peer; empty until its first hello.
    pub region: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is suspected.
    pub suspect: bool,
    /// Round trip between the two machines, from heartbeats.
    pub rtt: Option<Duration>,
    /// Peer's wall clock minus this node's, in microseconds.
    pub clock_offset_us: Option<i64>,
    /// Largest error of the offset: half the round trip it was measured with.
    pub clock_error_us: Option<i64>,
    /// Bytes waiting in the class queues.
    pub queued_bytes: usize,
    /// Bytes that may be in flight on the media connection, as the congestion controller has it.
    pub congestion_window: u64,
    /// Counters.
    pub counters: LinkCounters,
}
