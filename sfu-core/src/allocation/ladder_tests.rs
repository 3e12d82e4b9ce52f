//! The ladder goes down at once and up after a while.

use super::*;
use crate::speakers::testing::at;
use proptest::prelude::*;

/// The rung for a share of `kbps`, of which the whole downlink is 150 kbit/s more.
fn step(ladder: &mut Ladder, t: u64, kbps: u64) -> Rung {
    ladder.update(at(t), (kbps + 150) * 1_000, kbps * 1_000)
}

#[test]
fn the_first_estimate_decides_at_once() {
    for (kbps, rung) in [
        (2_001, Rung::F),
        (2_000, Rung::H),
        (600, Rung::H),
        (599, Rung::Q),
        (50, Rung::Q),
        (49, Rung::AudioOnly),
    ] {
        assert_eq!(step(&mut Ladder::new(), 0, kbps), rung, "{kbps} kbit/s");
    }
}

#[test]
fn up_after_5_s_down_at_once() {
    let mut l = Ladder::new();
    assert_eq!(step(&mut l, 0, 1_000), Rung::H);
    assert_eq!(step(&mut l, 1_000, 3_000), Rung::H);
    assert_eq!(l.deadline(), Some(at(6_000).mono));
    assert_eq!(step(&mut l, 5_999, 3_000), Rung::H);
    assert_eq!(step(&mut l, 6_000, 3_000), Rung::F);
    assert_eq!(l.deadline(), None);
    assert_eq!(step(&mut l, 6_001, 500), Rung::Q);
}

#[test]
fn a_dip_restarts_the_five_seconds() {
    let mut l = Ladder::new();
    step(&mut l, 0, 1_000);
    step(&mut l, 1_000, 3_000);
    step(&mut l, 5_000, 1_900);
    step(&mut l, 5_100, 3_000);
    assert_eq!(step(&mut l, 10_000, 3_000), Rung::H);
    assert_eq!(step(&mut l, 10_100, 3_000), Rung::F);
}

#[test]
fn a_middle_rung_is_reached_while_the_top_one_is_waited_for() {
    let mut l = Ladder::new();
    step(&mut l, 0, 300);
    step(&mut l, 1_000, 1_000);
    step(&mut l, 4_000, 3_000);
    assert_eq!(step(&mut l, 6_000, 3_000), Rung::H);
    assert_eq!(step(&mut l, 9_000, 3_000), Rung::F);
}

#[test]
fn audio_only_below_200_kbps_in_all() {
    let mut l = Ladder::new();
    assert_eq!(l.update(at(0), 199_999, 1_000_000), Rung::AudioOnly);
    assert_eq!(l.update(at(1), 200_000, 50_000), Rung::AudioOnly, "not back at once");
    assert_eq!(l.update(at(5_001), 200_000, 50_000), Rung::Q);
}

proptest! {
    #[test]
    fn never_above_what_is_deserved_and_up_only_after_the_hold(
        steps in prop::collection::vec((0u64..3_000, 0u64..4_000), 1..200),
    ) {
        let mut l = Ladder::new();
        let (mut t, mut changed, mut before) = (0, 0, None);
        for (gap, kbps) in steps {
            t += gap;
            let rung = step(&mut l, t, kbps);
            prop_assert!(rung <= Rung::deserved((kbps + 150) * 1_000, kbps * 1_000));
            if before.is_some_and(|b| rung < b) { changed = t; }
            if before.is_some_and(|b| rung > b) { prop_assert!(t - changed >= 5_000); }
            before = Some(rung);
            if let Some(d) = l.deadline() { prop_assert!(d > at(t).mono); }
        }
    }
}
