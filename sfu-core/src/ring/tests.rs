//! The ring against a simple model: a list of all packets that were ever taken.

use super::*;
use proptest::prelude::*;
use relay_proto::{Class, Encoding, NtpTime, ParticipantId, TrackId, TrackKind};

fn start() -> Now {
    Now { mono: Instant::now(), wall: NtpTime(1 << 32) }
}

fn packet(seq: u16, timestamp: u32, facts: PacketFacts, payload: &[u8]) -> Packet<'_> {
    let track = TrackId { participant: ParticipantId(1), kind: TrackKind::Camera };
    Packet {
        track,
        encoding: Encoding(0),
        seq,
        timestamp,
        marker: true,
        facts,
        level: None,
        payload,
    }
}

fn frame(key: bool, temporal: u8) -> PacketFacts {
    let class = if temporal == 0 { Class::Base } else { Class::Enhancement };
    PacketFacts { key, class, temporal, ..PacketFacts::VOICE }
}

/// A VP8 payload with a running number of base frames.
fn vp8(tl0: u8, temporal: u8, key: bool) -> [u8; 6] {
    [0x90, 0x60, tl0, temporal << 6, u8::from(!key), 0]
}

struct Taken {
    seq: u64,
    payload: Vec<u8>,
}

proptest! {
    #[test]
    fn the_ring_keeps_the_newest_packets_and_only_once(
        first: u16,
        steps in proptest::collection::vec((-40i64..60, 0usize..1_500, 0u64..40), 1..1_500),
        audio: bool,
    ) {
        let codec = if audio { Codec::Opus } else { Codec::Vp9 };
        let mut ring = EncodingRing::new(codec);
        let mut taken: Vec<Taken> = Vec::new();
        let mut now = start();
        let mut highest = u64::from(first) + (1 << 16);
        for (i, (step, len, wait_ms)) in steps.into_iter().enumerate() {
            now = now.plus(Duration::from_millis(wait_ms));
            let seq = highest.saturating_add_signed(if i == 0 { 0 } else { step });
            let payload = vec![i as u8; len];
            let known = taken.iter().any(|t| t.seq == seq);
            let result = ring.insert(now, &packet(seq as u16, i as u32, frame(false, 0), &payload));
            if known {
                prop_assert_eq!(result, Err(DropReason::Replay));
                continue;
            }
            prop_assert_eq!(result, Ok(taken.len() as u64));
            highest = highest.max(seq);
            taken.push(Taken { seq, payload });
            prop_assert_eq!(ring.head(), taken.len() as u64);
        }
        prop_assert!(ring.tail() < ring.head());
        for (arrival, model) in taken.iter().enumerate() {
            let arrival = arrival as u64;
            match ring.get(arrival) {
                Some((meta, payload)) => {
                    prop_assert!(arrival >= ring.tail());
                    prop_assert_eq!(meta.seq, model.seq);
                    prop_assert_eq!(payload, &model.payload[..]);
                }
                None => prop_assert!(arrival < ring.tail()),
            }
            if let Some(found) = ring.find(model.seq) {
                prop_assert_eq!(found, arrival);
            }
        }
        // What is within a table's width of the highest is always found.
        let near = |t: &&Taken| highest - t.seq < ENTRIES_FIRST as u64 / 2;
        let held = taken.iter().enumerate().filter(|(i, t)| *i as u64 >= ring.tail() && near(t));
        for (arrival, model) in held {
            prop_assert_eq!(ring.find(model.seq), Some(arrival as u64));
        }
        prop_assert!(ring.bytes.capacity() <= ring.bytes_max());
    }
}

#[test]
fn a_packet_far_behind_is_too_old_until_the_source_is_seen_to_begin_anew() {
    let mut ring = EncodingRing::new(Codec::Opus);
    let now = start();
    let mut insert = |seq: u16| ring.insert(now, &packet(seq, 0, PacketFacts::VOICE, &[1]));
    assert_eq!(insert(5_000), Ok(0));
    assert_eq!(insert(5_000 - 1_024), Err(DropReason::TooOld));
    assert_eq!(insert(5_000 - 1_023), Ok(1));
    assert_eq!([10, 11, 12, 13, 14].map(insert), {
        let old = Err(DropReason::TooOld);
        [old, old, old, Ok(2), Ok(3)]
    });
    let (before, after) = (ring.get(1).unwrap().0, ring.get(2).unwrap().0);
    assert!(after.seq > before.seq && after.seq as u16 == 13);
}

#[test]
fn a_key_frame_is_found_with_everything_that_overtook_it() {
    let mut ring = EncodingRing::new(Codec::Vp8);
    let now = start();
    let inner = PacketFacts { frame_start: false, ..frame(true, 0) };
    ring.insert(now, &packet(9, 1, frame(false, 0), &vp8(0, 0, false))).unwrap();
    assert_eq!(ring.keyframe_start(now.mono), None);
    ring.insert(now, &packet(11, 2, inner, &vp8(1, 0, true))).unwrap();
    ring.insert(now, &packet(10, 2, frame(true, 0), &vp8(1, 0, true))).unwrap();
    assert_eq!(ring.keyframe_start(now.mono), Some(1));
    assert_eq!(
        ring.get(ring.find(ring.key_chain(now.mono).unwrap().seq).unwrap()).unwrap().0.timestamp,
        2
    );
    let late = now.plus(CACHE_AGE_MAX + Duration::from_millis(1));
    assert_eq!(ring.keyframe_start(late.mono), None, "too old");
}

#[test]
fn a_hole_in_the_base_layer_breaks_the_chain_until_it_is_filled() {
    let mut ring = EncodingRing::new(Codec::Vp8);
    let now = start();
    let mut insert = |seq: u16, tl0, temporal| {
        let key = seq == 10;
        let payload = vp8(tl0, temporal, key);
        ring.insert(now, &packet(seq, u32::from(seq), frame(key, temporal), &payload)).unwrap();
        ring.keyframe_start(now.mono)
    };
    assert_eq!(insert(10, 1, 0), Some(0));
    assert_eq!(insert(12, 2, 0), Some(0), "11 was no base frame: 2 follows 1");
    assert_eq!(insert(14, 4, 0), None, "13 was");
    assert_eq!(insert(13, 3, 0), Some(0));
    assert_eq!(insert(16, 4, 1), Some(0), "15 was no base frame either");
}

#[test]
fn a_new_key_frame_is_asked_for_before_the_cache_ends() {
    let mut ring = EncodingRing::new(Codec::Vp8);
    let now = start();
    assert!(!ring.about_to_overflow(now.mono), "nothing was ever sent");
    ring.insert(now, &packet(0, 0, frame(false, 0), &[0; 9])).unwrap();
    assert!(ring.about_to_overflow(now.mono), "no key frame");
    ring.insert(now, &packet(1, 1, frame(true, 0), &[0; 9])).unwrap();
    assert!(!ring.about_to_overflow(now.mono));
    let later = now.plus(CACHE_REFRESH_AGE);
    ring.insert(later, &packet(2, 2, frame(false, 0), &[0; 9])).unwrap();
    assert!(ring.about_to_overflow(later.mono), "by age");
    ring.insert(later, &packet(3, 3, frame(true, 0), &[0; 1_000])).unwrap();
    assert!(!ring.about_to_overflow(later.mono));
    for seq in 4..300 {
        ring.insert(later, &packet(seq, 4, frame(false, 0), &[0; 1_000])).unwrap();
    }
    assert!(!ring.about_to_overflow(later.mono), "but not yet again");
    let later = later.plus(CACHE_REFRESH_MIN);
    ring.insert(later, &packet(300, 5, frame(false, 0), &[0; 9])).unwrap();
    assert!(ring.about_to_overflow(later.mono), "by size");
    let silent = later.plus(SOURCE_IDLE * 2);
    assert!(!ring.about_to_overflow(silent.mono), "a muted camera");
}

#[test]
fn the_rate_is_that_of_the_last_packets() {
    let mut ring = EncodingRing::new(Codec::Vp8);
    let mut now = start();
    for seq in 0..500 {
        ring.insert(now, &packet(seq, 0, frame(false, 0), &[0; 1_000])).unwrap();
        now = now.plus(Duration::from_millis(10));
    }
    let rate = ring.rate_bps();
    assert!((780_000..860_000).contains(&rate), "{rate}");
    assert!(ring.bytes.capacity() <= 256 * 1024, "2 s of it are 200 KB");
}
