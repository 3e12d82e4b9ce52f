//! One meeting's forwarding state on one shard: edge and origin are two policies over this one type.
//!
//! A packet enters through [`Hub::ingest`] (or [`Hub::ingest_link`], which reads the envelope first) and leaves through
//! [`HubIo`], nowhere else. The hub owns tables and order only; the leaf types own behaviour:
//! [`crate::ring`] keeps, [`crate::forwarder`] rewrites, [`crate::speakers`] elects, [`crate::allocation`] chooses.

mod demand;
mod fan_out;
mod ingest;
pub mod limits;
mod port;
mod reports;
mod subs;
mod table;
#[cfg(test)]
mod tests;
mod timers;
mod tracks;
mod viewer;
mod voices;

pub use port::{Direction, PortId};
pub use viewer::ViewerSlot;

use crate::allocation::Publisher;
use crate::clock::LinkSenderReport;
use crate::drop_reason::{DropReason, Drops};
use crate::packet::Packet;
use crate::slot_packet::SlotPacket;
use crate::speakers::{DigestSource, VoiceGate};
use fan_out::FanOut;
use port::Port;
use relay_proto::control::{Body, Codec, Floor};
use relay_proto::limits::{VOICES_DOWN_MAX, VOICES_UP_MAX};
use relay_proto::{
    Encoding, FlowId, NodeId, Now, NtpTime, ParticipantId, Progress, TrackId, TrackKind,
};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use subs::{Sub, SubKey};
use table::{RingTable, Track};
use timers::{Due, Timers};

/// An encoding gets a made cache when it has more viewers than this (or crosses a link).
const CACHE_VIEWERS_MIN: usize = 8;
/// An encoding whose key frame did not come after so many requests is taken for absent: about 1.2 s.
const KEY_TRIES_MAX: u32 = 4;
/// An absent encoding is tried again after this long.
const ABSENT_FOR: Duration = Duration::from_secs(10);
/// A key frame that did not come is asked for again after this long (or a round trip of the link, if longer).
const KEY_RETRY: Duration = Duration::from_millis(300);

/// Where a hub's packets go. The owner of peers and links implements it.
pub trait HubIo {
    /// Whether the slice is full: nothing more is written until the next one.
    fn is_full(&self) -> bool;
    /// Writes a packet into a slot of the peer `target`.
    ///
    /// # Errors
    /// Why it was dropped.
    fn slot(
        &mut self,
        now: Now,
        target: usize,
        slot: u16,
        packet: &SlotPacket<'_>,
    ) -> Result<(), DropReason>;
    /// Sends a packet of a flow over the link `target`.
    ///
    /// # Errors
    /// Why it was dropped.
    fn link(
        &mut self,
        now: Now,
        target: usize,
        flow: FlowId,
        codec: Codec,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason>;
    /// Sends a sender report of a slot: the slot's RTP timestamp at a moment of this node's wall clock.
    fn slot_report(&mut self, now: Now, target: usize, slot: u16, ntp: NtpTime, rtp_timestamp: u32);
    /// Sends a sender report of a flow.
    fn link_report(&mut self, now: Now, target: usize, flow: FlowId, report: LinkSenderReport);
}

/// What a hub wants done besides forwarding.
#[derive(Clone, Debug, PartialEq)]
pub enum HubEvent {
    /// Tell the neighbour behind a link.
    Send {
        /// The link's key.
        link: usize,
        /// What to say.
        body: Body,
    },
    /// Ask a publisher here for a key frame.
    Keyframe {
        /// The peer's key.
        peer: usize,
        /// Which source.
        kind: TrackKind,
        /// Which encoding.
        encoding: Encoding,
    },
    /// A slot shows somebody else, or another encoding.
    Slot {
        /// The peer's key.
        target: usize,
        /// The slot.
        slot: u16,
        /// What it shows now.
        shown: Option<(ParticipantId, Encoding)>,
    },
    /// Packets of this flow of this link belong to this hub's port from now on.
    FlowOpened {
        /// The link's key.
        link: usize,
        /// The flow.
        flow: FlowId,
        /// The port they are to be handed to.
        port: PortId,
    },
    /// The flow is gone.
    FlowClosed {
        /// The link's key.
        link: usize,
        /// The flow.
        flow: FlowId,
    },
}

/// Gives out flow ids, one sequence a shard, so that one is valid on all its links.
#[derive(Debug, Default)]
pub struct FlowIds(u64);

impl FlowIds {
    /// The next one, from 1: flow 0 is link control.
    pub fn take(&mut self) -> FlowId {
        self.0 += 1;
        FlowId(self.0)
    }
}

/// Counters of one hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubCounters {
    /// Packets taken in.
    pub ingested: u64,
    /// Packets written into slots.
    pub forwarded: u64,
    /// Packets sent over links.
    pub relayed: u64,
    /// Packets sent again.
    pub resent: u64,
    /// Key-frame requests sent toward sources.
    pub key_requests: u64,
    /// Drops by reason.
    pub drops: Drops,
}

impl HubCounters {
    /// Adds the counters of another hub.
    pub fn add(&mut self, other: &Self) {
        self.ingested += other.ingested;
        self.forwarded += other.forwarded;
        self.relayed += other.relayed;
        self.resent += other.resent;
        self.key_requests += other.key_requests;
        self.drops.add(&other.drops);
    }
}

/// One meeting's forwarding state.
#[derive(Debug)]
pub struct Hub {
    node: NodeId,
    ports: Slab<Port>,
    tracks: BTreeMap<TrackId, Track>,
    table: RingTable,
    subs: Slab<Sub>,
    fan: FanOut,
    timers: Timers,
    gate_down: VoiceGate<ParticipantId, VOICES_DOWN_MAX>,
    gate_up: VoiceGate<ParticipantId, VOICES_UP_MAX>,
    digest: DigestSource,
    floor: Floor,
    pinned_share: Option<ParticipantId>,
    /// Everybody with a camera or a screen, in order of joining.
    publishers: Vec<Publisher>,
    publishers_dirty: bool,
    tracks_made: u64,
    layouts: VecDeque<PortId>,
    demand_dirty: bool,
    demands: u64,
    pending_reports: Vec<SubKey>,
    events: Vec<HubEvent>,
    /// Round trip of the slowest link, for key-frame requests.
    link_rtt: Duration,
    random: u64,
    ingested: u64,
    forwarded: u64,
    relayed: u64,
    resent: u64,
    key_requests: u64,
    drops: Drops,
}

impl Hub {
    /// An empty hub of `node`. `seed` chooses the first sequence numbers and timestamps of slots.
    #[must_use]
    pub fn new(node: NodeId, seed: u64) -> Self {
        Self {
            node,
            ports: Slab::new(),
            tracks: BTreeMap::new(),
            table: RingTable::default(),
            subs: Slab::new(),
            fan: FanOut::default(),
            timers: Timers::default(),
            gate_down: VoiceGate::new(),
            gate_up: VoiceGate::new(),
            digest: DigestSource::new(),
            floor: Floor::default(),
            pinned_share: None,
            publishers: Vec::new(),
            publishers_dirty: false,
            tracks_made: 0,
            layouts: VecDeque::new(),
            demand_dirty: false,
            demands: 0,
            pending_reports: Vec::new(),
            events: Vec::new(),
            link_rtt: Duration::ZERO,
            random: seed,
            ingested: 0,
            forwarded: 0,
            relayed: 0,
            resent: 0,
            key_requests: 0,
            drops: Drops::default(),
        }
    }

    /// Adds the link with the owner's key `target`: it is told of all tracks, and asked for what is wanted.
    pub fn add_link(&mut self, now: Now, target: usize, direction: Direction) -> PortId {
        let port = PortId(self.ports.insert(Port::Link(port::LinkPort::new(target, direction))));
        let tracks: Vec<TrackId> = self.tracks.keys().copied().collect();
        for track in tracks {
            self.announce_to(port, track);
        }
        self.demand_dirty = true;
        self.timers.arm(Due::Reports(port.0), now.mono + reports::REPORT_INTERVAL);
        port
    }

    /// Removes a port: its tracks are withdrawn, its subscriptions end.
    pub fn remove_port(&mut self, now: Now, port: PortId) {
        let tracks: Vec<TrackId> =
            self.tracks.iter().filter(|(_, t)| t.source == port).map(|(id, _)| *id).collect();
        for track in tracks {
            self.withdraw(now, track);
        }
        let subs: Vec<SubKey> = match self.ports.get(port.0) {
            Some(Port::Link(link)) => link.feeds.values().copied().collect(),
            Some(Port::Peer(v)) => {
                v.audio.iter().chain(&v.video).chain(&v.screen).map(|(_, sub)| *sub).collect()
            }
            None => return,
        };
        for sub in subs {
            self.drop_sub(sub);
        }
        self.timers.disarm(Due::Reports(port.0));
        self.timers.disarm(Due::Layout(port.0));
        self.layouts.retain(|p| *p != port);
        self.ports.try_remove(port.0);
        self.demand_dirty = true;
    }

    /// Whether there is a port.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// The round trip of the slowest link, which bounds how soon an unanswered request is repeated.
    pub fn set_link_rtt(&mut self, rtt: Duration) {
        self.link_rtt = rtt;
    }

    /// The floor as the origin elected it.
    pub fn set_floor(&mut self, floor: &Floor) {
        if floor.seq < self.floor.seq {
            return;
        }
        let changed = self.floor.main != floor.main || self.floor.recent != floor.recent;
        self.floor = floor.clone();
        if changed {
            self.queue_layouts();
        }
    }

    /// Keeps one participant's share in the screen slots, whatever is shared later; `None`: the newest has them.
    pub fn pin_share(&mut self, participant: Option<ParticipantId>) {
        if std::mem::replace(&mut self.pinned_share, participant) != participant {
            self.queue_layouts();
        }
    }

    /// The next floor comes from another election, whose numbers begin anew.
    pub fn expect_new_election(&mut self) {
        self.floor.seq = 0;
    }

    /// The floor in force.
    #[must_use]
    pub fn floor(&self) -> &Floor {
        &self.floor
    }

    /// Sends the voices that wait, before any picture of any meeting of the shard.
    pub fn flush_voices(&mut self, now: Now, io: &mut impl HubIo) -> Progress {
        self.fan_out_voices(now, io)
    }

    /// Sends one slice. Call again with a drained slice while it answers [`Progress::More`].
    pub fn flush(&mut self, now: Now, io: &mut impl HubIo) -> Progress {
        self.settle_layouts(now);
        self.settle_demand();
        let mut reports = std::mem::take(&mut self.pending_reports);
        for sub in reports.drain(..) {
            self.report_sub(sub, now, io);
        }
        self.pending_reports = reports;
        if self.fan_out(now, io) == Progress::More || !self.layouts.is_empty() {
            return Progress::More;
        }
        Progress::Done
    }

    /// Does what is due.
    pub fn on_deadline(&mut self, now: Now) {
        while let Some(due) = self.timers.pop_due(now.mono) {
            match due {
                Due::Replay(sub) => self.replay_due(sub),
                Due::Reports(port) => self.reports_due(PortId(port), now),
                Due::Key(ring) => self.key_missing(ring, now.mono),
                Due::Layout(port) => self.layout_due(PortId(port)),
                Due::Voices => self.expire_voices(now),
                Due::Push(ring) => self.push_over(ring),
            }
        }
    }

    /// When `on_deadline` next wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        ingest::earliest(self.timers.next(), self.digest.deadline())
    }

    /// What the hub wants done, in order.
    pub fn take_events(&mut self) -> std::vec::Drain<'_, HubEvent> {
        self.events.drain(..)
    }

    /// The ranking of the voices published here, when it is due.
    pub fn poll_digest(&mut self, now: Now) -> Option<Vec<relay_proto::control::SpeakerLevel>> {
        self.digest.poll(now)
    }

    /// What crosses each link now: link key, what, packets sent so far, and whether it was pushed unasked.
    pub fn flows(&self) -> impl Iterator<Item = (usize, TrackId, Encoding, u64, bool)> + '_ {
        self.subs.iter().filter_map(|(_, sub)| {
            let Sub::Feed(feed) = sub else { return None };
            let (port, ring) = (self.ports.get(feed.port.0)?, self.table.get(feed.ring)?);
            Some((port.target(), ring.track, ring.encoding, feed.packets, feed.pushed))
        })
    }

    /// Counters so far.
    #[must_use]
    pub fn counters(&self) -> HubCounters {
        HubCounters {
            ingested: self.ingested,
            forwarded: self.forwarded,
            relayed: self.relayed,
            resent: self.resent,
            key_requests: self.key_requests,
            drops: self.drops.clone(),
        }
    }

    /// A well-mixed number for where a slot's numbering starts (splitmix64).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
