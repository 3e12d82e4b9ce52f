//! What publishers write into their payloads, so that viewers can tell what they got.

use crate::time::SimTime;

/// Bytes of a stamp.
pub(crate) const STAMP_BYTES: usize = 24;

/// One packet's origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When the sound or picture was captured.
    pub(crate) captured: SimTime,
    /// The publisher's place in the world.
    pub(crate) who: u16,
    /// Voice: 1 + the number of the turn, 0 for comfort noise. Video: the encoding.
    pub(crate) turn: u16,
    /// Voice: the packet's number in its turn. Video: the frame's number.
    pub(crate) nth: u32,
    /// Video: the packet's number in its frame.
    pub(crate) packet: u16,
    /// Video: packets of the frame.
    pub(crate) packets: u16,
    /// Video: whether this is a key frame.
    pub(crate) key: bool,
}

impl Stamp {
    pub(crate) fn write(&self, to: &mut [u8]) -> Option<()> {
        let to = to.get_mut(..STAMP_BYTES)?;
        to[..8].copy_from_slice(&self.captured.0.to_be_bytes());
        to[8..10].copy_from_slice(&self.who.to_be_bytes());
        to[10..12].copy_from_slice(&self.turn.to_be_bytes());
        to[12..16].copy_from_slice(&self.nth.to_be_bytes());
        to[16..18].copy_from_slice(&self.packet.to_be_bytes());
        to[18..20].copy_from_slice(&self.packets.to_be_bytes());
        to[20..].copy_from_slice(&[u8::from(self.key), 0, 0, 0]);
        Some(())
    }

    pub(crate) fn read(from: &[u8]) -> Option<Self> {
        let b: &[u8; STAMP_BYTES] = from.get(..STAMP_BYTES)?.try_into().ok()?;
        let half = |at: usize| u16::from_be_bytes([b[at], b[at + 1]]);
        Some(Self {
            captured: SimTime(u64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
            who: half(8),
            turn: half(10),
            nth: u32::from_be_bytes([b[12], b[13], b[14], b[15]]),
            packet: half(16),
            packets: half(18),
            key: b[20] == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_back_as_written() {
        let stamp = Stamp {
            captured: SimTime(123_456_789_012),
            who: 7,
            turn: 9,
            nth: 70_000,
            packet: 3,
            packets: 12,
            key: true,
        };
        let mut bytes = [0; 30];
        assert_eq!(stamp.write(&mut bytes), Some(()));
        assert_eq!(Stamp::read(&bytes), Some(stamp));
        assert_eq!(Stamp::read(&bytes[..20]), None);
    }
}
