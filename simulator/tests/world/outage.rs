//! A path between two nodes is down for a while.

use crate::harness::*;
use simulator::link_model::LinkParams;
use simulator::{SimTime, World};
use std::time::Instant;

#[test]
fn after_a_path_was_down_for_four_seconds_everybody_is_heard_again() {
    let parts = [
        nodes(&[("us", "us-east-1"), ("eu", "eu-west-1")]),
        group("us", "us-east-1", 2, 1),
        group("eu", "eu-west-1", 2, 1),
    ];
    let turns: Vec<_> = (0..14)
        .map(|i| turn(i % 4, 4_000 + 2_000 * i as u64, 5_800 + 2_000 * i as u64, 25))
        .collect();
    let builder = World::builder(Instant::now()).scenario(scenario(34, 6, &parts)).turns(turns);
    let mut world = builder.build().unwrap();
    let healthy = LinkParams { delay_us: 34_825, jitter_us: 200, ..LinkParams::default() };
    for (from, to) in [(0, 2), (2, 0)] {
        world.change_path(SimTime::from_ms(9_000), from, to, LinkParams { down: true, ..healthy });
        world.change_path(SimTime::from_ms(13_000), from, to, healthy);
    }
    let report = world.run();
    assert_sound(&report);
    assert!(report.log.links.iter().any(|l| !l.up), "the nodes noticed");
    let back = report.log.links.iter().filter(|l| l.up).map(|l| l.at).max().unwrap();
    let told = |p: usize| report.participants[p].notices.len();
    assert!(told(2) > 0 && told(3) > 0 && told(0) == 0, "those who were cut off were told");
    println!("down 9.0 to 13.0 s, links up again at {:.2} s", back.seconds());
    assert!(back < SimTime::from_ms(20_000), "back at {}", back.seconds());
    let mut after = report.clone();
    after.turns.retain(|t| t.start > back.plus(std::time::Duration::from_secs(2)));
    assert!(after.turns.len() > 4);
    let heard = |place: usize, t: &simulator::talk::Turn| {
        report.participants[place].heard.get(&(t.speaker, t.number))
    };
    for t in &after.turns[..after.turns.len() - 1] {
        for place in (0..4).filter(|p| *p != t.speaker) {
            let h =
                heard(place, t).unwrap_or_else(|| panic!("{place} did not hear turn {}", t.number));
            assert_eq!((h.first, h.missing), (0, 0), "{place}, turn {}", t.number);
        }
    }
}
