//! One clock for all participants of this process: microseconds since its start.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds since the first call.
pub(super) fn now_us() -> u64 {
    EPOCH.elapsed().as_micros() as u64
}

/// The moment as an [`Instant`].
pub(super) fn instant(us: u64) -> Instant {
    *EPOCH + Duration::from_micros(us)
}

/// How the kernel's receive timestamps (wall clock, microseconds since 1970) become this clock: what is to be subtracted.
pub(super) fn kernel_offset_us() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    wall.as_micros() as i64 - now_us() as i64
}

/// The wall clock at `us` as an NTP timestamp (RFC 3550 section 4): seconds since 1900 and their fraction.
pub(super) fn ntp(us: u64) -> u64 {
    const FROM_1900_TO_1970_S: u64 = 2_208_988_800;
    let wall_us = (kernel_offset_us() + us as i64) as u64;
    let fraction = ((wall_us % 1_000_000) << 32) / 1_000_000;
    ((wall_us / 1_000_000 + FROM_1900_TO_1970_S) << 32) | fraction
}
