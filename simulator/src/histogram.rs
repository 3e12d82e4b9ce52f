//! One-way delays, counted in buckets.

use std::time::Duration;

/// Width of a bucket.
const BUCKET_US: u64 = 500;
/// Delays from here on share the last bucket: 2 s.
const BUCKETS: usize = 4_000;

/// Delays of many packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    counts: Vec<u32>,
    count: u64,
    sum_ns: u128,
    max: Duration,
}

impl Delays {
    /// One more.
    pub fn add(&mut self, delay: Duration) {
        let bucket = ((delay.as_micros() as u64 / BUCKET_US) as usize).min(BUCKETS - 1);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.sum_ns += delay.as_nanos();
        self.max = self.max.max(delay);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum_ns += other.sum_ns;
        self.max = self.max.max(other.max);
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.checked_div(self.count.into()).unwrap_or(0) as u64)
    }

    /// The delay that a share `q` (0 to 1) stays below, to half a millisecond.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        let rank = (q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank.max(1) {
                return Duration::from_micros((bucket as u64 + 1) * BUCKET_US).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_bucket() {
        let mut delays = Delays::default();
        assert_eq!(delays.quantile(0.5), Duration::ZERO);
        for ms in 1..=100 {
            delays.add(Duration::from_millis(ms));
        }
        assert_eq!(delays.mean(), Duration::from_micros(50_500));
        assert!(
            delays.quantile(0.5).abs_diff(Duration::from_millis(50)) <= Duration::from_micros(500)
        );
        assert_eq!(delays.quantile(1.0), Duration::from_millis(100));
        let mut twice = delays.clone();
        twice.merge(&delays);
        assert_eq!((twice.count(), twice.quantile(0.9)), (200, delays.quantile(0.9)));
    }
}
