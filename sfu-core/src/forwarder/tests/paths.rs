//! The ways a slot can go, one by one.

use super::*;

/// A slot that shows source 0, live since its key frame.
fn showing(sources: &[(u32, u8)]) -> World {
    let mut world = World::new(SlotKind::Video, sources, true);
    world.select(0);
    assert_eq!(world.pull(), Pulled::WaitingForKey);
    world.frame(0, true, 3);
    assert_eq!(world.pull(), Pulled::Idle);
    world.run(4);
    world
}

#[test]
fn the_first_packet_carries_the_first_numbers() {
    let world = showing(&[(1, 0)]);
    assert_eq!(world.got[0].seq as u16, 65_530);
    assert_eq!(world.got[0].timestamp, 0xffff_fff0);
    assert_eq!(world.got.len(), 3 + 4 * 2);
    check_decodable(&world.got);
}

#[test]
fn the_old_picture_goes_on_until_a_key_frame_of_the_new_one() {
    let mut world = showing(&[(1, 0), (2, 0)]);
    world.select(1);
    world.frame(0, false, 2);
    assert_eq!(world.pull(), Pulled::WaitingForKey);
    assert!(world.slot.is_waiting_for_key() && world.shows(0));
    world.frame(1, true, 3);
    assert_eq!(world.pull(), Pulled::Idle);
    assert!(world.shows(1) && !world.slot.is_waiting_for_key());
    world.run(5);
    assert_eq!(world.stretches(), [(0, 13), (1, 13)]);
    check_numbering(&world.got);
    check_pictures(&world.got, 1);
    check_decodable(&world.got);
}

#[test]
fn a_cached_picture_is_replayed_at_twice_the_rate_until_it_is_live() {
    let mut world = World::new(SlotKind::Video, &[(1, 0)], true);
    world.frame(0, true, 3);
    world.run(40); // 1.3 s
    world.select(0);
    let began = world.now;
    assert!(matches!(world.pull(), Pulled::Paced(_)), "not all at once");
    world.run(40);
    check_numbering(&world.got);
    check_pictures(&world.got, 1);
    check_decodable(&world.got);
    let caught_up = world.got.iter().find(|g| g.temporal == 1).expect("live with all layers");
    let took = caught_up.at - began.mono;
    assert!((400..1_000).contains(&took.as_millis()), "{took:?} for 1.3 s of base layer");
    let lag = |g: &Got| {
        let since = g.timestamp.wrapping_sub(world.got[0].timestamp);
        (g.at - began.mono).as_millis() as i64 - i64::from(since) / 90
    };
    let worst = world.got.iter().map(lag).map(i64::abs).max();
    assert!(worst < Some(150), "timestamps follow the sending: {worst:?} ms");
}

#[test]
fn a_better_encoding_waits_for_a_live_key_frame_and_a_lower_one_does_not() {
    let mut world = World::new(SlotKind::Video, &[(1, 1), (1, 2), (1, 0)], false);
    for index in 0..3 {
        world.frame(index, true, 2);
    }
    world.select(0);
    world.run(10);
    world.select(1);
    assert_eq!(world.pull(), Pulled::WaitingForKey, "a replay would go back in time");
    world.frame(1, true, 2);
    assert_eq!(world.pull(), Pulled::Idle);
    assert!(world.shows(1));
    world.select(2);
    world.pull();
    assert!(world.shows(2), "the lower one is there at once");
    world.run(20);
    check_numbering(&world.got);
    check_decodable(&world.got);
}

#[test]
fn a_better_encoding_that_a_neighbour_replays_is_not_taken_for_live() {
    let mut world = World::new(SlotKind::Video, &[(1, 1), (1, 2)], false);
    world.frame(0, true, 2);
    world.select(0);
    world.run(10);
    // The neighbour sends its cache from a second ago, as fast as it likes: the key frame arrives just now.
    world.sources[1].timestamp = world.sources[0].timestamp.wrapping_sub(90_000);
    let clock = world.sources[0].clock.clone();
    world.sources[1].clock = clock;
    world.select(1);
    world.frame(1, true, 2);
    assert_eq!(world.pull(), Pulled::WaitingForKey, "the picture would go back by a second");
    assert!(world.shows(0));
    world.sources[1].timestamp = world.sources[0].timestamp;
    world.frame(1, true, 2);
    world.pull();
    assert!(world.shows(1), "the key frame that was asked for is live");
    check_numbering(&world.got);
    check_decodable(&world.got);
}

#[test]
fn a_switch_lets_the_old_frame_finish() {
    let mut world = showing(&[(1, 0), (2, 0)]);
    let rest = {
        let mut frame = world.sources[0].frame(0, false, 3);
        let rest = frame.pop().unwrap();
        frame.iter().for_each(|made| world.arrive(made));
        rest
    };
    world.pull();
    world.frame(1, true, 2);
    world.select(1);
    assert_eq!(world.pull(), Pulled::Paced(world.now.mono + FRAME_PATIENCE));
    assert!(world.shows(0));
    world.arrive(&rest);
    world.pull();
    assert!(world.shows(1));
    let cut = world.got.iter().rev().find(|g| g.source == 0).unwrap();
    assert!(cut.frame_end);
}

#[test]
fn a_full_viewer_gets_the_same_packet_later() {
    let mut world = showing(&[(1, 0)]);
    world.room = 1;
    world.frame(0, false, 3);
    assert_eq!(world.pull(), Pulled::Full);
    assert_eq!(world.pull(), Pulled::Full);
    world.room = usize::MAX;
    assert_eq!(world.pull(), Pulled::Idle);
    check_decodable(&world.got);
}

#[test]
fn a_viewer_who_falls_behind_the_ring_goes_on_at_the_newest_key_frame() {
    let mut world = showing(&[(1, 0)]);
    world.room = 0;
    for i in 0..600 {
        world.frame(0, i == 580, 2);
        world.wait_ms(33);
    }
    world.room = usize::MAX;
    world.pull();
    assert!(world.slot.take_overruns() > 0);
    assert_eq!(world.slot.take_overruns(), 0);
    world.run(60);
    assert!(
        world.got.last().unwrap().at + Duration::from_millis(40) > world.now.mono,
        "live again"
    );
    check_numbering(&world.got);
    check_pictures(&world.got, 1);
    check_decodable(&world.got);
}

#[test]
fn a_nack_is_answered_once_a_round_trip_and_across_switches() {
    let mut world = showing(&[(1, 0), (2, 0)]);
    world.select(1);
    world.frame(1, true, 3);
    world.pull();
    let sent = world.got.clone();
    for packet in &sent {
        let again = world.resend(packet.seq).expect("it is still in the ring");
        assert_eq!((again.payload, again.timestamp), (packet.payload.clone(), packet.timestamp));
        assert!(world.resend(packet.seq).is_none(), "not twice in a round trip");
    }
    world.wait_ms(51);
    assert!(world.resend(sent[0].seq).is_some());
    assert!(world.resend(sent.last().unwrap().seq + 1).is_none(), "never sent");
    assert!(world.resend(sent[0].seq - 1).is_none(), "before the first");
}

#[test]
fn a_ring_of_a_past_generation_answers_no_nack() {
    let mut world = showing(&[(1, 0)]);
    let seq = world.got[0].seq;
    world.sources.clear();
    assert_eq!(world.pull(), Pulled::Idle);
    assert!(world.resend(seq).is_none());
    assert_eq!(world.slot.current(), None);
}

#[test]
fn an_empty_slot_sends_nothing_and_goes_on_where_it_was() {
    let mut world = showing(&[(1, 0), (2, 0)]);
    world.slot.select(None);
    let count = world.got.len();
    world.run(3);
    assert_eq!((world.got.len(), world.slot.current()), (count, None));
    world.select(1);
    world.frame(1, true, 2);
    world.pull();
    assert!(world.got.len() > count);
    check_numbering(&world.got);
    check_decodable(&world.got);
}

#[test]
fn the_sender_report_follows_capture_time_across_switches() {
    let mut world = showing(&[(1, 0), (2, 0)]);
    let capture = |world: &World| {
        let (wall, rtp) = world.slot.report(world.now, &Table(&world.sources)).unwrap();
        // When the newest packet was captured, by the report.
        let ago = rtp.wrapping_sub(world.got.last().unwrap().timestamp);
        wall.plus_micros(-i64::from(ago as i32) * 1_000 / 90)
    };
    let truth = |world: &World, index: usize| {
        let source = &world.sources[index];
        source.clock.capture_of(source.timestamp).unwrap()
    };
    assert!(capture(&world).micros_since(truth(&world, 0)).abs() < 1_000);
    world.select(1);
    world.frame(1, true, 2);
    world.pull();
    assert!(capture(&world).micros_since(truth(&world, 1)).abs() < 1_000);
}

#[test]
fn a_voice_begins_with_its_first_loud_packet() {
    let mut world = World::new(SlotKind::Audio, &[(1, 0), (2, 0)], false);
    world.select(0);
    world.run(5);
    for _ in 0..3 {
        world.frame(1, false, 1);
        world.wait_ms(20);
    }
    let loud = world.sources[1].ring.head() - 2;
    world.slot.select_from(world.source_ref(1), loud);
    world.pull();
    let new: Vec<_> = world.got.iter().filter(|g| g.source == 1).collect();
    assert_eq!(new.len(), 2);
    assert!(new[0].marker && !new[1].marker, "the marker says that a voice begins");
    check_numbering(&world.got);
    assert!(world.got.windows(2).all(|p| p[0].seq + 1 == p[1].seq));
}

#[test]
fn a_voice_selected_in_silence_begins_when_it_speaks() {
    let mut world = World::new(SlotKind::Audio, &[(1, 0)], false);
    world.frame(0, false, 1);
    world.wait_ms(500);
    world.select(0);
    assert_eq!(world.pull(), Pulled::Idle);
    assert!(world.got.is_empty());
    world.frame(0, false, 1);
    world.pull();
    assert_eq!(world.got.len(), 1);
}

#[test]
fn a_publisher_who_begins_anew_is_followed() {
    let mut world = World::new(SlotKind::Audio, &[(1, 0)], false);
    world.select(0);
    world.run(5);
    world.sources[0].seq = 1_000;
    world.sources[0].timestamp = 5;
    world.run(20);
    assert!(world.got.last().unwrap().at + Duration::from_millis(40) > world.now.mono);
    check_numbering(&world.got);
    assert!(world.got.windows(2).all(|p| p[0].seq + 1 == p[1].seq));
}

#[test]
fn a_wall_clock_that_is_set_does_not_move_the_slot_s_time() {
    let mut world = showing(&[(1, 0), (2, 0)]);
    let hour_us = 3_600_000_000;
    world.now.wall = world.now.wall.plus_micros(hour_us);
    for source in &mut world.sources {
        source.clock.set_offset(hour_us);
    }
    world.select(1);
    world.frame(1, true, 2);
    world.pull();
    let last = world.got.iter().rfind(|g| g.source == 0).unwrap();
    let first = world.got.iter().find(|g| g.source == 1).unwrap();
    let step = first.timestamp.wrapping_sub(last.timestamp);
    assert!((3_000..9_000).contains(&step), "{step} ticks");
}

#[test]
fn a_narrow_picture_id_stays_narrow_and_goes_on() {
    let mut world = World::new(SlotKind::Video, &[(1, 0), (2, 0)], false);
    let send = |world: &mut World, source: usize, key: bool| {
        for mut made in world.sources[source].frame(source, key, 1) {
            // I L T with a 7-bit id: one byte less.
            made.payload[2] = made.payload[3] & 0x7f;
            made.payload.remove(3);
            world.arrive(&made);
        }
        world.pull();
    };
    world.select(0);
    send(&mut world, 0, true);
    for _ in 0..150 {
        send(&mut world, 0, false);
    }
    world.select(1);
    send(&mut world, 1, true);
    send(&mut world, 1, false);
    let ids: Vec<_> = world.got.iter().map(|g| g.vp8().picture_id.unwrap()).collect();
    assert_eq!(ids.len(), 153);
    assert!(ids.iter().all(|id| !id.wide));
    assert!(ids.windows(2).all(|pair| pair[1].value == (pair[0].value + 1) & 0x7f));
}

#[test]
fn a_camera_that_begins_anew_is_followed_at_its_key_frame() {
    for jump in [20_000_u16, 45_000] {
        let mut world = showing(&[(1, 0)]);
        world.frame(0, true, 3);
        world.pull();
        world.sources[0].seq = world.sources[0].seq.wrapping_add(jump);
        for _ in 0..6 {
            world.frame(0, false, 2);
            assert!(matches!(world.pull(), Pulled::WaitingForKey | Pulled::Idle));
        }
        assert!(world.slot.is_waiting_for_key(), "jump of {jump}");
        world.frame(0, true, 2);
        world.pull();
        world.run(3);
        assert!(world.shows(0));
        check_numbering(&world.got);
        check_decodable(&world.got);
        check_pictures(&world.got, 1);
    }
}
