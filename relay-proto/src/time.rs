//! Time as pure code sees it: told, never read.

use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The moment a driver hands to a machine.
///
/// `mono` orders events and arms deadlines. `wall` is only ever written into reports and
/// sender reports: it may step, and it differs from node to node, so nothing orders events by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time of this node.
    pub mono: Instant,
    /// Wall clock of this node.
    pub wall: NtpTime,
}

impl Now {
    /// This moment, `by` later on both clocks.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: self.wall.plus_micros(by.as_micros() as i64) }
    }
}

/// Wall-clock time as 32.32 fixed-point seconds since 1900 (RFC 5905 section 6).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NtpTime(pub u64);

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970): 70 years with 17 leap days.
pub const NTP_UNIX_OFFSET_S: u64 = (70 * 365 + 17) * 86_400;

impl NtpTime {
    /// From the time since the Unix epoch.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = since_epoch.as_secs().wrapping_add(NTP_UNIX_OFFSET_S) & 0xffff_ffff;
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }

    /// Milliseconds since the Unix epoch, of a time before 2106.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        let seconds = (self.0 >> 32).wrapping_sub(NTP_UNIX_OFFSET_S) & 0xffff_ffff;
        seconds * 1_000 + (((self.0 & 0xffff_ffff) * 1_000) >> 32)
    }

    /// This time, `micros` later (or earlier, when negative).
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        let fixed = (i128::from(micros) << 32) / 1_000_000;
        Self(self.0.wrapping_add(fixed as u64))
    }

    /// Microseconds from `earlier` to this time; negative when `earlier` is later. Valid within 68 years.
    #[must_use]
    pub fn micros_since(self, earlier: Self) -> i64 {
        let fixed = self.0.wrapping_sub(earlier.0) as i64;
        ((i128::from(fixed) * 1_000_000) >> 32) as i64
    }

    /// The middle 32 bits, as sender and receiver reports carry them (RFC 3550 section 4).
    #[must_use]
    pub fn middle_32(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// 6.18 fixed-point seconds, wrapping every 64 s in steps of 3.8 us: the send time of the link
    /// shim and of the abs-send-time header extension.
    #[must_use]
    pub fn send_time_24(self) -> u32 {
        ((self.0 >> 14) & 0x00ff_ffff) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_epoch_is_the_ntp_offset() {
        assert_eq!(NtpTime::from_unix(Duration::ZERO).0 >> 32, 2_208_988_800);
    }

    #[test]
    fn micros_round_trip_within_one_microsecond() {
        let t = NtpTime::from_unix(Duration::from_millis(1_790_000_000_123));
        for d in [-3_000_000_i64, -1, 0, 1, 999_999, 86_400_000_000] {
            assert!((t.plus_micros(d).micros_since(t) - d).abs() <= 1);
        }
    }

    #[test]
    fn send_time_wraps_after_64_seconds() {
        let t = NtpTime::from_unix(Duration::from_secs(1_790_000_000));
        assert_eq!(t.send_time_24(), t.plus_micros(64_000_000).send_time_24());
        assert_ne!(t.send_time_24(), t.plus_micros(32_000_000).send_time_24());
    }
}
