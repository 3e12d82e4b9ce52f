//! Round-trip times between regions, as configured or measured.

use super::Region;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Round trip between two regions nobody has measured: the half of the globe.
pub(super) const RTT_UNKNOWN_US: u32 = 200_000;
/// Round trip inside a region.
pub(super) const RTT_INSIDE_US: u32 = 1_000;
/// No round trip on this planet is longer; larger entries are cut to it, so that sums stay far from overflow.
pub(super) const RTT_MAX_US: u32 = 2_000_000;

/// Round-trip times between regions in microseconds. Symmetric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RttTable {
    /// Keyed by the two names in order.
    cells: BTreeMap<(Region, Region), u32>,
}

impl RttTable {
    /// This table with the round trip between `a` and `b`, in microseconds.
    #[must_use]
    pub fn with(mut self, a: Region, b: Region, rtt_us: u32) -> Self {
        self.set(a, b, rtt_us);
        self
    }

    /// Set the round trip between `a` and `b`, in microseconds.
    pub fn set(&mut self, a: Region, b: Region, rtt_us: u32) {
        let key = if a <= b { (a, b) } else { (b, a) };
        self.cells.insert(key, rtt_us.min(RTT_MAX_US));
    }

    /// Round trip between `a` and `b` in microseconds: the entry, 1 ms inside a region, 200 ms where nothing is known.
    #[must_use]
    pub fn rtt_us(&self, a: &Region, b: &Region) -> u32 {
        if a == b {
            return RTT_INSIDE_US;
        }
        let key = if a <= b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
        self.cells.get(&key).copied().unwrap_or(RTT_UNKNOWN_US)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}
