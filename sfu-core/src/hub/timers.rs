//! The hub's one list of things to do later.

use crate::forwarder::RingKey;
use std::collections::BTreeSet;
use std::time::Instant;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A subscription goes on with its paced replay (key of the subscription).
    Replay(usize),
    /// The sender reports of a port (key of the port).
    Reports(usize),
    /// A ring still waits for a key frame (key of the ring).
    Key(RingKey),
    /// A layout may get better by time alone (key of the port).
    Layout(usize),
    /// The voices' places expire.
    Voices,
    /// A picture that was pushed unasked is withdrawn, or is to be pushed (key of its ring).
    Push(RingKey),
}

/// An ordered set of deadlines. An entity has at most one of each kind: arming again moves it.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Instant, Due)>,
    by_due: std::collections::BTreeMap<Due, Instant>,
}

impl Timers {
    /// Arms `due` for `at`, in place of what it was armed for.
    pub(super) fn arm(&mut self, due: Due, at: Instant) {
        if let Some(old) = self.by_due.insert(due, at) {
            if old == at {
                return;
            }
            self.by_time.remove(&(old, due));
        }
        self.by_time.insert((at, due));
    }

    /// Arms `due` for `at` unless it is armed for an earlier time.
    pub(super) fn arm_by(&mut self, due: Due, at: Instant) {
        if self.by_due.get(&due).is_none_or(|old| *old > at) {
            self.arm(due, at);
        }
    }

    /// Disarms `due`.
    pub(super) fn disarm(&mut self, due: Due) {
        if let Some(at) = self.by_due.remove(&due) {
            self.by_time.remove(&(at, due));
        }
    }

    /// Takes one entry that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        let (at, due) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_due.remove(&due);
        Some(due)
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn arming_again_moves_and_disarming_removes() {
        let t = Instant::now();
        let mut timers = Timers::default();
        timers.arm(Due::Voices, t + Duration::from_millis(20));
        timers.arm_by(Due::Voices, t + Duration::from_millis(30));
        timers.arm(Due::Replay(1), t + Duration::from_millis(10));
        assert_eq!(timers.next(), Some(t + Duration::from_millis(10)));
        timers.disarm(Due::Replay(1));
        assert_eq!(timers.pop_due(t + Duration::from_millis(19)), None);
        assert_eq!(timers.pop_due(t + Duration::from_millis(20)), Some(Due::Voices));
        assert_eq!(timers.next(), None);
    }
}
