//! Datagrams under way, in the order in which they arrive.

use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Bytes under way in all directions: 64 MiB is 2 Gbit/s over 250 ms.
const BYTES_MAX: usize = 64 << 20;
/// What a datagram under way costs beside its bytes.
const OVERHEAD: usize = 128;

/// How late datagrams left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// Datagrams sent on.
    pub sent: u64,
    /// How late they were, summed, in microseconds.
    pub late_us_total: u64,
    /// How many were more than a millisecond late.
    pub late_over_1ms: u64,
    /// The latest, in microseconds.
    pub late_us_max: u64,
}

impl Timing {
    /// How late they were on average, in microseconds.
    #[must_use]
    pub fn late_us_mean(&self) -> u64 {
        self.late_us_total / self.sent.max(1)
    }

    pub(super) fn record(&mut self, late: Duration) {
        let us = late.as_micros() as u64;
        self.sent += 1;
        self.late_us_total += us;
        self.late_over_1ms += u64::from(us > 1_000);
        self.late_us_max = self.late_us_max.max(us);
    }
}

/// A datagram under way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InFlight {
    /// Since the start; the order is by this, then by when it was put in.
    pub(super) at: Duration,
    order: u64,
    /// The link it is on, which counts it when it cannot be delivered.
    pub(super) link: usize,
    /// The session it belongs to.
    pub(super) session: u64,
    /// Towards the client, or towards the node behind the front.
    pub(super) to_client: bool,
    pub(super) data: Box<[u8]>,
}

/// The delay line of all links together.
#[derive(Debug, Default)]
pub(super) struct DelayLine {
    heap: BinaryHeap<Reverse<InFlight>>,
    bytes: usize,
    order: u64,
}

impl DelayLine {
    /// Whether one more datagram of this size may go under way.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes + OVERHEAD <= BYTES_MAX
    }

    pub(super) fn push(
        &mut self,
        at: Duration,
        link: usize,
        session: u64,
        to_client: bool,
        data: &[u8],
    ) {
        self.order += 1;
        self.bytes += data.len() + OVERHEAD;
        let datagram =
            InFlight { at, order: self.order, link, session, to_client, data: data.into() };
        self.heap.push(Reverse(datagram));
    }

    /// When the next one arrives.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(d)| d.at)
    }

    /// The next one that has arrived by `now`.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<InFlight> {
        if self.next_at()? > now {
            return None;
        }
        let Reverse(datagram) = self.heap.pop()?;
        self.bytes -= datagram.data.len() + OVERHEAD;
        Some(datagram)
    }
}
