//! What people write: one order for all, private messages for two, nothing twice, and a history for who comes later.

use crate::world::World;
use relay_proto::ParticipantId;
use relay_proto::control::{Body, ChatMessage, ChatPost};

fn post(world: &mut World, place: usize, key: u64, to: Option<ParticipantId>) -> ChatPost {
    let from = world.at(place).member(1).id;
    ChatPost { key, from, name: format!("at {place}"), to, text: format!("message {key}") }
}

fn written(told: &[Body]) -> Vec<(u64, u64)> {
    let number = |m: &ChatMessage| (m.seq, m.post.key);
    told.iter().filter_map(|b| if let Body::Chat(m) = b { Some(number(m)) } else { None }).collect()
}

/// Number of the last message and the keys of a history, of which exactly the last part is marked.
fn history(told: &[Body]) -> Option<(u64, Vec<u64>)> {
    let mut parts = told.iter().filter_map(|body| match body {
        Body::ChatHistory { seq, messages, last } => Some((*seq, messages, *last)),
        _ => None,
    });
    let mut keys = Vec::new();
    loop {
        let (seq, messages, last) = parts.next()?;
        keys.extend(messages.iter().map(|m| m.post.key));
        if last {
            assert!(parts.next().is_none(), "nothing after the last part");
            return Some((seq, keys));
        }
    }
}

#[test]
fn all_edges_see_the_same_messages_with_the_same_numbers() {
    let mut world = World::new();
    let places = ["eu", "us", "ap"].map(|region| world.attached(region));
    for place in places {
        assert_eq!(history(&world.told(place)), Some((0, Vec::new())), "nothing was written yet");
    }
    for key in 1..=30 {
        let place = places[key as usize % 3];
        let post = post(&mut world, place, key, None);
        world.say(place, Body::ChatRequest(post));
    }
    let told = places.map(|place| written(&world.told(place)));
    assert_eq!(
        told[0].iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
        (1..=30).collect::<Vec<_>>()
    );
    let mut keys: Vec<u64> = told[0].iter().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    assert_eq!(keys, (1..=30).collect::<Vec<_>>(), "each once");
    assert!(told[0] == told[1] && told[0] == told[2]);
}

#[test]
fn what_is_said_again_is_not_written_again_and_nobody_writes_for_another_edge() {
    let mut world = World::new();
    let [here, away] = ["eu", "us"].map(|region| world.attached(region));
    let mine = post(&mut world, here, 7, None);
    for _ in 0..3 {
        world.say(here, Body::ChatRequest(mine.clone()));
    }
    let forged = post(&mut world, away, 8, None);
    world.say(here, Body::ChatRequest(forged));
    let empty = ChatPost { key: 9, text: " ".into(), ..mine };
    world.say(here, Body::ChatRequest(empty));
    assert_eq!(written(&world.told(away)), [(1, 7)]);
    assert_eq!(written(&world.told(here)), [(1, 7)]);
}

#[test]
fn a_private_message_goes_to_the_edges_of_the_two_and_into_no_other_history() {
    let mut world = World::new();
    let [from, to, other] = ["eu", "us", "ap"].map(|region| world.attached(region));
    let reader = world.at(to).member(1).id;
    let private = post(&mut world, from, 1, Some(reader));
    let public = post(&mut world, from, 2, None);
    world.say(from, Body::ChatRequest(private));
    world.say(from, Body::ChatRequest(public));
    assert_eq!(written(&world.told(from)), [(1, 1), (2, 2)]);
    assert_eq!(written(&world.told(to)), [(1, 1), (2, 2)]);
    assert_eq!(written(&world.told(other)), [(2, 2)]);
    for (place, keys) in [(to, vec![1, 2]), (other, vec![2])] {
        world.attach(place);
        assert_eq!(history(&world.told(place)), Some((2, keys)));
    }
    let late = world.attached("sa");
    assert_eq!(history(&world.told(late)), Some((2, vec![2])));
}

#[test]
fn a_long_history_comes_in_parts() {
    let mut world = World::new();
    let here = world.attached("eu");
    for key in 1..=250 {
        let post = post(&mut world, here, key, None);
        world.say(here, Body::ChatRequest(post));
        world.step();
    }
    let late = world.attached("us");
    let (seq, keys) = history(&world.told(late)).expect("a history");
    assert_eq!((seq, keys), (250, (51..=250).collect()), "the last 200");
}
