//! The origin's election of the main speaker.
//!
//! ARCHITECTURE section 6: an incumbent silent for 300 ms gives way at once to whoever is loudest; one who still speaks gives
//! way to a challenger who has been louder for 2 s.

use super::digest::{CHANGE_EVERY, aged};
use super::loudness::SILENT_AFTER;
use arrayvec::ArrayVec;
use relay_proto::control::{Floor, SpeakerLevel};
use relay_proto::limits::{DIGEST_MAX, FLOOR_RECENT_MAX};
use relay_proto::{NodeId, Now, ParticipantId};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An incumbent silent for this long gives way at once.
pub const SILENCE: Duration = Duration::from_millis(300);
/// A challenger must have been louder than a speaking incumbent for this long.
pub const HOLD: Duration = Duration::from_secs(2);
/// Being less loud for up to this long does not interrupt a challenge: words have gaps.
pub const DIP: Duration = Duration::from_millis(300);
/// Speech needed before anybody takes the floor: a cough or a chair is shorter. Its end is only noticed 60 ms late: 180 +
/// 60 + 20 ms of digest pacing stay within the 300 ms that ARCHITECTURE section 6 allows from the onset of speech to the decision.
pub const SPEECH_MIN: Duration = Duration::from_millis(180);
const _: () = assert!(
    SPEECH_MIN.as_millis() + SILENT_AFTER.as_millis() + CHANGE_EVERY.as_millis()
        <= SILENCE.as_millis()
);
/// A digest counts for this long.
pub const DIGEST_AGES_AFTER: Duration = Duration::from_secs(1);
/// Somebody said to be speaking is taken to go on speaking for this long: two refreshes of a digest.
const PRESUMED_FOR: Duration = Duration::from_millis(200);
/// A new order of recent speakers alone is published at most this often.
pub const RECENT_EVERY: Duration = Duration::from_millis(200);
/// Digests come from heads, one a region; 256 is more than there are regions. Further ones are ignored.
const SOURCES_MAX: usize = 256;
/// Challenges followed at once: one of each voice that goes downstream.
const CHALLENGES_MAX: usize = 4;

/// What an edge or head said last.
#[derive(Clone, Debug)]
struct Heard {
    at: Instant,
    levels: ArrayVec<SpeakerLevel, DIGEST_MAX>,
}

/// Somebody who has been louder than the speaking incumbent.
#[derive(Clone, Copy, Debug)]
struct Challenge {
    by: ParticipantId,
    since: Instant,
    last: Instant,
}

/// A speaker as of this moment.
#[derive(Clone, Copy, Debug)]
struct Standing {
    level: SpeakerLevel,
    /// Beginning of the stretch of speech.
    since: Instant,
    /// From the first to the last loud packet of the stretch, as far as can be known.
    voiced: Duration,
}

/// The election of one meeting.
#[derive(Clone, Debug, Default)]
pub struct FloorElection {
    heard: BTreeMap<NodeId, Heard>,
    floor: Floor,
    /// When the incumbent was last known to speak.
    main_spoke: Option<Instant>,
    challenges: ArrayVec<Challenge, CHALLENGES_MAX>,
    /// When each recent speaker was last known to speak; a gap means that a new stretch of speech began.
    spoke: BTreeMap<ParticipantId, Instant>,
    /// The order of recent speakers changed and has not been published.
    unpublished: bool,
    published_at: Option<Instant>,
    evaluated_at: Option<Instant>,
}

impl FloorElection {
    /// Nobody has spoken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from a floor another origin published: the incumbent stays until the rules say otherwise.
    #[must_use]
    pub fn resume(now: Now, mut floor: Floor) -> Self {
        floor.recent.truncate(FLOOR_RECENT_MAX);
        let main_spoke = floor.main.map(|_| now.mono);
        Self { floor, main_spoke, ..Self::default() }
    }

    /// The floor as published last, or about to be.
    #[must_use]
    pub fn floor(&self) -> &Floor {
        &self.floor
    }

    /// A digest of an edge or head: replaces what it said before. Returns the new floor if it changed.
    #[must_use]
    pub fn digest(&mut self, now: Now, from: NodeId, digest: &[SpeakerLevel]) -> Option<Floor> {
        let levels: ArrayVec<SpeakerLevel, DIGEST_MAX> =
            digest.iter().take(DIGEST_MAX).copied().collect();
        // Somebody who moved to another edge is where they were heard last.
        for other in self.heard.values_mut() {
            other.levels.retain(|l| !levels.iter().any(|n| n.participant == l.participant));
        }
        if levels.is_empty() {
            self.heard.remove(&from);
        } else if self.heard.len() < SOURCES_MAX || self.heard.contains_key(&from) {
            self.heard.insert(from, Heard { at: now.mono, levels });
        }
        self.evaluate(now)
    }

    /// The link to an edge or head is gone: its voices are silent.
    #[must_use]
    pub fn forget_source(&mut self, now: Now, from: NodeId) -> Option<Floor> {
        if let Some(heard) = self.heard.remove(&from) {
            self.silence(&heard);
        }
        self.evaluate(now)
    }

    /// A participant left. The floor falls free if it was theirs.
    #[must_use]
    pub fn leave(&mut self, now: Now, who: ParticipantId) -> Option<Floor> {
        for heard in self.heard.values_mut() {
            heard.levels.retain(|l| l.participant != who);
        }
        self.spoke.remove(&who);
        self.challenges.retain(|c| c.by != who);
        let known = self.floor.recent.len();
        self.floor.recent.retain(|p| *p != who);
        self.unpublished |= self.floor.recent.len() < known;
        let vacated = self.floor.main == Some(who);
        if vacated {
            self.floor.main = None;
            self.main_spoke = None;
        }
        match self.evaluate(now) {
            None if vacated => Some(self.publish(now)),
            published => published,
        }
    }

    /// The deadline passed. Returns the new floor if it changed.
    #[must_use]
    pub fn on_deadline(&mut self, now: Now) -> Option<Floor> {
        self.evaluate(now)
    }

    /// When time alone may change the floor.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let evaluated = self.evaluated_at?;
        let speech = self.heard.values().flat_map(|h| {
            h.levels.iter().filter(|l| l.silent_ms == 0).map(|l| {
                (h.at + SPEECH_MIN + SILENT_AFTER).checked_sub(ms(l.speaking_ms)).unwrap_or(h.at)
            })
        });
        let ages = self.heard.values().map(|h| h.at + DIGEST_AGES_AFTER);
        let challenges = self.challenges.iter().map(|c| c.since + HOLD);
        let silence = self.main_spoke.map(|t| t + SILENCE);
        let recent = self.published_at.filter(|_| self.unpublished).map(|t| t + RECENT_EVERY);
        speech
            .chain(ages)
            .chain(challenges)
            .chain(silence)
            .chain(recent)
            .filter(|t| *t > evaluated)
            .min()
    }

    /// Applies the rules to what is known now.
    fn evaluate(&mut self, now: Now) -> Option<Floor> {
        self.evaluated_at = Some(now.mono);
        self.age(now);
        self.note_incumbent(now);
        self.note_recent(now);
        if let Some(next) = self.elect(now) {
            self.floor.main = Some(next.level.participant);
            self.main_spoke = None;
            self.challenges.clear();
            self.note_incumbent(now);
            return Some(self.publish(now));
        }
        let paced = self
            .published_at
            .is_none_or(|at| now.mono.saturating_duration_since(at) >= RECENT_EVERY);
        (self.unpublished && paced).then(|| self.publish(now))
    }

    /// Forgets digests that no longer count.
    fn age(&mut self, now: Now) {
        let old = |h: &Heard| now.mono.saturating_duration_since(h.at) >= DIGEST_AGES_AFTER;
        while let Some((from, _)) = self.heard.iter().find(|(_, h)| old(h)) {
            let from = *from;
            if let Some(heard) = self.heard.remove(&from) {
                self.silence(&heard);
            }
        }
    }

    /// An incumbent whose edge is no longer heard has been silent since its last digest.
    fn silence(&mut self, gone: &Heard) {
        if gone.levels.iter().any(|l| Some(l.participant) == self.floor.main) {
            self.main_spoke = gone.at.checked_sub(SILENCE);
        }
    }

    fn publish(&mut self, now: Now) -> Floor {
        self.floor.seq += 1;
        self.unpublished = false;
        self.published_at = Some(now.mono);
        self.floor.clone()
    }

    /// Who takes the main picture now, if anybody does.
    fn elect(&mut self, now: Now) -> Option<Standing> {
        let main = self.floor.main;
        let spoke = self.main_spoke.filter(|_| main.is_some());
        let silent = spoke.is_none_or(|t| now.mono.saturating_duration_since(t) >= SILENCE);
        if silent {
            self.challenges.clear();
            return self
                .candidates(now)
                .filter(|c| Some(c.level.participant) != main)
                .max_by_key(rank);
        }
        let bar = self.loudness_of(now, main?);
        self.note_challenges(now, bar);
        let won = |p: ParticipantId| {
            self.challenges.iter().any(|c| {
                c.by == p
                    && c.last == now.mono
                    && now.mono.saturating_duration_since(c.since) >= HOLD
            })
        };
        self.candidates(now).filter(|c| won(c.level.participant)).max_by_key(rank)
    }

    /// Keeps the list of those who are louder than the incumbent, whose loudness is `bar`.
    fn note_challenges(&mut self, now: Now, bar: u8) {
        let mut louder: ArrayVec<Standing, CHALLENGES_MAX> = ArrayVec::new();
        for c in self.standings(now).filter(|s| ms(s.level.silent_ms.into()) < SILENCE) {
            if Some(c.level.participant) != self.floor.main && c.level.loudness > bar {
                // More voices than the table holds: the origin only elects among the loudest anyway.
                let _ = louder.try_push(c);
            }
        }
        self.challenges.retain(|c| now.mono.saturating_duration_since(c.last) <= DIP);
        for standing in louder {
            let by = standing.level.participant;
            if let Some(known) = self.challenges.iter_mut().find(|c| c.by == by) {
                known.last = now.mono;
            } else {
                let _ = self.challenges.try_push(Challenge { by, since: now.mono, last: now.mono });
            }
        }
    }

    /// Everybody with enough speech behind them who has not paused for 300 ms.
    fn candidates(&self, now: Now) -> impl Iterator<Item = Standing> + '_ {
        self.standings(now)
            .filter(|s| s.voiced >= SPEECH_MIN && ms(u32::from(s.level.silent_ms)) < SILENCE)
    }

    /// Everybody in a digest that still counts, as of now.
    fn standings(&self, now: Now) -> impl Iterator<Item = Standing> + '_ {
        self.heard.values().flat_map(move |h| {
            let age = now.mono.saturating_duration_since(h.at);
            h.levels.iter().map(move |said| {
                let level = aged(*said, age);
                let silence = ms(u32::from(level.silent_ms));
                let unheard = if said.silent_ms == 0 {
                    SILENT_AFTER + age.saturating_sub(PRESUMED_FOR)
                } else {
                    silence
                };
                Standing {
                    level,
                    since: h.at.checked_sub(ms(said.speaking_ms)).unwrap_or(h.at),
                    voiced: ms(level.speaking_ms).saturating_sub(unheard),
                }
            })
        })
    }

    fn loudness_of(&self, now: Now, who: ParticipantId) -> u8 {
        self.standings(now).find(|s| s.level.participant == who).map_or(0, |s| s.level.loudness)
    }

    /// Notes when the incumbent was last known to speak.
    fn note_incumbent(&mut self, now: Now) {
        let Some(main) = self.floor.main else { return };
        let standing = self.standings(now).find(|s| s.level.participant == main);
        if let Some(standing) = standing {
            let spoke = now.mono.checked_sub(ms(u32::from(standing.level.silent_ms)));
            // In a digest that ended its silence is measured from the last word known, so never backwards.
            self.main_spoke = self.main_spoke.max(spoke);
        }
    }

    /// Brings whoever began to speak to the front of the recent speakers.
    fn note_recent(&mut self, now: Now) {
        let mut began: ArrayVec<(Instant, ParticipantId), FLOOR_RECENT_MAX> = ArrayVec::new();
        for s in self.candidates(now) {
            let who = s.level.participant;
            let spoke_before = self.spoke.get(&who);
            let anew =
                spoke_before.is_none_or(|t| now.mono.saturating_duration_since(*t) > SILENCE + DIP);
            if anew {
                let _ = began.try_push((s.since, who));
            }
        }
        let speaking: ArrayVec<ParticipantId, FLOOR_RECENT_MAX> =
            self.candidates(now).map(|s| s.level.participant).take(FLOOR_RECENT_MAX).collect();
        began.sort_unstable();
        for (_, who) in began {
            if self.floor.recent.first() == Some(&who) {
                continue;
            }
            self.floor.recent.retain(|p| *p != who);
            self.floor.recent.insert(0, who);
            self.unpublished = true;
        }
        while self.floor.recent.len() > FLOOR_RECENT_MAX {
            // The main speaker stays in the list, however long ago they began.
            let last = self.floor.recent.len() - 1;
            let main_is_last = self.floor.recent.last() == self.floor.main.as_ref();
            self.floor.recent.remove(if main_is_last { last - 1 } else { last });
        }
        for who in speaking {
            self.spoke.insert(who, now.mono);
        }
        self.spoke.retain(|_, t| now.mono.saturating_duration_since(*t) <= DIGEST_AGES_AFTER);
    }
}

/// Loudest first; among equals who spoke for longer, then the lower id: the same everywhere.
fn rank(s: &Standing) -> (u8, u32, std::cmp::Reverse<ParticipantId>) {
    (s.level.loudness, s.level.speaking_ms, std::cmp::Reverse(s.level.participant))
}

fn ms(n: u32) -> Duration {
    Duration::from_millis(n.into())
}

#[cfg(test)]
#[path = "floor_tests.rs"]
mod tests;
