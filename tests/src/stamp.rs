//! What every payload ends with: who made it, what it is, and when.
//!
//! ```text
//! | magic (4) | source (4) | counter (4) | encoding (1) | key (1) | 0 (2) | sent, us (8) |
//! ```

const MAGIC: u32 = 0x6d65_7368;

/// The stamp at the end of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The fleet's number of the publisher.
    pub source: u32,
    /// Number of the packet in its encoding.
    pub counter: u32,
    /// 0 is q (or a voice), 1 is h, 2 is f.
    pub encoding: u8,
    /// Part of a key frame.
    pub key: bool,
    /// When it was made, on [`crate::clock`].
    pub sent_us: u64,
}

impl Stamp {
    /// Its length.
    pub const BYTES: usize = 24;

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..4].copy_from_slice(&MAGIC.to_be_bytes());
        out[4..8].copy_from_slice(&self.source.to_be_bytes());
        out[8..12].copy_from_slice(&self.counter.to_be_bytes());
        out[12] = self.encoding;
        out[13] = u8::from(self.key);
        out[16..].copy_from_slice(&self.sent_us.to_be_bytes());
        out
    }

    /// The stamp at the end of `payload`, if there is one.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let at = payload.len().checked_sub(Self::BYTES)?;
        let b = &payload[at..];
        let word = |i: usize| u32::from_be_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        (word(0) == MAGIC).then(|| Self {
            source: word(4),
            counter: word(8),
            encoding: b[12],
            key: b[13] != 0,
            sent_us: u64::from(word(16)) << 32 | u64::from(word(20)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_found_at_the_end_of_a_payload_and_nowhere_else() {
        let stamp = Stamp { source: 7, counter: 9, encoding: 2, key: true, sent_us: 1 << 40 };
        let mut payload = vec![1, 2, 3];
        payload.extend(stamp.bytes());
        assert_eq!(Stamp::read(&payload), Some(stamp));
        payload.push(0);
        assert_eq!(Stamp::read(&payload), None);
        assert_eq!(Stamp::read(&[0; 10]), None);
    }
}
