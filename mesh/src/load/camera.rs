//! A camera: VP8 in three encodings, key frames on demand, retransmissions.

use super::limits::{BEHIND_MAX_US, HISTORY_PACKETS};
use super::mic::{Wire, ids};
use super::rtp::{Fields, Header, write};
use super::stamp::Stamp;
use super::vp8::{self, Frame};
use std::collections::VecDeque;

/// The rids in order.
pub(super) const RIDS: [&str; 3] = ["q", "h", "f"];
/// Width and height of each encoding.
const SIZES: [(u16, u16); 3] = [(320, 180), (640, 360), (1_280, 720)];
/// Packets of a delta frame, of a key frame, and bytes of a payload: at 20 frames a second 130, 500 and 1,170 kbit/s.
const DELTA_PACKETS: [usize; 3] = [1, 3, 7];
const KEY_PACKETS: [usize; 3] = [3, 8, 16];
const PAYLOAD_BYTES: [usize; 3] = [800, 1_050, 1_050];

#[derive(Debug, Default)]
struct Encoding {
    ssrc: u32,
    rtx_ssrc: u32,
    seq: u16,
    rtx_seq: u16,
    counter: u32,
    key: bool,
    sent: (u32, u32),
    history: VecDeque<Vec<u8>>,
}

/// A camera.
#[derive(Debug)]
pub(super) struct Camera {
    /// Key frames that were asked for.
    pub(super) requests: u64,
    /// Packets sent again.
    pub(super) resent: u64,
    source: u32,
    wire: Wire,
    encodings: [Encoding; 3],
    frame_us: u64,
    due_us: u64,
    picture: u16,
}

impl Camera {
    /// A camera; its first frame, at `first_us`, is a key frame. `ssrc` gives those of media and retransmission.
    pub(super) fn new(
        source: u32,
        ssrc: impl Fn(usize) -> (u32, u32),
        fps: u32,
        wire: Wire,
        first_us: u64,
    ) -> Self {
        let encoding = |i| {
            let (ssrc, rtx_ssrc) = ssrc(i);
            Encoding { ssrc, rtx_ssrc, seq: 100, key: true, ..Encoding::default() }
        };
        Self {
            requests: 0,
            resent: 0,
            source,
            wire,
            encodings: [encoding(0), encoding(1), encoding(2)],
            frame_us: 1_000_000 / u64::from(fps.max(1)),
            due_us: first_us,
            picture: 0,
        }
    }

    /// When the next frame is due.
    pub(super) fn due_us(&self) -> u64 {
        self.due_us
    }

    /// The RTP timestamp of a moment.
    pub(super) fn timestamp(us: u64) -> u32 {
        (us * 90 / 1_000) as u32
    }

    /// For sender reports: SSRC, packets and payload bytes of each encoding.
    pub(super) fn sent(&self) -> impl Iterator<Item = (u32, (u32, u32))> + '_ {
        self.encodings.iter().map(|e| (e.ssrc, e.sent))
    }

    /// Somebody wants a key frame of an SSRC.
    pub(super) fn requested(&mut self, ssrc: u32) {
        if let Some(encoding) = self.encodings.iter_mut().find(|e| e.ssrc == ssrc) {
            self.requests += 1;
            encoding.key = true;
        }
    }

    /// The packets of the frame that is due, all encodings; and by how much it is late.
    pub(super) fn poll(
        &mut self,
        now_us: u64,
        transport_seq: &mut u16,
        out: &mut Vec<Vec<u8>>,
    ) -> Option<u64> {
        if now_us < self.due_us {
            return None;
        }
        if now_us - self.due_us > BEHIND_MAX_US {
            self.due_us = now_us - BEHIND_MAX_US;
        }
        let at = self.due_us;
        self.due_us += self.frame_us;
        self.picture = self.picture.wrapping_add(1) & vp8::PICTURE_ID_MASK;
        for which in 0..RIDS.len() {
            self.frame(which, at, now_us, transport_seq, out);
        }
        Some(now_us - at)
    }

    fn frame(
        &mut self,
        which: usize,
        at: u64,
        now_us: u64,
        transport_seq: &mut u16,
        out: &mut Vec<Vec<u8>>,
    ) {
        let encoding = &mut self.encodings[which];
        let key = std::mem::take(&mut encoding.key);
        let count = if key { KEY_PACKETS[which] } else { DELTA_PACKETS[which] };
        let bytes = PAYLOAD_BYTES[which];
        let frame = Frame {
            picture: self.picture,
            key,
            size: SIZES[which],
            bytes: count * (bytes - vp8::DESCRIPTOR_BYTES),
        };
        for i in 0..count {
            encoding.seq = encoding.seq.wrapping_add(1);
            encoding.counter += 1;
            let stamp = Stamp {
                source: self.source,
                counter: encoding.counter,
                encoding: which as u8,
                key,
                sent_us: now_us,
                ..Stamp::default()
            };
            let payload = vp8::payload(&frame, i == 0, bytes, &stamp.bytes());
            *transport_seq = transport_seq.wrapping_add(1);
            let fields = Fields {
                marker: i + 1 == count,
                payload_type: self.wire.pt,
                seq: encoding.seq,
                timestamp: Self::timestamp(at),
                ssrc: encoding.ssrc,
            };
            let extensions: [(u8, &[u8]); 3] = [
                (ids::TRANSPORT_SEQ, &transport_seq.to_be_bytes()),
                (ids::MID, self.wire.mid.as_bytes()),
                (ids::RID, RIDS[which].as_bytes()),
            ];
            let packet = write(&fields, &extensions, &payload);
            encoding.sent.0 = encoding.sent.0.wrapping_add(1);
            encoding.sent.1 = encoding.sent.1.wrapping_add(payload.len() as u32);
            if encoding.history.len() == HISTORY_PACKETS {
                encoding.history.pop_front();
            }
            encoding.history.push_back(packet.clone());
            out.push(packet);
        }
    }

    /// A packet once more, on the stream for that (RFC 4588 section 4); `None` when it is not kept any more.
    pub(super) fn again(
        &mut self,
        ssrc: u32,
        seq: u16,
        transport_seq: &mut u16,
    ) -> Option<Vec<u8>> {
        let which = self.encodings.iter().position(|e| e.ssrc == ssrc)?;
        let encoding = &mut self.encodings[which];
        let packet = encoding.history.iter().rev().find(|p| p[2..4] == seq.to_be_bytes())?;
        let header = Header::read(packet)?;
        let payload = [&seq.to_be_bytes()[..], &packet[header.len..]].concat();
        encoding.rtx_seq = encoding.rtx_seq.wrapping_add(1);
        *transport_seq = transport_seq.wrapping_add(1);
        self.resent += 1;
        let fields = Fields {
            marker: header.marker,
            payload_type: self.wire.rtx_pt,
            seq: encoding.rtx_seq,
            timestamp: header.timestamp,
            ssrc: encoding.rtx_ssrc,
        };
        let extensions: [(u8, &[u8]); 3] = [
            (ids::TRANSPORT_SEQ, &transport_seq.to_be_bytes()),
            (ids::MID, self.wire.mid.as_bytes()),
            (ids::REPAIRED_RID, RIDS[which].as_bytes()),
        ];
        Some(write(&fields, &extensions, &payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfu_core::vp8::{Vp8Descriptor, Vp8FactsReader};

    fn camera() -> Camera {
        let wire = Wire { pt: 96, rtx_pt: 97, mid: "1".to_owned() };
        Camera::new(4, |i| (10 + i as u32, 20 + i as u32), 20, wire, 0)
    }

    #[test]
    fn frames_are_vp8_as_the_edge_reads_it() {
        let (mut camera, mut transport) = (camera(), 0);
        let mut readers = [Vp8FactsReader::new(); 3];
        for frame in 0..40_u64 {
            if frame == 20 {
                camera.requested(10);
            }
            let mut out = Vec::new();
            assert_eq!(camera.poll(frame * 50_000, &mut transport, &mut out), Some(0));
            for packet in &out {
                let header = Header::read(packet).unwrap();
                let payload = &packet[header.len..];
                let which = (header.ssrc - 10) as usize;
                let facts = readers[which].read(header.timestamp, header.marker, payload).unwrap();
                let key = frame == 0 || (frame == 20 && which == 0);
                assert_eq!(facts.key, key, "frame {frame} of {}", RIDS[which]);
                assert_eq!(facts.frame_end, header.marker);
                let id = Vp8Descriptor::parse(payload).unwrap().picture_id.unwrap();
                assert_eq!((id.value, id.wide), (frame as u16 + 1, true));
                assert_eq!(header.extension(ids::RID), Some(RIDS[which].as_bytes()));
                assert_eq!(Stamp::read(payload).unwrap().encoding, which as u8);
            }
            let starts = out.iter().filter(|p| {
                let header = Header::read(p).unwrap();
                Vp8Descriptor::parse(&p[header.len..]).unwrap().frame_start()
            });
            assert_eq!(starts.count(), 3, "one start an encoding");
        }
        assert_eq!(camera.requests, 1);
    }

    #[test]
    fn a_packet_is_sent_again_with_its_number_in_front() {
        let (mut camera, mut transport, mut out) = (camera(), 0, Vec::new());
        camera.poll(0, &mut transport, &mut out);
        let again = camera.again(10, 102, &mut transport).unwrap();
        let (header, first) = (Header::read(&again).unwrap(), Header::read(&out[1]).unwrap());
        assert_eq!((header.ssrc, header.payload_type, first.seq), (20, 97, 102));
        assert_eq!(again[header.len..header.len + 2], [0, 102]);
        assert_eq!(again[header.len + 2..], out[1][first.len..]);
        assert_eq!(header.extension(ids::REPAIRED_RID), Some(&b"q"[..]));
        assert_eq!(camera.again(10, 50, &mut transport), None);
    }
}
