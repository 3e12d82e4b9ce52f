//! Congestion control for relay links: by delay, patient with random loss, sane while application-limited.
//!
//! Measured (notes/baselines.md section 1d): at 100 ms and 0.1 % random loss Cubic ends at 10-55 % of the offered
//! rate. quinn's BBR holds, but draws from the operating system (so virtual-time runs would differ) and halves its
//! window every 10 s to probe the round trip. This one:
//!
//! - starts with a window that carries a key frame at once, and never falls below a floor;
//! - grows only while the window is what limits it;
//! - backs off when the queue has grown for two round trips (the shortest round trip of the last window against the
//!   shortest of the last minute), or when many are lost; single losses mean nothing.

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// First window: a 150 KB key frame and the voices beside it.
const WINDOW_FIRST: u64 = 256 * 1024;
/// 32 KiB in flight at 100 ms is 2.6 Mbit/s: voices and a base layer go on whatever happens.
const WINDOW_MIN: u64 = 32 * 1024;
/// 1 Gbit/s at 250 ms.
const WINDOW_MAX: u64 = 32 * 1024 * 1024;
/// Queueing that is tolerated: 10 ms, or a tenth of the round trip where that is more (jitter grows with distance).
const QUEUE_MIN: Duration = Duration::from_millis(10);
/// Multiplicative decrease on delay.
const BACKOFF_DELAY: f64 = 0.85;
/// Multiplicative decrease on heavy loss.
const BACKOFF_LOSS: f64 = 0.7;
/// Loss of a round, in percent, that counts when the queue has grown too.
const LOSS_WITH_QUEUE_PERCENT: u64 = 2;
/// Loss that counts alone: a policer, or a queue too short to be seen.
const LOSS_ALONE_PERCENT: u64 = 10;
/// A round with fewer bytes than 50 packets says nothing about a loss rate.
const LOSS_BYTES_MIN: u64 = 50 * 1_200;
/// How long a shortest round trip is believed: two buckets of half of it.
const BASE_BUCKET: Duration = Duration::from_secs(30);

/// Builds [`RelayCongestion`].
#[derive(Clone, Copy, Debug, Default)]
pub struct RelayCongestionConfig;

impl ControllerFactory for RelayCongestionConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(RelayCongestion::new(now, current_mtu))
    }
}

/// What is counted over one round trip.
#[derive(Clone, Copy, Debug)]
struct Round {
    ends: Instant,
    rtt_min: Duration,
    acked: u64,
    lost: u64,
}

/// The controller of one connection.
#[derive(Clone, Debug)]
pub struct RelayCongestion {
    window: u64,
    mtu: u64,
    /// Doubles a round until the first backoff.
    searching: bool,
    /// Shortest round trips of this half minute and the one before.
    base: [Duration; 2],
    base_ends: Instant,
    round: Round,
    /// Rounds in a row with a queue.
    queued_rounds: u32,
}

impl RelayCongestion {
    fn new(now: Instant, mtu: u16) -> Self {
        let round = Round { ends: now, rtt_min: Duration::MAX, acked: 0, lost: 0 };
        Self {
            window: WINDOW_FIRST,
            mtu: u64::from(mtu),
            searching: true,
            base: [Duration::MAX; 2],
            base_ends: now + BASE_BUCKET,
            round,
            queued_rounds: 0,
        }
    }

    fn base_rtt(&self) -> Duration {
        self.base[0].min(self.base[1])
    }

    fn back_off(&mut self, factor: f64) {
        self.searching = false;
        self.window = ((self.window as f64 * factor) as u64).max(WINDOW_MIN);
    }

    fn end_round(&mut self, now: Instant, rtt: Duration) {
        let base = self.base_rtt();
        let tolerated = QUEUE_MIN.max(base / 10);
        let queued = self.round.rtt_min != Duration::MAX && self.round.rtt_min > base + tolerated;
        self.queued_rounds = if queued { self.queued_rounds + 1 } else { 0 };
        let (acked, lost) = (self.round.acked, self.round.lost);
        let percent = if acked + lost < LOSS_BYTES_MIN { 0 } else { lost * 100 / (acked + lost) };
        if percent >= LOSS_ALONE_PERCENT || queued && percent >= LOSS_WITH_QUEUE_PERCENT {
            self.back_off(BACKOFF_LOSS);
        } else if self.queued_rounds >= 2 {
            self.back_off(BACKOFF_DELAY);
        }
        self.round = Round { ends: now + rtt, rtt_min: Duration::MAX, acked: 0, lost: 0 };
    }
}

impl Controller for RelayCongestion {
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        let sample = now.saturating_duration_since(sent);
        if now >= self.base_ends {
            self.base = [Duration::MAX, self.base[0]];
            self.base_ends = now + BASE_BUCKET;
        }
        self.base[0] = self.base[0].min(sample);
        self.round.rtt_min = self.round.rtt_min.min(sample);
        self.round.acked += bytes;
        if !app_limited && self.queued_rounds == 0 {
            // Searching doubles the window each round; later it grows by an eighth, so that a freed link is found
            // again within a second or two.
            let growth = if self.searching { bytes } else { bytes / 8 };
            self.window = (self.window + growth).min(WINDOW_MAX);
        }
        if now >= self.round.ends {
            self.end_round(now, rtt.get());
        }
    }

    fn on_congestion_event(&mut self, _now: Instant, _sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.round.lost += lost_bytes;
        if is_persistent {
            self.back_off(0.25);
        } else if lost_bytes == 0 {
            // An ECN mark: the queue speaks for itself.
            self.back_off(BACKOFF_DELAY);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = u64::from(new_mtu);
    }

    fn window(&self) -> u64 {
        self.window.max(4 * self.mtu)
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        WINDOW_FIRST
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
