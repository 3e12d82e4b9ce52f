//! Who gets the main picture.

use crate::harness::*;
use simulator::{Report, SimTime};

/// Somebody speaks quietly for 20 s; somebody louder overlaps for a while.
fn overlapped_for(ms: u64) -> Report {
    let parts = [
        nodes(&[("us", "us-east-1"), ("eu", "eu-west-1")]),
        group("us", "us-east-1", 2, 2),
        group("eu", "eu-west-1", 1, 1),
    ];
    let turns = vec![turn(0, 4_000, 20_000, 36), turn(2, 10_000, 10_000 + ms, 20)];
    run(scenario(22, 5, &parts), turns)
}

fn mains(report: &Report, edge: usize) -> Vec<Option<usize>> {
    let mut mains: Vec<Option<usize>> = Vec::new();
    for f in report.log.floors.iter().filter(|f| f.edge == edge && f.at > SimTime::from_ms(4_000)) {
        let main = f.main.and_then(|id| report.place_of(id));
        if mains.last() != Some(&main) {
            mains.push(main);
        }
    }
    mains
}

#[test]
fn a_louder_voice_of_a_second_and_a_half_does_not_take_the_floor() {
    let report = overlapped_for(1_500);
    for edge in [1, 2] {
        assert_eq!(mains(&report, edge), [Some(0)]);
    }
    assert_everybody_heard_every_turn(&report);
}

#[test]
fn a_louder_voice_of_two_and_a_half_seconds_takes_the_floor() {
    let report = overlapped_for(2_500);
    for edge in [1, 2] {
        assert_eq!(mains(&report, edge), [Some(0), Some(2), Some(0)], "and gives it back");
    }
    assert_everybody_heard_every_turn(&report);
}
