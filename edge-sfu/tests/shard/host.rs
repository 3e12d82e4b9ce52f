//! What hosts do, the door, and large rosters, as clients and the origin see them.

use crate::neighbour::Neighbour;
use crate::world::{MEETING, ORIGIN, World};
use edge_sfu::shard::{EdgeCommand, SocketId};
use edge_sfu::signal::{
    ClientMessage, ErrorCode, HostActionJson, MemberRoleJson, ServerMessage, TrackKindJson,
};
use relay_proto::ParticipantId;
use relay_proto::control::{Body, Member, RosterChange};
use relay_proto::roles::{Barrier, HostAction, HostRefusal, Knocker, MemberRole, Settings};
use std::time::Duration;

const ROUND_TRIP: Duration = Duration::from_millis(40);

/// An owner who is host, then panelists, then attendees; and an origin that answers when it is told to.
fn meeting(panelists: usize, attendees: usize) -> World {
    let mut world = World::new();
    world.meets(Neighbour::new(world.now));
    world.join_as(MEETING, true, |join| join.owner = true);
    world.gather(panelists, attendees);
    world.run(Duration::from_secs(1));
    world
}

fn id(world: &World, index: usize) -> ParticipantId {
    let joined = world.people[index].said.iter().find_map(|m| match m {
        ServerMessage::Joined { participant, .. } => Some(ParticipantId(*participant)),
        _ => None,
    });
    joined.expect("joined")
}

fn origin_says(world: &mut World, body: Body) {
    let now = world.now;
    world.neighbour.as_mut().unwrap().say(now, MEETING, body);
    world.run(ROUND_TRIP);
}

/// What the origin has heard since it was last asked.
fn heard(world: &mut World) -> Vec<Body> {
    world.run(ROUND_TRIP);
    std::mem::take(&mut world.neighbour.as_mut().unwrap().heard)
}

fn puts(bodies: &[Body]) -> Vec<Member> {
    let put = |body: &Body| match body {
        Body::RosterRequest(RosterChange::Put(member)) => Some(member.clone()),
        _ => None,
    };
    bodies.iter().filter_map(put).collect()
}

fn told(world: &mut World, index: usize) -> Vec<ServerMessage> {
    std::mem::take(&mut world.people[index].said)
}

fn host(world: &mut World, index: usize, action: HostActionJson) -> Vec<Body> {
    world.say(index, ClientMessage::Host { key: 4, action });
    heard(world)
}

/// The second panelist speaks for 600 ms; packets the first one got.
fn voices(world: &mut World) -> usize {
    world.people[1].rtp.clear();
    for _ in 0..30 {
        let packet = world.people[2].media.voice(30);
        world.send(2, &[packet]);
        world.run(Duration::from_millis(20));
    }
    world.people[1].rtp.len()
}

#[test]
fn a_host_asks_the_origin_and_others_are_refused_at_once() {
    let mut world = meeting(1, 1);
    let (owner, panelist) = (id(&world, 0), id(&world, 1));
    heard(&mut world);
    let action = HostActionJson::Mute { target: panelist.0, kind: TrackKindJson::Mic };
    for other in [1, 2] {
        assert_eq!(host(&mut world, other, action.clone()), []);
        let answer = told(&mut world, other).pop();
        assert!(matches!(answer, Some(ServerMessage::Done { key: 4, refused: Some(_) })));
    }
    told(&mut world, 0);
    let asked = HostAction::Mute { target: panelist, kind: relay_proto::TrackKind::Mic };
    let request = Body::HostRequest { key: 4, from: owner, action: asked };
    assert_eq!(host(&mut world, 0, action), [request]);
    assert_eq!(told(&mut world, 0), [], "not before the origin has said so");
    origin_says(&mut world, Body::HostAnswer { key: 4, from: owner, refused: None });
    assert_eq!(told(&mut world, 0), [ServerMessage::Done { key: 4, refused: None }]);
    let refused = Some(HostRefusal::Gone);
    origin_says(&mut world, Body::HostAnswer { key: 5, from: owner, refused });
    let answer = told(&mut world, 0).pop();
    assert!(matches!(answer, Some(ServerMessage::Done { key: 5, refused: Some(_) })));
}

#[test]
fn who_is_muted_by_a_host_is_not_heard_however_much_they_send_until_they_unmute() {
    let mut world = meeting(2, 0);
    let (owner, speaker) = (id(&world, 0), id(&world, 2));
    assert!(voices(&mut world) >= 25);
    heard(&mut world);
    told(&mut world, 2);
    let action = HostAction::Mute { target: speaker, kind: relay_proto::TrackKind::Mic };
    origin_says(&mut world, Body::Command { by: owner, action });
    let said = ServerMessage::Muted { kind: TrackKindJson::Mic, by: owner.0 };
    assert!(told(&mut world, 2).contains(&said));
    assert!(puts(&heard(&mut world)).iter().any(|m| m.id == speaker && m.mic_muted));
    assert_eq!(voices(&mut world), 0);
    world.say(2, ClientMessage::Mute { kind: TrackKindJson::Mic, muted: false });
    assert!(voices(&mut world) >= 25);
    // All at once, hosts not: they have nothing to say to that.
    heard(&mut world);
    let action = HostAction::MuteAll { but_hosts: true };
    origin_says(&mut world, Body::Command { by: owner, action });
    let muted: Vec<_> = puts(&heard(&mut world)).iter().map(|m| m.id).collect();
    assert_eq!(muted, [id(&world, 1), speaker]);
    assert_eq!(voices(&mut world), 0);
}

#[test]
fn who_is_removed_is_told_why_and_leaves_nothing_behind() {
    let mut world = meeting(1, 0);
    let (owner, panelist) = (id(&world, 0), id(&world, 1));
    let peers = world.shard.peers();
    let action = HostAction::Remove { target: panelist, block: true };
    origin_says(&mut world, Body::Command { by: owner, action });
    assert!(matches!(told(&mut world, 1).pop(), Some(ServerMessage::Ended { .. })));
    assert_eq!((world.people[1].closed, world.shard.peers()), (true, peers - 1));
    let gone = Body::RosterRequest(RosterChange::Remove(panelist));
    assert!(heard(&mut world).contains(&gone));
}

#[test]
fn a_role_is_what_the_roster_says_and_takes_effect_at_once() {
    let mut world = meeting(2, 0);
    let speaker = id(&world, 2);
    let member = puts(&heard(&mut world)).into_iter().rfind(|m| m.id == speaker).unwrap();
    assert!(voices(&mut world) >= 25);
    told(&mut world, 2);
    let role = |role| Body::Roster {
        seq: if role == MemberRole::Attendee { 1 } else { 2 },
        change: RosterChange::Put(Member { role, ..member.clone() }),
    };
    origin_says(&mut world, role(MemberRole::Attendee));
    assert!(told(&mut world, 2).contains(&ServerMessage::Role { role: MemberRoleJson::Attendee }));
    assert_eq!(voices(&mut world), 0, "whatever they send");
    world.say(2, ClientMessage::Mute { kind: TrackKindJson::Mic, muted: false });
    let refused = told(&mut world, 2).pop();
    assert!(matches!(refused, Some(ServerMessage::Error { code: ErrorCode::Forbidden, .. })));
    origin_says(&mut world, role(MemberRole::Host));
    let said = told(&mut world, 2);
    assert!(said.contains(&ServerMessage::Role { role: MemberRoleJson::Host }));
    assert!(said.iter().any(|m| matches!(m, ServerMessage::Knocking { total: 0, .. })));
}

#[test]
fn a_locked_meeting_turns_people_down_at_the_edge_but_owners() {
    let mut world = meeting(1, 0);
    let settings = Settings { locked: true, ..Settings::default() };
    origin_says(&mut world, Body::Settings(settings));
    let locked = |m: &ServerMessage| matches!(m, ServerMessage::Settings { locked: true, .. });
    assert!(told(&mut world, 1).iter().any(locked));
    let late = world.join(MEETING, true);
    let said = told(&mut world, late);
    let forbidden = ErrorCode::Forbidden;
    assert!(
        matches!(said[..], [ServerMessage::Error { code, fatal: true, .. }] if code == forbidden)
    );
    let owner = world.join_as(MEETING, true, |join| join.owner = true);
    let said = told(&mut world, owner);
    assert!(matches!(
        said[0],
        ServerMessage::Joined { role: MemberRoleJson::Host, owner: true, .. }
    ));
    assert!(said.iter().any(locked), "who joins is told how the meeting is set");
}

#[test]
fn a_door_that_was_closed_before_the_edge_knew_stops_who_was_let_in() {
    let mut world = meeting(1, 0);
    let panelist = id(&world, 1);
    let away = Body::TurnedAway { participant: panelist, barrier: Barrier::Locked };
    origin_says(&mut world, away);
    let said = told(&mut world, 1).pop();
    assert!(matches!(
        said,
        Some(ServerMessage::Error { code: ErrorCode::Forbidden, fatal: true, .. })
    ));
    assert!(world.people[1].closed);
}

#[test]
fn who_waits_is_let_in_sent_away_or_goes() {
    let mut world = meeting(0, 0);
    let owner = id(&world, 0);
    heard(&mut world);
    let settings = Settings { waiting_room: true, ..Settings::default() };
    origin_says(&mut world, Body::Settings(settings));
    let places = [0; 3].map(|_| world.join(MEETING, true));
    let by_token = world.join_as(MEETING, false, |join| join.wait = true);
    for place in places.into_iter().chain([by_token]) {
        assert_eq!(told(&mut world, place), [ServerMessage::Waiting]);
    }
    let knocks: Vec<Knocker> = heard(&mut world)
        .into_iter()
        .filter_map(|b| if let Body::Knock(k) = b { Some(k) } else { None })
        .collect();
    let names: Vec<_> = knocks.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(names, ["p1", "p2", "p3", "p4"]);
    told(&mut world, 0);
    origin_says(&mut world, Body::Knocking { people: knocks.clone(), total: 4 });
    let said = told(&mut world, 0);
    assert!(
        matches!(&said[..], [ServerMessage::Knocking { people, total: 4 }] if people.len() == 4)
    );
    let command = |action| Body::Command { by: owner, action };
    origin_says(&mut world, command(HostAction::Admit { target: Some(knocks[0].id) }));
    let in_now = told(&mut world, places[0]);
    assert!(
        matches!(in_now[0], ServerMessage::Joined { participant, .. } if participant == knocks[0].id.0)
    );
    assert!(puts(&heard(&mut world)).iter().any(|m| m.id == knocks[0].id), "as who they knocked");
    origin_says(&mut world, command(HostAction::Deny { target: knocks[1].id }));
    let said = told(&mut world, places[1]);
    assert!(matches!(
        said[..],
        [ServerMessage::Error { code: ErrorCode::Forbidden, fatal: true, .. }]
    ));
    world.command(EdgeCommand::SocketClosed(SocketId(places[2] as u64)));
    world.say(by_token, ClientMessage::Leave);
    let ended = [knocks[2].id, knocks[3].id].map(Body::KnockEnded);
    assert_eq!(heard(&mut world), ended);
    assert!(world.people[by_token].closed);
}

#[test]
fn who_waits_is_said_again_after_attaching() {
    let mut world = meeting(0, 0);
    let waits = world.join_as(MEETING, true, |join| join.wait = true);
    assert_eq!(told(&mut world, waits), [ServerMessage::Waiting]);
    let knocks = |bodies: Vec<Body>| bodies.iter().filter(|b| matches!(b, Body::Knock(_))).count();
    assert_eq!(knocks(heard(&mut world)), 1);
    let role = relay_proto::control::Role::Head;
    origin_says(&mut world, Body::Attached { role });
    assert_eq!(knocks(heard(&mut world)), 1);
}

#[test]
fn a_hand_is_lowered_by_a_host() {
    let mut world = meeting(1, 1);
    let (owner, attendee) = (id(&world, 0), id(&world, 2));
    for index in [1, 2] {
        world.say(index, ClientMessage::Hand { raised: true });
    }
    heard(&mut world);
    let lower = |target| Body::Command { by: owner, action: HostAction::LowerHand { target } };
    origin_says(&mut world, lower(Some(attendee)));
    let changed: Vec<_> = puts(&heard(&mut world)).iter().map(|m| (m.id, m.hand)).collect();
    assert_eq!(changed, [(attendee, 0)]);
    origin_says(&mut world, lower(None));
    assert_eq!(puts(&heard(&mut world)).len(), 1, "the other one's");
}

fn member(world: &World, counter: u32, role: MemberRole) -> Member {
    let id = ParticipantId::new(ORIGIN, counter);
    let like = puts(&world.neighbour.as_ref().unwrap().heard)[0].clone();
    Member { id, name: format!("Far {counter:04}"), edge: ORIGIN, role, ..like }
}

fn snapshot(members: &[Member]) -> Vec<Body> {
    let chunks: Vec<_> = members.chunks(200).collect();
    let last = chunks.len() - 1;
    let body = |(i, c): (usize, &&[Member])| Body::RosterSnapshot {
        seq: 1,
        members: c.to_vec(),
        first: i == 0,
        last: i == last,
    };
    chunks.iter().enumerate().map(body).collect()
}

#[test]
fn in_a_crowd_attendees_are_a_number_and_pages_tell_who_they_are() {
    let mut world = meeting(1, 0);
    let mut far: Vec<Member> = (0..300).map(|n| member(&world, n, MemberRole::Attendee)).collect();
    far[7].hand = 3;
    far[9].role = MemberRole::Panelist;
    far.extend(puts(&world.neighbour.as_ref().unwrap().heard));
    told(&mut world, 1);
    for body in snapshot(&far) {
        origin_says(&mut world, body);
    }
    world.run(Duration::from_millis(300));
    let roster = |said: Vec<ServerMessage>| {
        said.into_iter().rev().find_map(|m| match m {
            ServerMessage::Roster { put, attendees, removed, .. } => {
                Some((put.into_iter().map(|m| m.id).collect::<Vec<_>>(), attendees, removed))
            }
            _ => None,
        })
    };
    let (listed, attendees, _) = roster(told(&mut world, 1)).unwrap();
    assert_eq!((listed.len(), attendees), (4, Some(299)), "host, two panelists, a raised hand");
    let late = world.join(MEETING, false);
    let (listed, attendees, _) = roster(told(&mut world, late)).unwrap();
    assert_eq!((listed.len(), attendees), (4, Some(299)));
    // An attendee who goes changes the number only; one whose hand goes down is not listed any more.
    far[7].hand = 0;
    let changes = [RosterChange::Remove(far[20].id), RosterChange::Put(far[7].clone())];
    for (seq, change) in (2..).zip(changes) {
        origin_says(&mut world, Body::Roster { seq, change });
    }
    world.run(Duration::from_millis(300));
    let (put, attendees, removed) = roster(told(&mut world, 1)).unwrap();
    assert_eq!((put, attendees, removed), (vec![], Some(298), vec![far[7].id.0]));
    let mut after = None;
    let mut paged = Vec::new();
    loop {
        world.say(1, ClientMessage::RosterPage { after, search: None });
        let Some(ServerMessage::RosterPage { members, next }) = told(&mut world, 1).pop() else {
            panic!("a page")
        };
        paged.extend(members.into_iter().map(|m| m.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    paged.sort_unstable();
    paged.dedup();
    assert_eq!(paged.len(), 299 + 2, "everybody, once");
    world.say(1, ClientMessage::RosterPage { after: None, search: Some("FAR 012".into()) });
    let page = told(&mut world, 1).pop();
    assert!(
        matches!(page, Some(ServerMessage::RosterPage { members, next: None }) if members.len() == 10)
    );
    world.say(1, ClientMessage::RosterPage { after: None, search: None });
    let page = told(&mut world, 1).pop();
    assert!(
        matches!(page, Some(ServerMessage::Error { code: ErrorCode::TooMany, .. })),
        "{page:?}"
    );
}

#[test]
fn joins_are_held_until_the_origin_has_said_how_the_meeting_is_set() {
    let mut world = World::new();
    let mut origin = Neighbour::new(world.now);
    origin.silent = true;
    world.meets(origin);
    let first = world.join(MEETING, true);
    world.placed(MEETING);
    world.run(Duration::from_millis(500));
    assert_eq!(told(&mut world, first), [], "nobody knows yet whether they may");
    let settings = Settings { locked: true, ..Settings::default() };
    origin_says(&mut world, Body::Settings(settings));
    let said = told(&mut world, first);
    assert!(
        matches!(said[..], [ServerMessage::Error { code: ErrorCode::Forbidden, .. }]),
        "{said:?}"
    );
    let mut world = meeting(0, 0);
    let second = world.join_as(MEETING, false, |join| join.wait = true);
    told(&mut world, second);
    world.say(second, ClientMessage::Ping { id: 7 });
    assert_eq!(
        told(&mut world, second),
        [ServerMessage::Pong { id: 7 }],
        "who waits knows that the edge lives"
    );
}

#[test]
fn an_origin_that_does_not_answer_holds_joins_for_a_second_only() {
    let mut world = World::new();
    let mut origin = Neighbour::new(world.now);
    origin.silent = true;
    world.meets(origin);
    let index = world.join(MEETING, true);
    world.placed(MEETING);
    world.run(Duration::from_millis(990));
    assert_eq!(told(&mut world, index), []);
    world.run(Duration::from_millis(20));
    assert!(matches!(told(&mut world, index)[0], ServerMessage::Joined { .. }));
    let late = world.join(MEETING, true);
    assert!(matches!(told(&mut world, late)[0], ServerMessage::Joined { .. }), "at once");
}
