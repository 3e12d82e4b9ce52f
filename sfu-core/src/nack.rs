//! The receiver's side of NACK: which packets of one source to ask for, and when.

use std::time::{Duration, Instant};

/// Missing packets of one source.
#[derive(Clone, Debug, Default)]
pub struct NackGenerator {}

impl NackGenerator {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// A packet came, also by RTX. Answers whether it was missing until now.
    pub fn on_packet(&mut self, _now: Instant, _seq: u16) -> bool {
        false
    }
    /// Calls `ask` for each packet that is due to be asked for, lowest first.
    pub fn poll(&mut self, _now: Instant, _rtt: Duration, _ask: &mut impl FnMut(u16)) {}
    /// When `poll` next has something.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    /// Packets given up since the last call: a picture needs a key frame.
    pub fn take_lost(&mut self) -> u64 {
        0
    }
}

/// Packs ascending sequence numbers into (PID, BLP) pairs (RFC 4585 section 6.2.1).
pub fn nack_pairs(_seqs: &[u16], _pair: &mut impl FnMut(u16, u16)) {}

/// The sequence numbers of one (PID, BLP) pair.
pub fn nack_pair_seqs(pid: u16, blp: u16) -> impl Iterator<Item = u16> {
    std::iter::once(pid).chain(
        (0..16)
            .filter(move |i| blp >> i & 1 == 1)
            .map(move |i| pid.wrapping_add(i + 1)),
    )
}
