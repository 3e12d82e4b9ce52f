//! Participants come, speak and go, as the control runtime and their clients see it.

use crate::world::{MEETING, World};
use edge_sfu::shard::{EdgeCommand, SocketId};
use edge_sfu::signal::{ClientMessage, ErrorCode, ServerMessage, TrackKindJson};
use relay_proto::{Encoding, MeetingId};
use std::time::Duration;

fn refusal(world: &World, index: usize) -> Option<ErrorCode> {
    world.people[index].said.iter().find_map(|m| match m {
        ServerMessage::Error { code, fatal: true, .. } => Some(*code),
        _ => None,
    })
}

fn joined(world: &World, index: usize) -> bool {
    matches!(world.people[index].said.first(), Some(ServerMessage::Joined { .. }))
}

#[test]
fn a_join_waits_for_the_placement_and_is_answered() {
    let mut world = World::new();
    let index = world.join(MEETING, true);
    assert_eq!((world.asked.as_slice(), world.people[index].said.len()), (&[MEETING][..], 0));
    world.placed(MEETING);
    assert!(joined(&world, index));
    let kinds: Vec<_> = world.people[index].said.iter().skip(1).collect();
    assert!(matches!(
        kinds[..],
        [
            ServerMessage::Roster { snapshot: true, .. },
            ServerMessage::Floor { .. },
            ServerMessage::Settings { locked: false, .. }
        ]
    ));
    let second = world.join(MEETING, false);
    assert!(joined(&world, second), "the placement is known now");
}

#[test]
fn who_waits_for_a_meeting_that_is_not_there_is_told_so() {
    let mut world = World::new();
    let index = world.join(MEETING, true);
    world.command(EdgeCommand::Placement { meeting: MEETING, placement: None });
    assert_eq!(
        (refusal(&world, index), world.people[index].closed),
        (Some(ErrorCode::NoMeeting), true)
    );
    assert_eq!((world.shard.peers(), world.shard.meetings()), (0, 0));
}

#[test]
fn a_topology_that_does_not_answer_is_unavailable() {
    let mut world = World::new();
    let index = world.join(MEETING, true);
    world.command(EdgeCommand::PlacementUnknown(MEETING));
    assert_eq!(refusal(&world, index), Some(ErrorCode::Unavailable));
    assert_eq!(world.shard.meetings(), 0);
}

#[test]
fn a_full_edge_is_busy() {
    let mut world = World::with_room(2);
    world.gather(1, 1);
    let index = world.join(MEETING, false);
    assert_eq!((refusal(&world, index), world.people[index].closed), (Some(ErrorCode::Busy), true));
    assert_eq!(world.shard.peers(), 2);
}

#[test]
fn a_second_join_on_a_socket_is_out_of_order_and_changes_nothing() {
    let mut world = World::meeting(1, 0);
    world.say(0, ClientMessage::Leave);
    assert_eq!(world.shard.peers(), 0);
    world.say(0, ClientMessage::Ping { id: 3 });
    let last = world.people[0].said.last();
    assert!(matches!(
        last,
        Some(ServerMessage::Error { code: ErrorCode::OutOfOrder, fatal: false, .. })
    ));
}

#[test]
fn leaving_frees_everything() {
    let mut world = World::meeting(2, 2);
    assert_eq!((world.shard.peers(), world.shard.meetings()), (4, 1));
    world.say(0, ClientMessage::Leave);
    assert!(world.people[0].closed);
    world.command(EdgeCommand::SocketClosed(SocketId(2)));
    assert_eq!((world.shard.peers(), world.shard.meetings()), (2, 1));
    // What is still under way from who left comes from nobody.
    let packet = world.people[0].media.voice(30);
    world.send(0, &[packet]);
    let ingested = world.shard.counters().ingested;
    world.run(Duration::from_millis(20));
    assert_eq!(world.shard.counters().ingested, ingested);
    for index in [1, 3] {
        world.say(index, ClientMessage::Leave);
    }
    assert_eq!((world.shard.peers(), world.shard.meetings()), (0, 0));
    // The next meeting begins from nothing.
    let index = world.join(MeetingId(78), true);
    assert_eq!(world.asked.last(), Some(&MeetingId(78)));
    world.placed(MeetingId(78));
    assert!(joined(&world, index));
}

#[test]
fn who_mutes_is_not_heard_until_they_speak_up_again() {
    let mut world = World::meeting(1, 1);
    let voices = |world: &mut World, muted: Option<bool>| {
        if let Some(muted) = muted {
            world.say(0, ClientMessage::Mute { kind: TrackKindJson::Mic, muted });
        }
        world.people[1].rtp.clear();
        for _ in 0..30 {
            let packet = world.people[0].media.voice(30);
            world.send(0, &[packet]);
            world.run(Duration::from_millis(20));
        }
        world.people[1].rtp.len()
    };
    assert!(voices(&mut world, None) >= 25);
    assert_eq!(voices(&mut world, Some(true)), 0);
    assert!(voices(&mut world, Some(false)) >= 25);
}

#[test]
fn a_viewer_who_joins_late_is_shown_the_picture() {
    let mut world = World::meeting(1, 1);
    let pictures = |world: &mut World| {
        for _ in 0..30 {
            let frame = world.people[0].media.frame(Encoding::F, 3, 900);
            world.send(0, &frame);
            world.run(Duration::from_millis(30));
        }
    };
    pictures(&mut world);
    let late = world.join(MEETING, false);
    world.run(Duration::from_millis(100));
    pictures(&mut world);
    assert!(world.people[late].rtp.len() > 60, "{}", world.people[late].rtp.len());
}
