//! One subscriber slot: which encoding it shows, and the slot's own numbering.
//!
//! Packets leave in the order in which they arrived. A loss of the source stays a gap of the slot, so that the viewer's NACK works and a late
//! packet finds its place; what is left out on purpose leaves no gap. A picture is switched at a key frame, live or from the ring's
//! cache; the cache is replayed at twice the rate, base layer only, until it has caught up.

mod layers;
mod output;
mod resends;
mod segments;
mod switch;
#[cfg(test)]
mod tests;

use crate::clock::CaptureClock;
use crate::ring::{Arrival, EncodingRing, EntryMeta};
use crate::slot_packet::SlotPacket;
use layers::LayerGate;
use output::{Output, slot_packet};
use relay_proto::control::Codec;
use relay_proto::{Encoding, Now, NtpTime, TrackId};
use resends::Resends;
use segments::{SPEED_ONE, Segment, SegmentLog, TimeMap};
use std::time::{Duration, Instant};
use switch::Switch;

/// A packet that arrived this long ago is still live: a turn's batch, a slice that had to wait, a timer's tick.
const LIVE_LAG: Duration = Duration::from_millis(50);
/// A switch waits this long for the rest of the frame it would cut: most of a frame's packets come within one frame time.
const FRAME_PATIENCE: Duration = Duration::from_millis(30);
/// A replay may run ahead of its pace by so much, so that a timer tick sends more than one packet.
const PACE_SLACK: Duration = Duration::from_millis(5);
/// The pace of a replay is a multiple of the encoding's rate, and never slower than a small picture needs.
const PACE_FACTOR: u64 = 2;
const PACE_BPS_MIN: u64 = 300_000;
/// IP, UDP, RTP with extensions, SRTP tag: counted into the pace.
const PACKET_OVERHEAD_BYTES: u64 = 80;
/// A source whose sequence jumps further than the ring reaches back began anew.
const JUMP_MAX: u64 = 1_024;
/// A picture that has moved within this time is worth keeping until a better one can begin without going back in time.
const FLOWING: Duration = Duration::from_millis(500);
/// A voice that begins without a given packet begins with the newest one if that is no older than this: 60 ms is silence.
const VOICE_FRESH: Duration = Duration::from_millis(60);
/// Longest difference between arrival and capture that is believed.
const LAG_US_MAX: i64 = 1_000_000;
/// A receiver on the own LAN still needs a moment to get the first answer.
const RESEND_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Names a ring of the hub. A slab index is used again after its ring is gone; the generation tells the two apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingKey {
    /// Index in the hub's slab.
    pub index: u32,
    /// Counts the rings the hub has made.
    pub generation: u32,
}

/// What a slot may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRef {
    /// Where its packets are.
    pub ring: RingKey,
    /// Whose.
    pub track: TrackId,
    /// Which encoding.
    pub encoding: Encoding,
    /// Its codec.
    pub codec: Codec,
}

/// The hub's rings and clocks, as forwarders read them. A key of a past generation finds nothing.
pub trait Rings {
    /// The ring of `key`.
    fn ring(&self, key: RingKey) -> Option<&EncodingRing>;
    /// The capture clock of `key`.
    fn clock(&self, key: RingKey) -> Option<&CaptureClock>;
}

/// What a slot carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Voices: switched at once.
    Audio,
    /// Pictures: switched at key frames.
    Video,
}

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Everything there is was emitted.
    Idle,
    /// `emit` refused a packet: pull again when there is room.
    Full,
    /// A replay of the cache runs ahead of its pace, or a switch waits for the end of a frame: pull again at this time.
    Paced(Instant),
    /// Everything was emitted, and the wanted source has no key frame to begin at: have one made.
    WaitingForKey,
}

/// Where the slot stands in its current source. A run is what it sends between two switches.
#[derive(Debug)]
struct Reader {
    source: SourceRef,
    cursor: Arrival,
    /// Sequence number the run began with.
    first_seq: u64,
    /// Highest sequence number sent or left out in this run; one less than the first before any was.
    highest: u64,
    /// Highest one sent.
    sent: u64,
    /// While the cache is replayed: when the next packet may go.
    replay: Option<Instant>,
    gate: LayerGate,
    /// Picture id of the last frame that was left out.
    left_out: Option<u16>,
    /// Nothing was sent in this run.
    fresh: bool,
}

impl Reader {
    /// During a replay, the next packet waits until this one is through at the replay's pace.
    fn pay(&mut self, now: Now, ring: &EncodingRing, len: usize) {
        if let Some(next_at) = &mut self.replay {
            let rate = (ring.rate_bps() * PACE_FACTOR).max(PACE_BPS_MIN);
            let bits = (len as u64 + PACKET_OVERHEAD_BYTES) * 8;
            *next_at = (*next_at).max(now.mono) + Duration::from_micros(bits * 1_000_000 / rate);
        }
    }

    /// Leaves a packet of a higher layer out.
    fn leave_out(&mut self, meta: &EntryMeta, log: &mut SegmentLog) {
        if meta.seq > self.highest {
            let id = meta.vp8.and_then(|vp8| vp8.picture_id).map(|id| id.value);
            log.skip(meta.seq, self.highest, id.is_some() && id != self.left_out);
            self.left_out = id;
            self.highest = meta.seq;
        }
    }
}

/// What became of a packet.
enum Forwarded {
    Sent,
    /// Not this viewer's: a higher layer, or before the switch.
    LeftOut,
    /// The viewer takes no more now.
    Refused,
}

/// Why a reader stopped.
enum Stop {
    Drained,
    Full,
    Paced(Instant),
    /// The source must be begun anew: the slot fell behind the ring, or the source jumped.
    Restart,
}

/// One slot's rewriting state.
#[derive(Debug)]
pub struct Forwarder {
    kind: SlotKind,
    wanted: Option<SourceRef>,
    /// Where a voice shall begin.
    from: Option<Arrival>,
    reader: Option<Reader>,
    output: Output,
    log: SegmentLog,
    resends: Resends,
    overruns: u64,
    late: u64,
    waiting_for_key: bool,
}

impl Forwarder {
    /// An empty slot; its first packet will carry these numbers.
    #[must_use]
    pub fn new(kind: SlotKind, first_seq: u16, first_timestamp: u32) -> Self {
        Self {
            kind,
            wanted: None,
            from: None,
            reader: None,
            output: Output::new(kind, first_seq, first_timestamp),
            log: SegmentLog::default(),
            resends: Resends::default(),
            overruns: 0,
            late: 0,
            waiting_for_key: false,
        }
    }

    /// What the slot carries.
    #[must_use]
    pub fn kind(&self) -> SlotKind {
        self.kind
    }

    /// What the slot shows now.
    #[must_use]
    pub fn current(&self) -> Option<SourceRef> {
        self.reader.as_ref().map(|reader| reader.source)
    }

    /// What it shall show: equal to `current` when no switch is pending.
    #[must_use]
    pub fn wanted(&self) -> Option<SourceRef> {
        self.wanted
    }

    /// Whether the last pull found no key frame to begin the wanted source at, however it ended.
    #[must_use]
    pub fn is_waiting_for_key(&self) -> bool {
        self.waiting_for_key
    }

    /// Packets lost to this slot because it fell behind the ring ([`crate::DropReason::RingOverrun`]), since the last call.
    pub fn take_overruns(&mut self) -> u64 {
        std::mem::take(&mut self.overruns)
    }

    /// Packets that came after the switch they belong before ([`crate::DropReason::TooOld`]), since the last call.
    pub fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// What the slot shall show. `None` empties it at once; another source takes over in the next pulls: a voice at once, a picture at
    /// a key frame, until when the old one goes on.
    pub fn select(&mut self, wanted: Option<SourceRef>) {
        self.wanted = wanted;
        self.from = None;
        if wanted.is_none() {
            self.end_run();
            self.waiting_for_key = false;
        }
    }

    /// As [`Self::select`], for a voice whose first loud packet arrived as `from`: that packet is the first one sent.
    pub fn select_from(&mut self, wanted: SourceRef, from: Arrival) {
        self.select(Some(wanted));
        self.from = Some(from).filter(|_| self.current() != Some(wanted));
    }

    /// Whether a pull would find nothing: everything was emitted, and no other source is wanted. Cheaper than the pull.
    #[must_use]
    pub fn is_idle<R: Rings>(&self, rings: &R) -> bool {
        match &self.reader {
            None => self.wanted.is_none(),
            Some(reader) => {
                self.wanted == Some(reader.source)
                    && rings.ring(reader.source.ring).is_some_and(|r| r.head() == reader.cursor)
            }
        }
    }

    /// Emits what is due. `emit` answers whether it took the packet; a refused packet is offered again by the next pull.
    pub fn pull<R: Rings>(
        &mut self,
        now: Now,
        rings: &R,
        emit: &mut impl FnMut(&SlotPacket<'_>) -> bool,
    ) -> Pulled {
        // A turn of this loop ends a run and begins another; two sources cannot end each other's, so it is short.
        for _ in 0..4 {
            let paced = match self.pull_current(now, rings, emit) {
                Stop::Full => return Pulled::Full,
                Stop::Paced(at) => Some(at),
                Stop::Drained | Stop::Restart => None,
            };
            match self.switch(now, rings) {
                Switch::Begun => {}
                Switch::NotNeeded => return paced.map_or(Pulled::Idle, Pulled::Paced),
                Switch::NotBefore(at) => return Pulled::Paced(paced.map_or(at, |p| p.min(at))),
                Switch::NeedsKey => return paced.map_or(Pulled::WaitingForKey, Pulled::Paced),
            }
        }
        Pulled::Full
    }

    /// Answers a NACK: the packet that was sent as `out_seq`, at most once a round trip.
    pub fn resend<'r, R: Rings>(
        &mut self,
        now: Now,
        rtt: Duration,
        rings: &'r R,
        out_seq: u16,
    ) -> Option<SlotPacket<'r>> {
        let last = self.output.next_seq - 1;
        let out = last.checked_sub(u64::from((last as u16).wrapping_sub(out_seq)))?;
        let (segment, src) = self.log.of_out(out)?;
        let ring = rings.ring(segment.source.ring)?;
        let arrival = ring.find(src)?;
        let still_to_come =
            |reader: &Reader| reader.source == segment.source && arrival >= reader.cursor;
        if self.reader.as_ref().is_some_and(still_to_come) {
            return None;
        }
        let (meta, payload) = ring.get(arrival)?;
        if !self.resends.allow(now.mono, rtt.max(RESEND_INTERVAL_MIN), out_seq) {
            return None;
        }
        let capture = rings.clock(segment.source.ring).and_then(|c| c.capture_of(meta.timestamp));
        let packet = slot_packet(segment, &segment.source, &meta, payload, capture);
        Some(SlotPacket { retransmission: true, ..packet })
    }

    /// For the slot's sender report: the RTP timestamp of a sample captured now. `None` for an empty slot, and during
    /// a replay, when timestamps do not follow capture.
    #[must_use]
    pub fn report<R: Rings>(&self, now: Now, rings: &R) -> Option<(NtpTime, u32)> {
        let reader =
            self.reader.as_ref().filter(|reader| reader.replay.is_none() && !reader.fresh)?;
        let newest = rings.ring(reader.source.ring)?.newest()?;
        let rtp = rings.clock(reader.source.ring)?.rtp_at(now.wall)?;
        let ahead = rtp.wrapping_sub(newest.timestamp) as i32;
        let time = newest.time.saturating_add_signed(i64::from(ahead));
        Some((now.wall, self.log.open()?.time.out(time) as u32))
    }

    fn end_run(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.log.close(reader.highest + 1);
        }
    }

    fn pull_current<R: Rings>(
        &mut self,
        now: Now,
        rings: &R,
        emit: &mut impl FnMut(&SlotPacket<'_>) -> bool,
    ) -> Stop {
        let Some(mut reader) = self.reader.take() else {
            return Stop::Drained;
        };
        let source = reader.source;
        let Some(ring) = rings.ring(source.ring) else {
            self.log.close(reader.highest + 1);
            return Stop::Drained;
        };
        let stop = self.read(&mut reader, now, ring, rings.clock(source.ring), emit);
        self.reader = Some(reader);
        if matches!(stop, Stop::Restart) {
            self.end_run();
        }
        stop
    }

    fn read(
        &mut self,
        reader: &mut Reader,
        now: Now,
        ring: &EncodingRing,
        clock: Option<&CaptureClock>,
        emit: &mut impl FnMut(&SlotPacket<'_>) -> bool,
    ) -> Stop {
        if reader.cursor < ring.tail() {
            self.overruns += ring.tail() - reader.cursor;
            reader.cursor = ring.head().saturating_sub(1).max(ring.tail());
            if self.kind == SlotKind::Video {
                return Stop::Restart;
            }
        }
        if reader.replay.is_some() && newer_chain(reader, now, ring) {
            return Stop::Restart;
        }
        while let Some((meta, payload)) = ring.get(reader.cursor) {
            if meta.seq > reader.highest + JUMP_MAX {
                if self.wanted == Some(reader.source) {
                    self.from = Some(reader.cursor);
                }
                return Stop::Restart;
            }
            if let Some(next_at) = reader.replay {
                let live = now.mono <= meta.arrived + LIVE_LAG;
                if live && meta.facts.frame_start && meta.seq > reader.highest {
                    self.go_live(reader, now, &meta, clock);
                } else if !live && now.mono + PACE_SLACK < next_at {
                    return Stop::Paced(next_at);
                }
            }
            match self.forward(reader, now, &meta, payload, clock, emit) {
                Forwarded::Sent => reader.pay(now, ring, payload.len()),
                Forwarded::LeftOut => {}
                Forwarded::Refused => return Stop::Full,
            }
            reader.cursor += 1;
        }
        Stop::Drained
    }

    /// Emits one packet, or leaves it out.
    fn forward(
        &mut self,
        reader: &mut Reader,
        now: Now,
        meta: &EntryMeta,
        payload: &[u8],
        clock: Option<&CaptureClock>,
        emit: &mut impl FnMut(&SlotPacket<'_>) -> bool,
    ) -> Forwarded {
        let Some(segment) = self.log.of_source(meta.seq) else {
            self.late += 1;
            return Forwarded::LeftOut;
        };
        if self.kind == SlotKind::Video && !reader.gate.admit(meta, reader.replay.is_none()) {
            reader.leave_out(meta, &mut self.log);
            return Forwarded::LeftOut;
        }
        let capture = clock.and_then(|clock| clock.capture_of(meta.timestamp));
        let mut packet = slot_packet(segment, &reader.source, meta, payload, capture);
        packet.marker |= self.kind == SlotKind::Audio && reader.fresh;
        if !emit(&packet) {
            return Forwarded::Refused;
        }
        let (out, time) = (segment.out_seq(meta.seq), segment.time.out(meta.time));
        self.output.note(now, out, time, &packet, meta.seq > reader.sent);
        reader.sent = reader.sent.max(meta.seq);
        reader.highest = reader.highest.max(meta.seq);
        reader.fresh = false;
        Forwarded::Sent
    }

    /// The replay has caught up: from this frame on timestamps follow capture again.
    fn go_live(
        &mut self,
        reader: &mut Reader,
        now: Now,
        first: &EntryMeta,
        clock: Option<&CaptureClock>,
    ) {
        reader.replay = None;
        let Some(open) = self.log.open().copied() else {
            return;
        };
        let wall = clock.and_then(|clock| clock.capture_of(first.timestamp)).unwrap_or(now.wall);
        // A frame between may still come late and is then placed by the map before.
        let gap = first.seq > reader.highest + 1;
        let least = if gap { open.time.out(first.time) } else { 0 };
        let out_base = self.output.timestamp_at(now, wall, least);
        self.log.close(first.seq);
        self.log.push(Segment {
            src_from: first.seq,
            out_from: open.out_from + (first.seq - open.src_from),
            time: TimeMap { source_base: first.time, out_base, speed: SPEED_ONE },
            ..open
        });
    }
}

/// Whether a replay can leap to a newer key frame.
fn newer_chain(reader: &Reader, now: Now, ring: &EncodingRing) -> bool {
    let chain = ring.key_chain(now.mono);
    chain.is_some_and(|c| c.seq > reader.first_seq && c.start > reader.cursor)
        && ring.keyframe_start(now.mono).is_some()
}
