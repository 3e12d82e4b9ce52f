//! What hosts do: the role table at the place that decides, the door, and what edges are told to carry out.

use crate::world::World;
use relay_proto::ParticipantId;
use relay_proto::TrackKind;
use relay_proto::control::{Body, Member, RosterChange};
use relay_proto::roles::{
    Barrier, HostAction, HostRefusal, Knocker, MemberRole, Settings, Standing, may,
};

fn put(world: &mut World, place: usize, member: Member) {
    world.say(place, Body::RosterRequest(RosterChange::Put(member)));
}

fn person(world: &mut World, place: usize, counter: u32, role: MemberRole, owner: bool) -> Member {
    let identity = u64::from(counter) + 1_000 * place as u64;
    let member = Member { role, owner, identity, ..world.at(place).member(counter) };
    put(world, place, member.clone());
    member
}

/// Two edges; at the first an owner who is host, and a panelist; at the second an attendee.
fn meeting() -> (World, [usize; 2], [Member; 3]) {
    let mut world = World::new();
    let places = ["eu", "us"].map(|region| world.attached(region));
    let people = [
        person(&mut world, places[0], 1, MemberRole::Host, true),
        person(&mut world, places[0], 2, MemberRole::Panelist, false),
        person(&mut world, places[1], 3, MemberRole::Attendee, false),
    ];
    for place in places {
        world.told(place);
    }
    (world, places, people)
}

/// Asks for it at the edge of who wants it; the answer, and what both edges were told.
fn ask(
    world: &mut World,
    places: [usize; 2],
    from: &Member,
    action: HostAction,
) -> (Option<HostRefusal>, [Vec<Body>; 2]) {
    let place = places.into_iter().find(|p| world.at(*p).node == from.edge).unwrap();
    world.say(place, Body::HostRequest { key: 9, from: from.id, action });
    let told = places.map(|place| world.told(place));
    let answers: Vec<_> = told
        .iter()
        .flatten()
        .filter_map(|body| match body {
            Body::HostAnswer { key: 9, from: who, refused } if *who == from.id => Some(*refused),
            _ => None,
        })
        .collect();
    let [answer] = answers[..] else { panic!("one answer: {told:?}") };
    (answer, told)
}

fn actions(target: ParticipantId) -> Vec<HostAction> {
    let kind = TrackKind::Mic;
    vec![
        HostAction::Mute { target, kind },
        HostAction::MuteAll { but_hosts: true },
        HostAction::LowerHand { target: Some(target) },
        HostAction::Remove { target, block: false },
        HostAction::SetRole { target, role: MemberRole::Panelist },
        HostAction::HandOver { target },
        HostAction::Reclaim,
        HostAction::Lock(true),
        HostAction::WaitingRoom(true),
        HostAction::LockChat(true),
        HostAction::PinShare { target: Some(target) },
    ]
}

#[test]
fn the_origin_keeps_to_the_table_whoever_asks() {
    for asker in 0..3 {
        for target in 0..3 {
            let ids = meeting().2.map(|m| m.id);
            for action in actions(ids[target]) {
                let (mut world, places, people) = meeting();
                let standing = |m: &Member| Standing { role: m.role, owner: m.owner };
                let aimed = action.target().map(|_| standing(&people[target]));
                let is_self = action.target() == Some(people[asker].id);
                let expected = may(standing(&people[asker]), action, aimed, is_self);
                let (refused, told) = ask(&mut world, places, &people[asker], action);
                let wanted = (!expected).then_some(HostRefusal::NotAllowed);
                assert_eq!(refused, wanted, "{asker} {action:?}");
                let done = told.iter().flatten().any(|b| {
                    matches!(b, Body::Command { .. } | Body::Settings(_) | Body::Roster { .. })
                });
                assert!(expected || !done, "refused and yet done: {told:?}");
            }
        }
    }
}

#[test]
fn what_is_done_to_somebody_is_told_to_their_edge_alone() {
    let (mut world, places, [host, _, attendee]) = meeting();
    let action = HostAction::Mute { target: attendee.id, kind: TrackKind::Mic };
    let (_, [first, second]) = ask(&mut world, places, &host, action);
    let command = Body::Command { by: host.id, action };
    assert!(!first.contains(&command) && second.contains(&command));
    let action = HostAction::MuteAll { but_hosts: true };
    let (_, told) = ask(&mut world, places, &host, action);
    assert!(told.iter().all(|t| t.contains(&Body::Command { by: host.id, action })));
    let gone = HostAction::Remove { target: ParticipantId(12_345), block: true };
    assert_eq!(ask(&mut world, places, &host, gone).0, Some(HostRefusal::Gone));
}

#[test]
fn an_edge_asks_for_its_own_participants_only() {
    let (mut world, places, [host, ..]) = meeting();
    let action = HostAction::Lock(true);
    world.say(places[1], Body::HostRequest { key: 1, from: host.id, action });
    assert!(places.iter().all(|place| world.told(*place).is_empty()));
}

fn roles(told: &[Body]) -> Vec<(ParticipantId, MemberRole)> {
    let role = |body: &Body| match body {
        Body::Roster { change: RosterChange::Put(m), .. } => Some((m.id, m.role)),
        _ => None,
    };
    told.iter().filter_map(role).collect()
}

#[test]
fn a_role_that_was_given_stays_whatever_the_edge_says_and_comes_back_with_its_holder() {
    let (mut world, places, [host, _, attendee]) = meeting();
    let promote = HostAction::SetRole { target: attendee.id, role: MemberRole::Panelist };
    let (_, told) = ask(&mut world, places, &host, promote);
    assert!(told.iter().all(|t| roles(t) == [(attendee.id, MemberRole::Panelist)]));
    let muted = Member { mic_muted: true, ..attendee.clone() };
    put(&mut world, places[1], muted);
    assert_eq!(roles(&world.told(places[0])), [(attendee.id, MemberRole::Panelist)]);
    // At another edge, as another participant, but the same person.
    let again = Member { identity: attendee.identity, ..world.at(places[0]).member(77) };
    let again = Member { role: MemberRole::Attendee, ..again };
    put(&mut world, places[0], again.clone());
    assert_eq!(roles(&world.told(places[0])), [(again.id, MemberRole::Panelist)]);
}

#[test]
fn the_lead_is_handed_over_and_taken_back() {
    let (mut world, places, [owner, panelist, attendee]) = meeting();
    let hand_over = HostAction::HandOver { target: panelist.id };
    let (_, told) = ask(&mut world, places, &owner, hand_over);
    let swapped = [(panelist.id, MemberRole::Host), (owner.id, MemberRole::Panelist)];
    assert_eq!(roles(&told[1]), swapped);
    let lock = HostAction::Lock(true);
    assert_eq!(ask(&mut world, places, &owner, lock).0, Some(HostRefusal::NotAllowed));
    assert_eq!(ask(&mut world, places, &panelist, lock).0, None);
    let unseat = HostAction::Remove { target: owner.id, block: true };
    assert_eq!(ask(&mut world, places, &panelist, unseat).0, Some(HostRefusal::NotAllowed));
    let reclaim = HostAction::Reclaim;
    assert_eq!(ask(&mut world, places, &attendee, reclaim).0, Some(HostRefusal::NotAllowed));
    let (_, told) = ask(&mut world, places, &owner, reclaim);
    let back = [(panelist.id, MemberRole::Panelist), (owner.id, MemberRole::Host)];
    assert_eq!(roles(&told[1]), back);
}

fn turned_away(told: &[Body]) -> Vec<(ParticipantId, Barrier)> {
    let away = |body: &Body| match body {
        Body::TurnedAway { participant, barrier } => Some((*participant, *barrier)),
        _ => None,
    };
    told.iter().filter_map(away).collect()
}

#[test]
fn a_locked_meeting_takes_nobody_but_owners_and_who_was_in_stays() {
    let (mut world, places, [host, _, attendee]) = meeting();
    let (_, told) = ask(&mut world, places, &host, HostAction::Lock(true));
    let locked = Body::Settings(Settings { locked: true, ..Settings::default() });
    assert!(told.iter().all(|t| t.contains(&locked)));
    let late = person(&mut world, places[1], 20, MemberRole::Panelist, false);
    let owner = person(&mut world, places[1], 21, MemberRole::Host, true);
    put(&mut world, places[1], Member { mic_muted: true, ..attendee });
    let told = world.told(places[1]);
    assert_eq!(turned_away(&told), [(late.id, Barrier::Locked)]);
    assert_eq!(roles(&told).len(), 2, "the owner and the change: {told:?}");
    assert_eq!(roles(&told)[0].0, owner.id);
    let third = world.attached("ap");
    assert!(world.told(third).contains(&locked), "who attaches later is told");
}

#[test]
fn people_of_an_edge_that_was_lost_come_back_to_a_locked_meeting() {
    let (mut world, places, [host, _, attendee]) = meeting();
    ask(&mut world, places, &host, HostAction::Lock(true));
    world.say(places[1], Body::Detach);
    world.run(crate::world::STEP * 4);
    world.attach(places[1]);
    put(&mut world, places[1], attendee.clone());
    let told = world.told(places[1]);
    assert!(turned_away(&told).is_empty() && roles(&told).contains(&(attendee.id, attendee.role)));
}

#[test]
fn who_was_blocked_does_not_come_back_under_another_number() {
    let (mut world, places, [host, panelist, attendee]) = meeting();
    for (target, block) in [(&attendee, true), (&panelist, false)] {
        let remove = HostAction::Remove { target: target.id, block };
        assert_eq!(ask(&mut world, places, &host, remove).0, None);
        let place = if block { places[1] } else { places[0] };
        world.say(place, Body::RosterRequest(RosterChange::Remove(target.id)));
        let again = Member { identity: target.identity, ..world.at(place).member(50) };
        put(&mut world, place, again.clone());
        let expected = block.then_some((again.id, Barrier::Blocked));
        assert_eq!(turned_away(&world.told(place)), Vec::from_iter(expected));
        let waits = Knocker {
            id: world.at(place).member(51).id,
            name: "x".into(),
            identity: again.identity,
        };
        world.say(place, Body::Knock(waits.clone()));
        let expected = block.then_some((waits.id, Barrier::Blocked));
        assert_eq!(turned_away(&world.told(place)), Vec::from_iter(expected), "nor by waiting");
    }
}

fn waiting(told: &[Body]) -> Option<(Vec<ParticipantId>, u32)> {
    told.iter().rev().find_map(|body| match body {
        Body::Knocking { people, total } => Some((people.iter().map(|k| k.id).collect(), *total)),
        _ => None,
    })
}

#[test]
fn who_waits_is_told_to_hosts_once_in_a_while_and_let_in_or_sent_away() {
    let (mut world, places, [host, ..]) = meeting();
    ask(&mut world, places, &host, HostAction::WaitingRoom(true));
    let barred = person(&mut world, places[1], 30, MemberRole::Panelist, false);
    assert_eq!(turned_away(&world.told(places[1])), [(barred.id, Barrier::Waits)]);
    let ids: Vec<ParticipantId> = (40..60)
        .map(|counter| {
            let id = world.at(places[1]).member(counter).id;
            let knocker = Knocker { id, name: format!("k{counter}"), identity: 0 };
            world.say(places[1], Body::Knock(knocker));
            id
        })
        .collect();
    world.run(std::time::Duration::from_millis(300));
    let told = world.told(places[0]);
    assert_eq!(waiting(&told), Some((ids.clone(), 20)));
    let lists = told.iter().filter(|b| matches!(b, Body::Knocking { .. })).count();
    assert!(lists <= 2, "{lists} lists for 20 who came at once");
    world.say(places[1], Body::KnockEnded(ids[19]));
    let admit = HostAction::Admit { target: Some(ids[0]) };
    let (refused, [_, at_door]) = ask(&mut world, places, &host, admit);
    assert!(refused.is_none() && at_door.contains(&Body::Command { by: host.id, action: admit }));
    let entering = Member { id: ids[0], identity: 4_000, ..world.at(places[1]).member(40) };
    put(&mut world, places[1], entering);
    let told = world.told(places[1]);
    assert!(turned_away(&told).is_empty() && roles(&told).iter().any(|(id, _)| *id == ids[0]));
    assert_eq!(ask(&mut world, places, &host, admit).0, Some(HostRefusal::Gone), "waits no more");
    let deny = HostAction::Deny { target: ids[1] };
    let (_, [_, at_door]) = ask(&mut world, places, &host, deny);
    assert!(at_door.contains(&Body::Command { by: host.id, action: deny }));
    let (_, [_, at_door]) = ask(&mut world, places, &host, HostAction::WaitingRoom(false));
    let let_in = at_door.iter().filter(|b| {
        matches!(b, Body::Command { action: HostAction::Admit { target: Some(_) }, .. })
    });
    assert_eq!(let_in.count(), 17, "an open door is open for those who wait");
    world.run(std::time::Duration::from_millis(300));
    assert_eq!(waiting(&world.told(places[0])), Some((Vec::new(), 0)));
}

#[test]
fn only_hosts_write_in_a_locked_chat() {
    let (mut world, places, [host, panelist, _]) = meeting();
    ask(&mut world, places, &host, HostAction::LockChat(true));
    for (key, from) in [(1, panelist.id), (2, host.id)] {
        let post = relay_proto::control::ChatPost {
            key,
            from,
            name: String::new(),
            to: None,
            text: "x".into(),
        };
        world.say(places[0], Body::ChatRequest(post));
    }
    let told = world.told(places[1]);
    let keys: Vec<u64> = told
        .iter()
        .filter_map(|b| if let Body::Chat(m) = b { Some(m.post.key) } else { None })
        .collect();
    assert_eq!(keys, [2]);
}
