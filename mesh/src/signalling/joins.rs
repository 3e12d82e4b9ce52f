//! How many joins a meeting may make an edge work on: a flooded meeting does not disturb its neighbours.

use relay_proto::MeetingId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Joins of one meeting at one edge, at once: a quarter of 1,000 people who come in the same second, and some who come again.
const BURST: f64 = 300.0;
/// And a second: at 1 ms of CPU each they cost a twentieth of the shard's core.
const PER_SECOND: f64 = 50.0;
/// Meetings that are remembered: 4,096 x 64 bytes. A meeting that nobody joins for [`BURST`] / [`PER_SECOND`] is forgotten.
const MEETINGS_MAX: usize = 4_096;
/// Who is refused comes back after this at the earliest and at the latest.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// What one meeting has left.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: f64,
    /// Refused ones who will be back, as far as is known.
    away: f64,
    at: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { level: BURST, away: 0.0, at: now }
    }

    fn refill(&mut self, now: Instant) {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.level = (self.level + earned).min(BURST);
        self.away = (self.away - earned).max(0.0);
        self.at = now;
    }

    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        // Each is told a later time, so that they do not come back together.
        self.away += 1.0;
        let wait = Duration::from_secs_f64((self.away / PER_SECOND).min(RETRY.1.as_secs_f64()));
        Err(wait.max(RETRY.0))
    }
}

/// The joins of all meetings at one edge.
#[derive(Debug, Default)]
pub struct JoinGate(Mutex<HashMap<MeetingId, Bucket>>);

impl JoinGate {
    /// Whether a join may go on; `Err`: when to try again.
    ///
    /// # Errors
    /// The meeting has had its share.
    pub fn take(&self, meeting: MeetingId, now: Instant) -> Result<(), Duration> {
        let mut meetings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if meetings.len() >= MEETINGS_MAX && !meetings.contains_key(&meeting) {
            meetings.retain(|_, bucket| {
                bucket.refill(now);
                bucket.level < BURST
            });
            if meetings.len() >= MEETINGS_MAX {
                return Err(RETRY.1);
            }
        }
        meetings.entry(meeting).or_insert_with(|| Bucket::new(now)).take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(gate: &JoinGate, meeting: u64, now: Instant, times: usize) -> usize {
        (0..times).filter(|_| gate.take(MeetingId(meeting), now).is_ok()).count()
    }

    #[test]
    fn a_meeting_has_a_burst_and_a_rate_and_its_neighbour_the_same() {
        let (gate, t) = (JoinGate::default(), Instant::now());
        assert_eq!(taken(&gate, 1, t, 1_000), 300);
        assert_eq!(taken(&gate, 2, t, 250), 250);
        assert_eq!(taken(&gate, 1, t + Duration::from_secs(1), 100), 50);
        assert_eq!(taken(&gate, 1, t + Duration::from_secs(60), 1_000), 300);
    }

    #[test]
    fn who_is_refused_is_told_a_time_and_the_next_one_a_later_one() {
        let (gate, t) = (JoinGate::default(), Instant::now());
        taken(&gate, 1, t, 300);
        let waits: Vec<Duration> =
            (0..1_000).map(|_| gate.take(MeetingId(1), t).unwrap_err()).collect();
        assert!(waits.is_sorted());
        assert_eq!((waits[0], waits[99], waits[999]), (RETRY.0, Duration::from_secs(2), RETRY.1));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_quiet_ones() {
        let (gate, t) = (JoinGate::default(), Instant::now());
        for meeting in 0..MEETINGS_MAX as u64 {
            assert_eq!(taken(&gate, meeting, t, 1), 1);
        }
        assert_eq!(taken(&gate, 9_999, t, 1), 0, "all of them have just been joined");
        assert_eq!(taken(&gate, 9_999, t + Duration::from_secs(1), 1), 1);
        assert_eq!(gate.0.lock().unwrap().len(), 1);
    }
}
