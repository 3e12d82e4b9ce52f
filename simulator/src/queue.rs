//! The event queue: by time, and among equals in the order of scheduling.

use crate::time::SimTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug)]
struct Entry<E> {
    at: Reverse<(SimTime, u64)>,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// What is to happen.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    scheduled: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), scheduled: 0 }
    }
}

impl<E> Queue<E> {
    pub(crate) fn push(&mut self, at: SimTime, event: E) {
        self.scheduled += 1;
        self.heap.push(Entry { at: Reverse((at, self.scheduled)), event });
    }

    /// The next event, if it is not after `until`.
    pub(crate) fn pop(&mut self, until: SimTime) -> Option<(SimTime, E)> {
        let Reverse((at, _)) = self.heap.peek()?.at;
        if at > until {
            return None;
        }
        self.heap.pop().map(|entry| (at, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_equal_ones_in_order() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.push(SimTime(at), event);
        }
        let all: String = std::iter::from_fn(|| queue.pop(SimTime(5))).map(|(_, e)| e).collect();
        assert_eq!(all, "abcd");
        assert!(queue.pop(SimTime(8)).is_none());
    }
}
