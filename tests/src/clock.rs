//! One clock for all participants of this process: microseconds since its start.

use nix::time::{ClockId, clock_gettime};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds since the start of this process.
#[must_use]
pub fn now_us() -> u64 {
    EPOCH.elapsed().as_micros() as u64
}

/// The moment as an [`Instant`].
#[must_use]
pub fn instant(us: u64) -> Instant {
    *EPOCH + Duration::from_micros(us)
}

/// How the kernel's receive timestamps become this clock: what is to be subtracted.
#[must_use]
pub fn kernel_offset_us() -> i64 {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME).expect("a wall clock");
    wall.tv_sec() * 1_000_000 + wall.tv_nsec() / 1_000 - now_us() as i64
}
