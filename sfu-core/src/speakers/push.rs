//! When the ingress edge sends somebody's picture ahead of the decision.

use super::loudness::Loudness;
use relay_proto::Now;
use std::time::{Duration, Instant};

/// Speech before the lowest encoding is pushed.
pub const PUSH_AFTER: Duration = Duration::from_millis(100);
/// A push nobody asked for meanwhile is withdrawn.
pub const PUSH_FOR: Duration = Duration::from_secs(2);

/// What to do with the lowest encoding of a participant's camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Send its cached key frame and stream upward, unasked.
    Start,
    /// Stop, unless it has been asked for meanwhile.
    Stop,
}

/// One local participant's push: once a stretch of speech.
#[derive(Clone, Copy, Debug, Default)]
pub struct PushTimer {
    /// Beginning of the stretch of speech that was acted on.
    spurt: Option<Instant>,
    /// Running push, and its end.
    until: Option<Instant>,
}

impl PushTimer {
    /// Nothing pushed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// To be called with each packet of the voice and at the deadline. `crossing`: some encoding of the
    /// camera is asked for by the node upstream already; then nothing is pushed, and a running push passes into the demand.
    pub fn poll(&mut self, now: Now, voice: &Loudness, crossing: bool) -> Option<Push> {
        if crossing {
            self.until = None;
            self.spurt = voice.speaking_since(now).or(self.spurt);
            return None;
        }
        if let Some(until) = self.until {
            if now.mono < until {
                return None;
            }
            self.until = None;
            return Some(Push::Stop);
        }
        let since = voice.speaking_since(now)?;
        if self.spurt == Some(since) {
            return None;
        }
        // Counted from loud packet to loud packet: a click never gets there, and no timer is needed.
        if voice.voiced_for(now) < PUSH_AFTER {
            return None;
        }
        self.spurt = Some(since);
        self.until = Some(now.mono + PUSH_FOR);
        Some(Push::Start)
    }

    /// Whether a push runs.
    #[must_use]
    pub fn is_pushing(&self) -> bool {
        self.until.is_some()
    }

    /// When [`PushTimer::poll`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.until
    }
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
