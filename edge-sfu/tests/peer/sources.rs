//! Packets of the participant.

use crate::harness::*;
use proptest::prelude::*;
use relay_proto::{Encoding, TrackKind};
use sfu_core::DropReason;

fn camera(rid: &'static [u8]) -> [(u8, &'static [u8]); 2] {
    [(MID, b"1"), (RID, rid)]
}

#[test]
fn an_encoding_is_bound_by_mid_and_rid_then_known_by_ssrc() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(VP8, 50, 1, KEY));
    assert_eq!(pair.drops(), [DropReason::UnknownSource], "nothing says what it is");
    pair.send(&Sent::new(VP8, 50, 2, KEY).with(&camera(b"h")));
    pair.send(&Sent::new(VP8, 50, 3, DELTA));
    pair.send(&Sent::new(VP8, 51, 9, KEY).with(&camera(b"f")));
    let (camera, h, f) = (TrackKind::Camera, Encoding::H, Encoding::F);
    assert_eq!(pair.events(), [Event::Active(camera, h, 50), Event::Active(camera, f, 51)]);
    let got: Vec<_> = pair.packets().into_iter().map(|p| (p.encoding, p.seq, p.key)).collect();
    assert_eq!(got, [(h, 2, true), (h, 3, false), (f, 9, true)]);
    assert_eq!(pair.drops(), []);
}

#[test]
fn a_rid_alone_is_enough_while_one_source_has_rids() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(VP8, 50, 1, KEY).with(&[(RID, b"q")]));
    assert_eq!(pair.packets()[0].encoding, Encoding::Q);
    pair.send(&Sent::new(VP8, 51, 1, KEY).with(&[(MID, b"1")]));
    pair.send(&Sent::new(VP8, 52, 1, KEY).with(&[(MID, b"1"), (RID, b"x")]));
    pair.send(&Sent::new(VP8, 53, 1, KEY).with(&[(MID, b"9"), (RID, b"q")]));
    assert_eq!(pair.drops(), [DropReason::UnknownSource; 3]);
}

#[test]
fn announced_ssrcs_need_no_extension() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(OPUS, MIC_SSRC, 1, &[1]).with(&[(LEVEL, &[0x80 | 42])]));
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 1, KEY));
    let got = pair.packets();
    assert_eq!((got[0].kind, got[0].level), (TrackKind::Mic, Some(42)));
    assert_eq!((got[1].kind, got[1].level), (TrackKind::Screen, None));
}

#[test]
fn a_new_ssrc_for_the_same_encoding_starts_it_anew() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(VP8, 50, 900, KEY).with(&camera(b"q")));
    pair.send(&Sent::new(VP8, 60, 5, KEY).with(&camera(b"q")));
    pair.send(&Sent::new(VP8, 50, 901, DELTA));
    let active = |ssrc| Event::Active(TrackKind::Camera, Encoding::Q, ssrc);
    assert_eq!(pair.events(), [active(50), active(60)]);
    assert_eq!(pair.drops(), [DropReason::UnknownSource], "the old one is forgotten");
}

#[test]
fn a_flood_of_ssrcs_takes_no_more_room_than_the_sources_have() {
    let mut pair = Pair::connected();
    for ssrc in 100..1_100 {
        pair.send(&Sent::new(VP8, ssrc, 1, KEY).with(&camera(b"q")));
    }
    assert_eq!(pair.packets().len(), 1_000);
    pair.send(&Sent::new(OPUS, MIC_SSRC, 1, &[1]));
    assert_eq!(pair.packets().len(), 1, "others are not pushed out");
}

#[test]
fn another_payload_type_is_not_taken_for_the_source() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(63, MIC_SSRC, 1, &[1]));
    pair.send(&Sent::new(OPUS, SCREEN_SSRC, 1, &[1]));
    assert_eq!(pair.drops(), [DropReason::UnknownSource; 2]);
}

#[test]
fn who_may_not_publish_is_told_so() {
    let mut pair = Pair::with_offer(SDK, &all_kinds(), false);
    pair.send(&Sent::new(OPUS, MIC_SSRC, 1, &[1]).with(&[(MID, b"0")]));
    assert_eq!(pair.drops(), [DropReason::NotGranted]);
    assert!(pair.answer.sources.is_empty());
}

#[test]
fn a_retransmission_that_was_missing_comes_out_as_the_original() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 10, KEY));
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 12, DELTA));
    pair.packets();
    let mut inside = vec![0, 11];
    inside.extend_from_slice(DELTA);
    pair.send(&Sent::new(RTX, SCREEN_RTX, 1, &inside));
    let got = pair.packets();
    assert_eq!((got[0].kind, got[0].seq, &got[0].payload[..]), (TrackKind::Screen, 11, DELTA));
    pair.send(&Sent::new(RTX, SCREEN_RTX, 2, &inside));
    assert_eq!(pair.drops(), [DropReason::Replay], "a probe with a packet that is here");
    assert_eq!(pair.peer.counters().repaired_in, 1);
}

#[test]
fn retransmissions_of_simulcast_are_bound_by_the_repaired_rid() {
    let mut pair = Pair::connected();
    for seq in [20, 22] {
        pair.send(&Sent::new(VP8, 50, seq, KEY).with(&camera(b"h")));
    }
    pair.packets();
    let mut inside = vec![0, 21];
    inside.extend_from_slice(KEY);
    pair.send(&Sent::new(RTX, 70, 1, &inside).with(&[(MID, b"1"), (REPAIRED, b"h")]));
    let got = pair.packets();
    assert_eq!((got[0].encoding, got[0].seq), (Encoding::H, 21));
}

#[test]
fn padding_is_removed_and_bounded() {
    let mut pair = Pair::connected();
    let packet = |seq, padding| Sent { padding, ..Sent::new(VP8, SCREEN_SSRC, seq, KEY) };
    pair.send(&packet(1, Some((4, 4))));
    assert_eq!(pair.packets()[0].payload, KEY);
    pair.send(&packet(2, Some((4, 0))));
    pair.send(&packet(3, Some((4, 200))));
    assert_eq!(pair.drops(), [DropReason::Malformed; 2]);
}

#[test]
fn a_packet_of_padding_alone_is_counted_and_goes_no_further() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 1, KEY));
    pair.send(&Sent { padding: Some((255, 255)), ..Sent::new(VP8, SCREEN_SSRC, 2, &[]) });
    pair.send(&Sent { padding: Some((224, 224)), ..Sent::new(RTX, SCREEN_RTX, 1, &[]) });
    assert_eq!(pair.packets().len(), 1);
    assert_eq!((pair.drops().len(), pair.peer.counters().padding_in), (0, 2));
}

#[test]
fn garbage_is_malformed() {
    let mut pair = Pair::connected();
    // A CSRC count that reaches beyond the packet, an extension that does, a VP8 descriptor cut short.
    let mut csrcs = Sent::new(VP8, SCREEN_SSRC, 1, KEY).bytes();
    csrcs[0] |= 0x0f;
    pair.send_bytes(&csrcs);
    let mut extension = Sent::new(VP8, SCREEN_SSRC, 2, KEY).with(&[(MID, b"2")]).bytes();
    extension[14] = 0x7f;
    pair.send_bytes(&extension);
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 3, &[0x90]));
    assert_eq!(pair.drops(), [DropReason::Malformed; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_participant_sends_is_taken_or_dropped(
        packets in proptest::collection::vec(
            (any::<bool>(), 0u8..128, 0u16..40, proptest::collection::vec(any::<u8>(), 0..60)),
            1..40,
        ),
    ) {
        let mut pair = Pair::connected();
        for (rtcp, kind, seq, mut bytes) in packets {
            if rtcp {
                bytes.splice(..0, [0x80 | kind & 0x1f, 200 + (seq % 8) as u8, 0, (bytes.len() / 4) as u8]);
            } else {
                let (pt, ssrc) = match kind % 4 {
                    0 => (OPUS, MIC_SSRC),
                    1 => (VP8, SCREEN_SSRC),
                    2 => (RTX, SCREEN_RTX),
                    _ => (kind, u32::from(kind)),
                };
                let packet = Sent::new(pt, ssrc, seq.wrapping_mul(1_700), &bytes);
                bytes = packet.bytes();
                bytes[0] = (bytes[0] & 0xc0) | (kind & 0x3f);
            }
            pair.send_bytes(&bytes);
        }
        pair.wait(std::time::Duration::from_secs(2));
    }
}
