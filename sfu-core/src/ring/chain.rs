//! The newest key frame of a ring and what can be decoded from it.

use super::{Arrival, EncodingRing, EntryMeta};
use std::time::Instant;

/// The newest key frame of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyChain {
    /// First arrival that belongs to it or to a later frame. Earlier frames may be mixed in: what has a lower sequence
    /// than `seq` is not of the chain.
    pub start: Arrival,
    /// Sequence number of the key frame's first packet.
    pub seq: u64,
    /// When that packet arrived.
    pub at: Instant,
    /// How many packets with this sequence or a higher one have come.
    pub(super) received: u64,
}

impl KeyChain {
    /// A chain that begins with the packet that just arrived.
    pub(super) fn begin(ring: &EncodingRing, arrival: Arrival, meta: &EntryMeta) -> Self {
        let mut chain = Self { start: arrival, seq: meta.seq, at: meta.arrived, received: 1 };
        // Packets of this key frame may have overtaken its first one.
        for seq in meta.seq + 1..=ring.highest_seq() {
            if let Some(earlier) = ring.find(seq) {
                chain.start = chain.start.min(earlier);
                chain.received += 1;
            }
        }
        chain
    }
}

/// Walks a chain in order of sequence and looks for a hole in the base layer.
#[derive(Debug, Default)]
pub(super) struct BaseLayerWalk {
    previous: Option<EntryMeta>,
    tl0: Option<u8>,
    hole: bool,
}

impl BaseLayerWalk {
    /// Takes the next packet, or `None` for one that is missing; answers whether the base layer is whole so far.
    ///
    /// A missing packet does no harm if the running number of base frames (TL0PICIDX) shows that it was none of theirs.
    pub(super) fn step(&mut self, next: Option<EntryMeta>) -> bool {
        let Some(meta) = next else {
            self.hole = true;
            return self.previous.is_some_and(|p| p.facts.temporal > 0 || p.facts.frame_end);
        };
        let base = meta.facts.temporal == 0;
        let tl0 = meta.vp8.and_then(|vp8| vp8.tl0_pic_idx);
        let opens = self.previous.is_none_or(|p| p.time != meta.time) && base;
        let expected = if opens { self.tl0.map(|t| t.wrapping_add(1)) } else { self.tl0 };
        let joined =
            !self.hole || (tl0.is_some() && tl0 == expected && (!base || meta.facts.frame_start));
        self.hole = false;
        self.previous = Some(meta);
        self.tl0 = tl0;
        joined
    }
}
