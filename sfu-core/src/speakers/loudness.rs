//! How loud one microphone has been over the last 300 ms.

use relay_proto::Now;
use std::time::{Duration, Instant};

/// Loudness is averaged over this long.
pub const WINDOW: Duration = Duration::from_millis(300);
/// Opus packets are 20 ms long.
const BUCKET_MS: u64 = 20;
/// 300 ms / 20 ms.
const BUCKETS: usize = 15;
/// A voice without a loud packet for this long is silent: three packets, so that two lost ones are not a pause.
pub const SILENT_AFTER: Duration = Duration::from_millis(60);
/// A pause longer than this ends the stretch of speech that [`Loudness::speaking_for`] measures.
pub const PAUSE: Duration = Duration::from_millis(300);
/// Loudest value: 0 dBov.
pub const LOUDEST: u8 = 127;
/// Speech begins at -50 dBov: speech is at -20 to -45, a room after noise suppression below -60, comfort noise at -127.
pub const SPEECH_ON: u8 = LOUDEST - 50;
/// Speech lasts down to -55 dBov, so that a voice at the threshold does not flicker.
pub const SPEECH_OFF: u8 = LOUDEST - 55;
/// A packet without a level counts as just loud enough: it is heard where there is room and outranks nobody.
const UNKNOWN: u8 = SPEECH_ON;

const _: () = assert!(BUCKETS as u64 * BUCKET_MS == WINDOW.as_millis() as u64);
/// Buckets that a late packet may fill backwards.
const FILL_MAX: u64 = SILENT_AFTER.as_millis() as u64 / BUCKET_MS;

/// The loudness of one voice. Fixed size, nothing is allocated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loudness {
    /// Loudness by 20 ms bucket, a ring; quiet packets are 0.
    ring: [u8; BUCKETS],
    /// First packet: buckets are counted from here.
    origin: Option<Instant>,
    /// Bucket number of the newest packet.
    newest: u64,
    /// Arrival of the newest loud packet.
    last_loud: Option<Instant>,
    /// First loud packet after the last pause.
    since: Option<Instant>,
    /// Whether the newest packet was loud.
    loud: bool,
}

impl Loudness {
    /// A voice that has not been heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One audio packet with its RFC 6464 level in -dBov (0 loudest). Returns whether it is loud: speech, not comfort
    /// noise. A packet without a level counts as just loud.
    pub fn packet(&mut self, now: Now, level_dbov: Option<u8>) -> bool {
        let value = level_dbov.map_or(UNKNOWN, |level| LOUDEST.saturating_sub(level & LOUDEST));
        let threshold = if self.loud && self.is_speaking(now) { SPEECH_OFF } else { SPEECH_ON };
        self.loud = value >= threshold;
        self.record(now, if self.loud { value } else { 0 });
        if self.loud {
            if self.last_loud.is_none_or(|last| now.mono.saturating_duration_since(last) > PAUSE) {
                self.since = Some(now.mono);
            }
            self.last_loud = Some(now.mono);
        }
        self.loud
    }

    /// Writes `value` into the bucket of this moment, and into those skipped since the last packet if it is close:
    /// arrival jitter and 40 or 60 ms packets leave no holes.
    fn record(&mut self, now: Now, value: u8) {
        let Some(origin) = self.origin else {
            self.origin = Some(now.mono);
            self.ring[0] = value;
            return;
        };
        let bucket = bucket_of(origin, now);
        if bucket <= self.newest {
            let slot = &mut self.ring[index(self.newest)];
            *slot = value.max(*slot);
            return;
        }
        let gap = bucket - self.newest;
        let close = gap <= FILL_MAX;
        for step in (0..gap.min(BUCKETS as u64)).rev() {
            self.ring[index(bucket - step)] = if close || step == 0 { value } else { 0 };
        }
        self.newest = bucket;
    }

    /// Mean loudness of the last 300 ms, 0 (silence) ..= 127. Silence counts as 0, so a voice that has
    /// just begun rises to its level within the window.
    #[must_use]
    pub fn value(&self, now: Now) -> u8 {
        let Some(origin) = self.origin else { return 0 };
        let age = bucket_of(origin, now).saturating_sub(self.newest);
        if age >= BUCKETS as u64 {
            return 0;
        }
        // The time since the newest packet counts as that packet until it is long enough to be silence.
        let held = if age < FILL_MAX { age } else { 0 } as u32;
        let mut sum = held * u32::from(self.ring[index(self.newest)]);
        for back in 0..(BUCKETS as u64 - age) {
            if back <= self.newest {
                sum += u32::from(self.ring[index(self.newest - back)]);
            }
        }
        (sum / BUCKETS as u32) as u8
    }

    /// Whether the voice speaks: a loud packet came within the last 60 ms.
    #[must_use]
    pub fn is_speaking(&self, now: Now) -> bool {
        self.last_loud.is_some_and(|t| now.mono.saturating_duration_since(t) < SILENT_AFTER)
    }

    /// How long the voice has been silent: zero while it speaks, then the time since its last loud packet;
    /// `Duration::MAX` when it never spoke.
    #[must_use]
    pub fn silent_for(&self, now: Now) -> Duration {
        match self.last_loud {
            None => Duration::MAX,
            Some(_) if self.is_speaking(now) => Duration::ZERO,
            Some(t) => now.mono.saturating_duration_since(t),
        }
    }

    /// When this stretch of speech (pauses up to 300 ms included) began; `None` after a longer pause.
    #[must_use]
    pub fn speaking_since(&self, now: Now) -> Option<Instant> {
        let last = self.last_loud?;
        self.since.filter(|_| now.mono.saturating_duration_since(last) <= PAUSE)
    }

    /// How long this stretch of speech has lasted, pauses up to 300 ms included; zero after a longer one.
    #[must_use]
    pub fn speaking_for(&self, now: Now) -> Duration {
        self.speaking_since(now)
            .map_or(Duration::ZERO, |since| now.mono.saturating_duration_since(since))
    }

    /// From the first to the last loud packet of this stretch: what a cough has little of.
    #[must_use]
    pub fn voiced_for(&self, now: Now) -> Duration {
        match (self.speaking_since(now), self.last_loud) {
            (Some(since), Some(last)) => last.saturating_duration_since(since),
            _ => Duration::ZERO,
        }
    }

    /// When the voice falls silent unless another loud packet comes; `None` when it never spoke.
    #[must_use]
    pub fn silent_at(&self) -> Option<Instant> {
        self.last_loud.map(|t| t + SILENT_AFTER)
    }
}

/// Number of the bucket that `now` falls into.
fn bucket_of(origin: Instant, now: Now) -> u64 {
    now.mono.saturating_duration_since(origin).as_millis() as u64 / BUCKET_MS
}

/// Where bucket `n` stands in the ring.
fn index(n: u64) -> usize {
    (n % BUCKETS as u64) as usize
}

#[cfg(test)]
#[path = "loudness_tests.rs"]
mod tests;
