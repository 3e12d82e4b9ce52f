//! What the ingress edge learns from a payload, once, and every later hop is told.

/// Scheduling class of a packet on a link: lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// A voice.
    Voice = 0,
    /// A key frame, or a base-layer frame: what others need to decode.
    Base = 1,
    /// A frame that only improves the picture.
    Enhancement = 2,
    /// Retransmissions and padding.
    Repair = 3,
}

impl Class {
    /// All classes, first served first.
    pub const ALL: [Self; 4] = [Self::Voice, Self::Base, Self::Enhancement, Self::Repair];

    /// From its two wire bits.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self::ALL[usize::from(bits & 3)]
    }
}

/// Facts about one RTP packet. They travel in the envelope, so that no later hop parses the payload
/// (which may be end-to-end encrypted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketFacts {
    /// Scheduling class.
    pub class: Class,
    /// Part of a key frame.
    pub key: bool,
    /// First packet of its frame.
    pub frame_start: bool,
    /// Last packet of its frame.
    pub frame_end: bool,
    /// No other frame refers to this one.
    pub discardable: bool,
    /// Spatial layer, 0 ..= 7.
    pub spatial: u8,
    /// Temporal layer, 0 ..= 7.
    pub temporal: u8,
}

impl PacketFacts {
    /// A voice packet: every packet is a frame.
    pub const VOICE: Self = Self {
        class: Class::Voice,
        key: false,
        frame_start: true,
        frame_end: true,
        discardable: false,
        spatial: 0,
        temporal: 0,
    };
}
