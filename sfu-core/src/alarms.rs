//! One deadline heap for many entities: no scan over all of them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Deadlines of entities that are numbered densely (slab keys). Lazy: a later deadline replaces an earlier one only
/// when that comes up, so the entity is asked again then.
#[derive(Debug, Default)]
pub struct Alarms {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    armed: Vec<Option<Instant>>,
}

impl Alarms {
    /// Wakes `key` at `at`, or earlier if it was armed so. `None` leaves it as it is.
    pub fn arm(&mut self, key: usize, at: Option<Instant>) {
        let Some(at) = at else { return };
        if self.armed.len() <= key {
            self.armed.resize(key + 1, None);
        }
        if self.armed[key].is_none_or(|armed| at < armed) {
            self.armed[key] = Some(at);
            self.heap.push(Reverse((at, key)));
        }
    }

    /// Takes one entity that was to be woken by `now`. It may have been too early: the entity knows, and is armed anew.
    pub fn pop_due(&mut self, now: Instant) -> Option<usize> {
        while let Some(Reverse((at, key))) = self.heap.peek().copied() {
            if at > now {
                return None;
            }
            self.heap.pop();
            if self.armed.get(key).copied().flatten() == Some(at) {
                self.armed[key] = None;
                return Some(key);
            }
        }
        None
    }

    /// When `pop_due` next has something.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_arming_counts_and_each_comes_up_once() {
        let t = Instant::now();
        let ms = Duration::from_millis;
        let mut alarms = Alarms::default();
        alarms.arm(3, Some(t + ms(20)));
        alarms.arm(3, Some(t + ms(10)));
        alarms.arm(1, Some(t + ms(15)));
        assert_eq!(alarms.pop_due(t + ms(9)), None);
        assert_eq!(alarms.pop_due(t + ms(30)), Some(3));
        assert_eq!(alarms.pop_due(t + ms(30)), Some(1));
        assert_eq!(alarms.pop_due(t + ms(30)), None);
    }
}
