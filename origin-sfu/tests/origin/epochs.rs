//! Who acts under another epoch than the one in force is refused, and told why.

use crate::world::{EPOCH, MEETING, World};
use origin_sfu::OriginCommand;
use relay_proto::control::{Body, Refusal};
use relay_proto::{Epoch, MeetingId};

fn attach() -> Body {
    Body::Attach { region: "eu".into() }
}

fn refusals(told: &[Body]) -> Vec<Refusal> {
    let refusals = told.iter().filter_map(|b| match b {
        Body::Refused(refusal) => Some(*refusal),
        _ => None,
    });
    refusals.collect()
}

#[test]
fn an_older_epoch_is_refused_with_the_one_in_force() {
    let mut world = World::new();
    let edge = world.edge("eu");
    world.say_under(edge, Epoch(2), attach());
    let told = world.told(edge);
    assert_eq!(refusals(&told), [Refusal::StaleEpoch(EPOCH)]);
    assert_eq!(world.at(edge).role(), None);
    assert_eq!(world.shard.report().refused.stale_epoch, 1);
}

#[test]
fn a_newer_epoch_says_that_somebody_else_was_granted_the_meeting() {
    let mut world = World::new();
    let edge = world.edge("eu");
    world.say_under(edge, Epoch(6), attach());
    let told = world.told(edge);
    assert_eq!(refusals(&told), [Refusal::NotMine]);
    assert_eq!(world.asked, [MEETING], "the topology knows");
    // From here on the older epoch is stale, wherever it comes from.
    let other = world.edge("us");
    world.say(other, attach());
    let told = world.told(other);
    assert_eq!(refusals(&told), [Refusal::StaleEpoch(Epoch(6))]);
}

#[test]
fn a_meeting_that_is_not_here_is_asked_for_and_taken_once_it_is_granted() {
    let mut world = World::without_meeting();
    let edge = world.edge("eu");
    world.say(edge, attach());
    let told = world.told(edge);
    assert_eq!((refusals(&told), world.asked.as_slice()), (vec![Refusal::NotMine], &[MEETING][..]));
    world.grant(MEETING, EPOCH);
    world.attach(edge);
    assert!(world.at(edge).role().is_some());
}

#[test]
fn a_grant_that_comes_twice_or_late_changes_nothing() {
    let mut world = World::new();
    let edge = world.attached("eu");
    world.told(edge);
    for epoch in [EPOCH, Epoch(2)] {
        world.grant(MEETING, epoch);
    }
    assert_eq!((world.told(edge), world.shard.meetings()), (Vec::new(), 1));
}

#[test]
fn a_meeting_that_has_ended_is_over_for_every_edge_and_one_that_moved_is_just_forgotten() {
    let mut world = World::new();
    world.grant(MeetingId(78), EPOCH);
    let [one, two] = ["eu", "us"].map(|region| world.attached(region));
    world.told(one);
    world.told(two);
    world.command(OriginCommand::Revoked { meeting: MeetingId(78), ended: false });
    assert_eq!(world.told(one), [], "nobody of it was there");
    world.command(OriginCommand::Revoked { meeting: MEETING, ended: true });
    assert_eq!((world.told(one), world.told(two)), (vec![Body::Ended], vec![Body::Ended]));
    assert_eq!(world.shard.meetings(), 0);
}
