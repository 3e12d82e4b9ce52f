//! What all participants of a run know of each other: where they are, who they are in their meeting, since when they speak.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How far a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Through one edge.
    Edge,
    /// Over two edges of a region.
    Region,
    /// Between regions.
    World,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Edge, Self::Region, Self::World];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Edge => "same edge",
            Self::Region => "same region",
            Self::World => "between regions",
        }
    }
}

#[derive(Debug)]
struct Entry {
    edge: usize,
    region: usize,
    participant: AtomicU32,
    onset_us: AtomicU64,
}

/// Everybody, by the generator's numbers.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: Vec<Entry>,
}

impl Directory {
    /// Of these edges and regions.
    pub(super) fn new(places: impl Iterator<Item = (usize, usize)>) -> Self {
        let entry = |(edge, region)| Entry {
            edge,
            region,
            participant: AtomicU32::new(0),
            onset_us: AtomicU64::new(0),
        };
        Self { entries: places.map(entry).collect() }
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        self.entries.get(number as usize)
    }

    /// Somebody has joined as `participant`.
    pub(super) fn joined(&self, number: u32, participant: u32) {
        if let Some(entry) = self.entry(number) {
            entry.participant.store(participant, Ordering::Relaxed);
        }
    }

    /// Somebody's turn has begun.
    pub(super) fn speaks(&self, number: u32, onset_us: u64) {
        if let Some(entry) = self.entry(number) {
            entry.onset_us.store(onset_us, Ordering::Relaxed);
        }
    }

    /// Since when somebody speaks, or did last; 0: never.
    pub(super) fn onset_us(&self, number: u32) -> u64 {
        self.entry(number).map_or(0, |e| e.onset_us.load(Ordering::Relaxed))
    }

    /// Whether `participant` is who `number` is.
    pub(super) fn is(&self, number: u32, participant: u32) -> bool {
        self.entry(number).is_some_and(|e| e.participant.load(Ordering::Relaxed) == participant)
    }

    /// The way from one to another.
    pub(super) fn way(&self, from: u32, to: u32) -> Way {
        match (self.entry(from), self.entry(to)) {
            (Some(a), Some(b)) if a.edge == b.edge => Way::Edge,
            (Some(a), Some(b)) if a.region == b.region => Way::Region,
            _ => Way::World,
        }
    }
}
