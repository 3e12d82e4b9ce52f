//! Pictures go ahead of the decision, and are withdrawn.

use super::*;
use crate::speakers::testing::at;

/// Speech each 20 ms in `from..to`; what was asked for, and when.
fn speak(
    t: &mut PushTimer,
    v: &mut Loudness,
    from: u64,
    to: u64,
    crossing: bool,
) -> Vec<(u64, Push)> {
    let mut asked = Vec::new();
    for now in (from..to).step_by(20) {
        v.packet(at(now), Some(30));
        asked.extend(t.poll(at(now), v, crossing).map(|p| (now, p)));
    }
    asked
}

#[test]
fn a_picture_is_pushed_after_100_ms_of_speech_and_withdrawn_after_2_s() {
    let (mut t, mut v) = (PushTimer::new(), Loudness::new());
    let asked = speak(&mut t, &mut v, 0, 5_000, false);
    assert_eq!(asked, [(100, Push::Start), (2_100, Push::Stop)], "once a stretch of speech");
    assert!(!t.is_pushing());
    assert_eq!(speak(&mut t, &mut v, 6_000, 6_200, false), [(6_100, Push::Start)]);
    assert_eq!(t.deadline(), Some(at(8_100).mono));
}

#[test]
fn a_picture_that_crosses_already_is_not_pushed() {
    let (mut t, mut v) = (PushTimer::new(), Loudness::new());
    assert!(speak(&mut t, &mut v, 0, 3_000, true).is_empty());
}

#[test]
fn a_push_that_became_demand_is_not_withdrawn() {
    let (mut t, mut v) = (PushTimer::new(), Loudness::new());
    assert_eq!(speak(&mut t, &mut v, 0, 400, false), [(100, Push::Start)]);
    assert!(speak(&mut t, &mut v, 400, 3_000, true).is_empty());
    assert_eq!(t.deadline(), None);
}

#[test]
fn a_click_pushes_nothing() {
    let (mut t, mut v) = (PushTimer::new(), Loudness::new());
    assert!(speak(&mut t, &mut v, 0, 60, false).is_empty());
    assert_eq!(t.poll(at(200), &v, false), None);
}
