//! What every payload ends with: who made it, what it is, and when.
//!
//! ```text
//! | magic (4) | source (4) | counter (4) | encoding (1) | flags (1) | in spurt (2) | sent, us (8) |
//! ```
//!
//! Sender and receiver are one process with one clock, so the send time gives the one-way delay. Codecs do not mind: VP8's
//! decoder stops before it, and an Opus frame may end with any bytes.

const MAGIC: u32 = 0x6d65_7368;
/// Part of a key frame.
const KEY: u8 = 1;
/// Part of speech, not comfort noise.
const SPEECH: u8 = 2;

/// The stamp at the end of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The generator's number of the publisher.
    pub(super) source: u32,
    /// Number of the packet in its encoding.
    pub(super) counter: u32,
    /// 0 is q (or a voice), 1 is h, 2 is f.
    pub(super) encoding: u8,
    /// Part of a key frame.
    pub(super) key: bool,
    /// Part of speech, not comfort noise.
    pub(super) speech: bool,
    /// Number of the packet in its talk spurt.
    pub(super) in_spurt: u16,
    /// When it was made, on [`super::clock`].
    pub(super) sent_us: u64,
}

impl Stamp {
    /// Its length.
    pub(super) const BYTES: usize = 24;

    /// Its bytes.
    pub(super) fn bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..4].copy_from_slice(&MAGIC.to_be_bytes());
        out[4..8].copy_from_slice(&self.source.to_be_bytes());
        out[8..12].copy_from_slice(&self.counter.to_be_bytes());
        out[12] = self.encoding;
        out[13] = (u8::from(self.key) * KEY) | (u8::from(self.speech) * SPEECH);
        out[14..16].copy_from_slice(&self.in_spurt.to_be_bytes());
        out[16..].copy_from_slice(&self.sent_us.to_be_bytes());
        out
    }

    /// The stamp at the end of `payload`, if there is one.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let b = payload.get(payload.len().checked_sub(Self::BYTES)?..)?;
        let word = |i: usize| u32::from_be_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        (word(0) == MAGIC).then(|| Self {
            source: word(4),
            counter: word(8),
            encoding: b[12],
            key: b[13] & KEY != 0,
            speech: b[13] & SPEECH != 0,
            in_spurt: u16::from_be_bytes([b[14], b[15]]),
            sent_us: u64::from(word(16)) << 32 | u64::from(word(20)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_at_the_end_of_a_payload_and_nowhere_else() {
        let stamp = Stamp {
            source: 7,
            counter: 9,
            encoding: 2,
            key: true,
            speech: false,
            in_spurt: 300,
            sent_us: 1 << 40,
        };
        let mut payload = vec![1, 2, 3];
        payload.extend(stamp.bytes());
        assert_eq!(Stamp::read(&payload), Some(stamp));
        payload.push(0);
        assert_eq!(Stamp::read(&payload), None);
        assert_eq!(Stamp::read(&[0; 10]), None);
    }
}
