//! Merges the key-frame requests for one encoding.

use std::time::{Duration, Instant};

/// Least time between two requests for one encoding.
pub const REQUEST_INTERVAL_MIN: Duration = Duration::from_millis(300);

/// One encoding's requests: at most one in max(RTT, 300 ms).
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyframeArbiter {
    sent: Option<Instant>,
    pending: bool,
}

impl KeyframeArbiter {
    /// Nothing asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Somebody needs a key frame. Answers whether to send the request on now; if not, it is remembered and
    /// [`Self::deadline`] says when to call [`Self::poll`].
    pub fn request(&mut self, now: Instant, rtt: Duration) -> bool {
        let interval = rtt.max(REQUEST_INTERVAL_MIN);
        if self.sent.is_some_and(|sent| now < sent + interval) {
            self.pending = true;
            return false;
        }
        self.sent = Some(now);
        self.pending = false;
        true
    }

    /// A key frame began to arrive: whoever waited has it.
    pub fn on_keyframe(&mut self) {
        self.pending = false;
    }

    /// When a remembered request may go.
    #[must_use]
    pub fn deadline(&self, rtt: Duration) -> Option<Instant> {
        self.sent.filter(|_| self.pending).map(|sent| sent + rtt.max(REQUEST_INTERVAL_MIN))
    }

    /// Answers whether to send a remembered request now.
    pub fn poll(&mut self, now: Instant, rtt: Duration) -> bool {
        self.pending && self.request(now, rtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_many_viewers_become_one_in_300_ms() {
        let (mut arbiter, t) = (KeyframeArbiter::new(), Instant::now());
        let rtt = Duration::from_millis(40);
        assert!(arbiter.request(t, rtt));
        assert!((1..300).all(|ms| !arbiter.request(t + Duration::from_millis(ms), rtt)));
        assert_eq!(arbiter.deadline(rtt), Some(t + REQUEST_INTERVAL_MIN));
        assert!(arbiter.poll(t + REQUEST_INTERVAL_MIN, rtt), "one was remembered");
        assert_eq!(arbiter.deadline(rtt), None);
    }

    #[test]
    fn a_long_round_trip_is_waited_for() {
        let (mut arbiter, t) = (KeyframeArbiter::new(), Instant::now());
        let rtt = Duration::from_millis(500);
        assert!(arbiter.request(t, rtt));
        assert!(!arbiter.request(t + REQUEST_INTERVAL_MIN, rtt));
        assert!(arbiter.request(t + rtt, rtt));
    }

    #[test]
    fn a_key_frame_answers_what_was_remembered() {
        let (mut arbiter, t) = (KeyframeArbiter::new(), Instant::now());
        arbiter.request(t, Duration::ZERO);
        arbiter.request(t, Duration::ZERO);
        arbiter.on_keyframe();
        assert_eq!(arbiter.deadline(Duration::ZERO), None);
        assert!(!arbiter.poll(t + REQUEST_INTERVAL_MIN, Duration::ZERO));
    }
}
