//! An edge that is a child in its region: media comes by the head, everything else by the origin.

use crate::far::Far;
use crate::neighbour::Neighbour;
use crate::world::{MEETING, ORIGIN, World, relay_addr};
use edge_sfu::shard::EdgeCommand;
use relay_proto::NodeId;
use relay_proto::control::{Body, Role};
use sfu_core::relay::NodeAddress;
use std::time::Duration;

const HEAD: NodeId = NodeId(3);
const FAR_EDGE: NodeId = NodeId(9);

/// A listener at a child whose head sends the voice of somebody far away.
fn child() -> World {
    let mut world = World::new();
    let mut origin = Neighbour::new(world.now);
    origin.role = Role::Child { head: HEAD };
    let mut head = Neighbour::at(world.now, HEAD);
    head.role = origin.role;
    (world.neighbour, world.head) = (Some(origin), Some(head));
    let address = |node| NodeAddress { node, region: "here".into(), relay: vec![relay_addr(node)] };
    world.command(EdgeCommand::Nodes(vec![address(ORIGIN), address(HEAD)]));
    world.gather(0, 1);
    world.run(Duration::from_secs(1));
    let now = world.now;
    let head = world.head.as_mut().expect("a head");
    assert!(head.heard.iter().any(|b| matches!(b, Body::Attach { .. })), "the head is attached to");
    head.announce(now, MEETING, Far::new(FAR_EDGE, 1));
    world.run(Duration::from_millis(40));
    world
}

/// 600 ms of the far voice; packets the listener got.
fn heard(world: &mut World) -> usize {
    world.people[0].rtp.clear();
    for _ in 0..30 {
        let now = world.now;
        world.head.as_mut().expect("a head").far_moment(now);
        world.run(Duration::from_millis(20));
    }
    world.people[0].rtp.len()
}

#[test]
fn an_origin_that_answers_twice_does_not_make_a_child_forget_what_its_head_announced() {
    let mut world = child();
    assert!(heard(&mut world) >= 25);
    let now = world.now;
    // Two requests were under way, because the first answer took long.
    let again = Body::Attached { role: Role::Child { head: HEAD } };
    world.neighbour.as_mut().expect("an origin").say(now, MEETING, again);
    world.run(Duration::from_millis(40));
    assert!(heard(&mut world) >= 25);
}

#[test]
fn a_head_that_answers_again_announces_again() {
    let mut world = child();
    let now = world.now;
    let head = world.head.as_mut().expect("a head");
    head.say(now, MEETING, Body::Attached { role: Role::Child { head: HEAD } });
    let far = head.far.take().expect("it was announced");
    head.announce(now, MEETING, far);
    world.run(Duration::from_millis(40));
    assert!(heard(&mut world) >= 25);
}

#[test]
fn a_head_that_is_gone_is_not_dialled_for_ever() {
    let mut world = child();
    world.head = None;
    world.run(Duration::from_secs(2));
    let dials = |world: &World| {
        let links: Vec<_> = world.shard.links().iter_info().map(|l| (l.node, l.up)).collect();
        links
    };
    assert!(dials(&world).contains(&(HEAD, false)), "while the topology knows it");
    let origin =
        NodeAddress { node: ORIGIN, region: "here".into(), relay: vec![relay_addr(ORIGIN)] };
    world.command(EdgeCommand::Nodes(vec![origin]));
    world.run(Duration::from_secs(1));
    assert_eq!(dials(&world), [(ORIGIN, true)]);
}
