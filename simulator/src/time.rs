//! Virtual time, and how pure machines are told it.

use relay_proto::{Now, NtpTime};
use std::time::{Duration, Instant};

/// Nanoseconds since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(pub u64);

impl SimTime {
    /// The beginning.
    pub const ZERO: Self = Self(0);

    /// So long after the beginning.
    #[must_use]
    pub fn from_duration(since: Duration) -> Self {
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// So many milliseconds after the beginning.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }

    /// So many seconds after the beginning.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds.max(0.0) * 1e9).round() as u64)
    }

    /// This moment, `by` later.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_duration(by).0))
    }

    /// Time since the beginning.
    #[must_use]
    pub fn as_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Time since `earlier`; zero when that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Seconds since the beginning, for people.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// The wall clock of the world when it begins: any moment at which certificates are valid.
const EPOCH: Duration = Duration::from_secs(1_790_000_000);

/// Turns virtual time into what machines take. The instant it starts at is arbitrary: only differences are ever used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Instant,
}

impl Clock {
    pub(crate) fn new(base: Instant) -> Self {
        Self { base }
    }

    /// The moment `t` as a node tells it whose wall clock is `offset_us` ahead.
    pub(crate) fn now(&self, t: SimTime, offset_us: i64) -> Now {
        let wall = NtpTime::from_unix(EPOCH + t.as_duration()).plus_micros(offset_us);
        Now { mono: self.base + t.as_duration(), wall }
    }

    /// When an instant is, in virtual time.
    pub(crate) fn time_of(&self, at: Instant) -> SimTime {
        SimTime::from_duration(at.saturating_duration_since(self.base))
    }
}
