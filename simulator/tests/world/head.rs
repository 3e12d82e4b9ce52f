//! The head of a region dies in the middle of a meeting.

use crate::harness::*;
use relay_proto::limits::DEAD_AFTER;
use simulator::{SimTime, World};
use std::time::{Duration, Instant};

/// From silence to the first voice packet by the new way: the child notices (with its first missed heartbeat), the origin names
/// it, and voices are asked for and come: twice the round trip between eu-west-1 and us-east-1, and some.
const AFTER_DEATH: Duration = Duration::from_millis(300);

#[test]
fn when_a_head_dies_its_childs_viewers_hear_the_far_voice_again() {
    let parts = [
        nodes(&[("us", "us-east-1"), ("eu-1", "eu-west-1"), ("eu-2", "eu-west-1")]),
        group("us", "us-east-1", 1, 0),
        group("eu-1", "eu-west-1", 1, 0) + "join_at_s = 0.0\n",
        group("eu-2", "eu-west-1", 2, 0) + "join_at_s = 1.0\n",
    ];
    // One long turn from afar, over the death; then the far one and the child's own take turns.
    let mut turns = vec![turn(0, 4_000, 16_000, 25)];
    turns
        .extend((0..4).map(|i| {
            turn([2, 0][i % 2], 17_000 + 2_000 * i as u64, 18_800 + 2_000 * i as u64, 25)
        }));
    let builder = World::builder(Instant::now()).scenario(scenario(26, 6, &parts)).turns(turns);
    let mut world = builder.build().unwrap();
    let head = 2;
    let died = SimTime::from_ms(8_000);
    world.kill_node(died, head);
    let report = world.run();
    assert!(report.conserved());
    assert_eq!(report.unroutable, 0);

    for place in [2, 3] {
        let p = &report.participants[place];
        assert_eq!((p.edge, p.problems.len()), (3, 0), "{}: {:?}", p.name, p.problems);
        let heard = &p.heard[&(0, 0)];
        println!(
            "{}: the far voice is away for {} ms after the head's death, {} packets missing, longest delay {} ms",
            p.name,
            heard.longest_gap.as_millis(),
            heard.missing,
            heard.delay_max.as_millis(),
        );
        assert_eq!(heard.first, 0, "heard from the first word on");
        assert!(heard.last > 500, "and until the end: {heard:?}");
        assert!(heard.longest_gap > Duration::ZERO, "the head was on its way");
        assert!(heard.longest_gap <= DEAD_AFTER + AFTER_DEATH, "{heard:?}");
    }
    // Whoever noticed, and when.
    for change in report.log.links.iter().filter(|l| l.at >= died) {
        let (node, ms) = (&report.nodes[change.node].name, change.at.since(died).as_millis());
        println!(
            "{ms} ms: {node}: link to node {} up {}: {}",
            change.neighbour, change.up, change.reason
        );
    }
    // The other way too: who is at the child is heard afar, whole.
    let (speaker, spoken) = report.spoken(1).expect("spoken");
    let heard = &report.participants[0].heard[&(speaker, 1)];
    assert_eq!((heard.first, heard.missing, heard.last + 1), (0, 0, spoken.packets));
    for turn in [2, 4] {
        for place in [2, 3] {
            let heard = &report.participants[place].heard[&(0, turn)];
            assert_eq!((heard.first, heard.missing), (0, 0), "{place}, turn {turn}");
        }
    }
}
