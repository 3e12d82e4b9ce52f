//! What crosses between regions, and what does not.

use crate::harness::*;
use relay_proto::TrackKind;
use std::time::Duration;

#[test]
fn two_people_in_one_region_stay_in_it() {
    let parts = [
        nodes(&[("eu-1", "eu-west-1"), ("eu-2", "eu-west-1")]),
        group("eu-1", "eu-west-1", 1, 1),
        group("eu-2", "eu-west-1", 1, 1),
    ];
    let turns = (0..12)
        .map(|i| turn(i % 2, 4_000 + 2_000 * i as u64, 5_800 + 2_000 * i as u64, 25))
        .collect();
    let report = run(scenario(30, 3, &parts), turns);
    assert_everybody_heard_every_turn(&report);
    let crossing = |a: usize, b: usize| over_the_sea(&report, a, b);
    let flows: Vec<_> = report.log.flows.iter().filter(|f| crossing(f.from, f.to)).collect();
    assert!(flows.is_empty(), "{flows:?}");
    for (at, node) in report.nodes.iter().enumerate() {
        for link in &node.shard.links {
            let far = crossing(at, link.node.0 as usize - 1);
            assert!(!far || link.counters.packets_in == 0, "{} sent media over the sea", node.name);
        }
    }
    for p in &report.participants {
        assert!(
            p.voice_delays.count() > 500 && p.voice_delays.max() < Duration::from_millis(20),
            "{:?}",
            p.voice_delays
        );
        assert!(p.pictures.decodable > 500 && p.pictures.freezes == 0, "{:?}", p.pictures);
    }
}

#[test]
fn a_region_that_shows_no_pictures_is_sent_none() {
    let listeners = group("ap", "ap-southeast-1", 3, 0) + "video_slots = 0\n";
    let parts = [
        nodes(&[("us", "us-east-1"), ("ap", "ap-southeast-1")]),
        group("us", "us-east-1", 3, 3),
        listeners,
    ];
    let turns = (0..6)
        .map(|i| turn(i % 3, 4_000 + 3_000 * i as u64, 6_500 + 3_000 * i as u64, 25))
        .collect();
    let report = run(scenario(24, 3, &parts), turns);
    assert_everybody_heard_every_turn(&report);
    let to_ap = report.log.flows.iter().filter(|f| f.to == 2 && f.track.kind == TrackKind::Camera);
    for flow in to_ap {
        assert!(flow.pushed, "{flow:?}");
        assert!(
            flow.end.since(flow.start) <= Duration::from_millis(2_100),
            "a push is withdrawn: {flow:?}"
        );
    }
    assert!(report.participants[3..].iter().all(|p| p.pictures.packets == 0));
}
