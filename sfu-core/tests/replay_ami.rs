//! Real meetings through the whole chain: loudness, digests, the origin's election, voices.
//!
//! The segments say who speaks when, not how loud: levels are drawn from a seeded generator, with the gaps between
//! syllables that real levels have. Reference (a study of 170 meetings of the corpus): 6.68 switches/min and the
//! wrong or a silent speaker for 5.2 % of speech time.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test: what must not be fails it, and figures are printed"
)]
#![allow(clippy::disallowed_methods, reason = "a test chooses the instant it starts from")]

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use relay_proto::control::SpeakerLevel;
use relay_proto::{NodeId, Now, NtpTime, ParticipantId};
use sfu_core::speakers::{DigestSource, FloorElection, Loudness, VoiceGate};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

const STEP_MS: u64 = 20;
/// An intercontinental link between edges and origin.
const ONE_WAY_MS: u64 = 80;

/// (from, to) in ms, in order.
type Segments = Vec<(u64, u64)>;

fn meetings() -> BTreeMap<String, BTreeMap<String, Segments>> {
    let mut meetings: BTreeMap<String, BTreeMap<String, Segments>> = BTreeMap::new();
    for line in include_str!("data/ami_segments_a.csv").lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let ms = |cell: &str| (cell.parse::<f64>().unwrap() * 1_000.0) as u64;
        let (from, length) = (ms(cells[2]), ms(cells[3]));
        let meeting = meetings.entry(cells[0].to_owned()).or_default();
        meeting.entry(cells[1].to_owned()).or_default().push((from, from + length));
    }
    meetings
}

/// One participant with an edge of their own.
struct Person {
    id: ParticipantId,
    segments: Segments,
    next: usize,
    base_level: u8,
    gap_until: u64,
    voice: Loudness,
    edge: DigestSource,
}

impl Person {
    fn new(n: usize, segments: Segments, rng: &mut SmallRng) -> Self {
        Self {
            id: ParticipantId(n as u32 + 1),
            segments,
            next: 0,
            base_level: rng.random_range(25..38),
            gap_until: 0,
            voice: Loudness::new(),
            edge: DigestSource::new(),
        }
    }

    fn speaks(&mut self, t: u64) -> bool {
        while self.segments.get(self.next).is_some_and(|s| s.1 <= t) {
            self.next += 1;
        }
        self.segments.get(self.next).is_some_and(|s| s.0 <= t)
    }

    /// The level of the packet sent at `t`; silence sends comfort noise each 400 ms.
    fn level(&mut self, t: u64, rng: &mut SmallRng) -> Option<u8> {
        if !self.speaks(t) {
            return t.is_multiple_of(400).then_some(127);
        }
        if t >= self.gap_until && rng.random_ratio(1, 12) {
            self.gap_until = t + rng.random_range(20..140);
        }
        let spread = rng.random_range(0..10);
        Some(if t < self.gap_until { 60 + spread } else { self.base_level + spread - 5 })
    }
}

#[derive(Debug, Default)]
struct Score {
    ms: u64,
    speech_ms: u64,
    wrong_ms: u64,
    switches: u64,
    digests: u64,
    floors: u64,
    loud: u64,
    clipped: u64,
    /// Onset of speech in a silent meeting to the decision at the origin.
    onset_ms: Vec<u64>,
}

fn replay(people: BTreeMap<String, Segments>, start: Now, score: &mut Score) {
    let mut rng = SmallRng::seed_from_u64(7);
    let mut people: Vec<Person> =
        people.into_values().enumerate().map(|(n, s)| Person::new(n, s, &mut rng)).collect();
    let end = people.iter().filter_map(|p| p.segments.last()).map(|s| s.1).max().unwrap_or(0);
    let mut floor = FloorElection::new();
    let mut gate = VoiceGate::<ParticipantId, 3>::new();
    let mut wire: VecDeque<(u64, NodeId, Vec<SpeakerLevel>)> = VecDeque::new();
    let mut main = None;
    let mut quiet_since = 0;
    let mut onset: Option<(u64, ParticipantId)> = None;
    for t in (0..end).step_by(STEP_MS as usize) {
        let now = start.plus(Duration::from_millis(t));
        for p in &mut people {
            if let Some(level) = p.level(t, &mut rng) {
                let loud = p.voice.packet(now, Some(level));
                p.edge.local(now, p.id, &p.voice);
                let passes = gate.admit(now, p.id, loud, p.voice.value(now)).passes();
                score.loud += u64::from(loud);
                score.clipped += u64::from(loud && !passes);
            }
            if let Some(digest) = p.edge.poll(now) {
                wire.push_back((t + ONE_WAY_MS, NodeId(p.id.0), digest));
                score.digests += 1;
            }
        }
        gate.expire(now);
        while wire.front().is_some_and(|w| w.0 <= t) {
            let (_, from, digest) = wire.pop_front().unwrap();
            score.floors += u64::from(floor.digest(now, from, &digest).is_some());
        }
        if floor.deadline().is_some_and(|d| d <= now.mono) {
            score.floors += u64::from(floor.on_deadline(now).is_some());
        }
        if floor.floor().main != main {
            main = floor.floor().main;
            score.switches += 1;
        }
        let speaking: Vec<ParticipantId> =
            people.iter_mut().filter_map(|p| p.speaks(t).then_some(p.id)).collect();
        if let [one] = speaking[..]
            && t - quiet_since > 1_000
            && onset.is_none()
        {
            onset = Some((t, one));
        }
        if let Some((began, who)) = onset {
            if main == Some(who) && speaking == [who] && t >= began {
                score.onset_ms.extend((t > began).then_some(t - began));
                onset = None;
            } else if speaking != [who] {
                onset = None; // interrupted or too short: no measure
            }
        }
        if !speaking.is_empty() {
            quiet_since = t;
            score.speech_ms += STEP_MS;
            score.wrong_ms += main.is_none_or(|m| !speaking.contains(&m)) as u64 * STEP_MS;
        }
    }
    score.ms += end;
}

#[test]
fn real_meetings_are_shown_as_the_reference_says() {
    let mono = Instant::now();
    let start = Now { mono: mono + Duration::from_secs(60), wall: NtpTime::default() };
    let mut score = Score::default();
    for (_, people) in meetings() {
        replay(people, start, &mut score);
    }
    let minutes = score.ms as f64 / 60_000.0;
    let switches = score.switches as f64 / minutes;
    let wrong = 100.0 * score.wrong_ms as f64 / score.speech_ms as f64;
    let clipped = 100.0 * score.clipped as f64 / score.loud as f64;
    score.onset_ms.sort_unstable();
    let onset = |q: usize| score.onset_ms[(score.onset_ms.len() - 1) * q / 100];
    println!(
        "{minutes:.0} min: {switches:.2} switches/min, wrong or silent speaker {wrong:.2} % of speech time, \
         {:.1} digests/s, {:.1} floors/min, {clipped:.3} % of loud packets without a place, \
         onset to decision p50 {} p99 {} max {} ms of {}",
        score.digests as f64 / minutes / 60.0,
        score.floors as f64 / minutes,
        onset(50),
        onset(99),
        onset(100),
        score.onset_ms.len(),
    );
    assert!((4.0..8.0).contains(&switches), "{switches} switches a minute");
    assert!(wrong < 6.0, "wrong speaker for {wrong} % of speech time");
    assert!(clipped < 0.5, "{clipped} % of speech without a place");
    assert!(onset(50) <= 300 + ONE_WAY_MS, "half of the first words take {} ms", onset(50));
}
