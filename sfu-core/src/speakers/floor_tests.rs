//! Who holds the floor, and who takes it.

use super::*;
use crate::speakers::testing::at;
use proptest::prelude::*;

fn p(n: u32) -> ParticipantId {
    ParticipantId(n)
}

fn level(who: u32, loudness: u8, silent_ms: u16, speaking_ms: u32) -> SpeakerLevel {
    SpeakerLevel { participant: p(who), loudness, silent_ms, speaking_ms }
}

/// Stretches of speech: who, from, to (ms), loudness. Each speaker has an edge of the same number.
struct Meeting {
    floor: FloorElection,
    speech: Vec<(u32, u64, u64, u8)>,
    changes: Vec<(u64, Floor)>,
}

impl Meeting {
    fn of(speech: &[(u32, u64, u64, u8)]) -> Self {
        Self { floor: FloorElection::new(), speech: speech.to_vec(), changes: Vec::new() }
    }

    /// Digests at each change and at 10 Hz, deadlines in between, in steps of 10 ms.
    fn run(&mut self, from: u64, to: u64) -> &mut Self {
        for t in (from..to).step_by(10) {
            for (who, start, end, loudness) in self.speech.clone() {
                let silent = t.saturating_sub(end);
                let turn = t == start || t == end + 60 || t == end + 1_000;
                if t < start || silent > 1_000 || !(turn || (t - start) % 100 == 0) {
                    continue;
                }
                let risen = u64::from(loudness) * (t - start).min(300) / 300;
                let said = level(
                    who,
                    (risen * 300u64.saturating_sub(silent) / 300) as u8,
                    if silent < 60 { 0 } else { silent as u16 },
                    if silent > 300 { 0 } else { (t - start) as u32 },
                );
                let digest = if silent == 1_000 { vec![] } else { vec![said] };
                let new = self.floor.digest(at(t), NodeId(who), &digest);
                self.note(t, new);
            }
            if self.floor.deadline().is_some_and(|d| d <= at(t).mono) {
                let new = self.floor.on_deadline(at(t));
                self.note(t, new);
            }
        }
        self
    }

    fn note(&mut self, t: u64, new: Option<Floor>) {
        self.changes.extend(new.map(|f| (t, f)));
    }

    /// When the main picture went to whom.
    fn mains(&self) -> Vec<(u64, u32)> {
        let mut mains: Vec<(u64, u32)> = Vec::new();
        for (t, floor) in &self.changes {
            if let Some(main) = floor.main
                && mains.last().map(|m| m.1) != Some(main.0)
            {
                mains.push((*t, main.0));
            }
        }
        mains
    }
}

#[test]
fn the_first_speaker_takes_the_floor_within_300_ms() {
    let mut m = Meeting::of(&[(1, 1_000, 5_000, 90)]);
    m.run(0, 5_000);
    assert_eq!(m.mains(), [(1_240, 1)]);
    assert_eq!(m.changes[0].1.recent, [p(1)]);
    assert_eq!(m.changes[0].1.seq, 1);
}

#[test]
fn a_cough_takes_nothing() {
    let mut m = Meeting::of(&[(1, 1_000, 1_150, 120)]);
    m.run(0, 3_000);
    assert!(m.changes.is_empty(), "{:?}", m.changes);
}

#[test]
fn after_a_pause_the_next_speaker_is_shown_within_300_ms_of_the_first_word() {
    let mut m = Meeting::of(&[(1, 0, 2_000, 90), (2, 2_500, 6_000, 80)]);
    m.run(0, 6_000);
    assert_eq!(m.mains(), [(240, 1), (2_740, 2)]);
}

#[test]
fn one_who_takes_over_without_a_pause_is_shown_300_ms_after_the_incumbent_ended() {
    let mut m = Meeting::of(&[(1, 0, 2_000, 90), (2, 2_000, 6_000, 80)]);
    m.run(0, 6_000);
    assert_eq!(m.mains(), [(240, 1), (2_300, 2)]);
}

#[test]
fn the_loudest_takes_over_from_a_silent_incumbent() {
    let mut m = Meeting::of(&[(1, 0, 2_000, 90), (2, 1_000, 6_000, 80), (3, 1_500, 6_000, 85)]);
    m.run(0, 4_000);
    assert_eq!(m.mains(), [(240, 1), (2_300, 3)]);
}

#[test]
fn a_louder_overlap_of_a_second_and_a_half_does_not_switch() {
    let mut m = Meeting::of(&[(1, 0, 9_000, 70), (2, 3_000, 4_500, 110)]);
    m.run(0, 9_000);
    assert_eq!(m.mains(), [(240, 1)]);
}

#[test]
fn a_louder_overlap_of_two_and_a_half_seconds_switches() {
    let mut m = Meeting::of(&[(1, 0, 9_000, 70), (2, 3_000, 5_500, 110)]);
    m.run(0, 5_500);
    let mains = m.mains();
    assert_eq!(mains.len(), 2);
    assert_eq!(mains[1].1, 2);
    assert!((5_000..5_400).contains(&mains[1].0), "{mains:?}");
}

#[test]
fn a_breath_does_not_reset_a_challenge() {
    let mut m = Meeting::of(&[(1, 0, 9_000, 70), (2, 3_000, 4_000, 110), (2, 4_100, 5_500, 110)]);
    m.run(0, 5_500);
    assert_eq!(m.mains().len(), 2);
}

#[test]
fn a_long_pause_resets_a_challenge() {
    let mut m = Meeting::of(&[(1, 0, 9_000, 70), (2, 3_000, 4_200, 110), (2, 5_200, 6_400, 110)]);
    m.run(0, 9_000);
    assert_eq!(m.mains(), [(240, 1)]);
}

#[test]
fn a_quieter_voice_never_takes_the_floor_from_one_who_speaks() {
    let mut m = Meeting::of(&[(1, 0, 20_000, 90), (2, 1_000, 20_000, 89)]);
    m.run(0, 20_000);
    assert_eq!(m.mains(), [(240, 1)]);
    assert_eq!(m.floor.floor().recent, [p(2), p(1)], "but is a recent speaker");
}

#[test]
fn an_edge_that_is_lost_loses_the_floor_after_1_s() {
    let mut f = FloorElection::new();
    let _ = f.digest(at(0), NodeId(1), &[level(1, 90, 0, 500)]);
    assert_eq!(f.floor().main, Some(p(1)));
    for t in (100..2_000).step_by(100) {
        let _ = f.digest(at(t), NodeId(2), &[level(2, 60, 0, t as u32)]);
        assert_eq!(f.floor().main, Some(p(if t < 1_000 { 1 } else { 2 })), "at {t}");
    }
}

#[test]
fn a_source_said_to_be_gone_loses_the_floor_at_once() {
    let mut f = FloorElection::new();
    let _ = f.digest(at(0), NodeId(1), &[level(1, 90, 0, 500)]);
    let _ = f.digest(at(10), NodeId(2), &[level(2, 60, 0, 500)]);
    let new = f.forget_source(at(20), NodeId(1)).unwrap();
    assert_eq!(new.main, Some(p(2)));
}

#[test]
fn the_floor_falls_free_when_its_holder_leaves() {
    let mut f = FloorElection::new();
    let _ = f.digest(at(0), NodeId(1), &[level(1, 90, 0, 500)]);
    let new = f.leave(at(100), p(1)).unwrap();
    assert_eq!((new.main, new.recent.len(), new.seq), (None, 0, 2));
    assert_eq!(f.leave(at(200), p(7)), None);
    let new = f.digest(at(300), NodeId(2), &[level(2, 50, 0, 240)]).unwrap();
    assert_eq!(new.main, Some(p(2)));
}

#[test]
fn a_new_origin_goes_on_where_the_old_one_ended() {
    let old = Floor { seq: 41, main: Some(p(1)), recent: vec![p(1), p(2)] };
    let mut f = FloorElection::resume(at(0), old);
    let new = f.digest(at(50), NodeId(2), &[level(2, 120, 0, 900)]).unwrap();
    assert_eq!((new.main, new.recent), (Some(p(1)), vec![p(2), p(1)]), "only the order is news");
    let _ = f.digest(at(310), NodeId(2), &[level(2, 120, 0, 1_160)]);
    assert_eq!((f.floor().main, f.floor().seq), (Some(p(2)), 43));
}

#[test]
fn recent_speakers_are_the_sixteen_newest_and_the_main_speaker() {
    let mut speech = vec![(1, 0, 60_000, 120)];
    speech.extend(
        (0..20).map(|i| (i + 2, 1_000 + 1_000 * u64::from(i), 1_500 + 1_000 * u64::from(i), 50)),
    );
    let mut m = Meeting::of(&speech);
    m.run(0, 25_000);
    let recent = &m.floor.floor().recent;
    assert_eq!((recent.len(), recent[0]), (FLOOR_RECENT_MAX, p(21)));
    assert!(recent.contains(&p(1)));
    assert_eq!(m.mains(), [(240, 1)]);
}

proptest! {
    #[test]
    fn the_floor_changes_by_the_rules_only(
        steps in prop::collection::vec((1u64..150, 1u32..6, 0u8..128, any::<bool>(), 0u8..20), 1..300),
    ) {
        let mut f = FloorElection::new();
        let mut t = 0;
        let mut since = [0u64; 6];
        let mut last_loud = [None::<u64>; 6];
        let mut seq = 0;
        let mut main_since = 0;
        for (gap, who, loudness, loud, leave) in steps {
            t += gap;
            let w = who as usize;
            let before = f.floor().main;
            let new = if leave == 0 {
                (since[w], last_loud[w]) = (0, None);
                f.leave(at(t), p(who))
            } else {
                if loud {
                    if last_loud[w].is_none_or(|l| t - l > 300) { since[w] = t; }
                    last_loud[w] = Some(t);
                }
                let Some(last) = last_loud[w] else { continue };
                let silent = t - last;
                let said = level(who, if silent > 300 { 0 } else { loudness }, silent as u16,
                    if silent > 300 { 0 } else { (t - since[w]) as u32 });
                f.digest(at(t), NodeId(who), &[said])
            };
            if let Some(new) = &new {
                prop_assert!(new.seq > seq);
                seq = new.seq;
                prop_assert_eq!(new, f.floor());
            }
            let main = f.floor().main;
            if main != before {
                prop_assert!(new.is_some(), "every change is published");
                if let (Some(old), true) = (before, leave != 0) {
                    let old_silent = last_loud[old.0 as usize].is_none_or(|l| t - l >= 300);
                    // An edge that said nothing for 200 ms is presumed on, for 1 s forgotten: then it is silent too.
                    prop_assert!(old_silent || t - main_since >= 2_000, "a speaking incumbent stays 2 s");
                }
                main_since = t;
            }
            let recent = &f.floor().recent;
            prop_assert!(recent.len() <= FLOOR_RECENT_MAX);
            prop_assert!(main.is_none_or(|m| recent.contains(&m)));
            let mut unique = recent.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), recent.len());
            if let Some(d) = f.deadline() { prop_assert!(d > at(t).mono); }
        }
    }
}
