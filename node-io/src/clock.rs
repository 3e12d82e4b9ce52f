//! The one place where a shard reads clocks.

use relay_proto::time::{Now, NtpTime};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks; the wall clock may be skewed to test what must not depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall_skew_us: i64,
}

impl Clock {
    pub(crate) fn new(wall_skew_us: i64) -> Self {
        Self { wall_skew_us }
    }

    /// This moment.
    pub(crate) fn now(self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: Instant::now(),
            wall: NtpTime::from_unix(since_epoch).plus_micros(self.wall_skew_us),
        }
    }

    /// CPU time of the calling thread, in nanoseconds.
    pub(crate) fn thread_cpu_ns() -> u64 {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
    }
}
