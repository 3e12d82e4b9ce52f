//! VP8 payloads (RFC 7741) of an even grey picture: a decoder takes them, and whatever follows the picture does not matter.

use super::stamp::Stamp;

/// Picture ids count modulo 2^15.
pub(super) const PICTURE_ID_MASK: u16 = 0x7fff;
/// Extended descriptor: picture id of 15 bits, TL0PICIDX, TID.
pub(super) const DESCRIPTOR_BYTES: usize = 6;
/// Frame tag (RFC 6386 section 9.1), start code and size of a key frame.
const KEY_HEADER_BYTES: usize = 10;
const DELTA_HEADER_BYTES: usize = 3;
/// The first partition: modes of all macroblocks, which a decoder reads as the most probable ones from zeros.
const FIRST_PARTITION_SHARE: usize = 4;
const FIRST_PARTITION_MAX: usize = (1 << 19) - 1;

/// A frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) picture: u16,
    pub(super) key: bool,
    /// Width and height.
    pub(super) size: (u16, u16),
    /// All its payloads together, without descriptors.
    pub(super) bytes: usize,
}

/// One packet's payload of `len` bytes: descriptor, at the start of the frame its header, zeros, and `stamp`.
pub(super) fn payload(
    frame: &Frame,
    start: bool,
    len: usize,
    stamp: &[u8; Stamp::BYTES],
) -> Vec<u8> {
    let [high, low] = (frame.picture & PICTURE_ID_MASK).to_be_bytes();
    // X and S; I, L, T; the id in two bytes; TL0PICIDX counts every frame, as all are base layer.
    let mut out = vec![if start { 0x90 } else { 0x80 }, 0xe0, 0x80 | high, low, low, 0];
    if start {
        let header = if frame.key { KEY_HEADER_BYTES } else { DELTA_HEADER_BYTES };
        let rest = frame.bytes.saturating_sub(header);
        let first = (rest / FIRST_PARTITION_SHARE).min(FIRST_PARTITION_MAX) as u32;
        // Bit 0: not a key frame; bits 1 to 3: version 0; bit 4: shown; 19 bits: length of the first partition.
        let tag = u32::from(!frame.key) | 1 << 4 | first << 5;
        out.extend(&tag.to_le_bytes()[..3]);
        if frame.key {
            out.extend([0x9d, 0x01, 0x2a]);
            out.extend(frame.size.0.to_le_bytes());
            out.extend(frame.size.1.to_le_bytes());
        }
    }
    out.resize(len - Stamp::BYTES, 0);
    out.extend_from_slice(stamp);
    out
}

/// What a viewer checks in a payload: whether it starts a frame, and the picture id.
pub(super) fn read(payload: &[u8]) -> Option<(bool, u16)> {
    match *payload {
        [first, flags, high, low, ..]
            if first & 0x80 != 0 && flags & 0x80 != 0 && high & 0x80 != 0 =>
        {
            Some((first & 0x17 == 0x10, u16::from_be_bytes([high & 0x7f, low])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfu_core::vp8::Vp8Descriptor;

    #[test]
    fn a_key_frame_has_tag_start_code_and_size() {
        let frame = Frame { picture: 0x1234, key: true, size: (320, 180), bytes: 2_382 };
        let bytes = payload(&frame, true, 800, &Stamp::default().bytes());
        let read_by_edge = Vp8Descriptor::parse(&bytes).unwrap();
        assert!(read_by_edge.frame_start() && read_by_edge.len == DESCRIPTOR_BYTES);
        assert_eq!(read_by_edge.picture_id.unwrap().value, 0x1234);
        assert_eq!(read(&bytes), Some((true, 0x1234)));
        let header = &bytes[DESCRIPTOR_BYTES..];
        let tag = u32::from_le_bytes([header[0], header[1], header[2], 0]);
        assert_eq!((tag & 1, tag >> 4 & 1, tag >> 5), (0, 1, (2_382 - 10) / 4));
        assert_eq!(header[3..10], [0x9d, 0x01, 0x2a, 0x40, 0x01, 180, 0]);
        assert_eq!((bytes.len(), Stamp::read(&bytes)), (800, Some(Stamp::default())));
    }

    #[test]
    fn later_packets_start_nothing() {
        let frame = Frame { picture: 1, key: false, size: (320, 180), bytes: 1_588 };
        let (first, second) = (
            payload(&frame, true, 800, &[0; Stamp::BYTES]),
            payload(&frame, false, 800, &[0; Stamp::BYTES]),
        );
        assert_eq!(first[DESCRIPTOR_BYTES] & 1, 1, "not a key frame");
        assert_eq!((read(&first), read(&second)), (Some((true, 1)), Some((false, 1))));
        assert!(!Vp8Descriptor::parse(&second).unwrap().frame_start());
        assert_eq!(read(&[0; 3]), None);
    }
}
