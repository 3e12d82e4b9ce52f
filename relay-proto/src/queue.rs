//! The class queue in front of a connection's datagrams: voices first, nothing stale, bounded.

use crate::facts::Class;
use bytes::BytesMut;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a packet of a class is worth sending. A voice is late after a jitter buffer (80 ms); a base layer is
/// needed by everything after it (250 ms); an enhancement or a repair is not (120 ms).
#[must_use]
pub fn deadline_of(class: Class) -> Duration {
    match class {
        Class::Voice => Duration::from_millis(80),
        Class::Base => Duration::from_millis(250),
        Class::Enhancement | Class::Repair => Duration::from_millis(120),
    }
}

/// A packet that waits.
#[derive(Debug)]
pub struct Queued {
    /// Envelope and packet.
    pub bytes: BytesMut,
    /// Where the shim starts.
    pub shim_at: usize,
    /// Drop it after this.
    pub deadline: Instant,
}

/// One queue a class.
#[derive(Debug)]
pub struct ClassQueue {
    queues: [VecDeque<Queued>; Class::ALL.len()],
    bytes: usize,
    bytes_max: usize,
}

impl ClassQueue {
    /// An empty queue of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { queues: Default::default(), bytes: 0, bytes_max }
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds a packet. When it does not fit, packets of lower classes (oldest first, lowest class first) make room.
    ///
    /// Says how many packets were dropped for it; `None` when it was itself dropped.
    pub fn push(&mut self, class: Class, packet: Queued) -> Option<u64> {
        let mut dropped = 0;
        while self.bytes + packet.bytes.len() > self.bytes_max {
            let lower = self.queues[class as usize + 1..].iter_mut().rev().find(|q| !q.is_empty());
            // With nothing lower to drop, the newest of its own class goes: itself.
            let victim = lower.and_then(VecDeque::pop_front)?;
            self.bytes -= victim.bytes.len();
            dropped += 1;
        }
        self.bytes += packet.bytes.len();
        self.queues[class as usize].push_back(packet);
        Some(dropped)
    }

    /// The next packet to send, and how many were dropped as late before it was found.
    pub fn pop(&mut self, now: Instant) -> (Option<Queued>, u64) {
        let mut late = 0;
        for queue in &mut self.queues {
            while let Some(packet) = queue.pop_front() {
                self.bytes -= packet.bytes.len();
                if packet.deadline >= now {
                    return (Some(packet), late);
                }
                late += 1;
            }
        }
        (None, late)
    }

    /// Drops everything; says how many packets.
    pub fn clear(&mut self) -> u64 {
        let waiting = self.queues.iter().map(VecDeque::len).sum::<usize>();
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.bytes = 0;
        waiting as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(mark: u8, len: usize, deadline: Instant) -> Queued {
        Queued { bytes: BytesMut::from(&vec![mark; len][..]), shim_at: 0, deadline }
    }

    fn mark(popped: (Option<Queued>, u64)) -> Option<u8> {
        popped.0.map(|p| p.bytes[0])
    }

    #[test]
    fn a_voice_overtakes_what_waits() {
        let (mut queue, now) = (ClassQueue::new(1_000), Instant::now());
        for class in [Class::Repair, Class::Enhancement, Class::Base, Class::Voice, Class::Base] {
            queue.push(class, packet(class as u8, 10, now)).unwrap();
        }
        let order: Vec<_> = std::iter::from_fn(|| mark(queue.pop(now))).collect();
        assert_eq!(order, [0, 1, 1, 2, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_late_is_dropped_and_counted() {
        let (mut queue, now) = (ClassQueue::new(1_000), Instant::now());
        queue.push(Class::Voice, packet(1, 10, now)).unwrap();
        queue.push(Class::Base, packet(2, 10, now + Duration::from_millis(10))).unwrap();
        let (found, late) = queue.pop(now + Duration::from_millis(5));
        assert_eq!((found.map(|p| p.bytes[0]), late), (Some(2), 1));
    }

    #[test]
    fn a_full_queue_gives_way_to_higher_classes_only() {
        let (mut queue, now) = (ClassQueue::new(30), Instant::now());
        for n in 0..3 {
            queue.push(Class::Enhancement, packet(n, 10, now)).unwrap();
        }
        assert_eq!(queue.push(Class::Enhancement, packet(9, 10, now)), None);
        assert_eq!(queue.push(Class::Voice, packet(8, 15, now)), Some(2));
        assert_eq!(mark(queue.pop(now)), Some(8));
        assert_eq!(mark(queue.pop(now)), Some(2), "the oldest made room");
        assert_eq!(queue.bytes(), 0);
    }
}
