//! What a participant sends: a microphone with its own turns, a camera in three encodings.

use crate::clock;
use crate::stamp::Stamp;
use bytes::Bytes;
use rtc::rtp::header::Header;
use rtc::rtp::packet::Packet;

/// An Opus packet's length in time.
const VOICE_US: u64 = 20_000;
/// Comfort noise while nothing is said, as discontinuous transmission does it.
const COMFORT_US: u64 = 400_000;
/// A voice packet at 32 kbit/s.
const VOICE_BYTES: usize = 80;
/// A comfort-noise packet, with its stamp.
const COMFORT_BYTES: usize = Stamp::BYTES + 2;
/// Speech, in -dBov.
pub const SPEECH_DBOV: u8 = 25;
/// Silence.
const SILENCE_DBOV: u8 = 127;
/// More than this behind, a publisher skips instead of catching up.
const BEHIND_MAX_US: u64 = 500_000;

/// When a participant speaks, on [`clock`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turns {
    /// Never: comfort noise only.
    Never,
    /// Always.
    Always,
    /// For `talk_us` every `period_us`, beginning at `from_us`.
    Every {
        /// Beginning of the first turn.
        from_us: u64,
        /// From turn to turn.
        period_us: u64,
        /// Length of a turn.
        talk_us: u64,
    },
}

impl Turns {
    /// Whether it is spoken at that moment.
    #[must_use]
    pub fn speaks(self, at_us: u64) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Every { from_us, period_us, talk_us } => {
                at_us >= from_us && (at_us - from_us) % period_us < talk_us
            }
        }
    }
}

/// Numbers a source needs of the negotiation.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// Payload type.
    pub pt: u8,
    /// Extension id of the audio level.
    pub level: Option<u8>,
    /// Extension id and value of the MID.
    pub mid: Option<(u8, String)>,
    /// Extension id of the RID.
    pub rid: Option<u8>,
}

/// A microphone.
#[derive(Debug)]
pub struct Mic {
    /// When it is spoken into.
    pub turns: Turns,
    /// How loud.
    pub level_dbov: u8,
    /// Longest time between two packets of speech, as sent.
    pub longest_gap_us: u64,
    ssrc: u32,
    source: u32,
    seq: u16,
    counter: u32,
    due_us: u64,
    last_us: Option<u64>,
}

impl Mic {
    /// A microphone; `phase_us` spreads the packets of many.
    #[must_use]
    pub fn new(source: u32, ssrc: u32, turns: Turns, phase_us: u64) -> Self {
        Self {
            turns,
            level_dbov: SPEECH_DBOV,
            longest_gap_us: 0,
            ssrc,
            source,
            seq: 1_000,
            counter: 0,
            due_us: clock::now_us() + phase_us % VOICE_US,
            last_us: None,
        }
    }

    /// When the next packet may be due.
    #[must_use]
    pub fn due_us(&self) -> u64 {
        self.due_us
    }

    /// The packet that is due, if one is.
    pub fn poll(&mut self, now_us: u64, wire: &Wire) -> Option<Packet> {
        loop {
            if now_us < self.due_us {
                return None;
            }
            if now_us - self.due_us > BEHIND_MAX_US {
                self.due_us = now_us;
            }
            let at = self.due_us;
            self.due_us += VOICE_US;
            let speaks = self.turns.speaks(at);
            let quiet_for = self.last_us.map_or(COMFORT_US, |last| at.saturating_sub(last));
            if speaks || quiet_for >= COMFORT_US {
                return Some(self.packet(now_us, at, speaks, wire));
            }
        }
    }

    fn packet(&mut self, now_us: u64, at: u64, speaks: bool, wire: &Wire) -> Packet {
        if let (true, Some(last)) = (speaks, self.last_us) {
            let gap = now_us.saturating_sub(last);
            // Speech after a pause is not a gap in speech.
            if self.turns.speaks(at.saturating_sub(gap)) {
                self.longest_gap_us = self.longest_gap_us.max(gap);
            }
        }
        self.last_us = Some(now_us);
        self.seq = self.seq.wrapping_add(1);
        self.counter += 1;
        let stamp = Stamp {
            source: self.source,
            counter: self.counter,
            encoding: 0,
            key: false,
            sent_us: now_us,
        };
        let mut payload = vec![0x78; if speaks { VOICE_BYTES } else { COMFORT_BYTES }];
        let body = payload.len() - Stamp::BYTES;
        payload[body..].copy_from_slice(&stamp.bytes());
        let mut header = Header {
            version: 2,
            payload_type: wire.pt,
            sequence_number: self.seq,
            timestamp: (at * 48 / 1_000) as u32,
            ssrc: self.ssrc,
            ..Header::default()
        };
        if let Some(id) = wire.level {
            let level = if speaks { 0x80 | self.level_dbov } else { SILENCE_DBOV };
            let _ = header.set_extension(id, Bytes::copy_from_slice(&[level]));
        }
        Packet { header, payload: payload.into() }
    }
}

/// Packets a frame of q, h and f has, and of their key frames.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Of a delta frame.
    pub delta: [usize; 3],
    /// Of a key frame.
    pub key: [usize; 3],
    /// Of a packet, bytes.
    pub bytes: usize,
}

/// About 120, 350 and 830 kbit/s at 15 fps: enough to tell them apart, cheap enough for two cores.
pub const SIZES: Sizes = Sizes { delta: [1, 3, 7], key: [3, 8, 16], bytes: 1_000 };

/// A camera in three encodings.
#[derive(Debug)]
pub struct Camera {
    /// Key-frame requests that came, by encoding.
    pub requests: [u64; 3],
    /// When they came.
    pub requested_at_us: Vec<(u8, u64)>,
    /// Whether it is on.
    pub on: bool,
    source: u32,
    ssrcs: [u32; 3],
    encodings: [Encoding; 3],
    sizes: Sizes,
    frame_us: u64,
    due_us: u64,
    picture: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Encoding {
    seq: u16,
    counter: u32,
    key: bool,
}

/// The rids in order.
pub const RIDS: [&str; 3] = ["q", "h", "f"];

impl Camera {
    /// A camera; its first frame is a key frame.
    #[must_use]
    pub fn new(source: u32, ssrcs: [u32; 3], fps: u32, phase_us: u64) -> Self {
        let frame_us = 1_000_000 / u64::from(fps);
        Self {
            requests: [0; 3],
            requested_at_us: Vec::new(),
            on: true,
            source,
            ssrcs,
            encodings: [Encoding { seq: 100, counter: 0, key: true }; 3],
            sizes: SIZES,
            frame_us,
            due_us: clock::now_us() + phase_us % frame_us,
            picture: 0,
        }
    }

    /// When the next frame is due.
    #[must_use]
    pub fn due_us(&self) -> u64 {
        self.due_us
    }

    /// Frames sent.
    #[must_use]
    pub fn frames(&self) -> u16 {
        self.picture
    }

    /// The encoding of an SSRC.
    #[must_use]
    pub fn encoding_of(&self, ssrc: u32) -> Option<usize> {
        self.ssrcs.iter().position(|s| *s == ssrc)
    }

    /// Somebody wants a key frame.
    pub fn requested(&mut self, encoding: usize) {
        self.requests[encoding] += 1;
        self.requested_at_us.push((encoding as u8, clock::now_us()));
        self.encodings[encoding].key = true;
    }

    /// The packets of the frame that is due, all encodings.
    pub fn poll(&mut self, now_us: u64, wire: &Wire, out: &mut Vec<Packet>) {
        if now_us < self.due_us {
            return;
        }
        if now_us - self.due_us > BEHIND_MAX_US {
            self.due_us = now_us;
        }
        let at = self.due_us;
        self.due_us += self.frame_us;
        if !self.on {
            return;
        }
        self.picture = (self.picture + 1) & 0x7fff;
        for encoding in 0..3 {
            self.frame(encoding, at, now_us, wire, out);
        }
    }

    fn frame(&mut self, which: usize, at: u64, now_us: u64, wire: &Wire, out: &mut Vec<Packet>) {
        let encoding = &mut self.encodings[which];
        let key = std::mem::take(&mut encoding.key);
        let count = if key { self.sizes.key[which] } else { self.sizes.delta[which] };
        for i in 0..count {
            encoding.seq = encoding.seq.wrapping_add(1);
            encoding.counter += 1;
            let stamp = Stamp {
                source: self.source,
                counter: encoding.counter,
                encoding: which as u8,
                key,
                sent_us: now_us,
            };
            let mut payload = vp8(self.picture, i == 0, key);
            payload.resize(self.sizes.bytes - Stamp::BYTES, 0x55);
            payload.extend(stamp.bytes());
            let mut header = Header {
                version: 2,
                marker: i + 1 == count,
                payload_type: wire.pt,
                sequence_number: encoding.seq,
                timestamp: (at * 90 / 1_000) as u32,
                ssrc: self.ssrcs[which],
                ..Header::default()
            };
            if let Some((id, mid)) = &wire.mid {
                let _ = header.set_extension(*id, Bytes::copy_from_slice(mid.as_bytes()));
            }
            if let Some(id) = wire.rid {
                let _ = header.set_extension(id, Bytes::from_static(RIDS[which].as_bytes()));
            }
            out.push(Packet { header, payload: payload.into() });
        }
    }
}

/// A VP8 payload descriptor (RFC 7741 section 4.2: X; I, L, T; 15-bit picture id) and, at the start of a frame, the frame tag
/// (RFC 6386 section 9.1) with, for a key frame, its start code and size.
fn vp8(picture: u16, start: bool, key: bool) -> Vec<u8> {
    let first = if start { 0x90 } else { 0x80 };
    let mut bytes =
        vec![first, 0xe0, 0x80 | (picture >> 8) as u8, picture as u8, picture as u8, 0x00];
    match (start, key) {
        (true, true) => bytes.extend([0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]),
        (true, false) => bytes.extend([0x11, 0, 0]),
        (false, _) => {}
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfu_core::vp8::Vp8Descriptor;

    #[test]
    fn payloads_are_vp8_as_the_edge_reads_it() {
        let payload = vp8(0x1234, true, true);
        let read = Vp8Descriptor::parse(&payload).unwrap();
        let id = read.picture_id.unwrap();
        assert!(read.frame_start() && id.wide && id.value == 0x1234 && read.len == 6);
        assert!(
            !Vp8Descriptor::parse(&[&vp8(1, false, true)[..], &[0]].concat())
                .unwrap()
                .frame_start()
        );
    }

    #[test]
    fn turns_begin_and_end() {
        let turns = Turns::Every { from_us: 100, period_us: 50, talk_us: 10 };
        let spoken: Vec<_> = (90..170).filter(|t| turns.speaks(*t)).collect();
        assert_eq!(spoken, (100..110).chain(150..160).collect::<Vec<_>>());
    }

    #[test]
    fn a_speaker_sends_every_20_ms_and_a_silent_one_comfort_noise() {
        let count = |turns| {
            let mut mic = Mic::new(1, 1, turns, 0);
            let from = mic.due_us();
            (0..1_000).filter(|ms| mic.poll(from + ms * 1_000, &Wire::default()).is_some()).count()
        };
        assert_eq!((count(Turns::Always), count(Turns::Never)), (50, 3));
    }
}
