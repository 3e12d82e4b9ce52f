//! The receiver's side of NACK: which packets of one source to ask for, and when.

use crate::unwrap::SeqUnwrapper;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets missing at once. A key frame of 100 packets may be lost whole; more than this is not repaired but replaced by
/// a key frame.
const MISSING_MAX: usize = 256;
/// A jump further than this is a source that began anew, not a loss.
const JUMP_MAX: u64 = 1_024;
/// Times a packet is asked for.
const TRIES_MAX: u8 = 10;
/// A jitter buffer does not wait longer for a packet.
const GIVE_UP: Duration = Duration::from_secs(1);
/// A packet that is only late is not asked for: most reordering is within this.
const REORDER_TOLERANCE: Duration = Duration::from_millis(10);
/// Or when so many later ones have come (RFC 5681's duplicate threshold).
const REORDER_PACKETS: u64 = 3;
/// Least time between two tries, whatever the round trip.
const REPEAT_MIN: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    since: Instant,
    tries: u8,
    due: Instant,
}

/// Missing packets of one source.
#[derive(Clone, Debug, Default)]
pub struct NackGenerator {
    seqs: SeqUnwrapper,
    /// Ascending.
    missing: VecDeque<Missing>,
    due: Option<Instant>,
    lost: u64,
}

impl NackGenerator {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A packet came, also by RTX. Answers whether it was missing until now.
    pub fn on_packet(&mut self, now: Instant, seq: u16) -> bool {
        let highest = self.seqs.highest();
        let extended = self.seqs.peek(seq);
        let Some(highest) = highest else {
            self.seqs.unwrap(seq);
            return false;
        };
        if extended > highest {
            self.advance(now, highest, extended);
            return false;
        }
        if highest - extended > JUMP_MAX {
            // Behind everything: the numbers began anew.
            self.give_up_all();
            self.seqs.restart_at(seq);
            return false;
        }
        let Ok(place) = self.missing.binary_search_by_key(&extended, |m| m.seq) else {
            return false;
        };
        self.missing.remove(place);
        if self.missing.is_empty() {
            self.due = None;
        }
        true
    }

    fn advance(&mut self, now: Instant, highest: u64, extended: u64) {
        self.seqs.unwrap(extended as u16);
        if extended - highest > JUMP_MAX {
            self.give_up_all();
            return;
        }
        let due = now + REORDER_TOLERANCE;
        for seq in highest + 1..extended {
            if self.missing.len() == MISSING_MAX {
                self.missing.pop_front();
                self.lost += 1;
            }
            self.missing.push_back(Missing { seq, since: now, tries: 0, due });
        }
        if !self.missing.is_empty() {
            self.hasten(now, extended);
        }
    }

    /// What enough later packets have overtaken is asked for now.
    fn hasten(&mut self, now: Instant, highest: u64) {
        let waiting = self.missing.iter_mut().rev().take_while(|m| m.tries == 0);
        for missing in waiting.filter(|m| m.seq + REORDER_PACKETS <= highest) {
            missing.due = missing.due.min(now);
        }
        self.due = self.missing.iter().map(|m| m.due).min();
    }

    fn give_up_all(&mut self) {
        self.lost += self.missing.len() as u64;
        self.missing.clear();
        self.due = None;
    }

    /// Calls `ask` for each packet that is due to be asked for, lowest first.
    pub fn poll(&mut self, now: Instant, rtt: Duration, ask: &mut impl FnMut(u16)) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        let repeat = (rtt + rtt / 4).max(REPEAT_MIN);
        let before = self.missing.len();
        self.missing.retain(|m| now < m.since + GIVE_UP && (m.tries < TRIES_MAX || now < m.due));
        self.lost += (before - self.missing.len()) as u64;
        for missing in self.missing.iter_mut().filter(|m| m.due <= now) {
            ask(missing.seq as u16);
            missing.tries += 1;
            missing.due = (now + repeat).min(missing.since + GIVE_UP);
        }
        self.due = self.missing.iter().map(|m| m.due).min();
    }

    /// When `poll` next has something.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Packets given up since the last call: a picture needs a key frame.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

/// Packs ascending sequence numbers into (PID, BLP) pairs (RFC 4585 section 6.2.1).
pub fn nack_pairs(seqs: &[u16], pair: &mut impl FnMut(u16, u16)) {
    let mut rest = seqs;
    while let [pid, tail @ ..] = rest {
        let mut blp = 0_u16;
        rest = tail;
        while let [next, tail @ ..] = rest {
            let distance = next.wrapping_sub(*pid);
            if !(1..=16).contains(&distance) {
                break;
            }
            blp |= 1 << (distance - 1);
            rest = tail;
        }
        pair(*pid, blp);
    }
}

/// The sequence numbers of one (PID, BLP) pair.
pub fn nack_pair_seqs(pid: u16, blp: u16) -> impl Iterator<Item = u16> {
    let rest = (0..16).filter(move |i| blp >> i & 1 == 1);
    std::iter::once(pid).chain(rest.map(move |i| pid.wrapping_add(i + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTT: Duration = Duration::from_millis(80);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn asked(nack: &mut NackGenerator, now: Instant) -> Vec<u16> {
        let mut all = Vec::new();
        nack.poll(now, RTT, &mut |seq| all.push(seq));
        all
    }

    #[test]
    fn a_late_packet_is_not_asked_for() {
        let (mut nack, t) = (NackGenerator::new(), Instant::now());
        assert!(!nack.on_packet(t, 65_535));
        assert!(!nack.on_packet(t, 1));
        assert_eq!(asked(&mut nack, t), []);
        assert_eq!(nack.deadline(), Some(t + REORDER_TOLERANCE));
        assert!(nack.on_packet(t + ms(5), 0), "it was missing");
        assert_eq!(nack.deadline(), None);
        assert!(!nack.on_packet(t + ms(5), 0), "it no longer is");
    }

    #[test]
    fn three_later_packets_make_a_packet_missing_at_once() {
        let (mut nack, t) = (NackGenerator::new(), Instant::now());
        for seq in [10, 12, 13] {
            nack.on_packet(t, seq);
        }
        assert_eq!(asked(&mut nack, t), []);
        nack.on_packet(t, 14);
        assert_eq!(asked(&mut nack, t), [11]);
    }

    #[test]
    fn a_packet_is_asked_for_ten_times_and_then_given_up() {
        let (mut nack, mut t) = (NackGenerator::new(), Instant::now());
        nack.on_packet(t, 10);
        nack.on_packet(t, 12);
        let mut times = Vec::new();
        let began = t;
        while let Some(due) = nack.deadline() {
            t = due;
            if asked(&mut nack, t) == [11] {
                times.push(t - began);
            }
        }
        assert_eq!(times.len(), 10);
        assert_eq!(times[1] - times[0], ms(100), "1.25 x 80 ms");
        assert_eq!(nack.take_lost(), 1);
        assert_eq!(nack.take_lost(), 0);
    }

    #[test]
    fn a_source_that_began_anew_has_lost_nothing() {
        let (mut nack, t) = (NackGenerator::new(), Instant::now());
        for seq in [30_000, 10, 12, 40_000, 40_001] {
            nack.on_packet(t, seq);
        }
        assert_eq!(asked(&mut nack, t + ms(20)), [], "11 was before the second jump");
    }

    #[test]
    fn the_list_of_missing_packets_is_bounded() {
        let (mut nack, t) = (NackGenerator::new(), Instant::now());
        nack.on_packet(t, 0);
        nack.on_packet(t, 1_000);
        assert_eq!(asked(&mut nack, t + ms(20)).len(), MISSING_MAX);
        assert_eq!(nack.take_lost(), 999 - MISSING_MAX as u64);
    }

    proptest! {
        #[test]
        fn exactly_what_is_missing_is_asked_for(first: u16, lost in proptest::collection::btree_set(1u16..200, 0..60)) {
            let (mut nack, t) = (NackGenerator::new(), Instant::now());
            for i in (0..=200).filter(|i| !lost.contains(i)) {
                nack.on_packet(t, first.wrapping_add(i));
            }
            let expected: Vec<_> = lost.iter().map(|i| first.wrapping_add(*i)).collect();
            prop_assert_eq!(asked(&mut nack, t + ms(20)), expected.clone());
            for seq in &expected {
                prop_assert!(nack.on_packet(t + ms(30), *seq));
            }
            prop_assert_eq!(nack.deadline(), None);
        }

        #[test]
        fn pairs_name_the_same_packets(first: u16, set in proptest::collection::btree_set(0u16..300, 0..80)) {
            let seqs: Vec<_> = set.iter().map(|i| first.wrapping_add(*i)).collect();
            let mut back = Vec::new();
            nack_pairs(&seqs, &mut |pid, blp| back.extend(nack_pair_seqs(pid, blp)));
            prop_assert_eq!(back, seqs);
        }
    }
}
