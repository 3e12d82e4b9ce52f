//! Heads and children: who is named, and what happens when one goes.

use crate::far::Far;
use crate::world::{STEP, World};
use relay_proto::NodeId;
use relay_proto::control::{Body, Role, RosterChange};
use relay_proto::limits::DEAD_AFTER;
use std::time::Duration;

/// An edge that is gone has so long to come back before its participants have left.
const GRACE: Duration = Duration::from_secs(5);

fn child_of(node: u32) -> Option<Role> {
    Some(Role::Child { head: NodeId(node) })
}

#[test]
fn the_first_edge_of_a_region_is_its_head_and_the_others_its_children() {
    let mut world = World::new();
    let places = ["eu", "eu", "us", "eu", "us"].map(|region| world.attached(region));
    let roles = places.map(|place| world.at(place).role());
    assert_eq!(
        roles,
        [Some(Role::Head), child_of(2), Some(Role::Head), child_of(2), child_of(4)],
        "nodes are numbered from 2"
    );
    // Whoever attaches is told its part, how the meeting is set, everybody there is, who waits, what was written, and who has the floor, in this order.
    let told = world.told(places[0]);
    assert!(
        matches!(
            told[..6],
            [
                Body::Attached { role: Role::Head },
                Body::Settings(_),
                Body::RosterSnapshot { first: true, last: true, .. },
                Body::Knocking { total: 0, .. },
                Body::ChatHistory { last: true, .. },
                Body::Floor(_)
            ]
        ),
        "{told:?}"
    );
}

#[test]
fn when_a_head_dies_its_child_is_named_the_others_are_told_and_the_roster_stands() {
    let mut world = World::new();
    let [head, heir, other, far] = ["eu", "eu", "eu", "us"].map(|region| world.attached(region));
    for place in [head, heir, far] {
        let member = world.at(place).member(1);
        world.say(place, Body::RosterRequest(RosterChange::Put(member)));
    }
    for place in [heir, other, far] {
        world.told(place);
    }
    let gone = world.at(head).member(1).id;
    world.kill(head);
    let (took, ()) = world.until(Duration::from_secs(3), |world| {
        (world.at(heir).role() == Some(Role::Head)).then_some(())
    });
    world.run(4 * STEP);
    println!("a dead head's child is head after {} ms", took.as_millis());
    assert!(took <= DEAD_AFTER + Duration::from_millis(200), "{took:?}");
    assert_eq!(world.at(other).role(), child_of(3));
    for place in [heir, other, far] {
        let told = world.told(place);
        let roster = told.iter().any(|b| matches!(b, Body::Roster { .. }));
        assert!(!roster, "nobody has left yet: {told:?}");
    }
    assert_eq!(world.shard.participants(), 3);
    // What the new head announces reaches the other region.
    let now = world.now;
    world.at(heir).publish(now, Far::new(NodeId(3), 1));
    let told = world.told(far);
    assert!(told.iter().any(|b| matches!(b, Body::Announce(_))), "{told:?}");
    // It does not come back: its participants have left, in order, for everybody.
    world.run(GRACE);
    for place in [heir, other, far] {
        let told = world.told(place);
        let left = told.iter().filter_map(|b| match b {
            Body::Roster { seq, change: RosterChange::Remove(id) } => Some((*seq, *id)),
            _ => None,
        });
        assert_eq!(left.collect::<Vec<_>>(), [(4, gone)]);
    }
    assert_eq!(world.shard.participants(), 2);
}

#[test]
fn a_head_that_comes_back_in_time_is_head_again() {
    let mut world = World::new();
    let [head, heir] = ["eu", "eu"].map(|region| world.attached(region));
    let now = world.now;
    let link = world.at(head).link.take().unwrap();
    world.at(head).links.disconnect(now, link);
    world.run(4 * STEP);
    assert_eq!(world.at(heir).role(), Some(Role::Head), "at once: the link was closed");
    let now = world.now;
    world.at(head).reconnect(now);
    world.until(Duration::from_secs(3), |world| world.at(head).link);
    world.run(4 * STEP);
    world.attach(head);
    assert_eq!((world.at(head).role(), world.at(heir).role()), (Some(Role::Head), child_of(2)));
}

#[test]
fn an_edge_that_detaches_takes_its_participants_along_at_once() {
    let mut world = World::new();
    let [head, child] = ["eu", "eu"].map(|region| world.attached(region));
    let member = world.at(head).member(1);
    world.say(head, Body::RosterRequest(RosterChange::Put(member.clone())));
    world.told(child);
    world.say(head, Body::Detach);
    let told = world.told(child);
    let left = Body::Roster { seq: 2, change: RosterChange::Remove(member.id) };
    assert!(
        told.contains(&left) && told.contains(&Body::Attached { role: Role::Head }),
        "{told:?}"
    );
}
