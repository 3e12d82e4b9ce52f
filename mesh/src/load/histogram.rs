//! Counts of durations, 3 % wide, in little memory.

/// Buckets a factor of two.
const PER_OCTAVE: u32 = 32;
/// Below this the buckets are as wide as one.
const LINEAR: u64 = PER_OCTAVE as u64;
/// 32 + 32 x 26: up to 2^31 us, 36 minutes.
const BUCKETS: usize = (PER_OCTAVE * 27) as usize;

/// A histogram of microseconds.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

fn bucket(us: u64) -> usize {
    if us < LINEAR {
        return us as usize;
    }
    let octave = us.ilog2() - PER_OCTAVE.ilog2();
    let within = (us >> octave) as usize - PER_OCTAVE as usize;
    (PER_OCTAVE * (octave + 1)) as usize + within
}

/// The middle of a bucket.
fn middle(bucket: usize) -> f64 {
    let (octave, within) = (bucket as u32 / PER_OCTAVE, bucket as u32 % PER_OCTAVE);
    if octave == 0 {
        return f64::from(within);
    }
    let width = f64::from(1_u32 << (octave - 1));
    f64::from(PER_OCTAVE + within) * width + width / 2.0
}

impl Histogram {
    /// Counts one.
    pub(super) fn add(&mut self, us: u64) {
        self.counts[bucket(us).min(BUCKETS - 1)] += 1;
        self.total += 1;
        self.max = self.max.max(us);
    }

    /// How many were counted.
    pub(super) fn count(&self) -> u64 {
        self.total
    }

    /// A quantile in milliseconds; `None` when nothing was counted.
    pub(super) fn quantile_ms(&self, q: f64) -> Option<f64> {
        let wanted = (self.total as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (i, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(middle(i).min(self.max as f64) / 1_000.0);
            }
        }
        None
    }

    /// The longest, in milliseconds.
    pub(super) fn max_ms(&self) -> Option<f64> {
        (self.total > 0).then_some(self.max as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_three_percent() {
        let mut h = Histogram::default();
        (1..=100_000).for_each(|us| h.add(us));
        for (q, ms) in [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (0.01, 1.0)] {
            let got = h.quantile_ms(q).unwrap();
            assert!((got / ms - 1.0).abs() < 0.03, "{q}: {got}");
        }
        assert_eq!((h.count(), h.max_ms()), (100_000, Some(100.0)));
        assert_eq!(Histogram::default().quantile_ms(0.5), None);
    }

    #[test]
    fn buckets_follow_each_other_and_the_last_one_takes_the_rest() {
        let all: Vec<usize> = (0..5_000).map(bucket).collect();
        assert!(all.windows(2).all(|w| w[1] == w[0] || w[1] == w[0] + 1));
        let mut h = Histogram::default();
        h.add(u64::MAX / 2);
        assert_eq!(h.count(), 1);
    }
}
