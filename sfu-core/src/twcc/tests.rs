//! Feedback as bytes, and read back by another implementation.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, SymbolTypeTcc, TransportLayerCc,
};
use std::collections::BTreeMap;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// What a feedback packet says, by an independent parser: sequence number -> ticks of arrival, `None` for missing.
fn read(packet: &[u8]) -> Vec<(u16, Option<i64>)> {
    let packets = rtc_rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(packet)).unwrap();
    let feedback = packets[0].as_any().downcast_ref::<TransportLayerCc>().unwrap();
    let mut symbols = Vec::new();
    for chunk in &feedback.packet_chunks {
        match chunk {
            PacketStatusChunk::RunLengthChunk(run) => {
                symbols.extend(std::iter::repeat_n(
                    run.packet_status_symbol,
                    usize::from(run.run_length),
                ));
            }
            PacketStatusChunk::StatusVectorChunk(vector) => symbols.extend(&vector.symbol_list),
        }
    }
    symbols.truncate(usize::from(feedback.packet_status_count));
    let mut ticks = i64::from(feedback.reference_time) * 256;
    let mut deltas = feedback.recv_deltas.iter();
    let mut all = Vec::new();
    for (i, symbol) in symbols.iter().enumerate() {
        let arrival = (*symbol != SymbolTypeTcc::PacketNotReceived).then(|| {
            ticks += deltas.next().unwrap().delta / 250;
            ticks
        });
        all.push((feedback.base_sequence_number.wrapping_add(i as u16), arrival));
    }
    assert!(deltas.next().is_none());
    all
}

#[test]
fn a_feedback_packet_has_these_bytes() {
    let epoch = Instant::now();
    let mut recorder = TwccRecorder::new(epoch);
    for (at, seq) in [(65, 65_535), (66, 0), (166, 2), (176, 4), (170, 3)] {
        recorder.on_packet(epoch + ms(at), seq);
    }
    assert_eq!(recorder.deadline(), Some(epoch + ms(65) + INTERVAL));
    let mut buf = [0xee; FEEDBACK_BYTES_MAX];
    let len = recorder.write(epoch + ms(200), 1, 2, &mut buf).unwrap();
    let golden = [
        0x8f,
        205,
        0,
        6,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        2, // header, SSRCs
        0xff,
        0xff,
        0,
        6,
        0,
        0,
        1,
        0, // from 65535, 6 packets; 1 x 64 ms, number 0
        0b1101_0100,
        0b1001_0100, // small, small, missing, large, small, small
        4,
        4,
        0x01,
        0x90,
        16,
        24, // 1 ms, 1 ms, 100 ms, 4 ms, 6 ms
    ];
    assert_eq!(&buf[..len], golden);
    assert_eq!(recorder.write(epoch, 1, 2, &mut buf), None, "nothing is left");
    assert_eq!(recorder.deadline(), None);
}

#[test]
fn a_packet_that_came_after_its_feedback_is_told_of_in_the_next() {
    let epoch = Instant::now();
    let mut recorder = TwccRecorder::new(epoch);
    let mut buf = [0; FEEDBACK_BYTES_MAX];
    recorder.on_packet(epoch, 10);
    recorder.on_packet(epoch + ms(2), 12);
    let len = recorder.write(epoch, 1, 2, &mut buf).unwrap();
    assert_eq!(read(&buf[..len]), [(10, Some(0)), (11, None), (12, Some(8))]);
    recorder.on_packet(epoch + ms(3), 11);
    let len = recorder.write(epoch, 1, 2, &mut buf).unwrap();
    assert_eq!(read(&buf[..len]), [(11, Some(12)), (12, Some(8))]);
}

#[test]
fn a_jump_of_the_numbers_begins_anew() {
    let epoch = Instant::now();
    let mut recorder = TwccRecorder::new(epoch);
    let mut buf = [0; FEEDBACK_BYTES_MAX];
    recorder.on_packet(epoch, 10);
    recorder.on_packet(epoch, 10 + JUMP_MAX as u16 + 1);
    let len = recorder.write(epoch, 1, 2, &mut buf).unwrap();
    assert_eq!(read(&buf[..len]), [(267, Some(0))]);
}

#[test]
fn a_pause_longer_than_a_delta_begins_another_packet() {
    let epoch = Instant::now();
    let mut recorder = TwccRecorder::new(epoch);
    let mut buf = [0; FEEDBACK_BYTES_MAX];
    recorder.on_packet(epoch, 1);
    recorder.on_packet(epoch + ms(9_000), 2);
    let len = recorder.write(epoch, 1, 2, &mut buf).unwrap();
    assert_eq!(read(&buf[..len]), [(1, Some(0))]);
    let len = recorder.write(epoch, 1, 2, &mut buf).unwrap();
    assert_eq!(read(&buf[..len]), [(2, Some(36_000))]);
}

proptest! {
    #[test]
    fn feedback_tells_of_every_arrival_and_of_nothing_else(
        first: u16,
        steps in proptest::collection::vec((-5i32..12, 0u64..30_000), 1..900),
        feedback_every in 1usize..80,
        room in FEEDBACK_BYTES_MIN..FEEDBACK_BYTES_MAX,
    ) {
        let epoch = Instant::now();
        let (mut recorder, mut now) = (TwccRecorder::new(epoch), epoch);
        let mut arrived: BTreeMap<u16, i64> = BTreeMap::new();
        let mut told: BTreeMap<u16, i64> = BTreeMap::new();
        let mut buf = [0; FEEDBACK_BYTES_MAX];
        let mut highest = i32::from(first);
        for (i, (step, wait_us)) in steps.into_iter().enumerate() {
            now += Duration::from_micros(wait_us);
            let seq = if i == 0 { highest } else { highest + step };
            if seq < i32::from(first) {
                continue;
            }
            highest = highest.max(seq);
            recorder.on_packet(now, seq as u16);
            arrived.entry(seq as u16).or_insert((now - epoch).as_micros() as i64 / 250);
            if i % feedback_every == 0 {
                while let Some(len) = recorder.write(now, 1, 2, &mut buf[..room]) {
                    for (seq, ticks) in read(&buf[..len]) {
                        match ticks {
                            Some(ticks) => { told.insert(seq, ticks); }
                            None => prop_assert!(!arrived.contains_key(&seq), "{} came", seq),
                        }
                    }
                }
                prop_assert_eq!(&told, &arrived);
            }
        }
    }
}
