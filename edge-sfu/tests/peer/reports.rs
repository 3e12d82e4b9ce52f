//! RTCP both ways.

use crate::harness::*;
use bytes::Bytes;
use edge_sfu::peer::SlotIndex;
use relay_proto::{Encoding, NtpTime, TrackKind};
use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use sfu_core::DropReason;
use std::time::Duration;

const MAIN: SlotIndex = SlotIndex(3);

fn send(pair: &mut Pair, packets: Vec<Box<dyn Packet>>) {
    pair.send_bytes(&rtc_rtcp::packet::marshal(&packets).unwrap());
}

/// All RTCP packets of one type in what the participant got.
fn read<T: Clone + 'static>(received: &[Vec<u8>]) -> Vec<T> {
    let parse =
        |data: &Vec<u8>| rtc_rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(data)).unwrap();
    let all = received.iter().flat_map(parse);
    all.filter_map(|p| p.as_any().downcast_ref::<T>().cloned()).collect()
}

#[test]
fn feedback_about_slots_becomes_events() {
    let mut pair = Pair::connected();
    let media_ssrc = pair.peer.slots()[3].ssrc;
    let nacks = vec![NackPair { packet_id: 65_535, lost_packets: 0b101 }];
    let fir = vec![FirEntry { ssrc: media_ssrc, sequence_number: 1 }];
    let remb = ReceiverEstimatedMaximumBitrate {
        bitrate: 1_000_000.0,
        ssrcs: vec![media_ssrc],
        ..Default::default()
    };
    send(
        &mut pair,
        vec![
            Box::new(ReceiverReport::default()),
            Box::new(TransportLayerNack { sender_ssrc: 1, media_ssrc, nacks }),
            Box::new(PictureLossIndication { sender_ssrc: 1, media_ssrc }),
            Box::new(FullIntraRequest { sender_ssrc: 1, media_ssrc: 0, fir }),
            Box::new(remb),
        ],
    );
    let expected = [
        Event::Nack(MAIN, vec![65_535, 0, 2]),
        Event::Keyframe(MAIN),
        Event::Keyframe(MAIN),
        Event::Remb(1_000_000),
    ];
    assert_eq!(pair.events(), expected);
}

#[test]
fn feedback_about_strangers_is_ignored() {
    let mut pair = Pair::connected();
    let nacks = vec![NackPair { packet_id: 1, lost_packets: 0 }];
    send(
        &mut pair,
        vec![
            Box::new(TransportLayerNack { sender_ssrc: 1, media_ssrc: 9, nacks }),
            Box::new(PictureLossIndication { sender_ssrc: 1, media_ssrc: 9 }),
            Box::new(SenderReport { ssrc: 9, ..Default::default() }),
        ],
    );
    assert_eq!((pair.events().len(), pair.drops().len()), (0, 0));
}

#[test]
fn a_flood_of_nacks_is_cut() {
    let mut pair = Pair::connected();
    let media_ssrc = pair.peer.slots()[3].ssrc;
    let nacks = (0..100).map(|i| NackPair { packet_id: i * 17, lost_packets: 0xffff }).collect();
    send(&mut pair, vec![Box::new(TransportLayerNack { sender_ssrc: 1, media_ssrc, nacks })]);
    let events = pair.events();
    let asked: usize =
        events.iter().map(|e| if let Event::Nack(_, seqs) = e { seqs.len() } else { 0 }).sum();
    assert_eq!((events.len(), asked), (4, 272));
    assert_eq!(pair.drops(), [DropReason::Limit]);
}

#[test]
fn a_report_tells_loss_and_round_trip() {
    let mut pair = Pair::connected();
    let wall = pair.now.wall;
    let sent = pair.written(|peer, now, net| peer.write_sender_report(now, MAIN, wall, 777, net));
    let sr = read::<SenderReport>(&sent).remove(0);
    assert_eq!((sr.ntp_time, sr.rtp_time), (wall.0, 777));
    pair.now = pair.now.plus(Duration::from_millis(80));
    let block = ReceptionReport {
        ssrc: pair.peer.slots()[3].ssrc,
        fraction_lost: 13,
        last_sender_report: wall.middle_32(),
        delay: 65_536 / 50, // 20 ms
        ..Default::default()
    };
    let report = ReceiverReport { ssrc: 1, reports: vec![block], ..Default::default() };
    send(&mut pair, vec![Box::new(report)]);
    let events = pair.events();
    let [Event::Report(MAIN, 13, Some(round_trip))] = events[..] else { panic!("{events:?}") };
    assert!((59..=61).contains(&round_trip.as_millis()), "{round_trip:?}");
    assert_eq!(pair.peer.round_trip(), Some(round_trip));
}

#[test]
fn a_stopped_or_unknown_slot_sends_no_report() {
    let mut pair = Pair::connected();
    let wall = pair.now.wall;
    let sent = pair.written(|p, now, net| p.write_sender_report(now, SlotIndex(99), wall, 1, net));
    assert!(sent.is_empty());
}

#[test]
fn a_key_frame_is_asked_for_once_in_a_while() {
    let mut pair = Pair::connected();
    let ask = |pair: &mut Pair| {
        let sent = pair
            .written(|p, now, net| p.request_keyframe(now, TrackKind::Screen, Encoding(0), net));
        read::<PictureLossIndication>(&sent)
    };
    assert_eq!(ask(&mut pair)[0].media_ssrc, SCREEN_SSRC);
    assert!(ask(&mut pair).is_empty(), "too soon");
    pair.wait(Duration::from_millis(100));
    assert_eq!(ask(&mut pair).len(), 1);
    let sent =
        pair.written(|p, now, net| p.request_keyframe(now, TrackKind::Mic, Encoding(0), net));
    assert!(sent.is_empty());
}

#[test]
fn a_sender_report_of_a_source_is_passed_on_and_echoed() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 1, KEY));
    pair.events();
    let ntp = NtpTime(0x1111_2222_3333_4444);
    let report =
        SenderReport { ssrc: SCREEN_SSRC, ntp_time: ntp.0, rtp_time: 55, ..Default::default() };
    send(&mut pair, vec![Box::new(report)]);
    assert_eq!(pair.events(), [Event::SenderReport(TrackKind::Screen, Encoding(0), ntp, 55)]);
    let received = pair.wait(Duration::from_millis(1_000));
    let block = read::<ReceiverReport>(&received).remove(0).reports.remove(0);
    assert_eq!((block.ssrc, block.last_sender_report), (SCREEN_SSRC, 0x2222_3333));
    let delay_ms = block.delay / 66;
    assert!((980..=1_000).contains(&delay_ms), "{delay_ms} ms");
}

#[test]
fn lost_video_is_asked_for_and_lost_sound_is_not() {
    let mut pair = Pair::connected();
    for seq in [1, 2, 5] {
        pair.send(&Sent::new(VP8, SCREEN_SSRC, seq, KEY));
        pair.send(&Sent::new(OPUS, MIC_SSRC, seq, &[1]));
    }
    let received = pair.wait(Duration::from_millis(150));
    let nacks = read::<TransportLayerNack>(&received);
    assert!(!nacks.is_empty() && nacks.iter().all(|n| n.media_ssrc == SCREEN_SSRC));
    let first: Vec<u16> = nacks[0].nacks.iter().flat_map(NackPair::packet_list).collect();
    assert_eq!(first, [3, 4]);
    assert!(pair.peer.counters().nacks_out >= 2);
}

#[test]
fn arrivals_are_fed_back_to_the_publisher() {
    let mut pair = Pair::connected();
    for (seq, gap_ms) in [(100u16, 0), (101, 5), (103, 7)] {
        pair.now = pair.now.plus(Duration::from_millis(gap_ms));
        let number = seq.to_be_bytes();
        pair.send(&Sent::new(VP8, SCREEN_SSRC, seq, KEY).with(&[(TRANSPORT, &number)]));
    }
    let received = pair.wait(Duration::from_millis(200));
    let feedback = read::<TransportLayerCc>(&received);
    assert_eq!(feedback.len(), 1);
    assert_eq!((feedback[0].base_sequence_number, feedback[0].packet_status_count), (100, 4));
    let deltas_us: Vec<i64> = feedback[0].recv_deltas.iter().map(|d| d.delta).collect();
    assert_eq!(deltas_us.len(), 3);
    assert_eq!(deltas_us[1..], [5_000, 7_000]);
    assert_eq!(pair.peer.counters().feedbacks_out, 1);
}

#[test]
fn feedback_about_what_we_sent_is_handed_on_raw() {
    let mut pair = Pair::connected();
    let fci = [0, 5, 0, 1, 0, 0, 9, 0, 0x20, 1, 4, 0];
    let mut packet = vec![0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2];
    packet.extend(fci);
    pair.send_bytes(&packet);
    assert_eq!(pair.events(), [Event::Twcc(fci.to_vec())]);
}

#[test]
fn malformed_rtcp_is_counted() {
    let mut pair = Pair::connected();
    pair.send_bytes(&[0x80, 201, 0, 9, 1, 2, 3, 4]);
    assert_eq!(pair.drops(), [DropReason::Malformed]);
}
