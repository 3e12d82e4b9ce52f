//! Packet indices (RFC 3711 section 3.3.1) and what was seen of them: a window of 1,024 packets a source.

use sfu_core::drop_reason::DropReason;

/// 64 packets are 0.3 s of one simulcast layer, too little for a resent packet; 1,024 are 5 s (S8).
const WINDOW: u64 = 1_024;
const WORDS: usize = (WINDOW / 64) as usize;

/// The highest index of one source and which of the last [`WINDOW`] were seen.
///
/// The same window guards both directions: received, against replays; sent, because a repeated index would repeat an
/// AES-GCM nonce, which gives the key away (RFC 7714 section 14.2).
#[derive(Clone, Debug)]
pub(super) struct Window {
    highest: u64,
    seen: [u64; WORDS],
}

impl Window {
    fn starting_at(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.mark(index);
        window
    }

    fn mark(&mut self, index: u64) {
        self.seen[(index % WINDOW / 64) as usize] |= 1 << (index % 64);
    }

    fn is_fresh(&self, index: u64) -> bool {
        if index > self.highest {
            return true;
        }
        let recent = self.highest - index < WINDOW;
        recent && self.seen[(index % WINDOW / 64) as usize] >> (index % 64) & 1 == 0
    }

    fn accept(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..index {
                    self.seen[(skipped % WINDOW / 64) as usize] &= !(1 << (skipped % 64));
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    /// The 48-bit index a 16-bit sequence number most likely stands for.
    fn estimate(&self, sequence: u16) -> u64 {
        let (roc, last) = (self.highest >> 16, self.highest as u16);
        let roc = if last < 0x8000 {
            // More than half the circle ahead means behind, except before the first wrap: there is nothing behind.
            if i32::from(sequence) - i32::from(last) > 0x8000 { roc.saturating_sub(1) } else { roc }
        } else if i32::from(last) - 0x8000 > i32::from(sequence) {
            roc + 1
        } else {
            roc
        };
        roc << 16 | u64::from(sequence)
    }
}

/// A packet's place in its source: found before it is authenticated, recorded only after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its index: ROC and sequence number, or the SRTCP index.
    pub(super) index: u64,
    slot: Option<usize>,
}

/// The sources of one direction of one protocol, at most `max` of them.
#[derive(Debug)]
pub(super) struct Sources {
    ssrcs: Vec<u32>,
    windows: Vec<Window>,
    max: usize,
    last: usize,
}

impl Sources {
    pub(super) fn new(max: usize) -> Self {
        Self { ssrcs: Vec::new(), windows: Vec::new(), max, last: 0 }
    }

    /// Bursts come from one source, so the last one is looked at first.
    fn slot(&mut self, ssrc: u32) -> Option<usize> {
        if self.ssrcs.get(self.last) != Some(&ssrc) {
            self.last = self.ssrcs.iter().position(|s| *s == ssrc)?;
        }
        Some(self.last)
    }

    /// Where the packet with this sequence number belongs.
    pub(super) fn place_rtp(&mut self, ssrc: u32, sequence: u16) -> Result<Place, DropReason> {
        let slot = self.slot(ssrc);
        let index = slot.map_or(u64::from(sequence), |s| self.windows[s].estimate(sequence));
        self.place(slot, index)
    }

    /// Where the packet with this explicit index belongs.
    pub(super) fn place_rtcp(&mut self, ssrc: u32, index: u32) -> Result<Place, DropReason> {
        let slot = self.slot(ssrc);
        self.place(slot, u64::from(index))
    }

    fn place(&self, slot: Option<usize>, index: u64) -> Result<Place, DropReason> {
        match slot {
            Some(slot) if !self.windows[slot].is_fresh(index) => Err(DropReason::Replay),
            None if self.ssrcs.len() >= self.max => Err(DropReason::TooManySources),
            _ => Ok(Place { index, slot }),
        }
    }

    /// Records a packet that proved authentic. Only here do sources come into being.
    pub(super) fn accept(&mut self, ssrc: u32, place: Place) {
        match place.slot {
            Some(slot) => self.windows[slot].accept(place.index),
            None => {
                self.last = self.ssrcs.len();
                self.ssrcs.push(ssrc);
                self.windows.push(Window::starting_at(place.index));
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ssrcs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_index_follows_the_sequence_number_round_the_circle() {
        let mut sources = Sources::new(4);
        let mut expected = 65_000_u64;
        for step in [0, 1, 500, 1, 30_000, 32_000, 32_767, 3_000, 1] {
            expected += step;
            let place = sources.place_rtp(7, expected as u16).unwrap();
            assert_eq!(place.index, expected);
            sources.accept(7, place);
        }
        assert!(expected > 2 * 65_536);
        let late = sources.place_rtp(7, (expected - 600) as u16).unwrap();
        assert_eq!(late.index, expected - 600);
    }

    #[test]
    fn nothing_lies_before_the_first_circle() {
        let mut sources = Sources::new(4);
        let place = sources.place_rtp(7, 5).unwrap();
        sources.accept(7, place);
        assert_eq!(sources.place_rtp(7, 65_535).unwrap().index, 65_535);
    }

    #[test]
    fn a_full_table_takes_nobody_else() {
        let mut sources = Sources::new(2);
        for ssrc in [1, 2] {
            let place = sources.place_rtp(ssrc, 5).unwrap();
            sources.accept(ssrc, place);
        }
        assert_eq!(sources.place_rtp(3, 5).unwrap_err(), DropReason::TooManySources);
        assert!(sources.place_rtp(2, 6).is_ok());
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(steps in proptest::collection::vec(-1_500_i64..1_500, 1..400)) {
            let mut window = Window::starting_at(100_000);
            let mut seen = BTreeSet::from([100_000_u64]);
            for step in steps {
                let index = (window.highest as i64 + step) as u64;
                let highest = *seen.last().unwrap();
                let fresh = !seen.contains(&index) && index + WINDOW > highest;
                prop_assert_eq!(window.is_fresh(index), fresh);
                if fresh {
                    window.accept(index);
                    seen.insert(index);
                }
            }
        }

        #[test]
        fn an_index_within_half_a_circle_is_estimated_exactly(highest in 65_536_u64..1 << 40, offset in -32_767_i64..=32_767) {
            let window = Window::starting_at(highest);
            let index = (highest as i64 + offset) as u64;
            prop_assert_eq!(window.estimate(index as u16), index);
        }
    }
}
