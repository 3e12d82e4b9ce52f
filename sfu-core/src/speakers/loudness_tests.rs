//! Loudness over the last 300 ms.

use super::*;
use crate::speakers::testing::{at, ms};
use proptest::prelude::*;

const SPEECH: Option<u8> = Some(30);
const COMFORT: Option<u8> = Some(127);

/// A voice with a packet each 20 ms in `from..to`.
fn spoken(voice: &mut Loudness, from: u64, to: u64, level: Option<u8>) {
    for t in (from..to).step_by(20) {
        voice.packet(at(t), level);
    }
}

#[test]
fn the_first_speech_packet_is_loud() {
    let mut v = Loudness::new();
    assert!(v.packet(at(0), SPEECH));
    assert!(v.is_speaking(at(0)));
    assert_eq!(v.silent_for(at(0)), Duration::ZERO);
}

#[test]
fn a_comfort_noise_packet_is_silence() {
    let mut v = Loudness::new();
    for t in 0..10 {
        assert!(!v.packet(at(t * 400), COMFORT));
    }
    assert_eq!(v.value(at(4_000)), 0);
    assert_eq!(v.silent_for(at(4_000)), Duration::MAX);
    assert_eq!(v.speaking_since(at(4_000)), None);
}

#[test]
fn a_steady_voice_has_its_own_level_after_one_window() {
    let mut v = Loudness::new();
    spoken(&mut v, 0, 400, SPEECH);
    assert_eq!(v.value(at(381)), LOUDEST - 30);
    assert!((40..=60).contains(&{
        let mut half = Loudness::new();
        spoken(&mut half, 0, 160, SPEECH);
        half.value(at(150))
    }));
}

#[test]
fn jitter_and_long_packets_leave_no_holes() {
    let mut v = Loudness::new();
    for t in (0..600).step_by(60) {
        v.packet(at(t + 7 * (t % 3)), SPEECH);
    }
    assert!(v.value(at(541)) >= 90, "{}", v.value(at(541)));
    let mut bunched = Loudness::new();
    for t in (0..600).step_by(40) {
        bunched.packet(at(t), SPEECH);
        bunched.packet(at(t), SPEECH);
    }
    assert!(bunched.value(at(565)) >= 90, "{}", bunched.value(at(565)));
}

#[test]
fn no_packet_for_60_ms_is_silence() {
    let mut v = Loudness::new();
    spoken(&mut v, 0, 400, SPEECH);
    assert!(v.is_speaking(at(439)));
    assert!(!v.is_speaking(at(440)));
    assert_eq!(v.silent_for(at(440)), ms(60));
    assert_eq!(v.silent_at(), Some(at(440).mono));
}

#[test]
fn loudness_is_forgotten_after_300_ms() {
    let mut v = Loudness::new();
    spoken(&mut v, 0, 400, SPEECH);
    assert!(v.value(at(500)) < v.value(at(400)));
    assert_eq!(v.value(at(700)), 0);
    v.packet(at(10_000), COMFORT);
    assert_eq!(v.value(at(10_000)), 0);
}

#[test]
fn a_pause_over_300_ms_begins_a_new_stretch_of_speech() {
    let mut v = Loudness::new();
    spoken(&mut v, 0, 200, SPEECH);
    spoken(&mut v, 460, 600, SPEECH);
    assert_eq!(v.speaking_since(at(600)), Some(at(0).mono), "a gap of 280 ms is a breath");
    assert_eq!(v.speaking_for(at(600)), ms(600));
    assert_eq!(v.speaking_for(at(900)), Duration::ZERO);
    spoken(&mut v, 1_000, 1_100, SPEECH);
    assert_eq!(v.speaking_since(at(1_100)), Some(at(1_000).mono));
    assert_eq!(v.voiced_for(at(1_100)), ms(80));
}

#[test]
fn a_voice_at_the_threshold_does_not_flicker() {
    let mut v = Loudness::new();
    assert!(!v.packet(at(0), Some(53)), "-53 dBov begins nothing");
    assert!(v.packet(at(20), Some(49)));
    assert!(v.packet(at(40), Some(53)), "but goes on");
    assert!(!v.packet(at(60), Some(56)));
    assert!(!v.packet(at(200), Some(53)), "after a pause it begins nothing again");
}

#[test]
fn a_client_without_levels_is_heard_and_outranks_nobody() {
    let mut v = Loudness::new();
    let mut other = Loudness::new();
    for t in (0..400).step_by(20) {
        assert!(v.packet(at(t), None));
        other.packet(at(t), SPEECH);
    }
    assert!(v.value(at(400)) > 0 && v.value(at(400)) < other.value(at(400)));
}

proptest! {
    #[test]
    fn loudness_never_exceeds_the_loudest_packet_of_the_window(
        packets in prop::collection::vec((0u64..120, 0u8..128), 1..200), after in 0u64..400,
    ) {
        let mut v = Loudness::new();
        let mut t = 0;
        let mut heard = Vec::new();
        for (gap, level) in packets {
            t += gap;
            let loud = v.packet(at(t), Some(level));
            heard.push((t, if loud { 127 - level } else { 0 }));
            prop_assert_eq!(loud, v.is_speaking(at(t)) && v.silent_for(at(t)).is_zero() && loud);
        }
        let end = t + after;
        // A late packet fills at most 60 ms before it, a bucket is 20 ms wide: look 380 ms back.
        let most = heard.iter().filter(|(t, _)| t + 380 >= end).map(|(_, l)| *l).max().unwrap_or(0);
        prop_assert!(v.value(at(end)) <= most);
    }
}
