//! Which temporal layers a viewer gets now.

use crate::ring::EntryMeta;

/// VP8 has at most four temporal layers; higher numbers count as the fourth.
const LAYERS: usize = 4;

/// Lets layers in only where they can be decoded: at a key frame, or at a frame that refers to the base layer only.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerGate {
    /// A layer is let in from this source time on.
    from: [u64; LAYERS],
    /// Newest source time of a frame that was left out: a frame is either let in whole or left out whole.
    left_out: u64,
}

impl LayerGate {
    /// All layers, from the key frame on.
    pub(super) fn open() -> Self {
        Self { from: [0; LAYERS], left_out: 0 }
    }

    /// The base layer only.
    pub(super) fn base_only() -> Self {
        let mut from = [u64::MAX; LAYERS];
        from[0] = 0;
        Self { from, left_out: 0 }
    }

    /// Whether the packet goes through. `may_open`: higher layers may be taken up.
    pub(super) fn admit(&mut self, meta: &EntryMeta, may_open: bool) -> bool {
        let layer = usize::from(meta.facts.temporal).min(LAYERS - 1);
        if meta.time >= self.from[layer] {
            return true;
        }
        let fresh = may_open && meta.time > self.left_out;
        if meta.facts.key {
            if fresh {
                self.from = self.from.map(|from| from.min(meta.time));
            }
            return true;
        }
        if fresh && meta.vp8.is_some_and(|vp8| vp8.layer_sync) {
            self.from[layer] = meta.time;
            return true;
        }
        self.left_out = self.left_out.max(meta.time);
        false
    }
}
