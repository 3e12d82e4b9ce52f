//! Link sequence numbers at the receiver: what is new, what is lost; and the same for one flow's RTP numbers.

use crate::ids::FlowId;
use crate::limits::{DUPLICATE_WINDOW, FLOWS_COUNTED_MAX};
use std::collections::BTreeMap;

const WORDS: usize = DUPLICATE_WINDOW / 64;

/// What a sequence number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Not seen before.
    New,
    /// Seen before.
    Duplicate,
    /// Older than the window reaches: it may or may not be new.
    TooOld,
}

/// The last [`DUPLICATE_WINDOW`] 24-bit link sequence numbers of one connection.
#[derive(Debug)]
pub struct SeqWindow {
    /// First number, and the highest so far, both extended to 64 bits.
    range: Option<(u64, u64)>,
    received: u64,
    seen: [u64; WORDS],
}

impl Default for SeqWindow {
    fn default() -> Self {
        Self { range: None, received: 0, seen: [0; WORDS] }
    }
}

impl SeqWindow {
    /// Takes the number of a datagram.
    pub fn accept(&mut self, seq: u32) -> Arrival {
        // Extended numbers start high enough that no reordered first packet goes below zero.
        let Some((first, highest)) = self.range else {
            let first = u64::from(seq & 0xff_ffff) | 1 << 32;
            self.range = Some((first, first));
            self.mark(first);
            return Arrival::New;
        };
        let distance = (seq.wrapping_sub(highest as u32) << 8) as i32 >> 8;
        let extended = highest.saturating_add_signed(i64::from(distance));
        if distance > 0 {
            let cleared = (distance as u64).min(DUPLICATE_WINDOW as u64);
            for n in 1..=cleared {
                self.clear(highest + n);
            }
            self.range = Some((first, extended));
        } else if distance.unsigned_abs() as usize >= DUPLICATE_WINDOW {
            return Arrival::TooOld;
        } else if self.is_marked(extended) {
            return Arrival::Duplicate;
        } else if extended < first {
            self.range = Some((extended, highest));
        }
        self.mark(extended);
        Arrival::New
    }

    /// How many should have come.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.range.map_or(0, |(first, highest)| highest - first + 1)
    }

    /// How many of them did not (yet).
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.expected().saturating_sub(self.received)
    }

    fn place(n: u64) -> (usize, u64) {
        let bit = n as usize % DUPLICATE_WINDOW;
        (bit / 64, 1 << (bit % 64))
    }

    fn mark(&mut self, n: u64) {
        let (word, bit) = Self::place(n);
        self.seen[word] |= bit;
        self.received += 1;
    }

    fn clear(&mut self, n: u64) {
        let (word, bit) = Self::place(n);
        self.seen[word] &= !bit;
    }

    fn is_marked(&self, n: u64) -> bool {
        let (word, bit) = Self::place(n);
        self.seen[word] & bit != 0
    }
}

/// A jump of an RTP sequence number by more than this is a new start of the source (RFC 3550 appendix A.1).
const JUMP_MAX: u16 = 3_000;

/// What was seen of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowLoss {
    /// Packets that should have come since the source last (re)started.
    pub expected: u64,
    /// Packets that came, duplicates included.
    pub received: u64,
}

#[derive(Clone, Copy, Debug)]
struct FlowCount {
    highest: u16,
    loss: FlowLoss,
}

/// Loss per flow, from the RTP sequence numbers of its source: whatever was lost anywhere before this link counts too.
#[derive(Debug, Default)]
pub struct FlowTable {
    flows: BTreeMap<FlowId, FlowCount>,
}

impl FlowTable {
    /// Takes an RTP packet's sequence number. Flows over [`FLOWS_COUNTED_MAX`] are not counted.
    pub fn count(&mut self, flow: FlowId, seq: u16) {
        let room = self.flows.len() < FLOWS_COUNTED_MAX;
        let fresh = FlowCount { highest: seq, loss: FlowLoss { expected: 1, received: 1 } };
        match self.flows.get_mut(&flow) {
            Some(count) => {
                let ahead = seq.wrapping_sub(count.highest);
                let behind = count.highest.wrapping_sub(seq);
                if ahead != 0 && ahead < JUMP_MAX {
                    count.highest = seq;
                    count.loss.expected += u64::from(ahead);
                    count.loss.received += 1;
                } else if behind < JUMP_MAX {
                    count.loss.received += 1;
                } else {
                    *count = fresh;
                }
            }
            None if room => {
                self.flows.insert(flow, fresh);
            }
            None => {}
        }
    }

    /// What was seen of a flow.
    #[must_use]
    pub fn get(&self, flow: FlowId) -> Option<FlowLoss> {
        self.flows.get(&flow).map(|c| c.loss)
    }

    /// Forgets a flow.
    pub fn forget(&mut self, flow: FlowId) {
        self.flows.remove(&flow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn gaps_are_lost_until_they_come() {
        let mut window = SeqWindow::default();
        for seq in [10, 11, 14] {
            assert_eq!(window.accept(seq), Arrival::New);
        }
        assert_eq!((window.expected(), window.lost()), (5, 2));
        assert_eq!(window.accept(12), Arrival::New);
        assert_eq!(window.accept(12), Arrival::Duplicate);
        assert_eq!(window.lost(), 1);
        assert_eq!(window.accept(14_u32.wrapping_sub(4_096) & 0xff_ffff), Arrival::TooOld);
    }

    #[test]
    fn the_24_bit_number_wraps() {
        let mut window = SeqWindow::default();
        for seq in [0xff_fffe, 0xff_ffff, 0, 1] {
            assert_eq!(window.accept(seq), Arrival::New);
        }
        assert_eq!((window.expected(), window.lost()), (4, 0));
    }

    #[test]
    fn a_flow_counts_its_gaps_across_the_wrap() {
        let mut table = FlowTable::default();
        for seq in [65_534, 65_535, 1, 0, 3] {
            table.count(FlowId(7), seq);
        }
        assert_eq!(table.get(FlowId(7)), Some(FlowLoss { expected: 6, received: 5 }));
    }

    proptest! {
        #[test]
        fn a_number_is_new_exactly_once(start in 0_u32..1 << 24, steps in prop::collection::vec(-40_i64..60, 1..300)) {
            let mut window = SeqWindow::default();
            let mut seen = BTreeSet::new();
            let mut at = i64::from(start) + (1 << 32);
            for step in steps {
                at += step;
                let arrival = window.accept((at & 0xff_ffff) as u32);
                let highest = seen.last().copied().unwrap_or(at);
                if highest - at >= DUPLICATE_WINDOW as i64 {
                    prop_assert_eq!(arrival, Arrival::TooOld);
                } else {
                    prop_assert_eq!(arrival == Arrival::New, seen.insert(at));
                }
            }
            let span = seen.last().unwrap() - seen.first().unwrap() + 1;
            prop_assert_eq!(window.expected(), span as u64);
        }
    }
}
