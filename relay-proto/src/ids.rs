//! Identifiers as types, so that one can never stand where another is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id! {
    /// A running process, as the topology numbers it: 1 ..= [`NodeId::MAX`]; 0 is nobody.
    NodeId(u32)
}
id! {
    /// A participant's short id inside a meeting; it is the CSRC of every packet of theirs, so it is 32 bits.
    ///
    /// The upper 12 bits are the node that admitted the participant, the lower 20 a counter there: no
    /// two nodes can hand out the same one, and no round trip is needed to get one.
    ParticipantId(u32)
}
id! {
    /// The fencing counter of a meeting's placement (a *term* is Raft's). Granted epochs are even.
    Epoch(u64)
}
id! {
    /// Which of the 2^k lanes carries a meeting between two nodes.
    Lane(u8)
}
id! {
    /// Address of one track's encoding on a link: a QUIC varint chosen by the sender, valid on all its links.
    /// Flow 0 is link control.
    FlowId(u64)
}

impl NodeId {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// The largest node number: participant ids keep 12 bits for it.
    pub const MAX: u32 = (1 << 12) - 1;
}

impl ParticipantId {
    /// Bits of the counter below the node number.
    const COUNTER_BITS: u32 = 20;

    /// The id of the `counter`-th participant that `node` admitted. The counter wraps at 2^20.
    #[must_use]
    pub fn new(node: NodeId, counter: u32) -> Self {
        Self(
            (node.0 & NodeId::MAX) << Self::COUNTER_BITS
                | counter & ((1 << Self::COUNTER_BITS) - 1),
        )
    }

    /// The node that admitted this participant.
    #[must_use]
    pub fn node(self) -> NodeId {
        NodeId(self.0 >> Self::COUNTER_BITS)
    }
}

impl Lane {
    /// k: a cluster has 2^k lanes. Fixed per cluster.
    pub const BITS: u32 = 4;
    /// Number of lanes.
    pub const COUNT: u8 = 1 << Self::BITS;

    /// The lane of a meeting: hash(meeting) mod 2^k.
    #[must_use]
    pub fn of(meeting: MeetingId) -> Self {
        // Fibonacci hashing (Knuth 6.4): the top bits of a multiplicative hash are the well-mixed ones.
        Self((meeting.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::BITS)) as u8)
    }
}

/// A meeting, as the topology numbers it: random, so that it cannot be guessed. Written as 13 base-32 letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeetingId(pub u64);

/// Crockford's base 32: no letter that is read as another.
const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// ceil(64 / 5).
const BASE32_LEN: usize = 13;

impl fmt::Display for MeetingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for i in (0..BASE32_LEN).rev() {
            let letter = BASE32[(self.0 >> (5 * i)) as usize & 31];
            fmt::Write::write_char(f, char::from(letter))?;
        }
        Ok(())
    }
}

/// What is wrong with the text of a meeting id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a meeting id is 13 letters or digits (no i, l, o, u), such as 0a1b2c3d4e5fg, not {0:?}")]
pub struct BadMeetingId(pub String);

impl std::str::FromStr for MeetingId {
    type Err = BadMeetingId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadMeetingId(text.chars().take(32).collect());
        if text.len() != BASE32_LEN {
            return Err(bad());
        }
        let mut value: u64 = 0;
        for (i, c) in text.bytes().enumerate() {
            let digit =
                BASE32.iter().position(|b| *b == c.to_ascii_lowercase()).ok_or_else(bad)? as u64;
            if i == 0 && digit > 15 {
                return Err(bad());
            }
            value = value << 5 | digit;
        }
        Ok(Self(value))
    }
}

impl Serialize for MeetingId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
    }
}

impl<'de> Deserialize<'de> for MeetingId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(d).map(Self)
        }
    }
}

/// What a track shows or carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum TrackKind {
    /// A microphone.
    Mic = 0,
    /// A camera, usually simulcast.
    Camera = 1,
    /// A shared screen.
    Screen = 2,
}

impl TrackKind {
    /// All kinds, in wire order.
    pub const ALL: [Self; 3] = [Self::Mic, Self::Camera, Self::Screen];

    /// Whether this is sound.
    #[must_use]
    pub fn is_audio(self) -> bool {
        matches!(self, Self::Mic)
    }
}

/// One published source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackId {
    /// Whose.
    pub participant: ParticipantId,
    /// Which of theirs: a participant publishes at most one of each kind.
    pub kind: TrackKind,
}

/// One independently decodable rendition of a track: 0 = q (lowest), 1 = h, 2 = f. A source without
/// simulcast has only encoding 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Encoding(pub u8);

impl Encoding {
    /// A track has at most three encodings (q, h, f).
    pub const MAX_PER_TRACK: usize = 3;
    /// 180p.
    pub const Q: Self = Self(0);
    /// 360p.
    pub const H: Self = Self(1);
    /// 720p.
    pub const F: Self = Self(2);

    /// The rid browsers use for this encoding.
    #[must_use]
    pub fn rid(self) -> &'static str {
        ["q", "h", "f"][usize::from(self.0).min(2)]
    }

    /// The encoding of a rid.
    #[must_use]
    pub fn from_rid(rid: &str) -> Option<Self> {
        ["q", "h", "f"].iter().position(|r| *r == rid).map(|i| Self(i as u8))
    }
}

/// A set of encodings of one track, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EncodingSet(pub u8);

impl EncodingSet {
    /// No encoding.
    pub const NONE: Self = Self(0);

    /// The set with `encoding` in it.
    #[must_use]
    pub fn with(self, encoding: Encoding) -> Self {
        Self(self.0 | 1 << encoding.0)
    }

    /// Whether `encoding` is in it.
    #[must_use]
    pub fn has(self, encoding: Encoding) -> bool {
        self.0 >> encoding.0 & 1 == 1
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, lowest first.
    pub fn iter(self) -> impl Iterator<Item = Encoding> {
        (0..Encoding::MAX_PER_TRACK as u8).map(Encoding).filter(move |e| self.has(*e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_id_reads_back_as_written() {
        for id in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            assert_eq!(MeetingId(id).to_string().parse(), Ok(MeetingId(id)));
        }
        assert!("zzzzzzzzzzzzz".parse::<MeetingId>().is_err(), "65 bits do not fit");
        assert!("short".parse::<MeetingId>().is_err());
        assert!("il0u000000000".parse::<MeetingId>().is_err());
    }

    #[test]
    fn a_participant_names_the_node_that_admitted_it() {
        let id = ParticipantId::new(NodeId(7), (1 << 20) + 5);
        assert_eq!(id.node(), NodeId(7));
        assert_eq!(id.0 & 0xf_ffff, 5);
    }
}
