//! The difference between two nodes' wall clocks, from heartbeats.

use crate::heartbeat::Heartbeat;
use crate::time::NtpTime;
use std::collections::VecDeque;

/// Samples looked at: 3.2 s of heartbeats on one connection. Over that time two clocks that drift 50 ppm apart
/// move 160 us, less than the 2 ms wanted.
const SAMPLES: usize = 32;
/// A longer round trip is no sample: somebody's clock stepped in between.
const RTT_US_MAX: i64 = 10_000_000;
/// Clock reading and scheduling noise allowed before two samples count as contradicting.
const STEP_SLACK_US: i64 = 5_000;

/// One exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSample {
    /// Peer's clock minus ours, in microseconds.
    pub offset_us: i64,
    /// Round trip without the time the peer held the message, in microseconds.
    pub rtt_us: i64,
}

impl ClockSample {
    /// From a heartbeat that came at `arrived` (our wall clock): RFC 5905 section 8. `None` when it answers nothing,
    /// or its times make no sense.
    #[must_use]
    pub fn of(beat: &Heartbeat, arrived: NtpTime) -> Option<Self> {
        if beat.origin == NtpTime(0) {
            return None;
        }
        let out = beat.received.micros_since(beat.origin);
        let back = beat.sent.micros_since(arrived);
        let rtt_us = out.checked_sub(back)?;
        // Floored division by two of a sum that cannot overflow for clocks within 68 years.
        let offset_us = out.checked_add(back)? / 2;
        (0..=RTT_US_MAX).contains(&rtt_us).then_some(Self { offset_us, rtt_us })
    }
}

/// Keeps the best of the recent samples: the one with the shortest round trip, whose error is at most half of it.
#[derive(Debug, Default)]
pub struct ClockFilter {
    samples: VecDeque<ClockSample>,
}

impl ClockFilter {
    /// Takes one sample. One that contradicts the best (their error intervals do not meet) means that a clock
    /// stepped: everything before it is forgotten.
    pub fn add(&mut self, sample: ClockSample) {
        let stepped = self.best().is_some_and(|best| {
            let apart = best.offset_us.abs_diff(sample.offset_us);
            apart > ((best.rtt_us + sample.rtt_us) / 2 + STEP_SLACK_US) as u64
        });
        if stepped {
            self.samples.clear();
        }
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Forgets everything: our own clock stepped.
    pub fn reset(&mut self) {
        self.samples.clear();
    }

    /// The sample with the shortest round trip.
    #[must_use]
    pub fn best(&self) -> Option<ClockSample> {
        self.samples.iter().copied().min_by_key(|s| s.rtt_us)
    }

    /// A 24-bit send time of the peer, in our clock. It wraps every 64 s; what is meant is the moment nearest to now.
    #[must_use]
    pub fn to_local(&self, sent: u32, wall: NtpTime) -> Option<NtpTime> {
        let best = self.best()?;
        let peer_now = wall.plus_micros(best.offset_us);
        // Signed 24-bit distance, in units of 2^-18 s.
        let distance = (sent.wrapping_sub(peer_now.send_time_24()) << 8) as i32 >> 8;
        // The low 14 bits below the unit are kept from `peer_now`: an error under 4 us.
        let fixed = i64::from(distance) << 14;
        Some(NtpTime(peer_now.0.wrapping_add(fixed as u64)).plus_micros(-best.offset_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn start() -> NtpTime {
        NtpTime::from_unix(Duration::from_secs(1_790_000_000))
    }

    /// A heartbeat exchange: our clock shows `ours` when the first leaves, the peer's is `offset` ahead.
    fn exchange(
        ours: NtpTime,
        offset: i64,
        there: i64,
        held: i64,
        back: i64,
    ) -> Option<ClockSample> {
        let received = ours.plus_micros(there + offset);
        let beat = Heartbeat {
            origin: ours,
            received,
            sent: received.plus_micros(held),
            ..Heartbeat::default()
        };
        ClockSample::of(&beat, ours.plus_micros(there + held + back))
    }

    #[test]
    fn the_first_heartbeat_answers_nothing() {
        assert_eq!(ClockSample::of(&Heartbeat::default(), start()), None);
    }

    #[test]
    fn a_step_of_the_peer_is_followed_at_once() {
        let mut filter = ClockFilter::default();
        for _ in 0..10 {
            filter.add(exchange(start(), 3_000_000, 40_000, 50_000, 40_000).unwrap());
        }
        filter.add(exchange(start(), -500_000, 45_000, 50_000, 45_000).unwrap());
        assert!((filter.best().unwrap().offset_us + 500_000).abs() < 10);
    }

    proptest! {
        #[test]
        fn the_error_is_at_most_half_the_round_trip(
            offset in -60_000_000_i64..60_000_000, there in 0_i64..300_000, held in 0_i64..100_000, back in 0_i64..300_000,
        ) {
            let sample = exchange(start(), offset, there, held, back).unwrap();
            prop_assert!((sample.rtt_us - there - back).abs() <= 4);
            prop_assert!((sample.offset_us - offset).abs() <= sample.rtt_us / 2 + 4);
        }

        #[test]
        fn a_send_time_comes_back_in_our_clock(offset in -10_000_000_i64..10_000_000, age in 0_i64..5_000_000) {
            let mut filter = ClockFilter::default();
            filter.add(exchange(start(), offset, 1_000, 0, 1_000).unwrap());
            let sent = start().plus_micros(1_000_000 - age);
            let wire = sent.plus_micros(offset).send_time_24();
            let back = filter.to_local(wire, start().plus_micros(1_000_000)).unwrap();
            prop_assert!(back.micros_since(sent).abs() <= 16, "{}", back.micros_since(sent));
        }
    }
}
