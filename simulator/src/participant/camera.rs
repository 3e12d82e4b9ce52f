//! A camera: VP8 in three encodings, key frames when asked for, two temporal layers.

use super::sdp::{CAMERA_MID, VP8, extension};
use super::stamp::{STAMP_BYTES, Stamp};
use crate::random::between;
use crate::time::SimTime;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use relay_proto::Encoding;
use sfu_core::rtp::{HeaderFields, RtpWriter};
use std::time::Duration;

/// Rate and frames a second of q, h and f.
const ENCODINGS: [(u64, u64); Encoding::MAX_PER_TRACK] =
    [(150_000, 15), (500_000, 30), (1_500_000, 30)];
/// Frame sizes over their mean, in thousandths, at quantiles in hundredths: chat clip, 360p at 600 kbit/s of
/// `video_frame_size_stats_syncodecs.csv` (mean 1,931, p5 749, p50 1,966, p95 3,003, p99 3,450, max 4,435).
const SIZES: [(u64, u64); 6] =
    [(0, 200), (5, 388), (50, 1_018), (95, 1_555), (99, 1_787), (100, 2_297)];
/// Its first key frame over the mean.
const KEY_OVER_MEAN: u64 = 4;
/// Base-layer frames are larger than those between: 1.3 and 0.7 of the mean, in tenths.
const LAYER_TENTHS: [u64; 2] = [13, 7];
/// Payload of the largest packet.
const PACKET_BYTES: usize = 1_100;
/// Descriptor: X, I L T, 15-bit picture id, TL0PICIDX, TID.
const DESCRIPTOR_BYTES: usize = 6;
/// First bytes of the VP8 payload, of which only bit 0 means anything here.
const TAG_BYTES: usize = 3;
const FRAME_BYTES_MIN: usize = DESCRIPTOR_BYTES + TAG_BYTES + STAMP_BYTES;
/// MID and RID are sent with the first packets only; by then the edge has bound the SSRC, or asks for nothing.
const NAMED_PACKETS: u64 = 100;
/// An encoder answers requests at most so often.
const KEY_EVERY: Duration = Duration::from_millis(200);

/// One encoding of the camera.
#[derive(Debug)]
struct Encoder {
    encoding: Encoding,
    ssrc: u32,
    seq: u16,
    frame: u32,
    picture_id: u16,
    tl0: u8,
    /// Frames since the last key frame.
    since_key: u32,
    key_at: Option<SimTime>,
    key_wanted: bool,
    next: SimTime,
    frame_ns: u64,
    mean_bytes: u64,
    packets: u64,
    rng: ChaCha8Rng,
}

/// What a camera sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CameraCounters {
    /// Frames of all encodings.
    pub frames: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Packets.
    pub packets: u64,
    /// Key-frame requests that came.
    pub requests: u64,
}

/// A camera.
#[derive(Debug)]
pub(crate) struct Camera {
    who: u16,
    first_timestamp: u32,
    encoders: Vec<Encoder>,
    pub(crate) counters: CameraCounters,
}

impl Camera {
    pub(crate) fn new(who: u16, phase: SimTime, mut rng: ChaCha8Rng) -> Self {
        let mut own = rng.clone();
        let encoder = |(i, (bps, fps)): (usize, (u64, u64))| Encoder {
            encoding: Encoding(i as u8),
            ssrc: rng.next_u32() | 1,
            seq: rng.next_u32() as u16,
            frame: 0,
            picture_id: rng.next_u32() as u16 & 0x7fff,
            tl0: rng.next_u32() as u8,
            since_key: 0,
            key_at: None,
            key_wanted: true,
            next: phase,
            frame_ns: 1_000_000_000 / fps,
            mean_bytes: bps / 8 / fps,
            packets: 0,
            rng: {
                own.set_stream(i as u64 + 1);
                own.clone()
            },
        };
        let encoders = ENCODINGS.into_iter().enumerate().map(encoder).collect();
        Self { who, first_timestamp: rng.next_u32(), encoders, counters: CameraCounters::default() }
    }

    /// SSRC of each encoding that has sent something, with the timestamp of `now`, for sender reports.
    pub(crate) fn reports(&self, now: SimTime) -> impl Iterator<Item = (u32, u32)> + '_ {
        let timestamp = self.timestamp(now);
        self.encoders.iter().filter(|e| e.packets > 0).map(move |e| (e.ssrc, timestamp))
    }

    fn timestamp(&self, captured: SimTime) -> u32 {
        // 90 kHz: 9 ticks a 100 us.
        self.first_timestamp.wrapping_add((u128::from(captured.0) * 9 / 100_000) as u32)
    }

    pub(crate) fn deadline(&self) -> Option<SimTime> {
        self.encoders.iter().map(|e| e.next).min()
    }

    pub(crate) fn start(&mut self, now: SimTime) {
        for e in &mut self.encoders {
            while e.next < now {
                e.next.0 += e.frame_ns;
            }
        }
    }

    /// The edge asks for a key frame of the encoding with this SSRC.
    pub(crate) fn key_requested(&mut self, ssrc: u32) {
        if let Some(encoder) = self.encoders.iter_mut().find(|e| e.ssrc == ssrc) {
            encoder.key_wanted = true;
            self.counters.requests += 1;
        }
    }

    /// Captures what is due; `send` takes packets.
    pub(crate) fn tick(&mut self, now: SimTime, seq: &mut u16, send: &mut impl FnMut(&[u8])) {
        for i in 0..self.encoders.len() {
            let captured = self.encoders[i].next;
            if captured > now {
                continue;
            }
            let timestamp = self.timestamp(captured);
            let stamp = Stamp { captured, who: self.who, ..Stamp::default() };
            let encoder = &mut self.encoders[i];
            encoder.next.0 += encoder.frame_ns;
            let (key, packets) = encoder.frame(stamp, timestamp, seq, send);
            self.counters.frames += 1;
            self.counters.key_frames += u64::from(key);
            self.counters.packets += packets;
        }
    }
}

impl Encoder {
    fn frame(
        &mut self,
        stamp: Stamp,
        timestamp: u32,
        seq: &mut u16,
        send: &mut impl FnMut(&[u8]),
    ) -> (bool, u64) {
        let rested = self.key_at.is_none_or(|at| stamp.captured.since(at) >= KEY_EVERY);
        let key = self.key_wanted && rested;
        if key {
            (self.key_wanted, self.key_at, self.since_key) = (false, Some(stamp.captured), 0);
        }
        let temporal = (self.since_key % 2) as u8;
        self.tl0 = self.tl0.wrapping_add(u8::from(temporal == 0));
        let size = self.size(key, temporal);
        let count = size.div_ceil(PACKET_BYTES);
        let stamp = Stamp {
            turn: self.encoding.0.into(),
            nth: self.frame,
            packets: count as u16,
            key,
            ..stamp
        };
        let mut buffer = [0; PACKET_BYTES + 128];
        for packet in 0..count {
            // Packets of a frame are of equal size, as libwebrtc cuts them.
            let payload =
                (size * (packet + 1) / count - size * packet / count).max(FRAME_BYTES_MIN);
            let stamp = Stamp { packet: packet as u16, ..stamp };
            if let Some(len) = self.packet(&stamp, timestamp, temporal, payload, *seq, &mut buffer)
            {
                *seq = seq.wrapping_add(1);
                send(&buffer[..len]);
            }
        }
        self.frame += 1;
        self.since_key += 1;
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        (key, count as u64)
    }

    fn size(&mut self, key: bool, temporal: u8) -> usize {
        let at = between(&mut self.rng, 0, 9_999);
        let mut thousandths = SIZES[SIZES.len() - 1].1;
        for pair in SIZES.windows(2) {
            let ((q0, s0), (q1, s1)) = (pair[0], pair[1]);
            if at < q1 * 100 {
                thousandths = s0 + (s1 - s0) * (at - q0 * 100) / ((q1 - q0) * 100);
                break;
            }
        }
        let bytes = if key {
            self.mean_bytes * KEY_OVER_MEAN
        } else {
            self.mean_bytes * thousandths / 1_000 * LAYER_TENTHS[usize::from(temporal)] / 10
        };
        (bytes as usize).max(FRAME_BYTES_MIN)
    }

    fn packet(
        &mut self,
        stamp: &Stamp,
        timestamp: u32,
        temporal: u8,
        payload: usize,
        transport_seq: u16,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let last = stamp.packet + 1 == stamp.packets;
        let fields = HeaderFields {
            marker: last,
            payload_type: VP8,
            seq: self.seq,
            timestamp,
            ssrc: self.ssrc,
            csrc: None,
        };
        let mut writer = RtpWriter::begin(buffer, &fields)?;
        writer.extension(extension::TRANSPORT_SEQUENCE, &transport_seq.to_be_bytes())?;
        if self.packets < NAMED_PACKETS {
            writer.extension(extension::MID, CAMERA_MID.as_bytes())?;
            writer.extension(extension::RID, self.encoding.rid().as_bytes())?;
        }
        let head = writer.finish()?;
        let body = buffer.get_mut(head..head + payload)?;
        body.fill(0);
        let [high, low] = self.picture_id.to_be_bytes();
        // X and, in the first packet, S; then I, L, T; Y marks frames that need the base layer only.
        let first = if stamp.packet == 0 { 0x90 } else { 0x80 };
        let layer = temporal << 6 | u8::from(temporal > 0) << 5;
        body[..DESCRIPTOR_BYTES].copy_from_slice(&[first, 0xe0, 0x80 | high, low, self.tl0, layer]);
        // RFC 7741 section 4.3: bit P is 0 in a key frame.
        body[DESCRIPTOR_BYTES] = u8::from(!stamp.key);
        stamp.write(&mut body[DESCRIPTOR_BYTES + TAG_BYTES..])?;
        self.seq = self.seq.wrapping_add(1);
        self.packets += 1;
        Some(head + payload)
    }
}

/// The stamp of a video packet.
pub(super) fn stamp_of(payload: &[u8]) -> Option<Stamp> {
    Stamp::read(payload.get(DESCRIPTOR_BYTES + TAG_BYTES..)?)
}
