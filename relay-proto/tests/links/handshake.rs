//! How links come up, and why some do not.

use crate::harness::{A, B, LANE, World, config, up};
use relay_proto::{DownReason, LinkEvent, LinksError, NodeId};

fn failed(event: &LinkEvent) -> Option<DownReason> {
    match event {
        LinkEvent::DialFailed { reason, .. } | LinkEvent::Down { reason, .. } => {
            Some(reason.clone())
        }
        _ => None,
    }
}

#[test]
fn two_nodes_greet_each_other() {
    let mut world = World::pair();
    let a = world.connect(A, B);
    world.until(A, 2_000, up);
    assert_eq!(world.at.as_millis(), 80, "handshake and hello take two round trips of 40 ms");
    world.run_ms(20);
    let region = world.links(A).info(a).unwrap().region;
    assert_eq!(region, "r2");
    assert!(
        matches!(&world.nodes[B].events[..], [LinkEvent::Up { node: NodeId(1), lane: LANE, region, .. }] if region == "r1")
    );
}

#[test]
fn both_may_dial_and_one_link_results() {
    let mut world = World::pair();
    let a = world.connect(A, B);
    let b = world.connect(B, A);
    world.run_ms(3_000);
    for (node, link) in [(A, a), (B, b)] {
        let ups: Vec<_> = world.nodes[node].events.iter().filter_map(up).collect();
        assert_eq!(ups, [link], "node {node}: {:?}", world.nodes[node].events);
        assert_eq!(world.nodes[node].events.len(), 1);
        assert_eq!(world.links(node).stats().connections, 2);
    }
}

#[test]
fn connecting_twice_is_the_same_link() {
    let mut world = World::pair();
    let first = world.connect(A, B);
    assert_eq!(world.connect(A, B), first);
    world.run_ms(500);
    assert_eq!(world.connect(A, B), first);
    assert_eq!(world.links(A).stats().links, 1);
}

#[test]
fn another_cluster_is_refused() {
    let mut world = World::new(vec![config(7, 1, 1), config(8, 2, 1)]);
    world.connect(A, B);
    let reason = world.until(A, 5_000, failed).expect("a reason");
    assert!(
        matches!(&reason, DownReason::Transport(text) if text.contains("invalid peer certificate")),
        "{reason}"
    );
    world.run_ms(2_000);
    assert!(!world.nodes.iter().any(|n| n.events.iter().any(|e| up(e).is_some())));
}

#[test]
fn a_server_does_not_accept_a_stranger() {
    // B would accept A's certificate as a client; A's CA list also has B's, so only B refuses.
    let mut trusting = config(8, 1, 1);
    trusting.identity.ca.extend(config(7, 2, 1).identity.ca);
    let mut world = World::new(vec![trusting, config(7, 2, 1)]);
    world.connect(A, B);
    world.until(A, 5_000, failed).expect("a reason");
    world.run_ms(2_000);
    assert!(!world.nodes.iter().any(|n| n.events.iter().any(|e| up(e).is_some())));
    assert!(world.links(B).stats().handshakes > 0, "{:?}", world.links(B).stats());
}

#[test]
fn another_node_than_dialled_is_refused() {
    let mut world = World::new(vec![config(7, 1, 1), config(7, 5, 1)]);
    world.connect(A, B);
    let reason = world.until(A, 5_000, failed).expect("a reason");
    assert!(
        matches!(&reason, DownReason::Identity(text) if text.contains("node/r5/5")),
        "{reason}"
    );
    assert!(world.nodes[B].events.is_empty());
}

#[test]
fn a_node_does_not_start_with_anothers_certificate() {
    let mut wrong = config(7, 1, 1);
    wrong.node = NodeId(2);
    let world = World::pair();
    let error = relay_proto::Links::new(world.now(A), wrong).unwrap_err();
    assert!(matches!(error, LinksError::Identity(text) if text.contains("certificate says")));
}

#[test]
fn versions_without_overlap_are_refused_with_both_ranges() {
    let mut newer = config(7, 2, 1);
    newer.versions = (3, 4);
    let mut world = World::new(vec![config(7, 1, 1), newer]);
    world.connect(A, B);
    let reason = world.until(A, 5_000, failed).expect("a reason");
    let text = reason.to_string();
    assert!(matches!(reason, DownReason::Version(_)), "{text}");
    assert!(text.contains("1..=1") && text.contains("3..=4"), "{text}");
}

#[test]
fn versions_that_overlap_agree() {
    let mut newer = config(7, 2, 1);
    newer.versions = (1, 9);
    let mut world = World::new(vec![config(7, 1, 1), newer]);
    world.link_up();
}

#[test]
fn a_lossy_path_still_comes_up() {
    for seed in 0..20_u64 {
        let mut world = World::pair();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        world.lose = Box::new(move |_, _, _| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % 10 < 2
        });
        world.connect(A, B);
        assert!(world.until(B, 20_000, up).is_some(), "seed {seed}");
    }
}
