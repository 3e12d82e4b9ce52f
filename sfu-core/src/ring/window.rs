//! Which sequence numbers were seen: a sliding window of bits.

/// Packets further behind the highest than this are too old to be told from duplicates: 10 s of voice, 2 s of 5 Mbit/s.
pub(super) const WINDOW: u64 = 1_024;
const WORDS: usize = WINDOW as usize / 64;

/// What the window says about a sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    New,
    Before,
    TooOld,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SeqWindow {
    bits: [u64; WORDS],
    highest: Option<u64>,
}

impl SeqWindow {
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    pub(super) fn check(&self, seq: u64) -> Seen {
        match self.highest {
            None => Seen::New,
            Some(highest) if seq > highest => Seen::New,
            Some(highest) if highest - seq >= WINDOW => Seen::TooOld,
            Some(_) if self.bits[word(seq)] >> (seq % 64) & 1 == 1 => Seen::Before,
            Some(_) => Seen::New,
        }
    }

    pub(super) fn insert(&mut self, seq: u64) {
        match self.highest {
            Some(highest) if seq > highest && seq - highest < WINDOW => {
                (highest + 1..seq).for_each(|skipped| self.clear(skipped));
            }
            Some(highest) if seq <= highest => {}
            _ => self.bits = [0; WORDS],
        }
        self.bits[word(seq)] |= 1 << (seq % 64);
        self.highest = self.highest.max(Some(seq));
    }

    fn clear(&mut self, seq: u64) {
        self.bits[word(seq)] &= !(1 << (seq % 64));
    }
}

fn word(seq: u64) -> usize {
    (seq % WINDOW / 64) as usize
}
