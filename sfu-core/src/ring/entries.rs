//! The entries of a ring in order of arrival, found again by sequence number.

use super::{Arrival, EntryMeta};

/// What stands in the ring for one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) meta: EntryMeta,
    pub(super) position: u64,
    pub(super) len: u16,
}

/// A circular table; its size is 0 or a power of two of at most 2^16.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// An arrival's place is `arrival & mask`.
    table: Vec<Option<Entry>>,
    /// `seq & mask` -> low bits of the arrival with that sequence, to be checked against the entry.
    by_seq: Vec<u16>,
    tail: Arrival,
    head: Arrival,
}

impl Entries {
    pub(super) fn tail(&self) -> Arrival {
        self.tail
    }

    pub(super) fn head(&self) -> Arrival {
        self.head
    }

    pub(super) fn capacity(&self) -> usize {
        self.table.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    pub(super) fn is_full(&self) -> bool {
        self.head - self.tail >= self.table.len() as u64
    }

    fn place(&self, number: u64) -> usize {
        (number & (self.table.len() as u64).wrapping_sub(1)) as usize
    }

    pub(super) fn get(&self, arrival: Arrival) -> Option<&Entry> {
        if !(self.tail..self.head).contains(&arrival) {
            return None;
        }
        self.table.get(self.place(arrival))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, arrival: Arrival) -> Option<&mut Entry> {
        if !(self.tail..self.head).contains(&arrival) {
            return None;
        }
        let place = self.place(arrival);
        self.table.get_mut(place)?.as_mut()
    }

    pub(super) fn find(&self, seq: u64) -> Option<Arrival> {
        let arrival = self.at_seq_place(self.place(seq))?;
        self.get(arrival).filter(|entry| entry.meta.seq == seq).map(|_| arrival)
    }

    /// The only arrival that is still here and has the low bits kept for this place.
    fn at_seq_place(&self, place: usize) -> Option<Arrival> {
        let low = u64::from(*self.by_seq.get(place)?);
        Some(self.tail + (low.wrapping_sub(self.tail) & (self.table.len() as u64 - 1)))
    }

    /// Appends to a table that is not full.
    pub(super) fn push(&mut self, entry: Entry) -> Arrival {
        let arrival = self.head;
        self.head += 1;
        self.set(arrival, entry);
        arrival
    }

    fn set(&mut self, arrival: Arrival, entry: Entry) {
        let place = self.place(arrival);
        let by_seq = self.place(entry.meta.seq);
        self.table[place] = Some(entry);
        // Two packets a table's width apart share a place: the newer one is asked for more likely.
        let other = self.at_seq_place(by_seq).and_then(|arrival| self.get(arrival));
        if other.is_none_or(|other| {
            other.meta.seq <= entry.meta.seq || self.place(other.meta.seq) != by_seq
        }) {
            self.by_seq[by_seq] = arrival as u16;
        }
    }

    pub(super) fn pop(&mut self) {
        if !self.is_empty() {
            self.tail += 1;
        }
    }

    pub(super) fn grow(&mut self, capacity: usize) {
        let old = std::mem::replace(&mut self.table, vec![None; capacity]);
        self.by_seq = vec![0; capacity];
        let mask = (old.len() as u64).wrapping_sub(1);
        for arrival in self.tail..self.head {
            if let Some(entry) = old[(arrival & mask) as usize] {
                self.set(arrival, entry);
            }
        }
    }
}
