//! Tracks and their rings: what can be forwarded.

use super::port::PortId;
use super::subs::SubKey;
use crate::arbiter::KeyframeArbiter;
use crate::clock::CaptureClock;
use crate::forwarder::{RingKey, Rings};
use crate::ring::EncodingRing;
use crate::speakers::{Loudness, PushTimer};
use relay_proto::control::Codec;
use relay_proto::{Encoding, EncodingSet, FlowId, NodeId, TrackId};
use slab::Slab;

/// A track that is known here, published here or announced by a neighbour.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) codec: Codec,
    /// The port it comes from; it never goes back there (split horizon).
    pub(super) source: PortId,
    /// The nodes it came through, the ingress edge first; empty when it is published here.
    pub(super) hops: Vec<NodeId>,
    /// Ring of each encoding.
    pub(super) rings: [Option<RingKey>; Encoding::MAX_PER_TRACK],
    /// Of a voice: how loud it is.
    pub(super) loudness: Option<Loudness>,
    /// Of a voice: when its picture is pushed ahead.
    pub(super) push: PushTimer,
    /// Counts the tracks of the hub: a newer share has a larger one.
    pub(super) order: u64,
    /// Silenced by its owner: packets are refused.
    pub(super) muted: bool,
}

impl Track {
    pub(super) fn encodings(&self) -> EncodingSet {
        let mut set = EncodingSet::NONE;
        for (i, ring) in self.rings.iter().enumerate() {
            if ring.is_some() {
                set = set.with(Encoding(i as u8));
            }
        }
        set
    }

    pub(super) fn ring(&self, encoding: Encoding) -> Option<RingKey> {
        self.rings.get(usize::from(encoding.0)).copied().flatten()
    }
}

/// Where the fan-out of a ring stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fan {
    /// Whether the ring is in the queue.
    pub(super) queued: bool,
    /// The next subscription to visit.
    pub(super) next: usize,
    /// Whether more came while the round was under way.
    pub(super) again: bool,
}

/// One encoding's ring with what belongs to it.
#[derive(Debug)]
pub(super) struct RingSlot {
    pub(super) key: RingKey,
    pub(super) track: TrackId,
    pub(super) encoding: Encoding,
    pub(super) codec: Codec,
    pub(super) source: PortId,
    pub(super) ring: EncodingRing,
    pub(super) clock: CaptureClock,
    pub(super) arbiter: KeyframeArbiter,
    /// Address of this encoding on all links of this node.
    pub(super) flow: FlowId,
    pub(super) bitrate_bps: u32,
    pub(super) subs: Vec<SubKey>,
    pub(super) fan: Fan,
    /// Number of link feeds among `subs`.
    pub(super) feeds: usize,
    /// Whether somebody waits for a key frame of it.
    pub(super) wanted_key: bool,
    /// Key frames that were asked for in vain.
    pub(super) key_tries: u32,
    /// Announced, but its sender does not send it (a browser short of bandwidth or with a small camera): not to be
    /// shown until it is tried again.
    pub(super) absent: bool,
}

/// All rings of a hub.
#[derive(Debug, Default)]
pub(super) struct RingTable {
    slots: Slab<RingSlot>,
    made: u32,
}

impl RingTable {
    pub(super) fn insert(&mut self, make: impl FnOnce(RingKey) -> RingSlot) -> RingKey {
        self.made = self.made.wrapping_add(1);
        let entry = self.slots.vacant_entry();
        let key = RingKey { index: entry.key() as u32, generation: self.made };
        entry.insert(make(key));
        key
    }

    pub(super) fn remove(&mut self, key: RingKey) {
        if self.get(key).is_some() {
            self.slots.try_remove(key.index as usize);
        }
    }

    pub(super) fn get(&self, key: RingKey) -> Option<&RingSlot> {
        self.slots.get(key.index as usize).filter(|slot| slot.key == key)
    }

    pub(super) fn get_mut(&mut self, key: RingKey) -> Option<&mut RingSlot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.key == key)
    }
}

impl Rings for RingTable {
    fn ring(&self, key: RingKey) -> Option<&EncodingRing> {
        self.get(key).map(|slot| &slot.ring)
    }

    fn clock(&self, key: RingKey) -> Option<&CaptureClock> {
        self.get(key).map(|slot| &slot.clock)
    }
}
