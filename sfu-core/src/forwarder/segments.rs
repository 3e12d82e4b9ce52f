//! How the slot's numbers came from the sources': one segment for each stretch of constant offsets.

use super::SourceRef;
use crate::ring::EntryMeta;
use crate::vp8::Vp8Patch;
use relay_proto::NtpTime;
use std::collections::VecDeque;

/// A replay of 2 s at 30 frames/s that leaves out every second frame makes 30 segments; twice that.
const SEGMENTS_MAX: usize = 64;
const SEGMENTS_FIRST: usize = 8;

/// Speed of a live source in [`TimeMap::speed`]'s unit.
pub(super) const SPEED_ONE: u32 = 16;

/// RTP timestamps of a source as timestamps of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeMap {
    pub(super) source_base: u64,
    pub(super) out_base: u64,
    /// How much faster than live the source is sent, in 1/16: a replay's timestamps advance as fast as it is sent.
    pub(super) speed: u32,
}

impl TimeMap {
    pub(super) fn out(self, source: u64) -> u64 {
        let ticks = source.wrapping_sub(self.source_base) as i64;
        let slowed = (ticks * i64::from(SPEED_ONE)).div_euclid(i64::from(self.speed));
        self.out_base.saturating_add_signed(slowed)
    }
}

/// A stretch of source packets `src_from .. src_end` that the slot carries as `out_from ..`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) source: SourceRef,
    pub(super) src_from: u64,
    /// `u64::MAX` while the segment is open.
    pub(super) src_end: u64,
    pub(super) out_from: u64,
    pub(super) time: TimeMap,
    /// Added to picture ids.
    pub(super) picture_id: u16,
    /// Added to the running numbers of base frames.
    pub(super) tl0: u8,
}

impl Segment {
    pub(super) fn has(&self, src: u64) -> bool {
        (self.src_from..self.src_end).contains(&src)
    }

    pub(super) fn out_seq(&self, src: u64) -> u64 {
        self.out_from + (src - self.src_from)
    }

    pub(super) fn patch(&self, meta: &EntryMeta) -> Option<Vp8Patch> {
        let vp8 = meta.vp8?;
        let picture_id =
            vp8.picture_id.map(|id| id.value.wrapping_add(self.picture_id) & id.mask());
        let tl0_pic_idx = vp8.tl0_pic_idx.map(|tl0| tl0.wrapping_add(self.tl0));
        Some(Vp8Patch { picture_id, tl0_pic_idx })
    }
}

/// The newest segments, oldest first; only the last may be open.
#[derive(Debug, Default)]
pub(super) struct SegmentLog {
    segments: VecDeque<Segment>,
    /// How many of the newest segments belong to the current run (since the last switch).
    run: usize,
}

impl SegmentLog {
    /// Begins a run after the one before was closed, whose later packets map to nothing.
    pub(super) fn begin_run(&mut self, segment: Segment) {
        self.run = 0;
        self.push(segment);
    }

    /// Ends the open segment before source packet `src`.
    pub(super) fn close(&mut self, src: u64) {
        if let Some(open) = self.open_mut() {
            open.src_end = src.max(open.src_from);
        }
    }

    /// Begins a segment of the same run.
    pub(super) fn push(&mut self, segment: Segment) {
        if self.segments.is_empty() {
            self.segments.reserve(SEGMENTS_FIRST);
        }
        if self.segments.len() == SEGMENTS_MAX {
            self.segments.pop_front();
        }
        self.segments.push_back(segment);
        self.run = (self.run + 1).min(SEGMENTS_MAX);
    }

    pub(super) fn open(&self) -> Option<&Segment> {
        self.segments.back().filter(|segment| segment.src_end == u64::MAX)
    }

    fn open_mut(&mut self) -> Option<&mut Segment> {
        self.segments.back_mut().filter(|segment| segment.src_end == u64::MAX)
    }

    /// The segment of the current run that carries source packet `src`.
    pub(super) fn of_source(&self, src: u64) -> Option<&Segment> {
        self.segments.iter().rev().take(self.run).find(|segment| segment.has(src))
    }

    /// The segment that carried output packet `out`, and that packet's number at the source.
    pub(super) fn of_out(&self, out: u64) -> Option<(&Segment, u64)> {
        let segment = self.segments.iter().rev().find(|segment| segment.out_from <= out)?;
        let src = segment.src_from + (out - segment.out_from);
        segment.has(src).then_some((segment, src))
    }

    /// Leaves out source packet `src` on purpose: what follows it is numbered as if it had never been. `new_picture` says that it is
    /// the first packet of its frame to be left out. A packet whose number is already given away (it comes late) leaves a hole.
    pub(super) fn skip(&mut self, src: u64, highest_src: u64, new_picture: bool) {
        let Some(open) = self.open_mut() else { return };
        let pictures = u16::from(new_picture);
        if src < open.src_from || src <= highest_src {
            return;
        }
        if src == open.src_from {
            open.src_from += 1;
            open.picture_id = open.picture_id.wrapping_sub(pictures);
            return;
        }
        open.src_end = src;
        let mut next = *open;
        next.out_from = open.out_seq(src);
        next.src_from = src + 1;
        next.src_end = u64::MAX;
        next.picture_id = open.picture_id.wrapping_sub(pictures);
        self.push(next);
    }
}

/// The slot's own time axis: one moment in both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) wall: NtpTime,
    pub(super) timestamp: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarder::RingKey;
    use relay_proto::control::Codec;
    use relay_proto::{Encoding, ParticipantId, TrackId, TrackKind};

    fn segment(src_from: u64, out_from: u64) -> Segment {
        let track = TrackId { participant: ParticipantId(1), kind: TrackKind::Camera };
        let ring = RingKey { index: 0, generation: 0 };
        Segment {
            source: SourceRef { ring, track, encoding: Encoding(0), codec: Codec::Vp8 },
            src_from,
            src_end: u64::MAX,
            out_from,
            time: TimeMap { source_base: 0, out_base: 0, speed: SPEED_ONE },
            picture_id: 0,
            tl0: 0,
        }
    }

    fn out(log: &SegmentLog, src: u64) -> Option<u64> {
        log.of_source(src).map(|s| s.out_seq(src))
    }

    #[test]
    fn what_is_left_out_leaves_no_hole_and_what_is_lost_does() {
        let mut log = SegmentLog::default();
        log.begin_run(segment(100, 10));
        log.skip(102, 101, true);
        log.skip(103, 102, false);
        log.skip(105, 103, true); // 104 was lost
        let all = [100, 101, 102, 103, 104, 105, 106].map(|src| out(&log, src));
        assert_eq!(all, [Some(10), Some(11), None, None, Some(12), None, Some(13)]);
        assert_eq!(log.of_source(106).map(|s| s.picture_id), Some(0u16.wrapping_sub(2)));
        let back = [10, 11, 12, 13].map(|out| log.of_out(out).map(|(_, src)| src));
        assert_eq!(back, [Some(100), Some(101), Some(104), Some(106)]);
    }

    #[test]
    fn a_packet_before_the_switch_maps_to_nothing() {
        let mut log = SegmentLog::default();
        log.begin_run(segment(100, 10));
        log.close(103);
        log.begin_run(segment(500, 13));
        assert_eq!([101, 103, 499, 500].map(|s| out(&log, s)), [None, None, None, Some(13)]);
        assert_eq!(log.of_out(12).map(|(_, src)| src), Some(102));
    }

    #[test]
    fn the_timestamps_of_a_replay_advance_as_it_is_sent() {
        let map = TimeMap { source_base: 9_000, out_base: 100, speed: 2 * SPEED_ONE };
        assert_eq!([9_000, 15_000, 8_000].map(|t| map.out(t)), [100, 3_100, 0]);
    }
}
