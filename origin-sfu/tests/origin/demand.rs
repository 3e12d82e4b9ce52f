//! What is watched anywhere is asked of whoever has it, once; and what comes goes to those who asked.

use crate::far::Far;
use crate::world::World;
use relay_proto::control::{Body, Want};
use relay_proto::{Encoding, EncodingSet, NodeId, TrackId, TrackKind};

/// The last demand an edge was told: encodings of its only video track, and whether voices are wanted.
fn demanded(told: &[Body]) -> Option<(Vec<Encoding>, bool)> {
    told.iter().rev().find_map(|body| match body {
        Body::Demand { wants, voices, .. } => {
            let set = wants.iter().fold(EncodingSet::NONE, |set, w| set.union(w.encodings));
            Some((set.iter().collect(), *voices))
        }
        _ => None,
    })
}

/// Encodings of the announced camera.
fn announced(told: &[Body]) -> Vec<TrackKind> {
    let tracks = told.iter().filter_map(|body| match body {
        Body::Announce(announce) => Some(announce.track.kind),
        _ => None,
    });
    tracks.collect()
}

struct Tree {
    world: World,
    /// Where the camera is, and two regions that watch.
    source: usize,
    one: usize,
    two: usize,
    camera: TrackId,
    said: u64,
}

impl Tree {
    fn new() -> Self {
        let mut world = World::new();
        let [source, one, two] = ["us", "eu", "ap"].map(|region| world.attached(region));
        let far = Far::new(NodeId(2), 1);
        let camera = far.track(TrackKind::Camera);
        let now = world.now;
        world.at(source).publish(now, far);
        let both = [TrackKind::Mic, TrackKind::Camera];
        for place in [one, two] {
            assert_eq!(announced(&world.told(place)), both);
        }
        assert_eq!(announced(&world.told(source)), [], "nothing goes back to where it came from");
        Self { world, source, one, two, camera, said: 0 }
    }

    /// A region watches these encodings; what the source is asked for then, if that changed.
    fn wants(
        &mut self,
        place: usize,
        encodings: &[Encoding],
        voices: bool,
    ) -> Option<(Vec<Encoding>, bool)> {
        self.said += 1;
        let set = encodings.iter().fold(EncodingSet::NONE, |set, e| set.with(*e));
        let wants = vec![Want { track: self.camera, encodings: set }];
        self.world.say(place, Body::Demand { seq: self.said, wants, voices });
        let told = self.world.told(self.source);
        demanded(&told)
    }
}

#[test]
fn the_demands_of_all_regions_are_one_set_at_the_source() {
    let (q, h, f) = (Encoding::Q, Encoding::H, Encoding::F);
    let mut tree = Tree::new();
    let (one, two) = (tree.one, tree.two);
    assert_eq!(tree.wants(one, &[q], true), Some((vec![q], true)));
    assert_eq!(tree.wants(two, &[q], true), None, "somebody has asked already");
    assert_eq!(tree.wants(two, &[q, f], true), Some((vec![q, f], true)));
    assert_eq!(tree.wants(one, &[h], false), Some((vec![q, h, f], true)));
    tree.world.say(two, Body::Detach);
    let told = tree.world.told(tree.source);
    assert_eq!(demanded(&told), Some((vec![h], false)), "who is gone wants nothing");
    assert_eq!(tree.wants(one, &[], false), Some((vec![], false)));
}

#[test]
fn each_region_is_sent_what_it_asked_for_and_nobody_anything_unasked() {
    let (q, f) = (Encoding::Q, Encoding::F);
    let mut tree = Tree::new();
    let (one, two, source) = (tree.one, tree.two, tree.source);
    tree.wants(one, &[q], true);
    tree.wants(two, &[q, f], false);
    for _ in 0..100 {
        tree.world.far_moment(source);
        tree.world.run(std::time::Duration::from_millis(20));
    }
    let flows = |world: &mut World, place: usize| -> Vec<usize> {
        world.at(place).media.values().copied().collect()
    };
    // A second of push sends q ahead of any demand; demanded it was, so no flow is there twice.
    let (voices, q_packets, f_packets) = (100, 50, 250);
    let close = |sent: &[usize], expected: &[usize]| {
        sent.len() == expected.len()
            && sent.iter().zip(expected).all(|(s, e)| (e - e / 10..=*e).contains(s))
    };
    let [mut to_one, mut to_two] = [one, two].map(|place| flows(&mut tree.world, place));
    to_one.sort_unstable();
    to_two.sort_unstable();
    println!("to one {to_one:?}, to two {to_two:?}");
    assert!(close(&to_one, &[q_packets, voices]), "{to_one:?}");
    assert!(close(&to_two, &[q_packets, f_packets]), "{to_two:?}");
    assert!(flows(&mut tree.world, source).is_empty(), "split horizon");
}

#[test]
fn a_demand_that_was_overtaken_is_not_obeyed() {
    let mut tree = Tree::new();
    let one = tree.one;
    tree.said = 5;
    tree.wants(one, &[Encoding::Q], true);
    tree.said = 2;
    assert_eq!(tree.wants(one, &[Encoding::F], true), None);
}
