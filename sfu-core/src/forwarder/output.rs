//! The slot's side: the numbers given away so far.

use super::segments::{Axis, Segment};
use super::{SlotKind, SourceRef};
use crate::clock::ticks;
use crate::ring::EntryMeta;
use crate::slot_packet::SlotPacket;
use relay_proto::{Now, NtpTime};
use std::time::Instant;

/// A capture time that is further from where the slot stands than any lag was told by a clock that was set anew.
const STEP_S: u64 = 5;

/// Numbers given away so far.
#[derive(Debug)]
pub(super) struct Output {
    rate: u32,
    /// At a switch the new source begins at least so far after the old one, in RTP ticks.
    frame: u64,
    first_timestamp: u64,
    axis: Option<Axis>,
    /// Sequence number of the next packet that continues the slot.
    pub(super) next_seq: u64,
    /// Highest timestamp so far, and when it was sent.
    newest: Option<(u64, Instant)>,
    picture_id: Option<u16>,
    tl0: Option<u8>,
    /// The newest frame was not finished.
    pub(super) frame_open: bool,
}

impl Output {
    pub(super) fn new(kind: SlotKind, first_seq: u16, first_timestamp: u32) -> Self {
        let (rate, frame) = match kind {
            // 20 ms, and 1/30 s.
            SlotKind::Audio => (48_000, 960),
            SlotKind::Video => (90_000, 3_000),
        };
        Self {
            rate,
            frame,
            // Room below, so that nothing is ever below zero.
            first_timestamp: (1 << 32) + u64::from(first_timestamp),
            axis: None,
            next_seq: (1 << 16) + u64::from(first_seq),
            newest: None,
            picture_id: None,
            tl0: None,
            frame_open: false,
        }
    }

    /// When the last packet was sent.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        self.newest.map(|(_, at)| at)
    }

    /// A frame after everything sent so far.
    pub(super) fn next_frame(&self) -> u64 {
        self.newest.map_or(0, |(newest, _)| newest + self.frame)
    }

    /// The timestamp of a sample captured at `wall`, but after everything sent so far, and at least `least`.
    pub(super) fn timestamp_at(&mut self, now: Now, wall: NtpTime, least: u64) -> u64 {
        let axis = *self.axis.get_or_insert(Axis { wall, timestamp: self.first_timestamp });
        let by_capture =
            axis.timestamp.saturating_add_signed(ticks(wall.micros_since(axis.wall), self.rate));
        let Some((newest, at)) = self.newest else {
            return by_capture;
        };
        let since = now.mono.saturating_duration_since(at).as_micros() as i64;
        let by_arrival = newest.saturating_add_signed(ticks(since, self.rate));
        let least = least.max(newest + 1);
        if by_capture.abs_diff(by_arrival) > STEP_S * u64::from(self.rate) {
            let timestamp = by_arrival.max(least);
            self.axis = Some(Axis { wall, timestamp });
            return timestamp;
        }
        by_capture.max(least)
    }

    /// What to add to the picture ids and base-frame numbers of a source whose next frame is `first`, so that they go on from the
    /// last ones sent.
    pub(super) fn picture_offsets(&self, first: &EntryMeta) -> (u16, u8) {
        let vp8 = first.vp8;
        let id = self.picture_id.zip(vp8.and_then(|vp8| vp8.picture_id));
        let tl0 = self.tl0.zip(vp8.and_then(|vp8| vp8.tl0_pic_idx));
        (
            id.map_or(0, |(last, next)| last.wrapping_add(1).wrapping_sub(next.value)),
            tl0.map_or(0, |(last, next)| last.wrapping_add(1).wrapping_sub(next)),
        )
    }

    /// Notes a packet that was sent. `newest_of_run`: none of its source with a higher sequence was sent before.
    pub(super) fn note(
        &mut self,
        now: Now,
        out: u64,
        timestamp: u64,
        packet: &SlotPacket<'_>,
        newest_of_run: bool,
    ) {
        self.next_seq = self.next_seq.max(out + 1);
        let highest = self.newest.map_or(timestamp, |(newest, _)| newest.max(timestamp));
        self.newest = Some((highest, now.mono));
        if newest_of_run {
            self.frame_open = !packet.facts.frame_end;
            self.picture_id = packet.vp8.and_then(|vp8| vp8.picture_id).or(self.picture_id);
            self.tl0 = packet.vp8.and_then(|vp8| vp8.tl0_pic_idx).or(self.tl0);
        }
    }
}

/// One packet of `source` as the slot carries it.
pub(super) fn slot_packet<'a>(
    segment: &Segment,
    source: &SourceRef,
    meta: &EntryMeta,
    payload: &'a [u8],
    capture: Option<NtpTime>,
) -> SlotPacket<'a> {
    SlotPacket {
        marker: meta.marker,
        seq: segment.out_seq(meta.seq) as u16,
        timestamp: segment.time.out(meta.time) as u32,
        csrc: source.track.participant,
        codec: source.codec,
        facts: meta.facts,
        vp8: segment.patch(meta),
        capture,
        level: meta.level,
        retransmission: false,
        payload,
    }
}
