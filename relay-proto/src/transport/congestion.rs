//! Congestion control for relay links: by delay, patient with random loss, sane while application-limited.
//!
//! Measured: at 100 ms and 0.1 % random loss Cubic ends at 10-55 % of the offered
//! rate. quinn's BBR holds, but draws from the operating system (so virtual-time runs would differ) and halves its
//! window every 10 s to probe the round trip. This one:
//!
//! - starts with a window that carries a key frame at once, and never falls below a floor;
//! - grows only while the window is what limits it;
//! - backs off when the queue has stood for two rounds (the shortest round trip of a round against the shortest of the
//!   last minute), at once to what the path delivered in them; or when many are lost. Single losses mean nothing.

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// First window: a 150 KB key frame and the voices beside it.
const WINDOW_FIRST: u64 = 256 * 1024;
/// The floor, as a rate: voices and a base layer go on whatever happens. At 100 ms that is a window of 25 KB.
const RATE_MIN_BPS: u64 = 2_000_000;
/// The floor, as packets, where the round trip is short.
const WINDOW_MIN_PACKETS: u64 = 8;
/// 1 Gbit/s at 250 ms.
const WINDOW_MAX: u64 = 32 * 1024 * 1024;
/// Queueing that is tolerated: 10 ms, or a tenth of the round trip where that is more (jitter grows with distance).
const QUEUE_MIN: Duration = Duration::from_millis(10);
/// Least decrease on delay.
const BACKOFF_DELAY: f64 = 0.85;
/// A round lasts for the shortest round trip, but this at least, and until so many acknowledgements came: the
/// shortest of a few samples is not jitter.
const ROUND_MIN: Duration = Duration::from_millis(5);
const ROUND_SAMPLES: u32 = 4;
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

/// What is counted over one round.
#[derive(Clone, Copy, Debug)]
struct Round {
    began: Instant,
    samples: u32,
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
    /// Highest rate delivered in them, bytes a second.
    queued_rate: f64,
    /// A decrease shows its effect one round trip later; until then no other.
    hold: Instant,
}

impl Round {
    fn new(began: Instant) -> Self {
        Self { began, samples: 0, rtt_min: Duration::MAX, acked: 0, lost: 0 }
    }

    fn loss_percent(&self) -> u64 {
        let all = self.acked + self.lost;
        if all < LOSS_BYTES_MIN { 0 } else { self.lost * 100 / all }
    }
}

impl RelayCongestion {
    fn new(now: Instant, mtu: u16) -> Self {
        Self {
            window: WINDOW_FIRST,
            mtu: u64::from(mtu),
            searching: true,
            base: [Duration::MAX; 2],
            base_ends: now + BASE_BUCKET,
            round: Round::new(now),
            queued_rounds: 0,
            queued_rate: 0.0,
            hold: now,
        }
    }

    fn base_rtt(&self) -> Duration {
        self.base[0].min(self.base[1])
    }

    fn back_off(&mut self, factor: f64) {
        self.searching = false;
        self.window = ((self.window as f64 * factor) as u64).max(self.floor());
    }

    fn floor(&self) -> u64 {
        let base = self.base_rtt();
        let at_rate = if base == Duration::MAX {
            0
        } else {
            RATE_MIN_BPS / 8 * base.as_micros() as u64 / 1_000_000
        };
        at_rate.max(WINDOW_MIN_PACKETS * self.mtu)
    }

    fn end_round(&mut self, now: Instant, rtt: Duration) {
        let base = self.base_rtt();
        let tolerated = QUEUE_MIN.max(base / 10);
        let round = std::mem::replace(&mut self.round, Round::new(now));
        let elapsed = now.saturating_duration_since(round.began).as_secs_f64();
        if round.rtt_min > base + tolerated {
            self.queued_rounds += 1;
            self.queued_rate = self.queued_rate.max(round.acked as f64 / elapsed.max(0.001));
        } else {
            self.queued_rounds = 0;
            self.queued_rate = 0.0;
        }
        let percent = round.loss_percent();
        if now < self.hold {
            return;
        }
        if percent >= LOSS_ALONE_PERCENT
            || self.queued_rounds > 0 && percent >= LOSS_WITH_QUEUE_PERCENT
        {
            self.back_off(BACKOFF_LOSS);
            self.hold = now + rtt;
        } else if self.queued_rounds >= 2 {
            // What the path delivers, and half of the queue that is tolerated.
            let fits = self.queued_rate * (base + tolerated / 2).as_secs_f64();
            self.window = self.window.min(fits as u64);
            self.back_off(if fits as u64 > self.window { BACKOFF_DELAY } else { 1.0 });
            self.hold = now + rtt;
            self.queued_rate = 0.0;
        }
    }
}

impl Controller for RelayCongestion {
    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        app_limited: bool,
        rtt: &RttEstimator,
    ) {
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
        self.round.samples += 1;
        let length = self.base_rtt().max(ROUND_MIN);
        if self.round.samples >= ROUND_SAMPLES && now >= self.round.began + length {
            self.end_round(now, rtt.get());
        }
    }

    fn on_congestion_event(
        &mut self,
        _now: Instant,
        _sent: Instant,
        is_persistent: bool,
        lost_bytes: u64,
    ) {
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
        self.window.max(WINDOW_MIN_PACKETS * self.mtu)
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
