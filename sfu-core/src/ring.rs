//! The last packets of one encoding, kept once for everybody: fan-out, NACK answers and the made key-frame cache read from here.

use crate::drop_reason::DropReason;
use crate::packet::Packet;
use crate::vp8::Vp8Descriptor;
use relay_proto::control::Codec;
use relay_proto::{Now, PacketFacts};
use std::time::{Duration, Instant};

/// Running number of a packet's arrival in its ring: the position of every reader's cursor.
pub type Arrival = u64;

/// Everything about a packet in a ring but its payload.
#[derive(Clone, Copy, Debug)]
pub struct EntryMeta {
    /// Sequence number, extended to 64 bits.
    pub seq: u64,
    /// RTP timestamp of the source.
    pub timestamp: u32,
    /// RTP marker bit of the source.
    pub marker: bool,
    /// What the ingress edge learned from the payload.
    pub facts: PacketFacts,
    /// Audio level in -dBov.
    pub level: Option<u8>,
    /// When it arrived here.
    pub arrived: Instant,
    /// The VP8 descriptor, of a VP8 packet that has one.
    pub vp8: Option<Vp8Descriptor>,
}

/// Ring of one encoding.
#[derive(Debug)]
pub struct EncodingRing {
    codec: Codec,
}

impl EncodingRing {
    /// An empty ring; takes no memory before the first packet.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self { codec }
    }
    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }
    /// Keeps a packet. `Err`: [`DropReason::Replay`] or [`DropReason::TooOld`].
    ///
    /// # Errors
    /// See above.
    pub fn insert(&mut self, _now: Now, _packet: &Packet<'_>) -> Result<Arrival, DropReason> {
        Err(DropReason::Replay)
    }
    /// The packet that arrived as number `arrival`.
    #[must_use]
    pub fn get(&self, _arrival: Arrival) -> Option<(EntryMeta, &[u8])> {
        None
    }
    /// One past the newest arrival.
    #[must_use]
    pub fn head(&self) -> Arrival {
        0
    }
    /// The oldest arrival still here (equal to `head` when empty).
    #[must_use]
    pub fn tail(&self) -> Arrival {
        0
    }
    /// The arrival number of the packet with extended sequence `seq`.
    #[must_use]
    pub fn find(&self, _seq: u64) -> Option<Arrival> {
        None
    }
    /// First arrival of the newest key frame that can be decoded from here on.
    #[must_use]
    pub fn keyframe_start(&self, _now: Instant) -> Option<Arrival> {
        None
    }
    /// Whether the key-frame cache will soon be of no use: time to ask for a new key frame, if somebody watches.
    #[must_use]
    pub fn about_to_overflow(&self, _now: Instant) -> bool {
        false
    }
    /// Rate over what the ring holds.
    #[must_use]
    pub fn rate_bps(&self) -> u64 {
        0
    }
    /// How long ago the newest packet arrived.
    #[must_use]
    pub fn silent_for(&self, _now: Instant) -> Option<Duration> {
        None
    }
}
