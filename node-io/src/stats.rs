//! What a shard counts. One thread writes, any thread reads.

use crate::shard::ShardAddrs;
use relay_proto::machine::Socket;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Adds to a counter that only this thread writes: no locked instruction on the media path.
pub(crate) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

/// Counters of one of a shard's sockets.
#[derive(Debug, Default)]
pub struct SocketStats {
    /// The local port, once bound: the kernel counts its drops by it.
    pub(crate) port: AtomicU16,
    /// Datagrams received.
    pub datagrams_in: AtomicU64,
    /// Their bytes, without UDP and IP headers.
    pub bytes_in: AtomicU64,
    /// `recvmmsg` calls that brought something: datagrams over calls is the batch size.
    pub recv_calls: AtomicU64,
    /// Receive calls that failed.
    pub recv_errors: AtomicU64,
    /// Datagrams the kernel took.
    pub datagrams_out: AtomicU64,
    /// Their bytes.
    pub bytes_out: AtomicU64,
    /// `sendmsg` and `sendmmsg` calls.
    pub send_calls: AtomicU64,
    /// Datagrams dropped because the kernel refused them (unreachable, too large).
    pub send_errors: AtomicU64,
    /// Datagrams dropped because the send buffer stayed full.
    pub send_full: AtomicU64,
    /// Times a slice waited for the send buffer.
    pub send_waits: AtomicU64,
    /// Times segmentation offload was given up for a while.
    pub gso_fallbacks: AtomicU64,
}

impl SocketStats {
    /// The local port; 0 when there is no such socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.load(Relaxed)
    }
}

/// How many buckets a [`TurnHistogram`] has, the last being unbounded.
pub const TURN_BUCKETS: usize = 14;

/// How long turns took, in buckets of powers of two: up to 16 us, 32 us, ... 65.5 ms, more.
#[derive(Debug, Default)]
pub struct TurnHistogram {
    buckets: [AtomicU64; TURN_BUCKETS],
    sum_ns: AtomicU64,
}

impl TurnHistogram {
    /// The upper bound of the first bucket.
    const FIRST_US: u64 = 16;

    pub(crate) fn record(&self, took: Duration) {
        let us = took.as_micros() as u64;
        let above = us.saturating_sub(1) / Self::FIRST_US;
        let bucket = (u64::BITS - above.leading_zeros()) as usize;
        bump(&self.buckets[bucket.min(TURN_BUCKETS - 1)], 1);
        bump(&self.sum_ns, took.as_nanos() as u64);
    }

    /// Upper bound (seconds; the last is infinite) and count of every bucket, not cumulated.
    #[must_use]
    pub fn buckets(&self) -> [(f64, u64); TURN_BUCKETS] {
        std::array::from_fn(|i| {
            let bound = (Self::FIRST_US << i) as f64 / 1e6;
            let bound = if i == TURN_BUCKETS - 1 { f64::INFINITY } else { bound };
            (bound, self.buckets[i].load(Relaxed))
        })
    }

    /// The sum of all turns.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.load(Relaxed))
    }
}

/// Counters of one shard.
#[derive(Debug, Default)]
pub struct ShardStats {
    /// The participants' socket.
    pub media: SocketStats,
    /// The relay links' socket.
    pub relay: SocketStats,
    /// How long the busy part of each turn took.
    pub turns: TurnHistogram,
    /// CPU time of the thread, in nanoseconds.
    pub cpu_ns: AtomicU64,
    /// Slices flushed.
    pub slices: AtomicU64,
    /// Deadlines met.
    pub deadlines: AtomicU64,
    /// By how much they were late, summed, in nanoseconds.
    pub deadline_late_ns: AtomicU64,
    /// Commands taken from the mailbox.
    pub commands: AtomicU64,
    /// Outputs for the control runtime.
    pub outputs: AtomicU64,
    /// Outputs that had to wait because the control runtime was behind.
    pub outputs_overflowed: AtomicU64,
    /// Outputs that were lost because it was dead: a node with any is not ready.
    pub outputs_lost: AtomicU64,
}

impl ShardStats {
    pub(crate) fn bound_to(addrs: ShardAddrs) -> Self {
        let stats = Self::default();
        stats.relay.port.store(addrs.relay.port(), Relaxed);
        stats.media.port.store(addrs.media.map_or(0, |a| a.port()), Relaxed);
        stats
    }

    /// The counters of one socket.
    #[must_use]
    pub fn socket(&self, socket: Socket) -> &SocketStats {
        match socket {
            Socket::Media => &self.media,
            Socket::Relay => &self.relay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_falls_into_the_bucket_that_bounds_it() {
        for (us, bucket) in [
            (0, 0),
            (16, 0),
            (17, 1),
            (32, 1),
            (33, 2),
            (65_536, 12),
            (65_537, 13),
            (9_000_000, 13),
        ] {
            let turns = TurnHistogram::default();
            turns.record(Duration::from_micros(us));
            let found = turns.buckets().iter().position(|(_, n)| *n == 1);
            assert_eq!(found, Some(bucket), "{us} us");
            assert!(turns.buckets()[bucket].0 * 1e6 >= us as f64);
        }
    }
}
