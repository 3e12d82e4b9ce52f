//! VP8 payload descriptor (RFC 7741 section 4.2): read into facts at the ingress edge, patched in place at the egress edge.
//!
//! ```text
//!      0 1 2 3 4 5 6 7
//!     |X|R|N|S|R| PID |   required
//! X:  |I|L|T|K|  RSV  |
//! I:  |M| PictureID   |   7 bits, or 15 with a second byte when M is set
//! L:  |   TL0PICIDX   |
//! T/K:|TID|Y| KEYIDX  |
//! ```

use crate::drop_reason::DropReason;
use relay_proto::{Class, PacketFacts};

/// Picture ids count modulo 2^15 in the wide form.
pub const PICTURE_ID_MASK: u16 = 0x7fff;
/// And modulo 2^7 in the narrow one.
const PICTURE_ID_MASK_NARROW: u16 = 0x7f;

/// A picture id and the width it is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// The number.
    pub value: u16,
    /// 15 bits instead of 7.
    pub wide: bool,
}

impl PictureId {
    /// The largest number of this width, which is also its mask.
    #[must_use]
    pub fn mask(self) -> u16 {
        if self.wide { PICTURE_ID_MASK } else { PICTURE_ID_MASK_NARROW }
    }
}

/// A parsed payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Descriptor {
    /// First packet of a partition (S).
    pub partition_start: bool,
    /// Partition number (PID).
    pub partition: u8,
    /// No other frame refers to this one (N).
    pub non_reference: bool,
    /// Picture id (I).
    pub picture_id: Option<PictureId>,
    /// Running number of base-layer frames (L).
    pub tl0_pic_idx: Option<u8>,
    /// Temporal layer (T: TID), 0 when absent.
    pub temporal: u8,
    /// Refers to the base layer only (T: Y): a viewer may take up this temporal layer here.
    pub layer_sync: bool,
    /// Length of the descriptor; the VP8 payload header or data follows.
    pub len: usize,
}

impl Vp8Descriptor {
    /// Reads the descriptor at the start of an RTP payload; `None` when it is cut short or nothing follows it.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut next = || {
            let byte = payload.get(at).copied();
            at += 1;
            byte
        };
        let first = next()?;
        let flags = if first & 0x80 != 0 { next()? } else { 0 };
        let picture_id = if flags & 0x80 != 0 { Some(read_picture_id(&mut next)?) } else { None };
        let tl0_pic_idx = if flags & 0x40 != 0 { Some(next()?) } else { None };
        let layer = if flags & 0x30 != 0 { next()? } else { 0 };
        let has_layer = flags & 0x20 != 0;
        (at < payload.len()).then_some(Self {
            partition_start: first & 0x10 != 0,
            partition: first & 0x07,
            non_reference: first & 0x20 != 0,
            picture_id,
            tl0_pic_idx,
            temporal: if has_layer { layer >> 6 } else { 0 },
            layer_sync: has_layer && layer & 0x20 != 0,
            len: at,
        })
    }

    /// Whether this packet opens its frame.
    #[must_use]
    pub fn frame_start(&self) -> bool {
        self.partition_start && self.partition == 0
    }
}

fn read_picture_id(next: &mut impl FnMut() -> Option<u8>) -> Option<PictureId> {
    let high = next()?;
    if high & 0x80 == 0 {
        return Some(PictureId { value: u16::from(high), wide: false });
    }
    let low = next()?;
    Some(PictureId { value: u16::from(high & 0x7f) << 8 | u16::from(low), wide: true })
}

/// Reads packets of one VP8 source into facts. It has a state because only the first packet of a frame tells whether
/// the frame is a key frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vp8FactsReader {
    /// Timestamp of the newest key frame.
    key_timestamp: Option<u32>,
}

impl Vp8FactsReader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The facts of one packet.
    ///
    /// # Errors
    /// [`DropReason::Malformed`] when the descriptor is cut short.
    pub fn read(
        &mut self,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> Result<PacketFacts, DropReason> {
        let descriptor = Vp8Descriptor::parse(payload).ok_or(DropReason::Malformed)?;
        let frame_start = descriptor.frame_start();
        // RFC 7741 section 4.3: bit P of the payload header is 0 for a key frame.
        if frame_start && payload[descriptor.len] & 1 == 0 {
            self.key_timestamp = Some(timestamp);
        }
        let key = self.key_timestamp == Some(timestamp);
        let base = key || descriptor.temporal == 0;
        Ok(PacketFacts {
            class: if base { Class::Base } else { Class::Enhancement },
            key,
            frame_start,
            frame_end: marker,
            discardable: descriptor.non_reference,
            spatial: 0,
            temporal: descriptor.temporal,
        })
    }
}

/// New numbers for a payload descriptor. Fields that the descriptor does not have are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vp8Patch {
    /// New picture id; cut to 7 bits where the descriptor is narrow.
    pub picture_id: Option<u16>,
    /// New running number of base-layer frames.
    pub tl0_pic_idx: Option<u8>,
}

impl Vp8Patch {
    /// Rewrites the descriptor at the start of `payload` in place; the length never changes.
    pub fn apply(self, payload: &mut [u8]) {
        let [first, flags, ..] = *payload else { return };
        if first & 0x80 == 0 {
            return;
        }
        let mut at = 2;
        if flags & 0x80 != 0 {
            at += self.apply_picture_id(payload.get_mut(at..).unwrap_or_default());
        }
        if flags & 0x40 != 0
            && let (Some(byte), Some(new)) = (payload.get_mut(at), self.tl0_pic_idx)
        {
            *byte = new;
        }
    }

    /// Answers the width in bytes.
    fn apply_picture_id(self, at: &mut [u8]) -> usize {
        let wide = at.first().is_some_and(|b| b & 0x80 != 0);
        match (at, self.picture_id) {
            ([high, low, ..], Some(id)) if wide => {
                *high = 0x80 | (id >> 8) as u8;
                *low = id as u8;
            }
            ([only, ..], Some(id)) if !wide => *only = id as u8 & 0x7f,
            _ => {}
        }
        if wide { 2 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_chrome_descriptor_is_read() {
        // X | S, I L T, 15-bit id 0x1234, TL0 7, TID 1 Y, then a delta frame's header
        let payload = [0x90, 0xe0, 0x92, 0x34, 7, 0x60, 0x01, 0];
        let d = Vp8Descriptor::parse(&payload).unwrap();
        assert_eq!(d.picture_id, Some(PictureId { value: 0x1234, wide: true }));
        assert_eq!((d.tl0_pic_idx, d.temporal, d.layer_sync, d.len), (Some(7), 1, true, 6));
        let facts = Vp8FactsReader::new().read(1, true, &payload).unwrap();
        assert!(facts.frame_start && facts.frame_end && !facts.key);
        assert_eq!((facts.class, facts.temporal), (Class::Enhancement, 1));
    }

    #[test]
    fn every_packet_of_a_key_frame_is_known_as_one() {
        let mut reader = Vp8FactsReader::new();
        assert!(reader.read(9, false, &[0x10, 0x00, 1]).unwrap().key, "first packet, P = 0");
        assert!(reader.read(9, true, &[0x00, 0xff, 1]).unwrap().key, "its second packet");
        assert!(!reader.read(10, true, &[0x10, 0x01, 1]).unwrap().key, "next frame, P = 1");
    }

    #[test]
    fn a_descriptor_that_is_cut_short_is_malformed() {
        let payload = [0x90, 0xe0, 0x92, 0x34, 7, 0x60, 0x01];
        assert!(Vp8Descriptor::parse(&payload).is_some());
        for len in 0..payload.len() {
            let read = Vp8FactsReader::new().read(0, false, &payload[..len]);
            assert_eq!(read, Err(DropReason::Malformed), "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn a_patch_changes_two_fields_and_nothing_else(
            mut payload in proptest::collection::vec(any::<u8>(), 0..16),
            id: u16,
            tl0: u8,
        ) {
            let before = payload.clone();
            let old = Vp8Descriptor::parse(&before);
            Vp8Patch { picture_id: Some(id), tl0_pic_idx: Some(tl0) }.apply(&mut payload);
            if let Some(old) = old {
                let new = Vp8Descriptor::parse(&payload).unwrap();
                let expected = Vp8Descriptor {
                    picture_id: old.picture_id.map(|p| PictureId { value: id & p.mask(), ..p }),
                    tl0_pic_idx: old.tl0_pic_idx.map(|_| tl0),
                    ..old
                };
                prop_assert_eq!(new, expected);
                prop_assert_eq!(&payload[old.len..], &before[old.len..]);
            }
        }

        #[test]
        fn an_empty_patch_changes_nothing(mut payload in proptest::collection::vec(any::<u8>(), 0..16)) {
            let before = payload.clone();
            Vp8Patch::default().apply(&mut payload);
            prop_assert_eq!(payload, before);
        }
    }
}
