//! Which voices pass: a few places, taken by the first loud packet, kept while speaking and a little longer.

use super::loudness::SILENT_AFTER;
use arrayvec::ArrayVec;
use relay_proto::{Now, ParticipantId};
use std::time::{Duration, Instant};

/// A place is kept this long after the last loud packet: word ends and short pauses pass uncut.
pub const HANGOVER: Duration = Duration::from_millis(300);
/// A challenger must be this much louder than the quietest voice: 6 dB.
pub const MARGIN: u8 = 6;
/// ... for this long.
pub const CHALLENGE: Duration = Duration::from_millis(100);
/// A place is not challenged before the 300 ms window behind its loudness has filled.
pub const TENURE: Duration = Duration::from_millis(300);
/// Voices that may challenge at once; further ones wait for a free entry.
const CHALLENGERS_MAX: usize = 4;
/// Voices a participant hears at once: 3 audio slots.
pub const VOICES_PER_PEER: usize = 3;

/// What becomes of a voice packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<V> {
    /// Forward: the voice has a place.
    Pass,
    /// Forward: the voice has just taken a place, or moved up from the reserve into the first three: listeners'
    /// slots are to be picked anew, from this packet on.
    PassNew {
        /// Whose place it was, if it was not free.
        replaced: Option<V>,
    },
    /// Drop (`DropReason::NotElected`).
    NotElected,
}

impl<V> Verdict<V> {
    /// Whether the packet is forwarded.
    #[must_use]
    pub fn passes(&self) -> bool {
        !matches!(self, Self::NotElected)
    }
}

/// A voice that passes.
#[derive(Clone, Copy, Debug)]
struct Place<V> {
    voice: V,
    loudness: u8,
    taken: Instant,
    last_loud: Instant,
}

impl<V> Place<V> {
    fn silent(&self, now: Now) -> bool {
        now.mono.saturating_duration_since(self.last_loud) >= SILENT_AFTER
    }
}

/// A voice that has been louder than somebody with a better place.
#[derive(Clone, Copy, Debug)]
struct Challenger<V> {
    voice: V,
    since: Instant,
    last: Instant,
}

/// `K` places for voices. `V` names a voice: a `ParticipantId` or `TrackId`.
///
/// Places are ranked: a voice moves before another only by the rule by which it would take its place, so the first
/// three of [`VoiceGate::members`] change as seldom as the members do.
#[derive(Clone, Debug)]
pub struct VoiceGate<V, const K: usize> {
    places: ArrayVec<Place<V>, K>,
    challengers: ArrayVec<Challenger<V>, CHALLENGERS_MAX>,
}

impl<V: Copy + Eq, const K: usize> Default for VoiceGate<V, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Copy + Eq, const K: usize> VoiceGate<V, K> {
    /// All places free.
    #[must_use]
    pub const fn new() -> Self {
        Self { places: ArrayVec::new_const(), challengers: ArrayVec::new_const() }
    }

    /// Judges one packet of `voice`: `loud` as [`super::Loudness::packet`] said, `loudness` as
    /// [`super::Loudness::value`] says after it.
    ///
    /// A loud packet takes a free place, or that of a voice silent for 60 ms, at once; else it must have been 6 dB louder
    /// than the quietest for 100 ms. A quiet packet passes while its voice holds a place, and keeps nobody in.
    pub fn admit(&mut self, now: Now, voice: V, loud: bool, loudness: u8) -> Verdict<V> {
        if let Some(at) = self.places.iter().position(|p| p.voice == voice) {
            return self.hold(now, at, loud, loudness);
        }
        if !loud || K == 0 {
            return Verdict::NotElected;
        }
        let place = Place { voice, loudness, taken: now.mono, last_loud: now.mono };
        if !self.places.is_full() {
            self.places.push(place);
            self.raise(now, self.places.len() - 1);
            return Verdict::PassNew { replaced: None };
        }
        let Some(at) = self.yielding(now, voice, loudness, K) else {
            return Verdict::NotElected;
        };
        let replaced = std::mem::replace(&mut self.places[at], place).voice;
        self.forget_challenge(voice);
        self.raise(now, at);
        Verdict::PassNew { replaced: Some(replaced) }
    }

    /// A packet of a voice that has a place.
    fn hold(&mut self, now: Now, at: usize, loud: bool, loudness: u8) -> Verdict<V> {
        let place = &mut self.places[at];
        if loud {
            place.last_loud = now.mono;
            place.loudness = loudness;
            let moved_up = self.raise(now, at);
            return if moved_up { Verdict::PassNew { replaced: None } } else { Verdict::Pass };
        }
        place.loudness = loudness;
        if now.mono.saturating_duration_since(place.last_loud) < HANGOVER {
            Verdict::Pass
        } else {
            Verdict::NotElected // `expire` is due and frees the place
        }
    }

    /// Moves a reserve voice (place 4) among the three that everybody hears, if it may. Returns whether it did.
    fn raise(&mut self, now: Now, at: usize) -> bool {
        if at < VOICES_PER_PEER {
            return false;
        }
        let Place { voice, loudness, .. } = self.places[at];
        let Some(to) = self.yielding(now, voice, loudness, VOICES_PER_PEER) else {
            return false;
        };
        self.places.swap(at, to);
        self.forget_challenge(voice);
        true
    }

    /// The place among the first `among` that gives way to `voice` now, if one does.
    fn yielding(&mut self, now: Now, voice: V, loudness: u8, among: usize) -> Option<usize> {
        let places = self.places.iter().enumerate().take(among);
        let longest_silent =
            places.clone().filter(|(_, p)| p.silent(now)).min_by_key(|(_, p)| p.last_loud);
        if let Some((at, _)) = longest_silent {
            return Some(at);
        }
        let settled = |p: &Place<V>| now.mono.saturating_duration_since(p.taken) >= TENURE;
        let quietest = places.filter(|(_, p)| settled(p)).min_by_key(|(_, p)| p.loudness);
        match quietest {
            Some((at, p)) if loudness >= p.loudness.saturating_add(MARGIN) => {
                self.challenge_won(now, voice).then_some(at)
            }
            _ => {
                self.forget_challenge(voice);
                None
            }
        }
    }

    /// Notes that `voice` is louder by the margin; whether it has been for long enough.
    fn challenge_won(&mut self, now: Now, voice: V) -> bool {
        let fresh = |c: &Challenger<V>| now.mono.saturating_duration_since(c.last) < SILENT_AFTER;
        self.challengers.retain(|c| fresh(c));
        if let Some(c) = self.challengers.iter_mut().find(|c| c.voice == voice) {
            c.last = now.mono;
            return now.mono.saturating_duration_since(c.since) >= CHALLENGE;
        }
        // A full table only makes this one wait until an entry is free again.
        let _ = self.challengers.try_push(Challenger { voice, since: now.mono, last: now.mono });
        false
    }

    fn forget_challenge(&mut self, voice: V) {
        self.challengers.retain(|c| c.voice != voice);
    }

    /// Frees the places of voices that have been silent for the hangover; says whose they were.
    pub fn expire(&mut self, now: Now) -> ArrayVec<V, K> {
        let mut freed = ArrayVec::new();
        self.places.retain(|p| {
            let kept = now.mono.saturating_duration_since(p.last_loud) < HANGOVER;
            if !kept {
                freed.push(p.voice);
            }
            kept
        });
        freed
    }

    /// Forgets a voice: muted, or gone. Returns whether it had a place.
    pub fn remove(&mut self, voice: V) -> bool {
        self.forget_challenge(voice);
        let before = self.places.len();
        self.places.retain(|p| p.voice != voice);
        self.places.len() < before
    }

    /// When [`VoiceGate::expire`] has something to free, unless a loud packet comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.places.iter().map(|p| p.last_loud + HANGOVER).min()
    }

    /// Whether `voice` has a place.
    #[must_use]
    pub fn has(&self, voice: V) -> bool {
        self.places.iter().any(|p| p.voice == voice)
    }

    /// The voices that pass, in rank order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = V> + '_ {
        self.places.iter().map(|p| p.voice)
    }
}

/// Gives a listener's audio slots, at most [`VOICES_PER_PEER`], to as many of `places` (rank order) that are not the
/// listener's own voice.
///
/// A voice that has a slot keeps it; others go to free slots in rank order. Returns whether a slot changed.
pub fn pick_for_listener(
    places: &[ParticipantId],
    own: ParticipantId,
    slots: &mut [Option<ParticipantId>],
) -> bool {
    let wanted: ArrayVec<ParticipantId, VOICES_PER_PEER> = places
        .iter()
        .copied()
        .filter(|p| *p != own)
        .take(slots.len().min(VOICES_PER_PEER))
        .collect();
    let mut changed = false;
    for slot in slots.iter_mut() {
        let kept = slot.filter(|p| wanted.contains(p));
        changed |= std::mem::replace(slot, kept) != kept;
    }
    for voice in wanted {
        if slots.contains(&Some(voice)) {
            continue;
        }
        if let Some(free) = slots.iter_mut().find(|s| s.is_none()) {
            *free = Some(voice);
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
#[path = "voices_tests.rs"]
mod tests;
