//! What stands in a viewer's video slots.
//!
//! Rules, in this order:
//! - Nobody sees themselves. Audio first: three voices are always reserved. Below 200 kbit/s in all nothing is shown.
//! - The screen slot holds the newest share (or the one the host pinned), in the best encoding that leaves the main picture
//!   its lowest.
//! - The main slot holds the pin, else the floor's main speaker; while that is the viewer, or nobody, whoever was there
//!   stays, else the most recent speaker, else the first to have joined with a camera. A speaker without a camera
//!   is named there, without a picture.
//! - The strip holds the most recent speakers, then the others in order of joining, at their lowest encoding. Whoever is in
//!   the main slot gives the strip slot up to the next in line. Whoever stays in the strip stays in the same slot.
//! - When the rate does not suffice, strip pictures go one by one, the least recent first; they come back after 2 s.

use super::ladder::{AUDIO_ONLY_BPS, Ladder, Rung};
use arrayvec::ArrayVec;
use relay_proto::control::Floor;
use relay_proto::{Encoding, EncodingSet, Now, ParticipantId};
use std::time::{Duration, Instant};

/// Strip slots at most: a gallery of 25.
pub const STRIP_MAX: usize = 25;
/// Strip slots by default.
pub const STRIP_DEFAULT: usize = 12;
/// Three voices at Opus' upper rate are served before any picture: 3 x 50 kbit/s.
pub const VOICES_BPS: u64 = 3 * 50_000;
/// What a q encoding needs.
pub const Q_BPS: u64 = 150_000;
/// The strip and the screen get better only when the rate has lasted for this long.
pub const STRIP_UP_AFTER: Duration = Duration::from_secs(2);
/// Nominal needs of q, h and f, for encodings whose rate is not known.
const NOMINAL_BPS: [u32; Encoding::MAX_PER_TRACK] = [150_000, 550_000, 1_500_000];
/// A source whose lowest encoding is too large for its share is shown up to this factor: an estimate at the start of a
/// meeting is often too low, but ten times as much as fits would drown the voices.
const OVERSHOOT_MAX: u64 = 2;

/// The encodings of one camera or screen with what each needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    present: EncodingSet,
    bps: [u32; Encoding::MAX_PER_TRACK],
}

impl Rates {
    /// No encoding: off.
    pub const NONE: Self = Self { present: EncodingSet::NONE, bps: [0; Encoding::MAX_PER_TRACK] };

    /// With `encoding`, which needs `bps` bit/s (0: not known, the nominal rate counts). An encoding beyond f is ignored.
    #[must_use]
    pub fn with(mut self, encoding: Encoding, bps: u32) -> Self {
        let at = usize::from(encoding.0);
        if at < Encoding::MAX_PER_TRACK {
            self.present = self.present.with(encoding);
            self.bps[at] = if bps == 0 { NOMINAL_BPS[at] } else { bps };
        }
        self
    }

    /// q, h and f at their nominal rates.
    #[must_use]
    pub fn simulcast() -> Self {
        Self::NONE.with(Encoding::Q, 0).with(Encoding::H, 0).with(Encoding::F, 0)
    }

    /// The encodings there are.
    #[must_use]
    pub fn encodings(self) -> EncodingSet {
        self.present
    }

    /// What `encoding` needs, bit/s; 0 if there is none.
    #[must_use]
    pub fn bps(self, encoding: Encoding) -> u64 {
        self.bps.get(usize::from(encoding.0)).copied().unwrap_or(0).into()
    }

    /// The lowest encoding.
    #[must_use]
    pub fn lowest(self) -> Option<Encoding> {
        self.present.iter().next()
    }

    /// `wished`, else the nearest lower encoding, else the lowest there is.
    #[must_use]
    pub fn nearest(self, wished: Encoding) -> Option<Encoding> {
        self.present.iter().filter(|e| *e <= wished).last().or_else(|| self.lowest())
    }

    /// The best encoding that needs at most `bps`.
    #[must_use]
    pub fn best_within(self, bps: u64) -> Option<Encoding> {
        self.present.iter().filter(|e| self.bps(*e) <= bps).last()
    }
}

/// Somebody who may be shown.
#[derive(Clone, Copy, Debug)]
pub struct Publisher {
    /// Who.
    pub participant: ParticipantId,
    /// Their camera; [`Rates::NONE`] while it is off. Announced rates, not measured ones: those would make it flap.
    pub camera: Rates,
    /// Their screen; [`Rates::NONE`] while they share none.
    pub screen: Rates,
    /// Grows with each share of the meeting: the newest has the largest.
    pub screen_order: u64,
}

/// What a layout depends on.
#[derive(Clone, Copy, Debug)]
pub struct LayoutInput<'a> {
    /// The viewer.
    pub own: ParticipantId,
    /// The elected speakers.
    pub floor: &'a Floor,
    /// Whom the viewer pinned to the main slot.
    pub pin: Option<ParticipantId>,
    /// Whose screen the host pinned.
    pub screen_pin: Option<ParticipantId>,
    /// Everybody with a camera or a screen, in order of joining.
    pub publishers: &'a [Publisher],
    /// Strip pictures wished for, at most the number of strip slots.
    pub strip: usize,
    /// Estimate of the whole downlink, bit/s.
    pub rate_bps: u64,
}

/// A picture in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whose.
    pub participant: ParticipantId,
    /// Which encoding; `None`: only their name (camera off, or the rate is too low).
    pub encoding: Option<Encoding>,
}

/// What stands in the slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The main slot.
    pub main: Option<Shown>,
    /// The strip slots; always a picture, never only a name.
    pub strip: ArrayVec<Option<Shown>, STRIP_MAX>,
    /// The screen slot.
    pub screen: Option<Shown>,
    /// The downlink is too slow for any picture.
    pub audio_only: bool,
}

/// The layout of one viewer.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    ladder: Ladder,
    strip_rate: RisesLate,
    view: View,
}

impl Layout {
    /// Empty slots; `strip_slots` of them for the strip.
    #[must_use]
    pub fn new(strip_slots: usize) -> Self {
        let mut layout = Self::default();
        layout.set_strip_slots(strip_slots);
        layout
    }

    /// Another number of strip slots, after a renegotiation. Slots that stay keep what they show.
    pub fn set_strip_slots(&mut self, strip_slots: usize) {
        let slots = strip_slots.min(STRIP_MAX);
        self.view.strip.truncate(slots);
        while self.view.strip.len() < slots {
            self.view.strip.push(None);
        }
    }

    /// What stands in the slots.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The rung of the main picture.
    #[must_use]
    pub fn rung(&self) -> Option<Rung> {
        self.ladder.rung()
    }

    /// When the layout may get better by time alone: then [`Layout::update`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.ladder.deadline(), self.strip_rate.deadline()].into_iter().flatten().min()
    }

    /// Lays out anew: after a change of the floor, the publishers, the wishes or the rate, and at the deadline.
    /// Returns whether [`Layout::view`] changed.
    pub fn update(&mut self, now: Now, input: &LayoutInput<'_>) -> bool {
        let before = self.view.clone();
        let after_voices = input.rate_bps.saturating_sub(VOICES_BPS);
        let main = self.main_participant(input);
        let camera = main.and_then(|p| find(input, p)).map_or(Rates::NONE, |p| p.camera);
        let audible_only = input.rate_bps < AUDIO_ONLY_BPS;
        let held = self.strip_rate.update(now, input.rate_bps);
        let for_screen = if audible_only { 0 } else { held.saturating_sub(VOICES_BPS) };
        let screen = choose_screen(input, for_screen, camera);
        let share = after_voices.saturating_sub(screen.map_or(0, |s| s.1));

        let rung = self.ladder.update(now, input.rate_bps, share);
        self.view.audio_only = rung == Rung::AudioOnly;
        self.view.screen = screen
            .map(|s| s.0)
            .map(|s| Shown { encoding: s.encoding.filter(|_| !self.view.audio_only), ..s });
        let encoding = main_encoding(camera, rung, share);
        self.view.main = main.map(|participant| Shown { participant, encoding });

        let spent = VOICES_BPS
            + self.view.screen.map_or(0, |_| screen.map_or(0, |s| s.1))
            + encoding.map_or(0, |e| camera.bps(e));
        let budget = if self.view.audio_only { 0 } else { held.saturating_sub(spent) };
        let chosen = choose_strip(input, main, self.view.strip.len(), budget);
        assign(&mut self.view.strip, &chosen);
        self.view != before
    }

    /// Whom the main slot belongs to.
    fn main_participant(&self, input: &LayoutInput<'_>) -> Option<ParticipantId> {
        let camera_on = |p: &ParticipantId| {
            *p != input.own && find(input, *p).is_some_and(|p| !p.camera.encodings().is_empty())
        };
        let pin = input.pin.filter(camera_on);
        let speaker = input.floor.main.filter(|p| *p != input.own);
        let stays = self.view.main.map(|s| s.participant).filter(camera_on);
        let recent = || input.floor.recent.iter().copied().find(camera_on);
        let joined = || input.publishers.iter().map(|p| p.participant).find(camera_on);
        pin.or(speaker).or(stays).or_else(recent).or_else(joined)
    }
}

/// The publisher of that name.
fn find<'a>(input: &LayoutInput<'a>, who: ParticipantId) -> Option<&'a Publisher> {
    input.publishers.iter().find(|p| p.participant == who)
}

/// The encoding of the main picture.
fn main_encoding(camera: Rates, rung: Rung, share_bps: u64) -> Option<Encoding> {
    let wished = camera.nearest(rung.encoding()?)?;
    let fits = camera.best_within(share_bps).map(|e| e.min(wished));
    // Three voices seldom speak at once, so q is shown down to the audio-only rung.
    let bearable = share_bps.saturating_mul(OVERSHOOT_MAX).max(Q_BPS);
    fits.or_else(|| camera.lowest().filter(|e| camera.bps(*e) <= bearable))
}

/// The share to show, and what it needs.
fn choose_screen(input: &LayoutInput<'_>, rate_bps: u64, main: Rates) -> Option<(Shown, u64)> {
    let others = || {
        let shares = |p: &&Publisher| !p.screen.encodings().is_empty();
        input.publishers.iter().filter(|p| p.participant != input.own).filter(shares)
    };
    let pinned = input.screen_pin.and_then(|pin| others().find(|p| p.participant == pin));
    let sharer = pinned.or_else(|| others().max_by_key(|p| p.screen_order))?;
    let reserved = main.lowest().map_or(0, |e| main.bps(e).min(Q_BPS));
    let rates = sharer.screen;
    let fits = rates.best_within(rate_bps.saturating_sub(reserved));
    // A share is what the meeting is about: it may take the main picture's reserve.
    let encoding = fits.or_else(|| {
        rates.lowest().filter(|e| rates.bps(*e) <= rate_bps.saturating_mul(OVERSHOOT_MAX))
    });
    let shown = Shown { participant: sharer.participant, encoding };
    Some((shown, encoding.map_or(0, |e| rates.bps(e))))
}

/// Who is in the strip, the most recent first, as far as `budget_bps` reaches.
fn choose_strip(
    input: &LayoutInput<'_>,
    main: Option<ParticipantId>,
    slots: usize,
    mut budget_bps: u64,
) -> ArrayVec<Shown, STRIP_MAX> {
    let mut chosen: ArrayVec<Shown, STRIP_MAX> = ArrayVec::new();
    let slots = slots.min(input.strip).min(STRIP_MAX);
    let joined = input.publishers.iter().map(|p| p.participant);
    for who in input.floor.recent.iter().copied().chain(joined) {
        if chosen.len() == slots || budget_bps == 0 {
            break;
        }
        let excluded = who == input.own || Some(who) == main;
        if excluded || chosen.iter().any(|s| s.participant == who) {
            continue;
        }
        let Some(camera) = find(input, who).map(|p| p.camera) else {
            continue;
        };
        let Some(encoding) = camera.lowest() else {
            continue;
        };
        // A source without a small encoding is passed over when it does not fit; smaller ones behind it may.
        if let Some(left) = budget_bps.checked_sub(camera.bps(encoding)) {
            budget_bps = left;
            chosen.push(Shown { participant: who, encoding: Some(encoding) });
        }
    }
    chosen
}

/// Puts `chosen` into the slots: who has a slot keeps it, the others fill free ones.
fn assign(slots: &mut ArrayVec<Option<Shown>, STRIP_MAX>, chosen: &[Shown]) {
    for slot in slots.iter_mut() {
        *slot = slot.and_then(|s| chosen.iter().find(|c| c.participant == s.participant)).copied();
    }
    for shown in chosen {
        if slots.contains(&Some(*shown)) {
            continue;
        }
        if let Some(free) = slots.iter_mut().find(|s| s.is_none()) {
            *free = Some(*shown);
        }
    }
}

/// A rate that falls at once and rises to what it has been at least for 2 s.
#[derive(Clone, Debug, Default)]
struct RisesLate {
    value: Option<u64>,
    /// Since when the rate has been higher, and how high at least.
    higher: Option<(Instant, u64)>,
}

impl RisesLate {
    fn update(&mut self, now: Now, bps: u64) -> u64 {
        let value = self.value.unwrap_or(bps);
        if bps <= value {
            self.value = Some(bps);
            self.higher = None;
            return bps;
        }
        let (since, least) = self.higher.unwrap_or((now.mono, bps));
        let least = least.min(bps);
        if now.mono.saturating_duration_since(since) >= STRIP_UP_AFTER {
            self.value = Some(least);
            self.higher = (bps > least).then_some((now.mono, bps));
            return least;
        }
        self.value = Some(value);
        self.higher = Some((since, least));
        value
    }

    fn deadline(&self) -> Option<Instant> {
        self.higher.map(|(since, _)| since + STRIP_UP_AFTER)
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
