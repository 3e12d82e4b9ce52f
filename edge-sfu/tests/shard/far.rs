//! A participant somewhere behind a neighbour: what the neighbour announces of them, and what it sends over its link. Also used by the
//! tests of `origin-sfu`.

use relay_proto::control::{Announce, Body, Codec, EncodingInfo};
use relay_proto::{
    Class, Encoding, FlowId, LinkId, Links, NodeId, Now, PacketFacts, ParticipantId, TrackId,
    TrackKind,
};
use sfu_core::Packet;
use sfu_core::canonical::write_link_rtp;

/// Packets of one picture, by encoding.
const PACKETS: [u16; Encoding::MAX_PER_TRACK] = [1, 2, 5];
/// Payload bytes of a packet of a picture.
const PICTURE_BYTES: usize = 1_000;
/// Extended VP8 descriptor: picture id of 15 bits, TL0PICIDX, TID.
const DESCRIPTOR: usize = 6;
/// Loud, in -dBov.
const LOUD: u8 = 30;

/// One participant with a voice and a camera in three encodings.
pub struct Far {
    /// Who.
    pub participant: ParticipantId,
    /// Packets sent so far.
    pub sent: usize,
    first_flow: u64,
    moments: u16,
    seq: [u16; Encoding::MAX_PER_TRACK],
    key_wanted: [bool; Encoding::MAX_PER_TRACK],
}

impl Far {
    /// Admitted by `node`; their tracks have the four flows from `first_flow`.
    pub fn new(node: NodeId, first_flow: u64) -> Self {
        Self {
            participant: ParticipantId::new(node, 1),
            sent: 0,
            first_flow,
            moments: 0,
            seq: [0; Encoding::MAX_PER_TRACK],
            key_wanted: [true; Encoding::MAX_PER_TRACK],
        }
    }

    /// One of their tracks.
    pub fn track(&self, kind: TrackKind) -> TrackId {
        TrackId { participant: self.participant, kind }
    }

    /// What is said of them; they came by `hops`.
    pub fn announced(&self, hops: &[NodeId]) -> [Body; 2] {
        let info = |encoding: u8, flow: u64| EncodingInfo {
            encoding: Encoding(encoding),
            flow: FlowId(self.first_flow + flow),
            bitrate_bps: 500_000,
        };
        let announce = |kind, codec, encodings| {
            let track = self.track(kind);
            Body::Announce(Announce { track, codec, encodings, hops: hops.to_vec() })
        };
        let pictures = (0..3).map(|e| info(e, 1 + u64::from(e))).collect();
        [
            announce(TrackKind::Mic, Codec::Opus, vec![info(0, 0)]),
            announce(TrackKind::Camera, Codec::Vp8, pictures),
        ]
    }

    /// The next picture of this encoding begins anew.
    pub fn wants_key(&mut self, encoding: Encoding) {
        self.key_wanted[usize::from(encoding.0)] = true;
    }

    /// Sends 20 ms: a voice packet, and every other time a picture in each encoding.
    pub fn moment(&mut self, now: Now, links: &mut Links, link: LinkId) {
        self.moments = self.moments.wrapping_add(1);
        let voice = Packet {
            track: self.track(TrackKind::Mic),
            encoding: Encoding::Q,
            seq: self.moments,
            timestamp: u32::from(self.moments) * 960,
            marker: false,
            facts: PacketFacts::VOICE,
            level: Some(LOUD),
            payload: &[0x5a; 80],
        };
        self.send(now, links, link, (0, Codec::Opus), &voice);
        if self.moments.is_multiple_of(2) {
            for encoding in [Encoding::Q, Encoding::H, Encoding::F] {
                self.picture(now, links, link, encoding);
            }
        }
    }

    fn picture(&mut self, now: Now, links: &mut Links, link: LinkId, encoding: Encoding) {
        let place = usize::from(encoding.0);
        let key = std::mem::take(&mut self.key_wanted[place]);
        let (frame, count) = (self.moments / 2, PACKETS[place]);
        let mut payload = [0x5a; PICTURE_BYTES];
        for nth in 0..count {
            let first = if nth == 0 { 0x90 } else { 0x80 };
            let [high, low] = (frame | 0x8000).to_be_bytes();
            payload[..DESCRIPTOR].copy_from_slice(&[first, 0xe0, high, low, low, 0]);
            payload[DESCRIPTOR] = u8::from(!key);
            self.seq[place] = self.seq[place].wrapping_add(1);
            let packet = Packet {
                track: self.track(TrackKind::Camera),
                encoding,
                seq: self.seq[place],
                timestamp: u32::from(frame) * 3_600,
                marker: nth + 1 == count,
                facts: PacketFacts {
                    class: Class::Base,
                    key,
                    frame_start: nth == 0,
                    frame_end: nth + 1 == count,
                    discardable: false,
                    spatial: 0,
                    temporal: 0,
                },
                level: None,
                payload: &payload,
            };
            self.send(now, links, link, (1 + u64::from(encoding.0), Codec::Vp8), &packet);
        }
    }

    fn send(
        &mut self,
        now: Now,
        links: &mut Links,
        link: LinkId,
        (flow, codec): (u64, Codec),
        packet: &Packet<'_>,
    ) {
        let flow = FlowId(self.first_flow + flow);
        let write = |buf: &mut [u8]| write_link_rtp(packet, codec, buf);
        links.send_media(now, link, flow, &packet.facts, write).unwrap();
        self.sent += 1;
    }
}
