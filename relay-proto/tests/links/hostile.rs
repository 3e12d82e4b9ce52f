//! Strangers, garbage, and runs that must repeat.

use crate::harness::{A, B, VIDEO, World, addr, rtp};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use relay_proto::LinkEvent;
use std::net::SocketAddr;

#[test]
fn garbage_changes_nothing() {
    let mut world = World::pair();
    let (a, b) = world.link_up();
    world.run_ms(500);
    // Real datagrams, to cut and to spoil.
    let samples: Vec<Vec<u8>> = world.capture(A, 50);
    world.run_ms(500);
    world.take(B);
    let kept = |world: &World| {
        let stats = world.links(B).stats();
        let up = world.links(B).info(b).map(|i| (i.up, i.suspect));
        (stats.refused, stats.full, stats.handshakes, stats.connections, stats.links, up)
    };
    let (before, counted) = (kept(&world), world.links(B).stats());
    let mut rng = StdRng::seed_from_u64(1);
    for round in 0..100_000_u32 {
        let mut bytes = samples[rng.random_range(0..samples.len())].clone();
        match round % 4 {
            0 => bytes.truncate(rng.random_range(0..=bytes.len())),
            1 => {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            2 => {
                let len = rng.random_range(0..1_500);
                bytes.resize(len, 0);
                rng.fill_bytes(&mut bytes);
            }
            _ => {
                // A long header of a known version, so that it is looked at as a handshake.
                rng.fill_bytes(&mut bytes);
                bytes.resize(1_250, 7);
                bytes[0] = 0xc0 | bytes[0] & 0x3f;
                bytes[1..5].copy_from_slice(&1_u32.to_be_bytes());
            }
        }
        let from = if round % 2 == 0 {
            addr(A)
        } else {
            SocketAddr::from(([192, 0, 2, 1], round as u16 | 1))
        };
        world.inject(from, B, bytes);
        if round % 1_000 == 0 {
            world.run_ms(1);
        }
    }
    world.run_ms(100);
    assert_eq!(world.take(B), [], "nothing is told");
    assert_eq!(before, kept(&world));
    let now = world.links(B).stats();
    let strays = now.strays - counted.strays;
    println!("100000 datagrams of garbage: {now:?}");
    // What was cut or made up belongs to nobody; what was spoiled in one bit mostly still reaches its connection.
    assert!(strays >= 40_000, "{now:?}");
    world.send(A, a, 1, &VIDEO, &rtp(1, 500));
    world.run_ms(100);
    assert!(
        world.take(B).iter().any(|e| matches!(e, LinkEvent::Media { .. })),
        "the link still works"
    );
}

#[test]
fn the_same_seed_gives_the_same_sizes_and_times() {
    let run = || {
        let mut world = World::pair();
        world.lose = Box::new(|_, _, sent| sent % 17 == 0);
        let a = world.connect(A, B);
        world.run_ms(3_000);
        for seq in 0..300 {
            let now = world.now(A);
            let packet = rtp(seq, 300 + usize::from(seq) * 3);
            let links = world.nodes[A].links.as_mut().unwrap();
            let _ = links.send_media(now, a, relay_proto::FlowId(1), &VIDEO, |buf| {
                buf[..packet.len()].copy_from_slice(&packet);
                Some(packet.len())
            });
            world.run_ms(7);
        }
        world.kill(B);
        world.run_ms(5_000);
        let kinds: Vec<_> = world.take(A).iter().map(|e| format!("{e:?}").len()).collect();
        (std::mem::take(&mut world.trace), kinds)
    };
    let (first, second) = (run(), run());
    assert!(first.0.len() > 500);
    for (n, (x, y)) in first.0.iter().zip(&second.0).enumerate() {
        assert_eq!(x, y, "datagram {n}");
    }
    assert!(first == second);
}
