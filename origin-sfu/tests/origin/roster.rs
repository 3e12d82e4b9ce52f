//! The roster's order: every edge sees the same changes with the same numbers, and a snapshot when it begins anew.

use crate::world::World;
use relay_proto::ParticipantId;
use relay_proto::control::{Body, RosterChange};
use std::time::Duration;

/// Numbers of the changes that an edge was told, and of the last snapshot with its members.
fn changes(told: &[Body]) -> (Vec<u64>, Option<(u64, Vec<ParticipantId>)>) {
    let (mut seqs, mut snapshot) = (Vec::new(), None);
    for body in told {
        match body {
            Body::Roster { seq, .. } => seqs.push(*seq),
            Body::RosterSnapshot { seq, members, .. } => {
                snapshot = Some((*seq, members.iter().map(|m| m.id).collect()));
            }
            _ => {}
        }
    }
    (seqs, snapshot)
}

#[test]
fn changes_of_all_edges_have_one_numbering_without_a_gap() {
    let mut world = World::new();
    let places = ["eu", "us", "ap"].map(|region| world.attached(region));
    for place in places {
        world.told(place);
    }
    for counter in 1..=10 {
        for place in places {
            let member = world.at(place).member(counter);
            world.say(place, Body::RosterRequest(RosterChange::Put(member)));
        }
        world.step();
    }
    let gone = world.at(places[0]).member(3).id;
    world.say(places[0], Body::RosterRequest(RosterChange::Remove(gone)));
    let told = places.map(|place| world.told(place));
    let expected: Vec<u64> = (1..=31).collect();
    assert_eq!(changes(&told[0]).0, expected);
    let roster = |told: &[Body]| -> Vec<Body> {
        told.iter().filter(|b| matches!(b, Body::Roster { .. })).cloned().collect()
    };
    assert!(roster(&told[0]) == roster(&told[1]) && roster(&told[0]) == roster(&told[2]));
    assert_eq!(world.shard.participants(), 29);
    // Said again, nothing changes, and no number is used.
    let member = world.at(places[1]).member(1);
    world.say(places[1], Body::RosterRequest(RosterChange::Put(member)));
    assert_eq!(changes(&world.told(places[1])).0, []);
}

#[test]
fn who_missed_changes_attaches_again_and_gets_a_snapshot_that_the_next_change_follows() {
    let mut world = World::new();
    let [here, away] = ["eu", "us"].map(|region| world.attached(region));
    world.told(away);
    let now = world.now;
    let link = world.at(away).link.take().unwrap();
    world.at(away).links.disconnect(now, link);
    world.run(Duration::from_millis(50));
    for counter in 1..=5 {
        let member = world.at(here).member(counter);
        world.say(here, Body::RosterRequest(RosterChange::Put(member)));
    }
    world.run(Duration::from_millis(50));
    let now = world.now;
    world.at(away).reconnect(now);
    world.until(Duration::from_secs(3), |world| world.at(away).link);
    world.run(Duration::from_millis(50));
    world.attach(away);
    let (seqs, snapshot) = changes(&world.told(away));
    let ids: Vec<_> = (1..=5).map(|counter| world.at(here).member(counter).id).collect();
    assert_eq!((seqs, snapshot), (Vec::new(), Some((5, ids))));
    let member = world.at(here).member(6);
    world.say(here, Body::RosterRequest(RosterChange::Put(member)));
    assert_eq!(changes(&world.told(away)).0, [6]);
}

#[test]
fn a_large_roster_comes_in_parts_of_which_the_first_and_the_last_are_marked() {
    let mut world = World::new();
    let here = world.attached("eu");
    for counter in 1..=450 {
        let member = world.at(here).member(counter);
        world.say(here, Body::RosterRequest(RosterChange::Put(member)));
        world.step();
    }
    let late = world.attached("us");
    let told = world.told(late);
    let parts = told.iter().filter_map(|b| match b {
        Body::RosterSnapshot { seq, members, first, last } => {
            Some((*seq, members.len(), *first, *last))
        }
        _ => None,
    });
    let parts: Vec<_> = parts.collect();
    assert_eq!(parts, [(450, 200, true, false), (450, 200, false, false), (450, 50, false, true)]);
}

#[test]
fn an_edge_speaks_for_its_own_participants_only() {
    let mut world = World::new();
    let [one, two] = ["eu", "us"].map(|region| world.attached(region));
    let member = world.at(one).member(1);
    world.say(one, Body::RosterRequest(RosterChange::Put(member.clone())));
    world.told(two);
    world.say(two, Body::RosterRequest(RosterChange::Remove(member.id)));
    world.say(two, Body::RosterRequest(RosterChange::Put(member)));
    assert_eq!(changes(&world.told(one)).0, [1]);
    assert_eq!(world.shard.participants(), 1);
}
