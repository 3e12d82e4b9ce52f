//! One video slot as a decoder sees it: frames put together from packets, decodable or not.

use super::camera::stamp_of;
use super::stamp::Stamp;
use crate::histogram::Delays;
use crate::time::SimTime;
use sfu_core::rtp::RtpView;
use sfu_core::vp8::Vp8Descriptor;
use std::time::Duration;

/// A longer pause between two decodable frames of one participant is a freeze.
const FREEZE: Duration = Duration::from_millis(500);
/// A decoder that is stuck asks so often.
const REQUEST_EVERY: Duration = Duration::from_millis(500);

/// What came through a participant's video slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PictureCounters {
    /// Packets.
    pub packets: u64,
    /// Sequence numbers missing so far.
    pub missing: u64,
    /// Packets that came twice, or late.
    pub repeated: u64,
    /// Frames of which every packet came.
    pub complete: u64,
    /// Frames of which some packet did not come.
    pub incomplete: u64,
    /// Complete frames that a decoder could show.
    pub decodable: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Times another participant came into a slot.
    pub switches: u64,
    /// Times the encoding of the same participant changed.
    pub encoding_changes: u64,
    /// Pauses over 500 ms between decodable frames of one participant in a slot.
    pub freezes: u64,
    /// Packets of the own picture.
    pub own: u64,
    /// Packets whose CSRC is not their sender's.
    pub mislabelled: u64,
    /// Key frames asked for.
    pub requests: u64,
    /// From capture to the arrival of a frame's last packet, decodable frames.
    pub delays: Delays,
}

/// A frame being put together.
#[derive(Clone, Copy, Debug)]
struct Assembling {
    timestamp: u32,
    stamp: Stamp,
    got: u16,
    temporal: u8,
    tl0: Option<u8>,
}

/// One video slot.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    seq: Option<u16>,
    shows: Option<(u32, u16)>,
    frame: Option<Assembling>,
    /// TL0PICIDX of the last base-layer frame decoded; none while stuck.
    decoded: Option<u8>,
    shown_at: Option<SimTime>,
    requested_at: Option<SimTime>,
}

impl Picture {
    /// Takes a packet; answers whether a key frame must be asked for.
    pub(crate) fn packet(
        &mut self,
        now: SimTime,
        view: &RtpView<'_>,
        counters: &mut PictureCounters,
    ) -> Option<Stamp> {
        let (stamp, descriptor) = (stamp_of(view.payload)?, Vp8Descriptor::parse(view.payload)?);
        counters.packets += 1;
        if !self.in_order(view.seq, counters) {
            counters.repeated += 1;
            return Some(stamp);
        }
        let csrc = view.csrcs().next().unwrap_or(0);
        match self.shows.replace((csrc, stamp.turn)) {
            Some((before, encoding)) if before == csrc => {
                counters.encoding_changes += u64::from(encoding != stamp.turn);
            }
            _ => {
                counters.switches += 1;
                self.shown_at = None;
            }
        }
        if self.frame.is_some_and(|f| f.timestamp != view.timestamp) {
            self.frame = None;
            counters.incomplete += 1;
        }
        let frame = self.frame.get_or_insert(Assembling {
            timestamp: view.timestamp,
            stamp,
            got: 0,
            temporal: descriptor.temporal,
            tl0: descriptor.tl0_pic_idx,
        });
        frame.got += 1;
        if frame.got == stamp.packets {
            let frame = *frame;
            self.frame = None;
            counters.complete += 1;
            self.decode(now, &frame, counters);
        }
        Some(stamp)
    }

    /// Whether this is a new packet; counts those that are missing before it.
    fn in_order(&mut self, seq: u16, counters: &mut PictureCounters) -> bool {
        let step = self.seq.map_or(1, |last| seq.wrapping_sub(last));
        if step == 0 || step >= 0x8000 {
            return false;
        }
        counters.missing += u64::from(step - 1);
        self.seq = Some(seq);
        true
    }

    /// A key frame can always be decoded; a base-layer frame after the one before it; others after their base.
    fn decode(&mut self, now: SimTime, frame: &Assembling, counters: &mut PictureCounters) {
        let fits = match (frame.stamp.key, frame.tl0, self.decoded) {
            (true, ..) => true,
            (false, Some(tl0), Some(decoded)) => {
                tl0 == if frame.temporal == 0 { decoded.wrapping_add(1) } else { decoded }
            }
            _ => false,
        };
        if !fits {
            if frame.temporal == 0 {
                self.decoded = None;
            }
            return;
        }
        if frame.temporal == 0 {
            self.decoded = frame.tl0;
        }
        counters.decodable += 1;
        counters.key_frames += u64::from(frame.stamp.key);
        counters.delays.add(now.since(frame.stamp.captured));
        counters.freezes += u64::from(self.shown_at.is_some_and(|at| now.since(at) > FREEZE));
        self.shown_at = Some(now);
    }

    /// Whether a key frame should be asked for now.
    pub(crate) fn wants_key(&mut self, now: SimTime, counters: &mut PictureCounters) -> bool {
        let stuck = self.shows.is_some() && self.decoded.is_none() && self.frame.is_none();
        let rested = self.requested_at.is_none_or(|at| now.since(at) >= REQUEST_EVERY);
        if stuck && rested {
            self.requested_at = Some(now);
            counters.requests += 1;
        }
        stuck && rested
    }
}
