//! A packet from sealed input to sealed output allocates nothing.

use crate::neighbour::Neighbour;
use crate::world::{MEETING, ORIGIN, World, relay_addr};
use allocation_counter::measure;
use edge_sfu::shard::EdgeCommand;
use relay_proto::control::{Body, Want};
use relay_proto::{
    Encoding, EncodingSet, Machine, Progress, ShardInput, Socket, TrackId, TrackKind,
};
use sfu_core::relay::NodeAddress;
use std::time::Duration;

const VIEWERS: usize = 20;
const VOICE_EVERY: Duration = Duration::from_millis(20);
/// Loud, in -dBov.
const LOUD: u8 = 30;

/// What handling packets one by one has cost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    packets: usize,
    sent: usize,
    allocations: u64,
}

/// 20 ms of the publisher: a voice packet, and every other time a picture of five packets in each encoding.
fn moment(world: &mut World, nth: u32) -> Vec<Vec<u8>> {
    let media = &mut world.people[0].media;
    let mut packets = vec![media.voice(LOUD)];
    if nth.is_multiple_of(2) {
        for (encoding, count) in [(Encoding::Q, 1), (Encoding::H, 2), (Encoding::F, 5)] {
            packets.extend(media.frame(encoding, count, 1_000));
        }
    }
    packets
}

fn talk(world: &mut World, time: Duration) {
    for nth in 0..(time.as_millis() / VOICE_EVERY.as_millis()) as u32 {
        let packets = moment(world, nth);
        world.send(0, &packets);
        world.run(VOICE_EVERY);
    }
}

/// Hands the publisher's datagrams over one by one, flushing after each, and counts.
fn measured(world: &mut World, time: Duration) -> Cost {
    let mut cost = Cost::default();
    for nth in 0..(time.as_millis() / VOICE_EVERY.as_millis()) as u32 {
        let packets = moment(world, nth);
        world.run(VOICE_EVERY);
        world.send(0, &packets);
        for (from, mut data) in world.take_up() {
            let (shard, out, now) = (&mut world.shard, &mut world.out, world.now);
            let input =
                ShardInput::Datagram { socket: Socket::Media, from, ecn: 0, data: &mut data };
            let mut more = Progress::More;
            let handled = measure(|| {
                shard.handle(now, input, out);
                more = shard.flush(now, out);
            });
            cost.packets += 1;
            cost.allocations += handled.count_total;
            loop {
                cost.sent += world.out.net.len();
                world.carry();
                if more == Progress::Done {
                    break;
                }
                let (shard, out, now) = (&mut world.shard, &mut world.out, world.now);
                cost.allocations += measure(|| more = shard.flush(now, out)).count_total;
            }
        }
    }
    cost
}

#[test]
fn voices_and_pictures_reach_twenty_viewers_without_an_allocation() {
    let mut world = World::meeting(1, VIEWERS);
    talk(&mut world, Duration::from_secs(6));
    let before = world.people[1].rtp.len();
    let cost = measured(&mut world, Duration::from_secs(3));
    assert_eq!(cost.packets, 150 + 75 * 8);
    let f_and_voice = (150 + 75 * 5) * VIEWERS;
    assert!(cost.sent >= f_and_voice, "{cost:?}: every viewer has the voice and the picture f");
    assert!(world.people[1].rtp.len() > before, "and can open them");
    assert_eq!(cost.allocations, 0, "{cost:?}");
}

/// Over a link QUIC allocates: a datagram is a `Bytes`, frames are kept until acknowledged. That is counted apart, with nobody else
/// served, and printed.
#[test]
fn with_a_relay_link_only_quic_allocates() {
    let mut world = World::new();
    world.neighbour = Some(Neighbour::new(world.now));
    let address = |node| NodeAddress { node, region: "here".into(), relay: vec![relay_addr(node)] };
    world.command(EdgeCommand::Nodes(vec![address(ORIGIN)]));
    world.gather(1, VIEWERS);
    talk(&mut world, Duration::from_secs(1));
    let track = world.neighbour.as_ref().unwrap().heard.iter().find_map(|body| match body {
        Body::Announce(a) if a.track.kind == TrackKind::Camera => Some(a.track),
        _ => None,
    });
    let camera: TrackId = track.expect("the camera was announced");
    let wants = vec![Want { track: camera, encodings: EncodingSet::NONE.with(Encoding::F) }];
    let demand = Body::Demand { seq: 1, wants, voices: true };
    let now = world.now;
    world.neighbour.as_mut().unwrap().say(now, MEETING, demand);
    talk(&mut world, Duration::from_secs(6));
    let media = world.neighbour.as_ref().unwrap().media;
    let cost = measured(&mut world, Duration::from_secs(3));
    world.run(Duration::from_millis(50));
    let crossed = world.neighbour.as_ref().unwrap().media - media;
    assert!(crossed >= 150 + 75 * 5, "{crossed} packets crossed the link");
    println!(
        "edge with a link: {} packets in, {} datagrams out, {crossed} over the link: {} allocations, {:.2} a packet that crossed",
        cost.packets,
        cost.sent,
        cost.allocations,
        cost.allocations as f64 / crossed as f64,
    );
}
