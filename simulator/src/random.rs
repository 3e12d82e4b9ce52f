//! Random numbers: one stream for each (seed, entity, purpose), so that adding a participant changes nobody else's luck.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What numbers are drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// The luck of a link.
    Link = 1,
    /// A shard's own generator.
    Shard,
    /// A shard's relay endpoint.
    Relay,
    /// By how much a wall clock is wrong.
    WallClock,
    /// When a microphone and a camera tick.
    Phase,
    /// Levels and sizes of voice packets.
    Voice,
    /// Sizes of frames.
    Frames,
    /// Who speaks when.
    Talk,
    /// The meeting.
    Meeting,
}

/// Whose numbers they are. Groups number their participants themselves, so that a group may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    World,
    Node(usize),
    /// Group, and place in it.
    Participant(usize, usize),
    /// From node, to node.
    Path(usize, usize),
}

impl Entity {
    fn key(self) -> u64 {
        let (kind, a, b) = match self {
            Self::World => (0, 0, 0),
            Self::Node(n) => (1, n, 0),
            Self::Participant(group, i) => (2, group, i),
            Self::Path(from, to) => (3, from, to),
        };
        (kind << 60) | ((a as u64) << 30) | b as u64
    }
}

/// The 32-byte key of a stream. ChaCha is a counter under a key: distinct keys give independent streams.
pub(crate) fn key(seed: u64, entity: Entity, purpose: Purpose) -> [u8; 32] {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&entity.key().to_le_bytes());
    key[16..24].copy_from_slice(&(purpose as u64).to_le_bytes());
    key
}

/// The stream of an entity for a purpose.
pub(crate) fn stream(seed: u64, entity: Entity, purpose: Purpose) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(key(seed, entity, purpose))
}

/// A number from `low` to `high`, both included.
pub(crate) fn between(rng: &mut impl RngCore, low: u64, high: u64) -> u64 {
    let span = u128::from(high.saturating_sub(low)) + 1;
    low + ((u128::from(rng.next_u64()) * span) >> 64) as u64
}
