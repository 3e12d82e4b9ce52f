//! The meetings of a shard, the same at edges and origins: which there are, which wait to be flushed, and when each wants
//! to be woken.

use crate::alarms::Alarms;
use crate::hub::{Hub, HubCounters, HubIo};
use relay_proto::{Epoch, MeetingId, Now, Progress};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// One meeting as a shard's tables see it. What else it knows is the policy's.
pub trait Meeting {
    /// Which.
    fn id(&self) -> MeetingId;
    /// The epoch under which this node speaks of it.
    fn epoch(&self) -> Epoch;
    /// Its forwarding.
    fn hub(&self) -> &Hub;
    /// Its forwarding.
    fn hub_mut(&mut self) -> &mut Hub;
    /// When it next wants to be woken.
    fn deadline(&self) -> Option<Instant>;
}

#[derive(Debug)]
struct Seat<M> {
    meeting: M,
    /// Whether it waits to be flushed.
    queued: bool,
}

/// All meetings of a shard by their key, which is what flows and peers know them by.
#[derive(Debug)]
pub struct Meetings<M> {
    seats: Slab<Seat<M>>,
    by_id: BTreeMap<MeetingId, usize>,
    alarms: Alarms,
    /// Meetings that wait to be flushed, each once.
    dirty: VecDeque<usize>,
    /// What hubs that are gone had counted.
    past: HubCounters,
}

impl<M: Meeting> Default for Meetings<M> {
    fn default() -> Self {
        Self {
            seats: Slab::new(),
            by_id: BTreeMap::new(),
            alarms: Alarms::default(),
            dirty: VecDeque::new(),
            past: HubCounters::default(),
        }
    }
}

impl<M: Meeting> Meetings<M> {
    /// Adds a meeting that is not here yet; its key.
    pub fn insert(&mut self, meeting: M) -> usize {
        let id = meeting.id();
        let key = self.seats.insert(Seat { meeting, queued: false });
        self.by_id.insert(id, key);
        key
    }

    /// Forgets a meeting; what its hub counted stays in the sum.
    pub fn remove(&mut self, key: usize) -> Option<M> {
        let Seat { meeting, .. } = self.seats.try_remove(key)?;
        self.by_id.remove(&meeting.id());
        self.past.add(&meeting.hub().counters());
        self.dirty.retain(|k| *k != key);
        Some(meeting)
    }

    /// The key of a meeting.
    #[must_use]
    pub fn key_of(&self, id: MeetingId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// The meeting of a key.
    #[must_use]
    pub fn get(&self, key: usize) -> Option<&M> {
        self.seats.get(key).map(|s| &s.meeting)
    }

    /// The meeting of a key.
    pub fn get_mut(&mut self, key: usize) -> Option<&mut M> {
        self.seats.get_mut(key).map(|s| &mut s.meeting)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &M> {
        self.seats.iter().map(|(_, s)| &s.meeting)
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut M> {
        self.seats.iter_mut().map(|(_, s)| &mut s.meeting)
    }

    /// The keys there are now, for whoever changes meetings on the way.
    #[must_use]
    pub fn keys(&self) -> Vec<usize> {
        self.seats.iter().map(|(key, _)| key).collect()
    }

    /// Counters of all hubs, of those that are gone too.
    #[must_use]
    pub fn counters(&self) -> HubCounters {
        let mut sum = self.past.clone();
        for meeting in self.iter() {
            sum.add(&meeting.hub().counters());
        }
        sum
    }

    /// The meeting has something to flush, and perhaps an earlier deadline.
    pub fn touch(&mut self, key: usize) {
        if let Some(seat) = self.seats.get_mut(key)
            && !std::mem::replace(&mut seat.queued, true)
        {
            self.dirty.push_back(key);
        }
    }

    /// Sends the voices of all meetings that wait, before any picture of one.
    pub fn flush_voices(&mut self, now: Now, io: &mut impl HubIo) -> Progress {
        for key in &self.dirty {
            if let Some(seat) = self.seats.get_mut(*key)
                && seat.meeting.hub_mut().flush_voices(now, io) == Progress::More
            {
                return Progress::More;
            }
        }
        Progress::Done
    }

    /// The meeting whose turn it is to be flushed.
    #[must_use]
    pub fn next_dirty(&self) -> Option<usize> {
        self.dirty.front().copied()
    }

    /// The meeting whose turn it was has nothing left.
    pub fn flushed(&mut self) {
        if let Some(seat) = self.dirty.pop_front().and_then(|key| self.seats.get_mut(key)) {
            seat.queued = false;
        }
    }

    /// Notes the meeting's deadline after it was touched.
    pub fn rearm(&mut self, key: usize) {
        self.alarms.arm(key, self.get(key).and_then(M::deadline));
    }

    /// Takes one meeting whose deadline has passed. Whoever has done what was due calls [`Self::rearm`].
    pub fn pop_due(&mut self, now: Now) -> Option<usize> {
        while let Some(key) = self.alarms.pop_due(now.mono) {
            if self.get(key).and_then(M::deadline).is_some_and(|at| at <= now.mono) {
                return Some(key);
            }
            self.rearm(key);
        }
        None
    }

    /// When [`Self::pop_due`] next has something.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.alarms.deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_proto::{NodeId, NtpTime};
    use std::time::Duration;

    struct Toy(MeetingId, Hub, Option<Instant>);

    impl Meeting for Toy {
        fn id(&self) -> MeetingId {
            self.0
        }
        fn epoch(&self) -> Epoch {
            Epoch(0)
        }
        fn hub(&self) -> &Hub {
            &self.1
        }
        fn hub_mut(&mut self) -> &mut Hub {
            &mut self.1
        }
        fn deadline(&self) -> Option<Instant> {
            self.2
        }
    }

    fn toy(id: u64, at: Option<Instant>) -> Toy {
        Toy(MeetingId(id), Hub::new(NodeId(1), 1), at)
    }

    #[test]
    fn a_touched_meeting_waits_once_and_in_turn() {
        let mut meetings = Meetings::default();
        let keys = [1, 2, 3].map(|id| meetings.insert(toy(id, None)));
        for key in [keys[2], keys[0], keys[2], keys[1]] {
            meetings.touch(key);
        }
        meetings.remove(keys[0]);
        for key in [keys[2], keys[1]] {
            assert_eq!(meetings.next_dirty(), Some(key));
            meetings.flushed();
        }
        assert_eq!(meetings.next_dirty(), None);
        meetings.touch(keys[1]);
        assert_eq!(meetings.next_dirty(), Some(keys[1]));
    }

    #[test]
    fn a_meeting_that_got_the_key_of_another_does_not_get_its_alarms() {
        let now = Now { mono: Instant::now(), wall: NtpTime(0) };
        let at = |ms| now.plus(Duration::from_millis(ms));
        let mut meetings = Meetings::default();
        let key = meetings.insert(toy(1, Some(at(10).mono)));
        meetings.rearm(key);
        meetings.remove(key);
        assert_eq!(meetings.insert(toy(2, Some(at(20).mono))), key);
        meetings.rearm(key);
        assert_eq!(meetings.pop_due(at(15)), None);
        assert_eq!(meetings.pop_due(at(20)), Some(key));
        assert_eq!((meetings.key_of(MeetingId(1)), meetings.len()), (None, 1));
    }
}
