//! One seed is one world.

use crate::harness::*;
use simulator::{Report, Scenario};

fn small(seed: u64, listeners: usize) -> Report {
    let mut parts = vec![
        nodes(&[("us", "us-east-1"), ("eu", "eu-west-1")]),
        group("us", "us-east-1", 2, 1),
        group("eu", "eu-west-1", 2, 1),
    ];
    if listeners > 0 {
        parts.push(
            group("eu", "eu-west-1", listeners, 0).replace("name = \"eu\"", "name = \"more\""),
        );
    }
    let turns = vec![turn(0, 3_000, 5_000, 25), turn(2, 5_200, 7_000, 25)];
    run(scenario(8, seed, &parts), turns)
}

#[test]
fn the_same_seed_gives_the_same_world_and_another_seed_another() {
    let (one, again, other) = (small(1, 0), small(1, 0), small(2, 0));
    assert_eq!(one.hash, again.hash);
    assert_ne!(one.hash.media, other.hash.media);
}

#[test]
fn one_more_listener_changes_nobodys_luck() {
    let (few, more) = (small(1, 0), small(1, 3));
    for (a, b) in few.participants.iter().zip(&more.participants) {
        assert_eq!(a.spoken, b.spoken);
        assert_eq!(a.up.model.lost, b.up.model.lost);
        assert_eq!(a.camera.map(|c| c.frames), b.camera.map(|c| c.frames));
    }
    assert_eq!(more.participants.len(), 7);
}

#[test]
fn a_recorded_meeting_plays_in_real_turns() {
    let text = "name = \"ami\"\nduration_s = 20\n[talk]\nfrom_s = 3\nrecorded = \"EN2002a\"\n";
    let parts = [
        nodes(&[("us", "us-east-1"), ("eu", "eu-west-1")]),
        group("us", "us-east-1", 2, 0),
        group("eu", "eu-west-1", 2, 0),
    ];
    let scenario = Scenario::parse(&format!("{text}{}", parts.concat())).unwrap();
    let report = simulator::World::builder(std::time::Instant::now())
        .scenario(scenario)
        .build()
        .unwrap()
        .run();
    assert_sound(&report);
    let spoken: usize = report.participants.iter().map(|p| p.spoken.len()).sum();
    assert!(spoken > 5, "{spoken}");
    // People interrupt each other; nobody's first word is cut nevertheless.
    for p in &report.participants {
        assert!(p.heard.values().all(|h| h.first == 0));
    }
}
