//! The ranking of speakers that an edge reports towards the origin.

use super::loudness::{Loudness, PAUSE, SILENT_AFTER, WINDOW};
use arrayvec::ArrayVec;
use relay_proto::control::SpeakerLevel;
use relay_proto::limits::DIGEST_MAX;
use relay_proto::{NodeId, Now, ParticipantId};
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// Changes are looked for, and sent, at most this often.
pub const CHANGE_EVERY: Duration = Duration::from_millis(20);
/// While anybody is in the ranking it is repeated this often: 10 Hz.
pub const REFRESH_EVERY: Duration = Duration::from_millis(100);
/// An empty ranking is repeated this often: it says that the sender lives, nothing else.
pub const REFRESH_EMPTY_EVERY: Duration = Duration::from_secs(5);
/// A voice silent for this long leaves the ranking: the floor asks for 300 ms, the rest is for pauses.
pub const LEAVES_AFTER: Duration = Duration::from_secs(1);
/// A child's digest counts for this long.
pub const CHILD_AGES_AFTER: Duration = Duration::from_secs(1);
/// Voices followed at once: four times what a digest holds. Beyond that the quietest is forgotten until it is loud again.
const FOLLOWED_MAX: usize = 4 * DIGEST_MAX;

/// What is known about a voice.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// Of a local microphone, as of its newest packet.
    Local(Loudness),
    /// Said by a child.
    Child { from: NodeId, at: Instant, level: SpeakerLevel },
}

/// A voice that spoke within the last second.
#[derive(Clone, Copy, Debug)]
struct Voice {
    who: ParticipantId,
    standing: Standing,
}

/// An entry of a ranking as far as a change of it is a reason to send.
type Rank = (ParticipantId, bool);

impl Voice {
    /// What a digest says of the voice now; `None` when it has left the ranking.
    fn level(&self, now: Now) -> Option<SpeakerLevel> {
        let level = match &self.standing {
            Standing::Local(voice) => {
                let silent = voice.silent_for(now);
                SpeakerLevel {
                    participant: self.who,
                    loudness: voice.value(now),
                    silent_ms: u16::try_from(silent.as_millis()).unwrap_or(u16::MAX),
                    speaking_ms: u32::try_from(voice.speaking_for(now).as_millis())
                        .unwrap_or(u32::MAX),
                }
            }
            Standing::Child { at, level, .. } => {
                let age = now.mono.saturating_duration_since(*at);
                if age >= CHILD_AGES_AFTER {
                    return None;
                }
                aged(*level, age)
            }
        };
        (Duration::from_millis(level.silent_ms.into()) < LEAVES_AFTER).then_some(level)
    }

    /// When, after `after`, the voice's entry changes by itself: it falls silent, or leaves.
    fn turns_at(&self, after: Instant) -> Option<Instant> {
        let (silent, leaves) = match &self.standing {
            Standing::Local(voice) => {
                let silent = voice.silent_at()?;
                (silent, silent + (LEAVES_AFTER - SILENT_AFTER))
            }
            Standing::Child { at, level, .. } => {
                let silent = Duration::from_millis(level.silent_ms.into());
                let ages = *at + CHILD_AGES_AFTER;
                let leaves = *at + LEAVES_AFTER.saturating_sub(silent);
                (ages, if silent.is_zero() { ages } else { leaves.min(ages) })
            }
        };
        Some(if silent > after { silent.min(leaves) } else { leaves })
    }
}

/// `level`, as it stands `age` after it was said, if nothing has changed since.
#[must_use]
pub(super) fn aged(level: SpeakerLevel, age: Duration) -> SpeakerLevel {
    let ms = u32::try_from(age.as_millis()).unwrap_or(u32::MAX);
    let mut now = level;
    if level.speaking_ms > 0 || level.silent_ms == 0 {
        now.speaking_ms = level.speaking_ms.saturating_add(ms);
    }
    if level.silent_ms > 0 {
        now.silent_ms =
            u16::try_from(u32::from(level.silent_ms) + ms.min(60_000)).unwrap_or(u16::MAX);
        // The window slides over the end of speech: its mean falls in proportion.
        let left = (WINDOW.as_millis() as u32).saturating_sub(level.silent_ms.into());
        let rest = u32::from(level.loudness) * left.saturating_sub(ms);
        now.loudness = rest.checked_div(left).unwrap_or(0) as u8;
        if Duration::from_millis(now.silent_ms.into()) > PAUSE {
            now.speaking_ms = 0;
            now.loudness = 0;
        }
    }
    now
}

/// Makes the digests of one meeting at one edge or head.
///
/// Fed with each local microphone packet and with the digests of children (a head has some); polled for what to send.
#[derive(Clone, Debug, Default)]
pub struct DigestSource {
    voices: ArrayVec<Voice, FOLLOWED_MAX>,
    /// The ranking sent last.
    sent: ArrayVec<Rank, DIGEST_MAX>,
    sent_at: Option<Instant>,
    /// When the ranking was last looked at.
    looked_at: Option<Instant>,
    /// Something was heard since.
    heard: bool,
}

impl DigestSource {
    /// Nobody has been heard.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A packet of a local microphone was counted into `voice`. Costs a walk over at most 16 entries.
    pub fn local(&mut self, now: Now, who: ParticipantId, voice: &Loudness) {
        let standing = Standing::Local(*voice);
        if let Some(known) = self.voices.iter_mut().find(|v| v.who == who) {
            known.standing = standing;
        } else if !voice.is_speaking(now) || !self.follow(now, Voice { who, standing }) {
            return;
        }
        self.heard = true;
    }

    /// A child's digest: replaces what it said before.
    pub fn child(&mut self, now: Now, from: NodeId, digest: &[SpeakerLevel]) {
        self.forget_child(from);
        for level in digest.iter().take(DIGEST_MAX) {
            self.voices.retain(|v| v.who != level.participant);
            let standing = Standing::Child { from, at: now.mono, level: *level };
            self.follow(now, Voice { who: level.participant, standing });
        }
    }

    /// A child is gone.
    pub fn forget_child(&mut self, child: NodeId) {
        self.voices
            .retain(|v| !matches!(v.standing, Standing::Child { from, .. } if from == child));
        self.heard = true;
    }

    /// A local participant is gone, or muted.
    pub fn forget(&mut self, who: ParticipantId) {
        self.voices.retain(|v| v.who != who);
        self.heard = true;
    }

    /// Takes a voice in, in place of the quietest if need be; `false` if it is itself the quietest.
    fn follow(&mut self, now: Now, voice: Voice) -> bool {
        let Err(full) = self.voices.try_push(voice) else {
            return true;
        };
        let new = full.element();
        let loudness = |v: &Voice| v.level(now).map_or(0, |l| l.loudness);
        match self.voices.iter_mut().min_by_key(|v| loudness(v)) {
            Some(quietest) if loudness(quietest) < loudness(&new) => {
                *quietest = new;
                true
            }
            _ => false,
        }
    }

    /// What to send upstream now, loudest first; `None` when there is nothing to say. An empty digest says that
    /// everybody named before is silent.
    pub fn poll(&mut self, now: Now) -> Option<Vec<SpeakerLevel>> {
        if self.deadline().is_none_or(|at| now.mono < at) {
            return None;
        }
        self.looked_at = Some(now.mono);
        self.heard = false;
        self.voices.retain(|v| v.level(now).is_some());
        let mut levels: ArrayVec<SpeakerLevel, FOLLOWED_MAX> =
            self.voices.iter().filter_map(|v| v.level(now)).collect();
        levels.sort_unstable_by_key(|l| (l.silent_ms, Reverse(l.loudness), l.participant));
        levels.truncate(DIGEST_MAX);
        let ranking: ArrayVec<Rank, DIGEST_MAX> =
            levels.iter().map(|l| (l.participant, l.silent_ms == 0)).collect();
        if ranking == self.sent && self.refresh_at().is_none_or(|at| now.mono < at) {
            return None;
        }
        self.sent = ranking;
        self.sent_at = Some(now.mono);
        Some(levels.to_vec())
    }

    /// When the ranking sent last is to be repeated.
    fn refresh_at(&self) -> Option<Instant> {
        let every = if self.sent.is_empty() { REFRESH_EMPTY_EVERY } else { REFRESH_EVERY };
        self.sent_at.map(|at| at + every)
    }

    /// When [`DigestSource::poll`] is due. May be in the past: then it is due now.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        // Without a look so far everything is due at once, and nothing is known of the time: the first packet polls.
        let Some(looked) = self.looked_at else {
            return self.voices.iter().filter_map(Voice::began).min();
        };
        let next_look = looked + CHANGE_EVERY;
        let turn = self.voices.iter().filter_map(|v| v.turns_at(looked)).min();
        let change = if self.heard { Some(next_look) } else { turn.map(|t| t.max(next_look)) };
        change.into_iter().chain(self.refresh_at()).min()
    }
}

impl Voice {
    /// A moment not after the voice was first heard of.
    fn began(&self) -> Option<Instant> {
        match &self.standing {
            Standing::Local(voice) => voice.silent_at().map(|t| t - SILENT_AFTER),
            Standing::Child { at, .. } => Some(*at),
        }
    }
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
