//! The placement function by itself.

use crate::world::region;
use relay_proto::{MeetingId, NodeId};
use topology::model::*;

fn table() -> RttTable {
    RttTable::default()
        .with(region("eu"), region("us"), 80_000)
        .with(region("eu"), region("sg"), 160_000)
        .with(region("us"), region("sg"), 220_000)
}

fn demand(regions: &[(&str, u32, u32)]) -> Demand {
    let one = |(r, listeners, talk_permille): &(&str, u32, u32)| {
        (region(r), RegionDemand { listeners: *listeners, talk_permille: *talk_permille })
    };
    regions.iter().map(one).collect()
}

fn origin_region(demand: &Demand) -> &'static str {
    let regions = ["eu", "us", "sg"].map(region);
    let nodes: Vec<_> = regions
        .iter()
        .zip(1..)
        .map(|(region, id)| Candidate { node: NodeId(id), region, used_permille: 0 })
        .collect();
    let placement = place(MeetingId(1), demand, &nodes, &nodes, &table()).unwrap();
    assert_ne!(placement.standby, Some(placement.origin));
    ["eu", "us", "sg"][placement.origin.0 as usize - 1]
}

#[test]
fn a_webinar_lives_where_its_speakers_are_not_where_its_audience_is() {
    assert_eq!(origin_region(&demand(&[("eu", 3, 1_000), ("us", 700, 0), ("sg", 50, 0)])), "eu");
}

#[test]
fn a_local_meeting_stays_local() {
    for r in ["eu", "us", "sg"] {
        assert_eq!(origin_region(&demand(&[(r, 5, 700)])), r);
        assert_eq!(origin_region(&demand(&[(r, 1, 0)])), r);
    }
}

#[test]
fn talkers_at_both_ends_meet_in_the_middle() {
    assert_eq!(origin_region(&demand(&[("us", 5, 500), ("sg", 5, 500), ("eu", 1, 0)])), "eu");
}

#[test]
fn a_full_node_is_avoided_and_a_saturated_one_never_used() {
    let eu = region("eu");
    let node = |id, used_permille| Candidate { node: NodeId(id), region: &eu, used_permille };
    let chosen = |nodes: &[Candidate<'_>]| {
        place(MeetingId(1), &demand(&[("eu", 1, 0)]), nodes, nodes, &table()).map(|p| p.origin.0)
    };
    assert_eq!(chosen(&[node(1, 900), node(2, 800)]), Some(2));
    assert_eq!(chosen(&[node(1, 900), node(2, 999)]), Some(1));
    assert_eq!(chosen(&[node(1, 1_000)]), None);
}

#[test]
fn equal_nodes_share_meetings_evenly() {
    let eu = region("eu");
    let nodes: Vec<_> =
        (1..=4).map(|id| Candidate { node: NodeId(id), region: &eu, used_permille: 0 }).collect();
    let mut counts = [0; 5];
    for id in 0..4_000 {
        let p = place(MeetingId(id), &Demand::new(), &nodes, &nodes, &table()).unwrap();
        counts[p.origin.0 as usize] += 1;
    }
    assert!(counts[1..].iter().all(|c| (900..1_100).contains(c)), "{counts:?}");
}

#[test]
fn the_largest_meeting_does_not_overflow() {
    let many: Vec<String> = (0..64).map(|i| format!("r{i}")).collect();
    let demand = many
        .iter()
        .map(|r| (region(r), RegionDemand { listeners: 1 << 20, talk_permille: u32::MAX }))
        .collect();
    let at = region("r1");
    let node = [Candidate { node: NodeId(1), region: &at, used_permille: 0 }];
    assert!(place(MeetingId(1), &demand, &node, &node, &RttTable::default()).is_some());
}
