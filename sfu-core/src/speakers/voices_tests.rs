//! Which voices pass, and for how long.

use super::*;
use crate::speakers::testing::{at, ms};
use proptest::prelude::*;

type Gate = VoiceGate<u32, 3>;

/// Voices 1, 2, 3 at 90, 95, 100 speaking in 0..=until.
fn full_until(until: u64) -> Gate {
    let mut gate = Gate::new();
    for t in (0..=until).step_by(20) {
        for v in 1..=3 {
            assert!(gate.admit(at(t), v, true, 85 + 5 * v as u8).passes());
        }
    }
    gate
}

#[test]
fn the_first_loud_packet_passes() {
    let mut gate = Gate::new();
    assert_eq!(gate.admit(at(0), 7, false, 0), Verdict::NotElected);
    assert_eq!(gate.admit(at(20), 7, true, 6), Verdict::PassNew { replaced: None });
    assert_eq!(gate.admit(at(40), 7, true, 12), Verdict::Pass);
    assert!(gate.has(7));
}

#[test]
fn the_quiet_tail_of_a_word_passes_and_then_the_place_is_free() {
    let mut gate = Gate::new();
    gate.admit(at(0), 7, true, 90);
    assert_eq!(gate.admit(at(280), 7, false, 5), Verdict::Pass);
    assert_eq!(gate.deadline(), Some(at(300).mono));
    assert!(gate.expire(at(299)).is_empty());
    assert_eq!(gate.expire(at(300)).as_slice(), [7]);
    assert_eq!(gate.admit(at(320), 7, false, 0), Verdict::NotElected);
    assert_eq!(gate.deadline(), None);
}

#[test]
fn comfort_noise_keeps_nobody_in() {
    let mut gate = Gate::new();
    gate.admit(at(0), 7, true, 90);
    for t in (20..2_000).step_by(20) {
        gate.admit(at(t), 7, false, 0);
        gate.expire(at(t));
        assert_eq!(gate.has(7), t < 300, "at {t}");
    }
}

#[test]
fn a_voice_that_fell_silent_gives_way_to_a_first_word_at_once() {
    let mut gate = full_until(400);
    for v in 2..=3 {
        gate.admit(at(440), v, true, 90);
    }
    assert_eq!(gate.admit(at(455), 4, true, 6), Verdict::NotElected, "55 ms is no silence");
    assert_eq!(gate.admit(at(460), 4, true, 6), Verdict::PassNew { replaced: Some(1) });
}

#[test]
fn a_louder_voice_replaces_the_quietest_after_100_ms() {
    let mut gate = full_until(400);
    let mut replaced_at = None;
    for t in (420..=700).step_by(20) {
        for v in 1..=3 {
            gate.admit(at(t), v, true, 85 + 5 * v as u8);
        }
        if let Verdict::PassNew { replaced } = gate.admit(at(t), 4, true, 96) {
            assert_eq!(replaced, Some(1));
            replaced_at = Some(t);
            break;
        }
    }
    assert_eq!(replaced_at, Some(520));
}

#[test]
fn five_decibels_more_are_not_enough() {
    let mut gate = full_until(400);
    for t in (420..5_000).step_by(20) {
        for v in 1..=3 {
            gate.admit(at(t), v, true, 85 + 5 * v as u8);
        }
        assert_eq!(gate.admit(at(t), 4, true, 95), Verdict::NotElected);
    }
}

#[test]
fn a_new_voice_is_not_challenged_while_its_window_fills() {
    let mut gate = full_until(0);
    for t in (0..300).step_by(20) {
        for v in 1..=3 {
            gate.admit(at(t), v, true, 5);
        }
        assert_eq!(gate.admit(at(t), 4, true, 120), Verdict::NotElected, "at {t}");
    }
}

#[test]
fn a_muted_voice_leaves_at_once() {
    let mut gate = full_until(100);
    assert!(gate.remove(2));
    assert!(!gate.remove(2));
    assert_eq!(gate.members().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn the_reserve_moves_up_when_one_of_the_first_three_falls_silent() {
    let mut gate = VoiceGate::<u32, 4>::new();
    for v in 1..=4 {
        gate.admit(at(0), v, true, 90);
    }
    for t in (20..=80).step_by(20) {
        for v in [1, 3, 4] {
            gate.admit(at(t), v, true, 90);
        }
    }
    assert_eq!(gate.members().collect::<Vec<_>>(), [1, 4, 3, 2]);
}

#[test]
fn listeners_are_told_of_each_change_of_the_first_three() {
    let mut gate = VoiceGate::<u32, 4>::new();
    let mut told: Vec<u32> = Vec::new();
    let mut moves = 0;
    for t in (0..20_000u64).step_by(20) {
        for v in 1..=5u32 {
            // Each voice speaks and pauses in a rhythm of its own.
            let loud = (t + 137 * u64::from(v)) % (700 + 190 * u64::from(v)) < 500;
            let loudness = 70 + ((t / 400 + u64::from(v) * 7) % 40) as u8;
            let verdict = gate.admit(at(t), v, loud, if loud { loudness } else { 0 });
            let first: Vec<u32> = gate.members().take(3).collect();
            if matches!(verdict, Verdict::PassNew { .. }) {
                told = first;
                moves += 1;
            } else {
                assert_eq!(told, first, "unseen change at {t}");
            }
        }
        if !gate.expire(at(t)).is_empty() {
            told = gate.members().take(3).collect();
        }
    }
    assert!(moves > 20);
}

fn p(n: u32) -> ParticipantId {
    ParticipantId(n)
}

#[test]
fn a_listener_hears_the_first_three_others() {
    let places = [p(1), p(2), p(3), p(4)];
    let mut slots = [None; 3];
    assert!(pick_for_listener(&places, p(9), &mut slots));
    assert_eq!(slots, [Some(p(1)), Some(p(2)), Some(p(3))]);
    let mut slots = [None; 3];
    pick_for_listener(&places, p(2), &mut slots);
    assert_eq!(slots, [Some(p(1)), Some(p(3)), Some(p(4))]);
}

#[test]
fn a_voice_keeps_its_audio_slot() {
    let mut slots = [Some(p(1)), Some(p(2)), Some(p(3))];
    assert!(!pick_for_listener(&[p(3), p(1), p(2)], p(9), &mut slots));
    assert!(pick_for_listener(&[p(3), p(5), p(1)], p(9), &mut slots));
    assert_eq!(slots, [Some(p(1)), Some(p(5)), Some(p(3))]);
    assert!(pick_for_listener(&[p(3)], p(9), &mut slots));
    assert_eq!(slots, [None, None, Some(p(3))]);
}

proptest! {
    #[test]
    fn never_more_voices_than_places_and_only_members_pass(
        packets in prop::collection::vec((0u64..40, 0u32..8, any::<bool>(), 0u8..128), 1..400),
    ) {
        let mut gate = Gate::new();
        let mut t = 0;
        for (gap, voice, loud, loudness) in packets {
            t += gap;
            let before: Vec<u32> = gate.members().collect();
            let verdict = gate.admit(at(t), voice, loud, loudness);
            let members: Vec<u32> = gate.members().collect();
            prop_assert!(members.len() <= 3);
            prop_assert_eq!(members.iter().filter(|m| **m == voice).count() <= 1, true);
            match verdict {
                Verdict::Pass => prop_assert!(before.contains(&voice)),
                Verdict::PassNew { replaced } => {
                    prop_assert!(loud && !before.contains(&voice) && members.contains(&voice));
                    prop_assert_eq!(replaced.is_none(), before.len() < 3);
                    if let Some(r) = replaced { prop_assert!(!members.contains(&r)); }
                }
                Verdict::NotElected => prop_assert!(!loud || before.len() == 3),
            }
            for freed in gate.expire(at(t)) { prop_assert!(!gate.has(freed)); }
            if let Some(deadline) = gate.deadline() { prop_assert!(deadline > at(t).mono); }
        }
    }

    #[test]
    fn voices_that_stay_keep_their_slots_and_nobody_hears_themselves(
        rounds in prop::collection::vec(prop::collection::btree_set(0u32..8, 0..5), 1..50), own in 0u32..8,
    ) {
        let mut slots = [None; 3];
        for round in rounds {
            let places: Vec<_> = round.into_iter().take(4).map(p).collect();
            let before = slots;
            pick_for_listener(&places, p(own), &mut slots);
            let others = places.iter().filter(|v| **v != p(own)).count();
            prop_assert_eq!(slots.iter().flatten().count(), others.min(3));
            prop_assert!(!slots.contains(&Some(p(own))));
            for (i, slot) in before.iter().enumerate() {
                if slot.is_some() && slots.contains(slot) { prop_assert_eq!(slots[i], *slot); }
            }
        }
    }
}

#[test]
fn tail_and_challenge_use_the_documented_times() {
    assert_eq!((HANGOVER, CHALLENGE, TENURE), (ms(300), ms(100), ms(300)));
}
