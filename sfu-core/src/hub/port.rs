//! Ports: where packets enter a hub and leave it.

use super::fan_out::Swept;
use super::subs::SubKey;
use crate::allocation::Layout;
use crate::clock::PublisherClock;
use crate::forwarder::{RingKey, SlotKind};
use crate::speakers::voices::VOICES_PER_PEER;
use relay_proto::control::Want;
use relay_proto::{EncodingSet, FlowId, ParticipantId, TrackId};
use std::collections::BTreeMap;

/// A port of one hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub usize);

/// Which way a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Toward the origin.
    Up,
    /// Toward participants.
    Down,
}

/// What is behind a port. `target` is the owner's own key (a peer, a link), handed back with every packet.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a slab of mostly peers: a box would cost a miss a visit"
)]
pub(super) enum Port {
    Peer(Viewer),
    Link(LinkPort),
}

/// A participant's peer, as far as the hub cares.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) target: usize,
    pub(super) participant: ParticipantId,
    /// Audio slots, in m-line order, with the voice each holds.
    pub(super) audio: Vec<(u16, SubKey)>,
    pub(super) voices: [Option<ParticipantId>; VOICES_PER_PEER],
    /// Video slots: main first, then the strip.
    pub(super) video: Vec<(u16, SubKey)>,
    pub(super) screen: Option<(u16, SubKey)>,
    pub(super) wishes: super::viewer::Wishes,
    /// Maps the participant's clock to this node's.
    pub(super) clock: PublisherClock,
    pub(super) layout: Layout,
    /// Whether its layout waits to be computed anew.
    pub(super) layout_queued: bool,
    /// Whether its transport stands; before that nothing is sent.
    pub(super) connected: bool,
    /// Up to where its slots were emptied.
    pub(super) swept: Swept,
}

impl Viewer {
    /// Its slots of one kind, the main picture first.
    pub(super) fn nth_slot(&self, kind: SlotKind, nth: usize) -> Option<SubKey> {
        let slot = match kind {
            SlotKind::Audio => self.audio.get(nth).copied(),
            SlotKind::Video if nth == self.video.len() => self.screen,
            SlotKind::Video => self.video.get(nth).copied(),
        };
        slot.map(|(_, sub)| sub)
    }
}

/// A relay link, as far as one hub cares.
#[derive(Debug)]
pub(super) struct LinkPort {
    pub(super) target: usize,
    pub(super) direction: Direction,
    /// What the neighbour wants of us.
    pub(super) wants: BTreeMap<TrackId, EncodingSet>,
    /// Whether the neighbour wants voices.
    pub(super) voices: bool,
    /// Number of the neighbour's last demand.
    pub(super) demand_seen: u64,
    /// What we last asked of the neighbour.
    pub(super) asked: (Vec<Want>, bool),
    pub(super) demand_seq: u64,
    /// What we send, by ring.
    pub(super) feeds: BTreeMap<RingKey, SubKey>,
    /// What we are sent, by flow.
    pub(super) flows_in: BTreeMap<FlowId, RingKey>,
}

impl LinkPort {
    pub(super) fn new(target: usize, direction: Direction) -> Self {
        Self {
            target,
            direction,
            wants: BTreeMap::new(),
            voices: false,
            demand_seen: 0,
            asked: (Vec::new(), false),
            demand_seq: 0,
            feeds: BTreeMap::new(),
            flows_in: BTreeMap::new(),
        }
    }
}

impl Port {
    pub(super) fn target(&self) -> usize {
        match self {
            Self::Peer(v) => v.target,
            Self::Link(l) => l.target,
        }
    }

    pub(super) fn viewer(&self) -> Option<&Viewer> {
        match self {
            Self::Peer(v) => Some(v),
            Self::Link(_) => None,
        }
    }

    pub(super) fn viewer_mut(&mut self) -> Option<&mut Viewer> {
        match self {
            Self::Peer(v) => Some(v),
            Self::Link(_) => None,
        }
    }

    pub(super) fn link(&self) -> Option<&LinkPort> {
        match self {
            Self::Link(l) => Some(l),
            Self::Peer(_) => None,
        }
    }

    pub(super) fn link_mut(&mut self) -> Option<&mut LinkPort> {
        match self {
            Self::Link(l) => Some(l),
            Self::Peer(_) => None,
        }
    }
}
