//! Whoever is visited takes everything at once: that is what makes bursts, and bursts are what a send costs least in.

use super::*;

const CAMERAS: usize = 4;

/// One edge with some cameras on, each of which has shown a key frame, and viewers.
fn stage(viewers: usize) -> (Tree, Vec<Person>) {
    let mut tree = Tree::new(1);
    let people: Vec<Person> = (0..CAMERAS + viewers).map(|t| tree.join(0, t)).collect();
    let floor = Floor {
        seq: 1,
        main: Some(people[0].id),
        recent: people[..CAMERAS].iter().map(|p| p.id).collect(),
    };
    tree.hubs[0].0.set_floor(&floor);
    for frame in 1..4 {
        people[..CAMERAS].iter().for_each(|p| tree.expose(p, frame, frame == 1));
        tree.pass(60);
    }
    tree.heard.clear();
    (tree, people)
}

/// Who was sent packets, slice after slice, each run of packets to one viewer once.
fn runs(tree: &mut Tree, room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    loop {
        let mut wire = Wire { room, ..Wire::default() };
        let progress = tree.hubs[0].0.flush(tree.now, &mut wire);
        order.extend(wire.slots.iter().map(|(target, ..)| *target));
        if progress == Progress::Done {
            break;
        }
    }
    assert!(order.len() > CAMERAS * (order.iter().max().unwrap_or(&0) - CAMERAS), "{order:?}");
    order.dedup();
    order
}

#[test]
fn all_pictures_of_a_viewer_leave_in_one_burst() {
    let (mut tree, people) = stage(10);
    people[..CAMERAS].iter().for_each(|p| tree.expose(p, 4, false));
    let mut order = runs(&mut tree, usize::MAX);
    let visits = order.len();
    order.sort_unstable();
    order.dedup();
    assert_eq!(visits, order.len(), "each viewer once");
    assert_eq!(order.len(), CAMERAS + 10, "and all of them");
}

#[test]
fn a_slice_that_ends_within_a_burst_costs_one_more_visit_and_nothing_else() {
    let (mut tree, people) = stage(10);
    people[..CAMERAS].iter().for_each(|p| tree.expose(p, 4, false));
    // No multiple of the packets of a viewer.
    let order = runs(&mut tree, 7);
    assert_eq!(order.len(), CAMERAS + 10, "{order:?}");
}

#[test]
fn voices_of_a_viewer_leave_in_one_burst_before_any_picture() {
    let (mut tree, mut people) = stage(10);
    for who in &mut people[..2] {
        tree.speak(who, 20);
    }
    people[..CAMERAS].iter().for_each(|p| tree.expose(p, 4, false));
    people[..2].iter_mut().for_each(|who| tree.utter(who, 20));
    let mut wire = Wire { room: usize::MAX, ..Wire::default() };
    assert_eq!(tree.hubs[0].0.flush(tree.now, &mut wire), Progress::Done);
    let is_voice = |slot: u16| slot < 3;
    let voices = wire.slots.iter().take_while(|(_, slot, _)| is_voice(*slot)).count();
    assert_eq!(voices, 2 * (people.len() - 1), "all but their own");
    assert!(wire.slots[voices..].iter().all(|(_, slot, _)| !is_voice(*slot)));
    let mut targets: Vec<usize> = wire.slots[..voices].iter().map(|(target, ..)| *target).collect();
    targets.dedup();
    assert_eq!(targets.len(), people.len(), "{targets:?}");
}
