//! Writing and raised hands, as clients and the origin see them.

use crate::neighbour::Neighbour;
use crate::world::{MEETING, World};
use edge_sfu::signal::{ClientMessage, ErrorCode, ServerMessage};
use relay_proto::ParticipantId;
use relay_proto::control::{Body, ChatMessage, ChatPost, RosterChange};
use std::time::Duration;

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// Publishers (who may write) and attendees (who may not), and an origin that answers when it is told to.
fn meeting(publishers: usize, attendees: usize) -> World {
    let mut world = World::new();
    world.meets(Neighbour::new(world.now));
    world.gather(publishers, attendees);
    world.run(Duration::from_secs(1));
    origin_knows_all(&mut world);
    world
}

/// The origin puts everybody it heard of into the roster.
fn origin_knows_all(world: &mut World) {
    let now = world.now;
    let origin = world.neighbour.as_mut().unwrap();
    let members: Vec<_> = origin
        .heard
        .iter()
        .filter_map(|body| match body {
            Body::RosterRequest(RosterChange::Put(member)) => Some(member.clone()),
            _ => None,
        })
        .collect();
    origin.say(now, MEETING, Body::RosterSnapshot { seq: 1, members, first: true, last: true });
    world.run(ROUND_TRIP);
}

fn id(world: &World, index: usize) -> u32 {
    let joined = world.people[index].said.iter().find_map(|m| match m {
        ServerMessage::Joined { participant, .. } => Some(*participant),
        _ => None,
    });
    joined.expect("joined")
}

fn write(world: &mut World, index: usize, key: u64, to: Option<u32>) {
    world.say(index, ClientMessage::Chat { key, to, text: format!("message {key}") });
    world.run(ROUND_TRIP);
}

/// What the origin was asked to write.
fn asked(world: &World) -> Vec<ChatPost> {
    let heard = &world.neighbour.as_ref().unwrap().heard;
    heard
        .iter()
        .filter_map(|b| if let Body::ChatRequest(p) = b { Some(p.clone()) } else { None })
        .collect()
}

fn origin_says(world: &mut World, body: Body) {
    let now = world.now;
    world.neighbour.as_mut().unwrap().say(now, MEETING, body);
    world.run(ROUND_TRIP);
}

/// Keys of what a client was told.
fn read(world: &World, index: usize) -> Vec<u64> {
    let told = world.people[index].said.iter().filter_map(|m| match m {
        ServerMessage::Chat { messages } => Some(messages.iter().map(|m| m.key)),
        _ => None,
    });
    told.flatten().collect()
}

fn last_complaint(world: &World, index: usize) -> Option<ErrorCode> {
    world.people[index].said.iter().rev().find_map(|m| match m {
        ServerMessage::Error { code, fatal: false, .. } => Some(*code),
        _ => None,
    })
}

#[test]
fn what_is_written_is_told_when_the_origin_has_placed_it() {
    let mut world = meeting(2, 1);
    write(&mut world, 0, 5, None);
    let [post] = &asked(&world)[..] else { panic!("one request") };
    assert_eq!((post.from, post.name.as_str()), (ParticipantId(id(&world, 0)), "p0"));
    assert!((0..3).all(|index| read(&world, index).is_empty()), "not before it has its place");
    let message = ChatMessage { seq: 1, at_ms: 9, post: post.clone() };
    origin_says(&mut world, Body::Chat(message.clone()));
    origin_says(&mut world, Body::Chat(message));
    assert!((0..3).all(|index| read(&world, index) == [5]), "everybody, once, the writer too");
    let late = world.join(MEETING, false);
    assert_eq!(read(&world, late), [5], "who comes later is told");
}

#[test]
fn a_private_message_is_told_to_two() {
    let mut world = meeting(3, 0);
    let to = id(&world, 1);
    write(&mut world, 0, 5, Some(to));
    let post = asked(&world)[0].clone();
    assert_eq!(post.to, Some(ParticipantId(to)));
    origin_says(&mut world, Body::Chat(ChatMessage { seq: 1, at_ms: 9, post }));
    assert_eq!([0, 1, 2].map(|index| read(&world, index).len()), [1, 1, 0]);
    let late = world.join(MEETING, true);
    assert!(read(&world, late).is_empty(), "not even later");
    write(&mut world, 0, 6, Some(12_345));
    assert_eq!((asked(&world).len(), last_complaint(&world, 0)), (1, Some(ErrorCode::OutOfOrder)));
}

#[test]
fn who_may_not_write_writes_nonsense_or_too_much_is_told_so() {
    let mut world = meeting(1, 1);
    write(&mut world, 1, 1, None);
    assert_eq!(last_complaint(&world, 1), Some(ErrorCode::Forbidden));
    for (key, text) in [(1, String::new()), (1, "x".repeat(2_001)), (1 << 53, "x".into())] {
        world.say(0, ClientMessage::Chat { key, to: None, text });
        assert_eq!(last_complaint(&world, 0), Some(ErrorCode::Malformed));
    }
    assert_eq!(asked(&world), []);
    for key in 0..5 {
        world.say(0, ClientMessage::Chat { key, to: None, text: "x".into() });
    }
    assert_eq!(last_complaint(&world, 0), Some(ErrorCode::Malformed), "five at once are allowed");
    world.say(0, ClientMessage::Chat { key: 6, to: None, text: "x".into() });
    assert_eq!(last_complaint(&world, 0), Some(ErrorCode::TooMany));
    world.run(Duration::from_millis(1_100));
    write(&mut world, 0, 7, None);
    assert_eq!(asked(&world).iter().map(|p| p.key).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 7]);
}

#[test]
fn what_has_not_come_back_is_said_again_after_attaching_and_what_has_is_not() {
    let mut world = meeting(1, 0);
    for key in [1, 2] {
        write(&mut world, 0, key, None);
    }
    let posts = asked(&world);
    let placed = |seq: u64, post: &ChatPost| ChatMessage { seq, at_ms: 9, post: post.clone() };
    // The origin had the first one; the link breaks before the edge learns it.
    world.neighbour.as_mut().unwrap().heard.clear();
    let messages = vec![placed(1, &posts[0])];
    origin_says(&mut world, Body::ChatHistory { seq: 1, messages, last: true });
    assert_eq!(asked(&world), [posts[1].clone()]);
    assert_eq!(read(&world, 0), [1]);
    // Another origin counts anew: nothing is told twice, and what comes next is told.
    origin_says(&mut world, Body::ChatHistory { seq: 0, messages: Vec::new(), last: true });
    origin_says(&mut world, Body::Chat(placed(1, &posts[0])));
    origin_says(&mut world, Body::Chat(placed(2, &posts[1])));
    assert_eq!(read(&world, 0), [1, 2]);
    world.neighbour.as_mut().unwrap().heard.clear();
    origin_says(&mut world, Body::ChatHistory { seq: 2, messages: Vec::new(), last: true });
    assert_eq!(asked(&world), [], "both have come back");
}

#[test]
fn a_raised_hand_is_asked_for_and_shown_with_the_origins_number() {
    let mut world = meeting(2, 1);
    world.neighbour.as_mut().unwrap().heard.clear();
    world.say(2, ClientMessage::Hand { raised: true });
    world.run(ROUND_TRIP);
    let member = world.neighbour.as_ref().unwrap().heard.iter().find_map(|body| match body {
        Body::RosterRequest(RosterChange::Put(member)) => Some(member.clone()),
        _ => None,
    });
    let mut member = member.expect("a request");
    assert_eq!((member.id.0, member.hand), (id(&world, 2), 1));
    member.hand = 17;
    origin_says(&mut world, Body::Roster { seq: 2, change: RosterChange::Put(member) });
    world.run(Duration::from_millis(250));
    let hand = world.people[0].said.iter().rev().find_map(|m| match m {
        ServerMessage::Roster { put, .. } => put.iter().find(|m| m.id == id(&world, 2))?.hand,
        _ => None,
    });
    assert_eq!(hand, Some(17));
}
