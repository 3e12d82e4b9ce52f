//! Packets to the participant.

use crate::harness::*;
use edge_sfu::peer::SlotIndex;
use edge_sfu::signal::SlotRole;
use relay_proto::{NtpTime, control::Codec};
use sfu_core::rtp::RtpView;
use sfu_core::vp8::Vp8Patch;
use sfu_core::{DropReason, SlotPacket};

/// The first audio slot and the main picture.
const VOICE: SlotIndex = SlotIndex(0);
const MAIN: SlotIndex = SlotIndex(3);

fn write(pair: &mut Pair, slot: SlotIndex, packet: &SlotPacket<'_>) -> Vec<u8> {
    let mut sent = pair.written(|peer, now, net| peer.write_rtp(now, slot, packet, net).unwrap());
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

fn refused(pair: &mut Pair, slot: SlotIndex, packet: &SlotPacket<'_>) -> DropReason {
    let mut reason = None;
    let sent = pair.written(|peer, now, net| reason = peer.write_rtp(now, slot, packet, net).err());
    assert!(sent.is_empty());
    reason.unwrap()
}

#[test]
fn slots_stand_in_the_order_of_the_offer() {
    let pair = Pair::connected();
    assert_eq!(pair.peer.slots().len(), 17);
    assert_eq!(pair.answer.slots.len(), 17);
    assert_eq!(pair.peer.slots()[3].role, SlotRole::Main);
    assert_eq!(pair.peer.slot_of("6"), Some(MAIN));
    assert_eq!(pair.peer.slot_of("1"), None, "a source");
}

#[test]
fn a_voice_has_these_bytes() {
    let mut pair = Pair::connected();
    let ssrc = pair.peer.slots()[0].ssrc.to_be_bytes();
    let mut golden = vec![0x91, 0x6f, 0x12, 0x34, 0, 0, 0x03, 0xc0];
    golden.extend(ssrc);
    golden.extend([0x00, 0x10, 0x00, 0x07]); // CSRC: the participant
    golden.extend([0xbe, 0xde, 0, 2, 0x31, 0, 0, 0x10, 30, 0, 0, 0]); // transport sequence 0, level 30
    golden.extend([7, 8, 9]);
    assert_eq!(write(&mut pair, VOICE, &voice(0x1234)), golden);
}

#[test]
fn a_picture_is_patched_on_its_way() {
    let mut pair = Pair::connected();
    let patch = Vp8Patch { picture_id: Some(0x0102), tl0_pic_idx: None };
    let sent = write(&mut pair, MAIN, &SlotPacket { vp8: Some(patch), ..picture(1) });
    let view = RtpView::parse(&sent).unwrap();
    assert_eq!((view.payload_type, view.marker, view.ssrc), (VP8, true, pair.peer.slots()[3].ssrc));
    assert_eq!(view.payload, [0x90, 0x80, 0x81, 0x02, 0x00, 5]);
}

#[test]
fn the_transport_sequence_counts_over_all_slots_and_retransmissions() {
    let mut pair = Pair::connected();
    let again = SlotPacket { retransmission: true, ..picture(1) };
    let all = [(VOICE, voice(1)), (MAIN, picture(1)), (MAIN, again), (VOICE, voice(2))];
    for (expected, (slot, packet)) in all.iter().enumerate() {
        let sent = write(&mut pair, *slot, packet);
        let number = RtpView::parse(&sent).unwrap().extension(TRANSPORT).unwrap().to_vec();
        assert_eq!(number, (expected as u16).to_be_bytes());
    }
    let counters = pair.peer.counters();
    assert_eq!((counters.packets_out, counters.retransmissions_out), (4, 1));
}

#[test]
fn a_retransmission_goes_by_rtx_with_its_own_numbers() {
    let mut pair = Pair::connected();
    let again = SlotPacket { retransmission: true, ..picture(0x0203) };
    let first = write(&mut pair, MAIN, &again);
    let second = write(&mut pair, MAIN, &again);
    let (a, b) = (RtpView::parse(&first).unwrap(), RtpView::parse(&second).unwrap());
    assert_eq!((a.payload_type, a.ssrc), (RTX, pair.peer.slots()[3].rtx_ssrc));
    assert_eq!(b.seq, a.seq.wrapping_add(1));
    assert_eq!(a.payload[..4], [2, 3, 0x90, 0x80], "original sequence number, then the payload");
}

#[test]
fn what_a_slot_cannot_carry_is_refused() {
    let mut pair = Pair::connected();
    let again = SlotPacket { retransmission: true, ..voice(1) };
    assert_eq!(refused(&mut pair, VOICE, &again), DropReason::Limit, "sound has no RTX");
    assert_eq!(refused(&mut pair, VOICE, &picture(1)), DropReason::NotConnected);
    let foreign = SlotPacket { codec: Codec::Av1, ..picture(1) };
    assert_eq!(refused(&mut pair, MAIN, &foreign), DropReason::NotConnected);
    assert_eq!(refused(&mut pair, SlotIndex(17), &voice(1)), DropReason::NotConnected);
    let huge = vec![0; 1_470];
    let packet = SlotPacket { payload: &huge, ..picture(1) };
    assert_eq!(refused(&mut pair, MAIN, &packet), DropReason::TooLarge);
    let counters = *pair.peer.counters();
    assert_eq!(counters.packets_out, 0);
    let sent = write(&mut pair, VOICE, &voice(1));
    let number = RtpView::parse(&sent).unwrap().extension(TRANSPORT).unwrap().to_vec();
    assert_eq!(number, [0, 0], "what was refused took no number");
}

#[test]
fn capture_times_are_written_where_agreed_on() {
    let capture = |pair: &mut Pair| {
        let packet = SlotPacket { capture: Some(NtpTime(0x0102_0304_0506_0708)), ..picture(1) };
        let sent = write(pair, MAIN, &packet);
        RtpView::parse(&sent).unwrap().extension(12).map(<[u8]>::to_vec)
    };
    assert_eq!(capture(&mut Pair::connected()), None);
    let uri =
        "a=extmap:12 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\r\na=recvonly";
    let offer = SDK
        .replace("a=extmap:12 https://aomediacodec", "a=extmap:13 https://aomediacodec")
        .replace("a=recvonly", uri);
    let mut pair = Pair::with_offer(&offer, &all_kinds(), true);
    assert_eq!(capture(&mut pair), Some(vec![1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(pair.answer.sdp.matches("abs-capture-time").count(), 17, "slots only");
}
