//! One subscriber slot: which encoding it shows, and the slot's own numbering.

use crate::clock::CaptureClock;
use crate::ring::{Arrival, EncodingRing};
use crate::slot_packet::SlotPacket;
use relay_proto::control::Codec;
use relay_proto::{Encoding, Now, NtpTime, TrackId};
use std::time::{Duration, Instant};

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
    /// A replay of the cache runs ahead of its pace: pull again at this time.
    Paced(Instant),
    /// Everything was emitted, and the wanted source has no key frame to begin at: have one made.
    WaitingForKey,
}

/// One slot's rewriting state.
#[derive(Debug)]
pub struct Forwarder {
    kind: SlotKind,
}

impl Forwarder {
    /// An empty slot; its first packet will carry these numbers.
    #[must_use]
    pub fn new(kind: SlotKind, _first_seq: u16, _first_timestamp: u32) -> Self {
        Self { kind }
    }
    /// What the slot carries.
    #[must_use]
    pub fn kind(&self) -> SlotKind {
        self.kind
    }
    /// What the slot shall show. `None` empties it at once.
    pub fn select(&mut self, _wanted: Option<SourceRef>) {}
    /// As `select`, beginning with the packet `from` (a voice's first loud packet).
    pub fn select_from(&mut self, _wanted: SourceRef, _from: Arrival) {}
    /// What the slot shows now.
    #[must_use]
    pub fn current(&self) -> Option<SourceRef> {
        None
    }
    /// What it shall show: equal to `current` when no switch is pending.
    #[must_use]
    pub fn wanted(&self) -> Option<SourceRef> {
        None
    }
    /// Emits what is due. `emit` answers whether it took the packet; a refused packet is offered again by the next pull.
    pub fn pull<R: Rings>(
        &mut self,
        _now: Now,
        _rings: &R,
        _emit: &mut impl FnMut(&SlotPacket<'_>) -> bool,
    ) -> Pulled {
        Pulled::Idle
    }
    /// Answers a NACK: the packet that was sent as `out_seq`, at most once a round trip.
    pub fn resend<'r, R: Rings>(
        &mut self,
        _now: Now,
        _rtt: Duration,
        _rings: &'r R,
        _out_seq: u16,
    ) -> Option<SlotPacket<'r>> {
        None
    }
    /// For the slot's sender report: the RTP timestamp of a sample captured now.
    #[must_use]
    pub fn report<R: Rings>(&self, _now: Now, _rings: &R) -> Option<(NtpTime, u32)> {
        None
    }
    /// Packets lost to this slot because it fell behind the ring, since the last call (`DropReason::RingOverrun`).
    pub fn take_overruns(&mut self) -> u64 {
        0
    }
}
