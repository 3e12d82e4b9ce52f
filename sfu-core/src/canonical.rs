//! RTP as it travels on links: canonical payload types, SSRCs and extension ids, so that no node needs another's tables.

use crate::drop_reason::DropReason;
use crate::packet::Packet;
use crate::rtp::{HeaderFields, RtpView, RtpWriter};
use relay_proto::control::Codec;
use relay_proto::{Encoding, PacketFacts, TrackId};

/// Header-extension id of the RFC 6464 audio level on links.
pub const EXTENSION_AUDIO_LEVEL: u8 = 1;
/// Longest header written here: 12 fixed, 4 profile and length, 4 for the level (2 and padding).
pub const LINK_HEADER_BYTES_MAX: usize = 20;
/// Bit V of the audio level: this encoder calls it voice. Levels kept in a [`Packet`] do not carry it.
const LEVEL_MASK: u8 = 0x7f;

/// Payload type of `codec` on links.
#[must_use]
pub fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Vp8 => 96,
        Codec::Vp9 => 98,
        Codec::H264 => 102,
        Codec::Opus => 111,
        Codec::Av1 => 45,
    }
}

/// The codec of a payload type on links.
#[must_use]
pub fn codec_of(payload_type: u8) -> Option<Codec> {
    Some(match payload_type {
        96 => Codec::Vp8,
        98 => Codec::Vp9,
        102 => Codec::H264,
        111 => Codec::Opus,
        45 => Codec::Av1,
        _ => return None,
    })
}

/// SSRC of an encoding on links: the participant's id, with kind and encoding mixed in.
///
/// Only readers of a capture look at it (the flow id is the address), but it must be deterministic and two encodings of a meeting
/// should not share one: for each of the 12 pairs of kind and encoding it is a bijection of the id, and the pairs
/// are set apart by a constant that changes the node bits of the id.
#[must_use]
pub fn ssrc_of(track: TrackId, encoding: Encoding) -> u32 {
    let pair = (track.kind as u32) << 2 | u32::from(encoding.0 & 3);
    // Multipliers of the finalisers of MurmurHash3 and of Knuth 6.4: odd, so both steps can be undone.
    (track.participant.0 ^ pair.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b1)
}

/// Writes `packet` as an RTP packet; `None` when `buf` is too short.
#[must_use]
pub fn write_link_rtp(packet: &Packet<'_>, codec: Codec, buf: &mut [u8]) -> Option<usize> {
    let fields = HeaderFields {
        marker: packet.marker,
        payload_type: payload_type(codec),
        seq: packet.seq,
        timestamp: packet.timestamp,
        ssrc: ssrc_of(packet.track, packet.encoding),
        csrc: None,
    };
    let mut writer = RtpWriter::begin(buf, &fields)?;
    if let Some(level) = packet.level {
        writer.extension(EXTENSION_AUDIO_LEVEL, &[level & LEVEL_MASK])?;
    }
    let header = writer.finish()?;
    let len = header + packet.payload.len();
    buf.get_mut(header..len)?.copy_from_slice(packet.payload);
    Some(len)
}

/// Reads an RTP packet that came over a link; its flow told the track and encoding, its shim the facts.
///
/// # Errors
/// [`DropReason::Malformed`].
pub fn read_link_rtp(
    rtp: &[u8],
    track: TrackId,
    encoding: Encoding,
    facts: PacketFacts,
) -> Result<Packet<'_>, DropReason> {
    let view = RtpView::parse(rtp).ok_or(DropReason::Malformed)?;
    let level = view.extension(EXTENSION_AUDIO_LEVEL).and_then(|content| content.first());
    Ok(Packet {
        track,
        encoding,
        seq: view.seq,
        timestamp: view.timestamp,
        marker: view.marker,
        facts,
        level: level.map(|byte| byte & LEVEL_MASK),
        payload: view.payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use relay_proto::{ParticipantId, TrackKind};

    const TRACK: TrackId =
        TrackId { participant: ParticipantId(0x0070_0005), kind: TrackKind::Mic };

    fn voice(payload: &[u8]) -> Packet<'_> {
        Packet {
            track: TRACK,
            encoding: Encoding(0),
            seq: 0x0102,
            timestamp: 960,
            marker: true,
            facts: PacketFacts::VOICE,
            level: Some(30),
            payload,
        }
    }

    #[test]
    fn a_voice_has_these_bytes_on_a_link() {
        let mut buf = [0; 64];
        let len = write_link_rtp(&voice(&[7, 8]), Codec::Opus, &mut buf).unwrap();
        let ssrc = ssrc_of(TRACK, Encoding(0)).to_be_bytes();
        let mut golden = vec![0x90, 0xef, 1, 2, 0, 0, 3, 0xc0];
        golden.extend_from_slice(&ssrc);
        golden.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 30, 0, 0, 7, 8]);
        assert_eq!(&buf[..len], golden);
        assert_eq!(ssrc, [0x54, 0x85, 0x60, 0x75], "pinned: it is on the wire");
    }

    #[test]
    fn the_encodings_of_a_meeting_have_distinct_ssrcs() {
        let mut all = Vec::new();
        for participant in [1, 2, 0x1000_0001, 0x2000_0001, 0xfff0_0001].map(ParticipantId) {
            for kind in TrackKind::ALL {
                for encoding in 0..3 {
                    all.push(ssrc_of(TrackId { participant, kind }, Encoding(encoding)));
                }
            }
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn every_codec_has_its_own_payload_type() {
        for codec in [Codec::Opus, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            assert_eq!(codec_of(payload_type(codec)), Some(codec));
        }
    }

    proptest! {
        #[test]
        fn a_packet_survives_a_link(
            seq: u16, timestamp: u32, marker: bool,
            level in proptest::option::of(0u8..128),
            payload in proptest::collection::vec(any::<u8>(), 1..100),
        ) {
            let packet = Packet { seq, timestamp, marker, level, ..voice(&payload) };
            let mut buf = [0; 200];
            let len = write_link_rtp(&packet, Codec::Opus, &mut buf).unwrap();
            let read = read_link_rtp(&buf[..len], TRACK, Encoding(0), PacketFacts::VOICE).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{packet:?}"));
            let short = write_link_rtp(&packet, Codec::Opus, &mut buf[..len - 1]);
            prop_assert_eq!(short, None);
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_link_rtp(&data, TRACK, Encoding(0), PacketFacts::VOICE);
        }
    }
}
