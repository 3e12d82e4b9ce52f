//! Sequence numbers of one slot: what is missing, when to ask for it, when it counts as lost.

use super::limits::{LOST_AFTER_US, MISSING_MAX, NACK_AFTER_US, NACK_AGAIN_US};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    since_us: u64,
    asked_us: Option<u64>,
}

/// What a packet is, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next one.
    Next,
    /// Some before it are missing.
    Jump,
    /// One that was missing.
    Filled,
    /// Known, or too old.
    Known,
}

/// The numbers of one slot.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    first: u64,
    highest: Option<u64>,
    missing: VecDeque<Missing>,
    received: u64,
    lost: u64,
    filled: u64,
    known: u64,
    reported: (u64, u64),
    begun: Counts,
}

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Packets that came, the repaired ones included.
    pub(super) received: u64,
    /// Packets that never came.
    pub(super) lost: u64,
    /// Packets that came after later ones, or were sent again.
    pub(super) filled: u64,
    /// Packets that came twice.
    pub(super) known: u64,
}

impl Continuity {
    /// Takes a number.
    pub(super) fn take(&mut self, seq: u16, now_us: u64) -> Step {
        let Some(highest) = self.highest else {
            // Room below, so that an older packet that comes next has a number.
            let first = 1 << 16 | u64::from(seq);
            (self.first, self.highest) = (first, Some(first));
            self.received += 1;
            return Step::Next;
        };
        let ahead = seq.wrapping_sub(highest as u16) as i16;
        let at = highest.wrapping_add_signed(i64::from(ahead));
        if ahead > 0 {
            for seq in highest + 1..at {
                if self.missing.len() == MISSING_MAX {
                    self.missing.pop_front();
                    self.lost += 1;
                }
                self.missing.push_back(Missing { seq, since_us: now_us, asked_us: None });
            }
            self.highest = Some(at);
            self.received += 1;
            return if ahead == 1 { Step::Next } else { Step::Jump };
        }
        match self.missing.iter().position(|m| m.seq == at) {
            Some(place) => {
                self.missing.remove(place);
                self.received += 1;
                self.filled += 1;
                Step::Filled
            }
            None => {
                self.known += 1;
                Step::Known
            }
        }
    }

    /// Gives up what has been missing for too long; whether there was something.
    pub(super) fn expire(&mut self, now_us: u64) -> bool {
        let before = self.lost;
        while self.missing.front().is_some_and(|m| m.since_us + LOST_AFTER_US <= now_us) {
            self.missing.pop_front();
            self.lost += 1;
        }
        self.lost > before
    }

    /// The numbers to ask for now.
    pub(super) fn ask(&mut self, now_us: u64) -> Vec<u16> {
        let due = |m: &&mut Missing| match m.asked_us {
            None => m.since_us + NACK_AFTER_US <= now_us,
            Some(asked) => asked + NACK_AGAIN_US <= now_us,
        };
        let ask = |m: &mut Missing| {
            m.asked_us = Some(now_us);
            m.seq as u16
        };
        self.missing.iter_mut().filter(due).map(ask).collect()
    }

    /// Whether anything is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    /// When there will be something to ask for or to give up.
    pub(super) fn due_us(&self) -> Option<u64> {
        let due = |m: &Missing| {
            m.asked_us.map_or(m.since_us + NACK_AFTER_US, |asked| asked + NACK_AGAIN_US)
        };
        self.missing.iter().map(due).min()
    }

    /// For a receiver report (RFC 3550 section 6.4.1): fraction lost since the last one, lost in all, highest number.
    pub(super) fn report(&mut self) -> Option<(u8, u32, u32)> {
        let highest = self.highest?;
        let expected = highest - self.first + 1;
        let received = self.received.min(expected);
        let (before_expected, before_received) =
            std::mem::replace(&mut self.reported, (expected, received));
        let window = expected - before_expected;
        let lost = window.saturating_sub(received.saturating_sub(before_received));
        let fraction = (lost * 256).checked_div(window).unwrap_or(0).min(255) as u8;
        Some((fraction, (expected - received) as u32, highest as u32))
    }

    /// Packets since then count for [`Self::counts`].
    pub(super) fn begin(&mut self) {
        self.begun = Counts::default();
        self.begun = self.counts();
    }

    /// Counts since [`Self::begin`].
    pub(super) fn counts(&self) -> Counts {
        Counts {
            received: self.received - self.begun.received,
            lost: self.lost - self.begun.lost,
            filled: self.filled - self.begun.filled,
            known: self.known - self.begun.known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_asked_for_and_given_up_in_the_end() {
        let mut c = Continuity::default();
        let steps = [65_534, 65_535, 2, 0, 2, 60_000].map(|seq| c.take(seq, 0));
        assert_eq!(
            steps,
            [Step::Next, Step::Next, Step::Jump, Step::Filled, Step::Known, Step::Known]
        );
        assert_eq!(c.ask(5_000), Vec::<u16>::new(), "it may only be late");
        assert_eq!((c.ask(10_000), c.ask(50_000)), (vec![1], vec![]));
        assert_eq!(c.due_us(), Some(110_000));
        assert_eq!(c.ask(110_000), [1]);
        assert!(!c.expire(999_999) && c.expire(1_000_000) && c.is_whole());
        assert_eq!(c.counts(), Counts { received: 4, lost: 1, filled: 1, known: 2 });
    }

    #[test]
    fn a_report_says_what_was_lost_since_the_last_one() {
        let mut c = Continuity::default();
        assert_eq!(c.report(), None);
        for seq in [1, 2, 4] {
            c.take(seq, 0);
        }
        assert_eq!(c.report(), Some((64, 1, 1 << 16 | 4)), "one of four");
        c.take(5, 0);
        assert_eq!(c.report().unwrap().0, 0);
        c.begin();
        c.take(6, 0);
        assert_eq!(c.counts(), Counts { received: 1, ..Counts::default() });
    }
}
