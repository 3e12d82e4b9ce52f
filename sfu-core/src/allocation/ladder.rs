//! The bandwidth ladder: which encoding of the main picture a downlink carries.
//!
//! Down at once, up only after the share has lasted.

use relay_proto::{Encoding, Now};
use std::time::{Duration, Instant};

/// Below this in all, only audio.
pub const AUDIO_ONLY_BPS: u64 = 200_000;
/// The main picture's share from which h is sent.
pub const H_FROM_BPS: u64 = 600_000;
/// The main picture's share above which f is sent.
pub const F_ABOVE_BPS: u64 = 2_000_000;
/// A better rung must have been deserved for this long.
pub const UP_AFTER: Duration = Duration::from_secs(5);

/// A step of the ladder, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rung {
    /// No picture at all.
    AudioOnly = 0,
    /// 180p.
    Q = 1,
    /// 360p.
    H = 2,
    /// 720p.
    F = 3,
}

impl Rung {
    const ALL: [Self; 4] = [Self::AudioOnly, Self::Q, Self::H, Self::F];

    /// The encoding of the main picture on this rung.
    #[must_use]
    pub fn encoding(self) -> Option<Encoding> {
        match self {
            Self::AudioOnly => None,
            Self::Q => Some(Encoding::Q),
            Self::H => Some(Encoding::H),
            Self::F => Some(Encoding::F),
        }
    }

    /// The rung that these rates deserve, without regard to what was.
    #[must_use]
    pub fn deserved(total_bps: u64, main_share_bps: u64) -> Self {
        if total_bps < AUDIO_ONLY_BPS {
            Self::AudioOnly
        } else if main_share_bps > F_ABOVE_BPS {
            Self::F
        } else if main_share_bps >= H_FROM_BPS {
            Self::H
        } else {
            Self::Q
        }
    }
}

/// The ladder of one viewer.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    rung: Option<Rung>,
    /// Since when each rung above the current one has been deserved without a break.
    deserved_since: [Option<Instant>; Rung::ALL.len()],
}

impl Ladder {
    /// Before the first estimate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a new estimate: of the whole downlink, and of the main picture's share after voices (and screen), bit/s.
    /// The first one decides at once. Also to be called at the deadline, with the estimate of then.
    pub fn update(&mut self, now: Now, total_bps: u64, main_share_bps: u64) -> Rung {
        let deserved = Rung::deserved(total_bps, main_share_bps);
        let Some(current) = self.rung else {
            self.rung = Some(deserved);
            return deserved;
        };
        let mut reached = current.min(deserved);
        for rung in Rung::ALL {
            let since = &mut self.deserved_since[rung as usize];
            if rung <= reached || rung > deserved {
                *since = None;
                continue;
            }
            let since = *since.get_or_insert(now.mono);
            if now.mono.saturating_duration_since(since) >= UP_AFTER {
                reached = rung;
            }
        }
        self.rung = Some(reached);
        reached
    }

    /// The rung in force; `None` before the first estimate.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        self.rung
    }

    /// When a better rung will have been deserved for long enough, if nothing gets worse.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let above = |r: &Rung| Some(*r) > self.rung;
        Rung::ALL
            .iter()
            .filter(|r| above(r))
            .filter_map(|r| self.deserved_since[*r as usize])
            .min()
            .map(|t| t + UP_AFTER)
    }
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
