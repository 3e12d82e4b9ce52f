//! When and where a slot takes up another source.

use super::layers::LayerGate;
use super::segments::{SPEED_ONE, Segment, TimeMap};
use super::{
    FLOWING, FRAME_PATIENCE, Forwarder, LAG_US_MAX, LIVE_LAG, PACE_FACTOR, Reader, Rings, SlotKind,
    SourceRef, VOICE_FRESH,
};
use crate::clock::CaptureClock;
use crate::ring::{Arrival, EncodingRing, EntryMeta};
use relay_proto::{Now, NtpTime};
use std::time::Instant;

/// However little of an encoding is its base layer: a picture six times as fast is a blur already.
const SPEED_MAX: u64 = 6;

/// Going back by less than this is not seen: encodings of one picture differ by a frame or two on their way.
const BACK_US_MAX: i64 = 150_000;

/// What became of a wanted switch.
pub(super) enum Switch {
    /// None is wanted, or nothing is there to switch to.
    NotNeeded,
    /// Done: the new source can be read.
    Begun,
    /// The frame that would be cut may still be finished.
    NotBefore(Instant),
    /// There is no key frame to begin at.
    NeedsKey,
}

impl Forwarder {
    pub(super) fn switch<R: Rings>(&mut self, now: Now, rings: &R) -> Switch {
        self.waiting_for_key = false;
        let Some(wanted) = self.wanted.filter(|wanted| self.current() != Some(*wanted)) else {
            return Switch::NotNeeded;
        };
        let Some(ring) = rings.ring(wanted.ring) else {
            return Switch::NotNeeded;
        };
        let clock = rings.clock(wanted.ring);
        match self.kind {
            SlotKind::Audio => self.switch_voice(now, wanted, ring, clock),
            SlotKind::Video => {
                let shown = self.shown_capture(rings);
                let switch = self.switch_picture(now, wanted, ring, clock, shown);
                self.waiting_for_key = matches!(switch, Switch::NeedsKey);
                switch
            }
        }
    }

    fn switch_voice(
        &mut self,
        now: Now,
        wanted: SourceRef,
        ring: &EncodingRing,
        clock: Option<&CaptureClock>,
    ) -> Switch {
        self.end_run();
        let fresh = ring.newest().is_some_and(|newest| now.mono <= newest.arrived + VOICE_FRESH);
        let newest = ring.head().checked_sub(1).filter(|_| fresh);
        let Some(start) = self.from.map(|from| from.max(ring.tail())).or(newest) else {
            return Switch::NotNeeded;
        };
        let Some((first, _)) = ring.get(start) else {
            return Switch::NotNeeded;
        };
        self.from = None;
        let wall = clock.and_then(|clock| clock.capture_of(first.timestamp)).unwrap_or(now.wall);
        self.begin_run(now, wanted, start, &first, wall, None);
        Switch::Begun
    }

    fn switch_picture(
        &mut self,
        now: Now,
        wanted: SourceRef,
        ring: &EncodingRing,
        clock: Option<&CaptureClock>,
        shown: Option<NtpTime>,
    ) -> Switch {
        let Some(chain) = ring.key_chain(now.mono) else {
            return Switch::NeedsKey;
        };
        let live = now.mono <= chain.at + LIVE_LAG;
        let Some((first, _)) = ring.find(chain.seq).and_then(|arrival| ring.get(arrival)) else {
            return Switch::NeedsKey;
        };
        let capture = clock.and_then(|clock| clock.capture_of(first.timestamp));
        let back = shown.zip(capture).is_some_and(|(s, c)| s.micros_since(c) > BACK_US_MAX);
        if (back || !live) && self.flows_worse(now, wanted)
            || !live && ring.keyframe_start(now.mono).is_none()
        {
            return Switch::NeedsKey;
        }
        if let Some(until) = self.unfinished_frame(now) {
            return Switch::NotBefore(until);
        }
        let wall = if live { capture.unwrap_or(now.wall) } else { live_edge(now, ring, clock) };
        let replay = (!live).then(|| replay_speed(ring, chain.start));
        self.begin_run(now, wanted, chain.start, &first, wall, replay);
        Switch::Begun
    }

    /// A better encoding of the picture that is already there can wait for a key frame: a replay would go back in time.
    fn flows_worse(&self, now: Now, wanted: SourceRef) -> bool {
        let worse =
            |source: SourceRef| source.track == wanted.track && wanted.encoding > source.encoding;
        let flows = self.output.sent_at().is_some_and(|at| now.mono <= at + FLOWING);
        flows && self.current().is_some_and(worse)
    }

    /// When the picture that was sent last was captured. What a neighbour replays from its cache arrives like anything
    /// live: only its capture time tells that it is old.
    fn shown_capture<R: Rings>(&self, rings: &R) -> Option<NtpTime> {
        let reader = self.reader.as_ref()?;
        let ring = rings.ring(reader.source.ring)?;
        let (meta, _) = ring.find(reader.sent).and_then(|arrival| ring.get(arrival))?;
        rings.clock(reader.source.ring)?.capture_of(meta.timestamp)
    }

    fn unfinished_frame(&self, now: Now) -> Option<Instant> {
        self.reader.as_ref().filter(|_| self.output.frame_open)?;
        self.output.sent_at().map(|at| at + FRAME_PATIENCE).filter(|until| now.mono < *until)
    }

    fn begin_run(
        &mut self,
        now: Now,
        source: SourceRef,
        start: Arrival,
        first: &EntryMeta,
        wall: NtpTime,
        replay: Option<u32>,
    ) {
        self.end_run();
        let (picture_id, tl0) = self.output.picture_offsets(first);
        let out_base = self.output.timestamp_at(now, wall, self.output.next_frame());
        self.log.begin_run(Segment {
            source,
            src_from: first.seq,
            src_end: u64::MAX,
            out_from: self.output.next_seq,
            time: TimeMap { source_base: first.time, out_base, speed: replay.unwrap_or(SPEED_ONE) },
            picture_id,
            tl0,
        });
        self.reader = Some(Reader {
            source,
            cursor: start,
            first_seq: first.seq,
            highest: first.seq - 1,
            sent: first.seq - 1,
            replay: replay.map(|_| now.mono),
            gate: if replay.is_some() { LayerGate::base_only() } else { LayerGate::open() },
            left_out: None,
            fresh: true,
        });
    }
}

/// The capture time of what arrives now. A replay's timestamps begin there and advance as fast as it is sent, so that a viewer shows
/// it at twice the speed and the live picture follows without a jump.
fn live_edge(now: Now, ring: &EncodingRing, clock: Option<&CaptureClock>) -> NtpTime {
    let newest = ring.newest();
    let lag = newest.zip(clock).and_then(|(newest, clock)| {
        let age = now.mono.saturating_duration_since(newest.arrived).as_micros() as i64;
        let captured = clock.capture_of(newest.timestamp)?;
        Some((now.wall.micros_since(captured) - age).clamp(0, LAG_US_MAX))
    });
    now.wall.plus_micros(-lag.unwrap_or(0))
}

/// How much faster than live a replay from `start` will be sent, in 1/16: twice the encoding's rate, of which only the base layer is sent.
fn replay_speed(ring: &EncodingRing, start: Arrival) -> u32 {
    let (mut all, mut base) = (0, 0);
    for (meta, payload) in (start..ring.head()).filter_map(|arrival| ring.get(arrival)) {
        all += payload.len() as u64;
        base += if meta.facts.temporal == 0 { payload.len() as u64 } else { 0 };
    }
    let speed = u64::from(SPEED_ONE) * PACE_FACTOR * all / base.max(1);
    speed.clamp(u64::from(SPEED_ONE) * PACE_FACTOR, u64::from(SPEED_ONE) * SPEED_MAX) as u32
}
