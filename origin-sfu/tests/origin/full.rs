//! Tables have limits, and who does not fit is told so.

use crate::world::{EPOCH, MEETING, World};
use relay_proto::MeetingId;
use relay_proto::control::{Body, Refusal, RosterChange};
use relay_proto::roles::Barrier;

/// Edges of one meeting.
const EDGES_MAX: usize = 256;
/// Members of one meeting.
const MEMBERS_MAX: u32 = 2_000;
/// Meetings of one origin.
const MEETINGS_MAX: u64 = 2_000;

fn refused(told: &[Body]) -> bool {
    told.contains(&Body::Refused(Refusal::Full))
}

#[test]
fn one_edge_too_many_is_refused_and_those_who_are_there_may_come_again() {
    let mut world = World::new();
    for place in 0..EDGES_MAX {
        assert_eq!(world.attached("eu"), place);
        assert!(world.at(place).role().is_some(), "edge {place}");
    }
    let late = world.attached("us");
    let told = world.told(late);
    assert!(refused(&told) && world.at(late).role().is_none(), "{told:?}");
    world.told(0);
    world.attach(0);
    let told = world.told(0);
    assert!(!refused(&told) && told.iter().any(|b| matches!(b, Body::Attached { .. })));
    // When one goes, the next one fits.
    world.say(7, Body::Detach);
    world.run(crate::world::STEP * 4);
    world.attach(late);
    assert!(world.at(late).role().is_some());
    assert!(world.shard.report().refused.full >= 1);
}

#[test]
fn one_participant_too_many_is_refused_and_a_change_to_one_who_is_there_is_not() {
    let mut world = World::new();
    let edge = world.attached("eu");
    for counter in 0..MEMBERS_MAX {
        let member = world.at(edge).member(counter);
        world.say(edge, Body::RosterRequest(RosterChange::Put(member)));
        if counter % 20 == 0 {
            world.step();
        }
    }
    let told = world.told(edge);
    assert!(!told.iter().any(|b| matches!(b, Body::TurnedAway { .. })));
    assert_eq!(world.shard.participants(), MEMBERS_MAX as usize);
    let one_more = world.at(edge).member(MEMBERS_MAX);
    world.say(edge, Body::RosterRequest(RosterChange::Put(one_more.clone())));
    let told = world.told(edge);
    let away = Body::TurnedAway { participant: one_more.id, barrier: Barrier::Full };
    assert_eq!(told, std::slice::from_ref(&away));
    let mut muted = world.at(edge).member(5);
    muted.mic_muted = true;
    world.say(edge, Body::RosterRequest(RosterChange::Put(muted)));
    let told = world.told(edge);
    assert!(matches!(told[..], [Body::Roster { seq: 2_001, .. }]), "{told:?}");
    let gone = world.at(edge).member(6).id;
    world.say(edge, Body::RosterRequest(RosterChange::Remove(gone)));
    world.say(edge, Body::RosterRequest(RosterChange::Put(one_more)));
    assert!(!world.told(edge).contains(&away), "there is a place again");
}

#[test]
fn an_origin_with_all_the_meetings_it_takes_refuses_the_next() {
    let mut world = World::without_meeting();
    for id in 0..MEETINGS_MAX {
        world.grant(MeetingId(1_000 + id), EPOCH);
    }
    world.grant(MEETING, EPOCH);
    assert_eq!(world.shard.meetings(), MEETINGS_MAX as usize);
    let edge = world.attached("eu");
    let told = world.told(edge);
    assert_eq!(told, [Body::Refused(Refusal::Full)]);
}
