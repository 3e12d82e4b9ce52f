//! A fault phase, then a healing phase: three nodes that all dial each other, kills, restarts, loss, clock steps.

use crate::harness::{LANE, VIDEO, World, addr, config, rtp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use relay_proto::control::{Body, Control};
use relay_proto::{Epoch, FlowId, LinkEvent, MeetingId, NodeId};
use std::collections::BTreeMap;

const NODES: usize = 3;

/// Up and Down alternate, everything else happens in between; control numbers of one link rise by one while it is up.
#[derive(Default)]
struct Told {
    up: BTreeMap<(usize, relay_proto::LinkId), u64>,
}

impl Told {
    fn check(&mut self, node: usize, event: LinkEvent) {
        match event {
            LinkEvent::Up { link, .. } => {
                assert_eq!(self.up.insert((node, link), 0), None, "node {node} up twice");
            }
            LinkEvent::Down { link, .. } => {
                assert!(self.up.remove(&(node, link)).is_some(), "node {node} down twice");
            }
            LinkEvent::DialFailed { link, .. } => {
                assert!(
                    !self.up.contains_key(&(node, link)),
                    "node {node}: a link that is up failed to dial"
                );
            }
            LinkEvent::Control { link, control } => {
                let last = self.up.get_mut(&(node, link)).expect("control while up");
                assert_eq!(control.epoch.0, *last + 1, "node {node}: a control message is missing");
                *last += 1;
            }
            LinkEvent::Media { link, .. }
            | LinkEvent::Rtcp { link, .. }
            | LinkEvent::Suspect { link, .. }
            | LinkEvent::Recovered { link, .. } => {
                assert!(
                    self.up.contains_key(&(node, link)),
                    "node {node}: told of a link that is not up"
                );
            }
        }
    }

    fn forget(&mut self, node: usize) {
        self.up.retain(|(n, _), _| *n != node);
    }
}

fn dial_all(world: &mut World, from: usize) {
    for to in (0..NODES).filter(|to| *to != from) {
        world.with(from, |l, now| l.connect(now, NodeId(to as u32 + 1), LANE, addr(to)));
    }
}

/// Each link that is up sends one packet and one control message, numbered (in its epoch) since the link came up.
fn talk(world: &mut World, numbers: &mut BTreeMap<(usize, u64, u64), u64>) {
    for node in 0..NODES {
        let now = world.now(node);
        let Some(links) = &mut world.nodes[node].links else { continue };
        let infos: Vec<_> = links.iter_info().filter(|i| i.up).collect();
        for info in infos {
            let packet = rtp(1, 200);
            let _ = links.send_media(now, info.link, FlowId(1), &VIDEO, |buf| {
                buf[..packet.len()].copy_from_slice(&packet);
                Some(packet.len())
            });
            let number =
                numbers.entry((node, info.link.index() as u64, info.counters.ups)).or_insert(0);
            *number += 1;
            // A meeting of its own for each message: no epoch is stale.
            let meeting =
                world.at.as_nanos() as u64 * 100 + node as u64 * 10 + u64::from(info.node.0);
            let control =
                Control { meeting: MeetingId(meeting), epoch: Epoch(*number), body: Body::Detach };
            let _ = links.send_control(now, info.link, &control);
        }
    }
}

fn run(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new((1..=NODES as u32).map(|n| config(7, n, 1)).collect());
    let mut told = Told::default();
    let mut numbers = BTreeMap::new();
    let mut instance = 1;
    (0..NODES).for_each(|n| dial_all(&mut world, n));
    for _ in 0..60 {
        match rng.random_range(0..8) {
            0 => {
                let node = rng.random_range(0..NODES);
                world.kill(node);
                world.take(node);
                told.forget(node);
                numbers.retain(|(n, _, _), _| *n != node);
            }
            1 | 2 => {
                let node = rng.random_range(0..NODES);
                instance += 1;
                world.take(node);
                told.forget(node);
                numbers.retain(|(n, _, _), _| *n != node);
                world.start(node, config(7, node as u32 + 1, instance));
                dial_all(&mut world, node);
            }
            3 => {
                let loss = f64::from(rng.random_range(0..5_u32)) * 0.1;
                let mut fate = StdRng::seed_from_u64(rng.random());
                world.lose = Box::new(move |_, _, _| fate.random_bool(loss));
            }
            4 => {
                // One direction is dead.
                let silent = rng.random_range(0..NODES);
                world.lose = Box::new(move |from, _, _| from == silent);
            }
            5 => {
                world.nodes[rng.random_range(0..NODES)].skew_us =
                    rng.random_range(-2_000_000..2_000_000)
            }
            _ => world.lose = Box::new(|_, _, _| false),
        }
        for _ in 0..10 {
            world.run_ms(rng.random_range(1..100));
            talk(&mut world, &mut numbers);
            for node in 0..NODES {
                world.take(node).into_iter().for_each(|e| told.check(node, e));
            }
        }
    }
    world.lose = Box::new(|_, _, _| false);
    for node in 0..NODES {
        if world.nodes[node].links.is_none() {
            instance += 1;
            numbers.retain(|(n, _, _), _| *n != node);
            world.start(node, config(7, node as u32 + 1, instance));
            dial_all(&mut world, node);
        }
    }
    world.run_ms(20_000);
    healed(&mut world, &mut told, seed);
}

/// Every node has one good link to every other.
fn healed(world: &mut World, told: &mut Told, seed: u64) {
    for node in 0..NODES {
        world.take(node).into_iter().for_each(|e| told.check(node, e));
        let infos: Vec<_> = world.links(node).iter_info().collect();
        assert_eq!(infos.len(), NODES - 1);
        assert!(infos.iter().all(|i| i.up && !i.suspect), "seed {seed}, node {node}: {infos:?}");
        assert_eq!(
            world.links(node).stats().connections,
            2 * (NODES - 1),
            "seed {seed}, node {node}"
        );
    }
}

#[test]
fn whatever_happened_every_link_heals() {
    for seed in 0..40 {
        run(seed);
    }
}
