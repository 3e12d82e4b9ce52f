//! Wrapping counters made to count on: RTP sequence numbers (16 bits) and timestamps (32 bits).

/// Extends 16-bit sequence numbers to 64 bits, each placed nearest to the highest one so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeqUnwrapper {
    highest: Option<u64>,
}

impl SeqUnwrapper {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where `seq` would be placed. The first one stands at 2^16 + seq, so that earlier ones do not fall below 0.
    #[must_use]
    pub fn peek(&self, seq: u16) -> u64 {
        match self.highest {
            None => (1 << 16) + u64::from(seq),
            Some(highest) => {
                let step = seq.wrapping_sub(highest as u16) as i16;
                highest.saturating_add_signed(i64::from(step))
            }
        }
    }

    /// Places `seq` and remembers it if it is the highest.
    pub fn unwrap(&mut self, seq: u16) -> u64 {
        let extended = self.peek(seq);
        self.highest = self.highest.max(Some(extended));
        extended
    }

    /// The source counts from `seq` now: places it beyond all earlier ones.
    pub fn restart_at(&mut self, seq: u16) {
        let round = self.highest.map_or(1, |highest| (highest >> 16) + 2);
        self.highest = Some(round << 16 | u64::from(seq));
    }

    /// The highest so far.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Extends 32-bit RTP timestamps to 64 bits, each placed nearest to the highest one so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimestampUnwrapper {
    highest: Option<u64>,
}

impl TimestampUnwrapper {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where `timestamp` would be placed.
    #[must_use]
    pub fn peek(&self, timestamp: u32) -> u64 {
        match self.highest {
            None => (1 << 32) + u64::from(timestamp),
            Some(highest) => {
                let step = timestamp.wrapping_sub(highest as u32) as i32;
                highest.saturating_add_signed(i64::from(step))
            }
        }
    }

    /// Places `timestamp` and remembers it if it is the highest.
    pub fn unwrap(&mut self, timestamp: u32) -> u64 {
        let extended = self.peek(timestamp);
        self.highest = self.highest.max(Some(extended));
        extended
    }

    /// The source counts from `timestamp` now: places it beyond all earlier ones.
    pub fn restart_at(&mut self, timestamp: u32) {
        let round = self.highest.map_or(1, |highest| (highest >> 32) + 2);
        self.highest = Some(round << 32 | u64::from(timestamp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_counter_goes_on_past_its_wrap_and_late_ones_stay_before_it() {
        let mut unwrapper = SeqUnwrapper::new();
        let all: Vec<_> = [65_534, 65_535, 0, 65_533, 1].map(|s| unwrapper.unwrap(s)).to_vec();
        assert_eq!(
            all.iter().map(|s| *s as i64 - all[0] as i64).collect::<Vec<_>>(),
            [0, 1, 2, -1, 3]
        );
    }

    proptest! {
        #[test]
        fn steps_under_half_the_range_are_followed(start: u16, steps in proptest::collection::vec(-1_000i64..20_000, 0..200)) {
            let mut unwrapper = SeqUnwrapper::new();
            let mut wide = TimestampUnwrapper::new();
            let mut truth = unwrapper.unwrap(start);
            let base = wide.unwrap(u32::from(start)) as i64 - truth as i64;
            let mut highest = truth;
            for step in steps {
                truth = highest.saturating_add_signed(step);
                highest = highest.max(truth);
                prop_assert_eq!(unwrapper.unwrap(truth as u16), truth);
                prop_assert_eq!(wide.unwrap((truth as i64 + base) as u32) as i64, truth as i64 + base);
            }
        }
    }
}
