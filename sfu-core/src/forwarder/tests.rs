//! The forwarder in a small world: cameras and microphones with their rings, one slot, one viewer who checks everything.

mod paths;
mod properties;

use super::*;
use crate::packet::Packet;
use crate::unwrap::SeqUnwrapper;
use crate::vp8::Vp8Descriptor;
use relay_proto::{Class, PacketFacts, ParticipantId, TrackKind};

/// A packet as a source sends it.
#[derive(Clone, Debug)]
struct Made {
    source: usize,
    seq: u16,
    timestamp: u32,
    facts: PacketFacts,
    payload: Vec<u8>,
}

/// A packet as the viewer gets it.
#[derive(Clone, Debug)]
struct Got {
    seq: u64,
    timestamp: u32,
    marker: bool,
    key: bool,
    temporal: u8,
    frame_start: bool,
    frame_end: bool,
    source: usize,
    source_seq: u16,
    /// Source timestamp: names the frame.
    frame: u32,
    /// The first bytes.
    payload: Vec<u8>,
    at: Instant,
}

impl Got {
    fn vp8(&self) -> Vp8Descriptor {
        Vp8Descriptor::parse(&self.payload).unwrap()
    }

    /// Whether this packet goes on with the frame of the packet `before` it (of the same run: a run that begins again with the same key
    /// frame sends it again under new numbers).
    fn same_frame(&self, before: &Self) -> bool {
        let again = self.source_seq.wrapping_sub(before.source_seq) as i16 <= 0;
        (self.source, self.frame) == (before.source, before.frame) && !again
    }

    fn picture_id(&self) -> u16 {
        self.vp8().picture_id.unwrap().value
    }
}

/// Payload bytes after the descriptor: header, source, sequence, timestamp.
const BODY: usize = 1 + 1 + 2 + 4;

#[derive(Debug)]
struct Source {
    kind: TrackKind,
    track: u32,
    encoding: u8,
    seq: u16,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    /// Frames since the last key frame.
    since_key: u32,
    /// Two temporal layers; every second frame of the upper one refers to the one before it.
    layered: bool,
    ring: EncodingRing,
    clock: CaptureClock,
}

impl Source {
    /// The packets of the next frame.
    fn frame(&mut self, index: usize, key: bool, packets: usize) -> Vec<Made> {
        if self.kind.is_audio() {
            return self.voice(index);
        }
        self.since_key = if key { 0 } else { self.since_key + 1 };
        let temporal = if self.layered { (self.since_key % 2) as u8 } else { 0 };
        let sync = self.since_key % 4 == 1;
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        self.timestamp = self.timestamp.wrapping_add(3_000);
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        (0..packets).map(|i| self.picture(index, key, temporal, sync, i, packets)).collect()
    }

    fn picture(
        &mut self,
        index: usize,
        key: bool,
        temporal: u8,
        sync: bool,
        i: usize,
        of: usize,
    ) -> Made {
        let start = i == 0;
        self.seq = self.seq.wrapping_add(1);
        let [high, low] = self.picture_id.to_be_bytes();
        let mut payload = vec![0x80 | u8::from(start) << 4, 0xe0, 0x80 | high, low, self.tl0];
        payload.push(temporal << 6 | u8::from(sync) << 5);
        payload.extend([u8::from(!key), index as u8]);
        payload.extend(self.seq.to_be_bytes());
        payload.extend(self.timestamp.to_be_bytes());
        payload.resize(payload.len() + 700, index as u8);
        let facts = PacketFacts {
            class: if temporal == 0 { Class::Base } else { Class::Enhancement },
            key,
            frame_start: start,
            frame_end: i + 1 == of,
            discardable: false,
            spatial: 0,
            temporal,
        };
        Made { source: index, seq: self.seq, timestamp: self.timestamp, facts, payload }
    }

    fn voice(&mut self, index: usize) -> Vec<Made> {
        self.seq = self.seq.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(960);
        let mut payload = vec![0, index as u8];
        payload.extend(self.seq.to_be_bytes());
        payload.extend(self.timestamp.to_be_bytes());
        let (seq, timestamp) = (self.seq, self.timestamp);
        vec![Made { source: index, seq, timestamp, facts: PacketFacts::VOICE, payload }]
    }

    fn track(&self) -> TrackId {
        TrackId { participant: ParticipantId(self.track), kind: self.kind }
    }
}

struct World {
    now: Now,
    sources: Vec<Source>,
    slot: Forwarder,
    got: Vec<Got>,
    out_seqs: SeqUnwrapper,
    /// Packets the viewer's transport takes before it is full.
    room: usize,
}

struct Table<'a>(&'a [Source]);

impl Rings for Table<'_> {
    fn ring(&self, key: RingKey) -> Option<&EncodingRing> {
        self.0.get(key.index as usize).map(|s| &s.ring)
    }

    fn clock(&self, key: RingKey) -> Option<&CaptureClock> {
        self.0.get(key.index as usize).map(|s| &s.clock)
    }
}

impl World {
    /// A world whose sources are (track, encoding).
    fn new(kind: SlotKind, sources: &[(u32, u8)], layered: bool) -> Self {
        let voice = kind == SlotKind::Audio;
        let codec = if voice { Codec::Opus } else { Codec::Vp8 };
        let now = Now { mono: Instant::now(), wall: NtpTime(1 << 40) };
        let source = |(i, (track, encoding)): (usize, &(u32, u8))| {
            let timestamp = 0xffff_0000_u32.wrapping_mul(i as u32 + 1);
            let mut clock = CaptureClock::new(codec.clock_rate());
            // Each source began at the same moment, by its own numbers; 20 ms pass before a packet is here.
            clock.on_report(now.wall.plus_micros(-20_000), timestamp, 0);
            Source {
                kind: if voice { TrackKind::Mic } else { TrackKind::Camera },
                track: *track,
                encoding: *encoding,
                seq: 65_500_u16.wrapping_add(i as u16 * 1_000),
                timestamp,
                picture_id: 0x7ff0,
                tl0: 250,
                since_key: 0,
                layered,
                ring: EncodingRing::new(codec),
                clock,
            }
        };
        Self {
            now,
            sources: sources.iter().enumerate().map(source).collect(),
            slot: Forwarder::new(kind, 65_530, 0xffff_fff0),
            got: Vec::new(),
            out_seqs: SeqUnwrapper::new(),
            room: usize::MAX,
        }
    }

    fn source_ref(&self, index: usize) -> SourceRef {
        let source = &self.sources[index];
        SourceRef {
            ring: RingKey { index: index as u32, generation: 1 },
            track: source.track(),
            encoding: Encoding(source.encoding),
            codec: source.ring.codec(),
        }
    }

    fn select(&mut self, index: usize) {
        self.slot.select(Some(self.source_ref(index)));
    }

    /// The slot shows this source now.
    fn shows(&self, index: usize) -> bool {
        self.slot.current() == Some(self.source_ref(index))
    }

    fn wait_ms(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
    }

    /// A packet arrives.
    fn arrive(&mut self, made: &Made) {
        let source = &mut self.sources[made.source];
        let packet = Packet {
            track: source.track(),
            encoding: Encoding(source.encoding),
            seq: made.seq,
            timestamp: made.timestamp,
            marker: made.facts.frame_end && !source.kind.is_audio(),
            facts: made.facts,
            level: None,
            payload: &made.payload,
        };
        let _ = source.ring.insert(self.now, &packet);
    }

    /// A whole frame is made and arrives.
    fn frame(&mut self, index: usize, key: bool, packets: usize) {
        for made in self.sources[index].frame(index, key, packets) {
            self.arrive(&made);
        }
    }

    /// All sources send a frame every 33 ms; the slot is pulled after each.
    fn run(&mut self, frames: usize) {
        for _ in 0..frames {
            for index in 0..self.sources.len() {
                self.frame(index, false, 2);
            }
            self.pull();
            self.advance(33);
        }
    }

    /// Time passes in small steps; the slot is pulled whenever it asked for it.
    fn advance(&mut self, ms: u64) {
        for _ in 0..ms {
            self.wait_ms(1);
            self.pull();
        }
    }

    fn pull(&mut self) -> Pulled {
        let Self { now, sources, slot, got, out_seqs, room, .. } = self;
        slot.pull(*now, &Table(sources), &mut |packet| {
            if *room == 0 {
                return false;
            }
            *room = room.saturating_sub(1);
            let seq = out_seqs.unwrap(packet.seq);
            got.push(receive(packet, seq, now.mono));
            true
        })
    }

    fn resend(&mut self, out_seq: u64) -> Option<Got> {
        let table = Table(&self.sources);
        let packet =
            self.slot.resend(self.now, Duration::from_millis(50), &table, out_seq as u16)?;
        assert!(packet.retransmission);
        Some(receive(&packet, out_seq, self.now.mono))
    }

    /// (source, number of packets) of each stretch of packets.
    fn stretches(&self) -> Vec<(usize, usize)> {
        let mut all: Vec<(usize, usize)> = Vec::new();
        for got in &self.got {
            match all.last_mut() {
                Some((source, count)) if *source == got.source => *count += 1,
                _ => all.push((got.source, 1)),
            }
        }
        all
    }
}

fn receive(packet: &SlotPacket<'_>, seq: u64, at: Instant) -> Got {
    let mut payload = packet.payload.to_vec();
    let start = Vp8Descriptor::parse(&payload).filter(|_| packet.codec == Codec::Vp8);
    if let Some(patch) = packet.vp8 {
        patch.apply(&mut payload);
    }
    let body = &packet.payload[start.map_or(0, |d| d.len)..][..BODY];
    assert_eq!(packet.csrc.0 as u8 % 16, packet.csrc.0 as u8, "tests use small ids");
    Got {
        seq,
        timestamp: packet.timestamp,
        marker: packet.marker,
        key: packet.facts.key,
        temporal: packet.facts.temporal,
        frame_start: packet.facts.frame_start,
        frame_end: packet.facts.frame_end,
        source: usize::from(body[1]),
        source_seq: u16::from_be_bytes([body[2], body[3]]),
        frame: u32::from_be_bytes([body[4], body[5], body[6], body[7]]),
        payload: payload[..payload.len().min(16)].to_vec(),
        at,
    }
}

/// Checks that hold whatever is lost, reordered and switched.
fn check_numbering(got: &[Got]) {
    let mut sorted: Vec<&Got> = got.iter().collect();
    sorted.sort_by_key(|g| g.seq);
    for pair in sorted.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        assert_ne!(a.seq, b.seq, "one number, two packets");
        let step = b.timestamp.wrapping_sub(a.timestamp) as i32;
        if b.same_frame(a) {
            assert_eq!(step, 0, "one frame, two timestamps: {a:?} {b:?}");
        } else {
            assert!(step > 0, "time does not go back, but {step} from {} to {}", a.seq, b.seq);
        }
    }
}

/// Checks of pictures: each frame has one picture id, a higher one than the frame before.
fn check_pictures(got: &[Got], step_max: u16) {
    let mut sorted: Vec<&Got> = got.iter().collect();
    sorted.sort_by_key(|g| g.seq);
    for pair in sorted.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let step = b.picture_id().wrapping_sub(a.picture_id()) & 0x7fff;
        if b.same_frame(a) {
            assert_eq!(step, 0, "one frame, two picture ids");
        } else {
            assert!((1..=step_max).contains(&step), "picture id +{step} at {}", b.seq);
        }
    }
}

/// Checks of a stream of which nothing was lost: no gap, and each frame can be decoded when it comes.
fn check_decodable(got: &[Got]) {
    let mut decoded: Option<(usize, u8)> = None;
    let mut upper = false;
    for (i, packet) in got.iter().enumerate() {
        let before = i.checked_sub(1).map(|b| &got[b]);
        assert!(before.is_none_or(|b| b.seq + 1 == packet.seq), "no gap");
        if before.is_some_and(|b| packet.same_frame(b)) {
            continue;
        }
        assert!(packet.frame_start, "a frame begins with its first packet: {packet:?}");
        let vp8 = packet.vp8();
        let tl0 = vp8.tl0_pic_idx.unwrap();
        if packet.key {
            assert!(
                decoded.is_none_or(|(_, last)| tl0 == last.wrapping_add(1)),
                "base frames count on"
            );
            (decoded, upper) = (Some((packet.source, tl0)), true);
            continue;
        }
        let (source, last) = decoded.expect("a key frame comes first");
        assert_eq!(source, packet.source, "another source begins with a key frame");
        if packet.temporal == 0 {
            assert_eq!(tl0, last.wrapping_add(1), "no base frame is missing");
            decoded = Some((source, tl0));
        } else {
            assert_eq!(tl0, last, "it refers to the last base frame");
            assert!(vp8.layer_sync || upper, "or to the last one of its layer");
            upper = true;
        }
    }
}
