//! Subscriptions: who is sent what. A slot of a peer rewrites; a feed of a link sends as it is.

use super::Hub;
use super::port::PortId;
use super::timers::Due;
use crate::forwarder::RingKey;
use crate::forwarder::{Forwarder, SourceRef};
use std::time::Instant;

/// Key of a subscription in its hub.
pub(super) type SubKey = usize;

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a slab of mostly slots: a box would cost a miss a visit"
)]
pub(super) enum Sub {
    Slot(SlotSub),
    Feed(FeedSub),
}

/// One slot of one peer.
#[derive(Debug)]
pub(super) struct SlotSub {
    pub(super) port: PortId,
    pub(super) slot: u16,
    pub(super) forwarder: Forwarder,
    /// The encoding the layout asks for; the forwarder may show another until this one has a key frame.
    pub(super) desired: Option<RingKey>,
    /// The rings this subscription is listed in: desired, wanted, current; no ring twice.
    pub(super) listed: [Option<RingKey>; 3],
    /// What the viewer's client was last told about this slot.
    pub(super) told: Option<(relay_proto::ParticipantId, relay_proto::Encoding)>,
}

/// One encoding sent over one link.
#[derive(Debug)]
pub(super) struct FeedSub {
    pub(super) port: PortId,
    pub(super) ring: RingKey,
    /// Next arrival to send.
    pub(super) cursor: u64,
    /// While the cache is replayed: when the replay began, and the arrival time of its first packet.
    pub(super) replay: Option<(Instant, Instant)>,
    /// Packets sent so far.
    pub(super) packets: u64,
    /// Sent because somebody began to speak, not because it was asked for.
    pub(super) pushed: bool,
}

impl Hub {
    /// Lists `sub` in exactly the rings it reads: adds it to new ones, takes it out of the others.
    pub(super) fn relist(&mut self, key: SubKey) {
        let Some(Sub::Slot(slot)) = self.subs.get_mut(key) else {
            return;
        };
        let wanted = slot.forwarder.wanted().map(|s| s.ring);
        let current = slot.forwarder.current().map(|s| s.ring);
        let mut rings = [slot.desired, wanted, current];
        if rings[1] == rings[0] {
            rings[1] = None;
        }
        if rings[2].is_some() && rings[..2].contains(&rings[2]) {
            rings[2] = None;
        }
        let old = std::mem::replace(&mut slot.listed, rings);
        for ring in old.into_iter().flatten().filter(|r| !rings.contains(&Some(*r))) {
            self.unlist(ring, key);
        }
        for ring in rings.into_iter().flatten().filter(|r| !old.contains(&Some(*r))) {
            self.list(ring, key);
        }
    }

    pub(super) fn list(&mut self, ring: RingKey, key: SubKey) {
        if let Some(slot) = self.table.get_mut(ring) {
            slot.subs.push(key);
            self.demand_dirty = true;
            self.mark(ring);
        }
    }

    pub(super) fn unlist(&mut self, ring: RingKey, key: SubKey) {
        if let Some(slot) = self.table.get_mut(ring) {
            if let Some(i) = slot.subs.iter().position(|s| *s == key) {
                slot.subs.swap_remove(i);
                // A round under way may have passed the one that was moved here.
                slot.fan.again = true;
            }
            self.demand_dirty = true;
        }
    }

    /// Takes a subscription out of every ring and forgets it.
    pub(super) fn drop_sub(&mut self, key: SubKey) {
        self.timers.disarm(Due::Replay(key));
        match self.subs.try_remove(key) {
            Some(Sub::Slot(slot)) => {
                for ring in slot.listed.into_iter().flatten() {
                    self.unlist(ring, key);
                }
            }
            Some(Sub::Feed(feed)) => {
                if let Some(slot) = self.table.get_mut(feed.ring) {
                    slot.feeds = slot.feeds.saturating_sub(1);
                }
                self.unlist(feed.ring, key);
                if let Some(link) = self.ports.get_mut(feed.port.0).and_then(|p| p.link_mut()) {
                    link.feeds.remove(&feed.ring);
                }
            }
            None => {}
        }
    }

    /// Begins to send `ring` over the link `port`, from its key-frame cache where there is one; a voice from `from`.
    pub(super) fn feed(
        &mut self,
        port: PortId,
        ring: RingKey,
        from: Option<u64>,
        pushed: bool,
        now: Instant,
    ) {
        let Some(link) = self.ports.get_mut(port.0).and_then(|p| p.link_mut()) else {
            return;
        };
        if let Some(key) = link.feeds.get(&ring) {
            if let (Some(Sub::Feed(feed)), false) = (self.subs.get_mut(*key), pushed) {
                // What is asked for must be asked for further up: a push lasts only as long as whoever began it says.
                self.demand_dirty |= std::mem::replace(&mut feed.pushed, false);
            }
            return;
        }
        let Some(slot) = self.table.get_mut(ring) else {
            return;
        };
        let cached = slot.ring.keyframe_start(now);
        let cursor = from.or(cached).unwrap_or_else(|| slot.ring.head());
        let replay = match (from, slot.ring.get(cursor)) {
            (None, Some((meta, _))) => Some((now, meta.arrived)),
            _ => None,
        };
        slot.feeds += 1;
        let is_voice = slot.track.kind.is_audio();
        let key =
            self.subs.insert(Sub::Feed(FeedSub { port, ring, cursor, replay, packets: 0, pushed }));
        link.feeds.insert(ring, key);
        self.list(ring, key);
        self.report_feed(ring, port, now);
        if cached.is_none() && !is_voice {
            self.want_key(ring, now);
        }
    }

    /// Ends a feed.
    pub(super) fn unfeed(&mut self, port: PortId, ring: RingKey) {
        let key =
            self.ports.get(port.0).and_then(|p| p.link()).and_then(|l| l.feeds.get(&ring).copied());
        if let Some(key) = key {
            self.drop_sub(key);
        }
    }

    /// The reference by which a forwarder reads a ring.
    pub(super) fn source_ref(&self, ring: RingKey) -> Option<SourceRef> {
        self.table.get(ring).map(|slot| SourceRef {
            ring,
            track: slot.track,
            encoding: slot.encoding,
            codec: slot.codec,
        })
    }
}
