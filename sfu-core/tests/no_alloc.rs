//! The media path allocates nothing once it has warmed up: a counting allocator watches a ring, its forwarders and the receiver's
//! bookkeeping. Its own test binary with one test, because the allocator is global.

#![allow(clippy::disallowed_methods, reason = "a test chooses the instant it starts from")]

use relay_proto::control::Codec;
use relay_proto::{Class, Encoding, Now, NtpTime, PacketFacts, ParticipantId, TrackId, TrackKind};
use sfu_core::Packet;
use sfu_core::clock::CaptureClock;
use sfu_core::forwarder::{Forwarder, RingKey, Rings, SlotKind, SourceRef};
use sfu_core::nack::NackGenerator;
use sfu_core::receive::ReceiveStats;
use sfu_core::ring::EncodingRing;
use sfu_core::twcc::{FEEDBACK_BYTES_MAX, TwccRecorder};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TRACK: TrackId = TrackId { participant: ParticipantId(1), kind: TrackKind::Camera };
const VIEWERS: usize = 20;

struct One {
    ring: EncodingRing,
    clock: CaptureClock,
}

impl Rings for One {
    fn ring(&self, _: RingKey) -> Option<&EncodingRing> {
        Some(&self.ring)
    }

    fn clock(&self, _: RingKey) -> Option<&CaptureClock> {
        Some(&self.clock)
    }
}

struct Path {
    now: Now,
    source: One,
    viewers: Vec<Forwarder>,
    nack: NackGenerator,
    twcc: TwccRecorder,
    stats: ReceiveStats,
    forwarded: u64,
    payload: [u8; 1_100],
    feedback: [u8; FEEDBACK_BYTES_MAX],
}

impl Path {
    fn new() -> Self {
        let now = Now { mono: Instant::now(), wall: NtpTime(1 << 40) };
        let ring = EncodingRing::new(Codec::Vp8);
        let viewer = |_| {
            let mut slot = Forwarder::new(SlotKind::Video, 0, 0);
            slot.select(Some(SourceRef {
                ring: RingKey { index: 0, generation: 0 },
                track: TRACK,
                encoding: Encoding(0),
                codec: Codec::Vp8,
            }));
            slot
        };
        Self {
            now,
            source: One { ring, clock: CaptureClock::new(90_000) },
            viewers: (0..VIEWERS).map(viewer).collect(),
            nack: NackGenerator::new(),
            twcc: TwccRecorder::new(now.mono),
            stats: ReceiveStats::new(90_000),
            forwarded: 0,
            payload: [0; 1_100],
            feedback: [0; FEEDBACK_BYTES_MAX],
        }
    }

    /// Packet number `i`: frames of four packets, every 30th is lost, every 200th frame is a key frame.
    fn packet(&mut self, i: u32) {
        self.now = self.now.plus(Duration::from_millis(8));
        let (now, frame, part) = (self.now, i / 4, i % 4);
        if i % 30 == 29 {
            return;
        }
        let timestamp = frame * 2_880;
        let head =
            [0x80 | u8::from(part == 0) << 4, 0xe0, 0x80 | (frame >> 8) as u8 & 0x7f, frame as u8];
        self.payload[..4].copy_from_slice(&head);
        self.payload[4] = frame as u8;
        let facts = PacketFacts {
            class: Class::Base,
            key: frame.is_multiple_of(200),
            frame_start: part == 0,
            frame_end: part == 3,
            discardable: false,
            spatial: 0,
            temporal: 0,
        };
        self.nack.on_packet(now.mono, i as u16);
        self.twcc.on_packet(now.mono, i as u16);
        self.stats.on_packet(now.mono, i as u16, timestamp);
        self.source.clock.on_packet(now, timestamp);
        let packet = Packet {
            track: TRACK,
            encoding: Encoding(0),
            seq: i as u16,
            timestamp,
            marker: part == 3,
            facts,
            level: None,
            payload: &self.payload,
        };
        let _ = self.source.ring.insert(now, &packet);
        self.send();
    }

    fn send(&mut self) {
        let Self { now, source, viewers, forwarded, .. } = self;
        for slot in viewers.iter_mut() {
            let mut last = 0;
            slot.pull(*now, source, &mut |packet| {
                *forwarded += 1;
                last = packet.seq;
                true
            });
            slot.resend(*now, Duration::from_millis(50), source, last.wrapping_sub(3));
        }
        self.nack.poll(now.mono, Duration::from_millis(50), &mut |_| {});
        while self.twcc.write(now.mono, 1, 2, &mut self.feedback).is_some() {}
        self.stats.report(*now);
    }
}

#[test]
fn nothing_is_allocated_once_the_path_is_warm() {
    let mut path = Path::new();
    (0..4_000).for_each(|i| path.packet(i));
    let warm = path.forwarded;
    let region = Region::new(ALLOCATOR);
    (4_000..12_000).for_each(|i| path.packet(i));
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    assert!(path.forwarded - warm > 7_000 * VIEWERS as u64, "{} forwarded", path.forwarded - warm);
}
