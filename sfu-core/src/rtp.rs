//! RTP packets: a bounded parser over borrowed bytes and a writer into a given buffer (RFC 3550 section 5.1, RFC 8285).

use relay_proto::ParticipantId;

/// Bytes of the header without CSRCs and extensions.
pub const FIXED_HEADER_BYTES: usize = 12;
/// `defined by profile` of one-byte extensions (RFC 8285 section 4.2).
const ONE_BYTE_PROFILE: u16 = 0xbede;
/// Of two-byte extensions; the low four bits are application bits (RFC 8285 section 4.3).
const TWO_BYTE_PROFILE: u16 = 0x1000;
/// One-byte extensions carry ids 1 ..= 14 and 1 ..= 16 bytes each.
pub const ONE_BYTE_ID_MAX: u8 = 14;

/// Whether a packet on an RTP port is RTCP: payload types 64 ..= 95 are reserved for that (RFC 5761 section 4).
#[must_use]
pub fn is_rtcp(data: &[u8]) -> bool {
    matches!(data, [first, second, ..] if first >> 6 == 2 && (192..=223).contains(second))
}

/// One parsed RTP packet; every slice lies inside the bytes it was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct RtpView<'a> {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    csrcs: &'a [u8],
    profile: u16,
    extensions: &'a [u8],
    /// The payload, without padding.
    pub payload: &'a [u8],
    /// Length of everything before the payload.
    pub header_len: usize,
}

impl<'a> RtpView<'a> {
    /// Reads a whole packet; `None` when it is malformed.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let header_len = Self::header_len(data)?;
        Self::assemble(data, header_len, true)
    }

    /// Reads the header of a packet whose payload is still encrypted (so its padding cannot be looked at):
    /// `payload` is everything after the header.
    #[must_use]
    pub fn parse_header(data: &'a [u8]) -> Option<Self> {
        let header_len = Self::header_len(data)?;
        Self::assemble(data, header_len, false)
    }

    /// Length of the header with its CSRCs and extensions, which SRTP needs to know; `None` when it is cut short.
    #[must_use]
    pub fn header_len(data: &[u8]) -> Option<usize> {
        let first = *data.first().filter(|b| **b >> 6 == 2)?;
        let mut len = FIXED_HEADER_BYTES + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let words = be16(data, len + 2)?;
            len += 4 + 4 * usize::from(words);
        }
        (len <= data.len()).then_some(len)
    }

    fn assemble(data: &'a [u8], header_len: usize, strip_padding: bool) -> Option<Self> {
        let csrc_end = FIXED_HEADER_BYTES + 4 * usize::from(data[0] & 0x0f);
        let has_extensions = data[0] & 0x10 != 0;
        let payload = &data[header_len..];
        let padding = match payload.last() {
            _ if data[0] & 0x20 == 0 || !strip_padding => 0,
            Some(n) if *n > 0 && usize::from(*n) <= payload.len() => usize::from(*n),
            _ => return None,
        };
        Some(Self {
            marker: data[1] & 0x80 != 0,
            payload_type: data[1] & 0x7f,
            seq: be16(data, 2)?,
            timestamp: be32(data, 4)?,
            ssrc: be32(data, 8)?,
            csrcs: &data[FIXED_HEADER_BYTES..csrc_end],
            profile: if has_extensions { be16(data, csrc_end)? } else { 0 },
            extensions: if has_extensions { &data[csrc_end + 4..header_len] } else { &[] },
            payload: &payload[..payload.len() - padding],
            header_len,
        })
    }

    /// Contributing sources, in order.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + 'a {
        self.csrcs.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]))
    }

    /// Header extensions in order: id and content. Ends at the first malformed one.
    #[must_use]
    pub fn extensions(&self) -> Extensions<'a> {
        Extensions { rest: self.extensions, profile: self.profile }
    }

    /// Content of the header extension `id`.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions().find(|(found, _)| *found == id).map(|(_, content)| content)
    }
}

/// Iterator over one-byte and two-byte header extensions.
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    rest: &'a [u8],
    profile: u16,
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let first = *self.rest.first()?;
            let (id, start, len) = if self.profile == ONE_BYTE_PROFILE {
                (first >> 4, 1, usize::from(first & 0x0f) + 1)
            } else if self.profile & 0xfff0 == TWO_BYTE_PROFILE {
                (first, 2, if first == 0 { 0 } else { usize::from(*self.rest.get(1)?) })
            } else {
                return None;
            };
            if first == 0 {
                self.rest = &self.rest[1..];
                continue;
            }
            if self.profile == ONE_BYTE_PROFILE && (id == 15 || id == 0) {
                return None;
            }
            let content = self.rest.get(start..start + len)?;
            self.rest = &self.rest[start + len..];
            return Some((id, content));
        }
    }
}

/// The fields of an RTP header to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFields {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// The one contributing source a slot packet carries.
    pub csrc: Option<ParticipantId>,
}

/// Writes a header with one-byte extensions into the start of `buf` and answers its length. `None` when `buf` is too short, or
/// an extension does not fit the one-byte form (id 1 ..= 14, 1 ..= 16 bytes).
pub fn write_header(
    buf: &mut [u8],
    fields: &HeaderFields,
    extensions: &[(u8, &[u8])],
) -> Option<usize> {
    let mut writer = RtpWriter::begin(buf, fields)?;
    for (id, content) in extensions {
        writer.extension(*id, content)?;
    }
    writer.finish()
}

/// Writes a header step by step: [`RtpWriter::begin`], any number of extensions, [`RtpWriter::finish`].
#[derive(Debug)]
pub struct RtpWriter<'b> {
    buf: &'b mut [u8],
    at: usize,
    /// Where the extension block begins; 0 while there is none.
    block: usize,
}

impl<'b> RtpWriter<'b> {
    /// Writes the fixed header.
    #[must_use]
    pub fn begin(buf: &'b mut [u8], fields: &HeaderFields) -> Option<Self> {
        let at = FIXED_HEADER_BYTES + if fields.csrc.is_some() { 4 } else { 0 };
        let head = buf.get_mut(..at)?;
        head[0] = 0x80 | u8::from(fields.csrc.is_some());
        head[1] = u8::from(fields.marker) << 7 | fields.payload_type & 0x7f;
        head[2..4].copy_from_slice(&fields.seq.to_be_bytes());
        head[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
        head[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
        if let Some(csrc) = fields.csrc {
            head[12..16].copy_from_slice(&csrc.0.to_be_bytes());
        }
        Some(Self { buf, at, block: 0 })
    }

    /// Appends one extension in the one-byte form.
    #[must_use]
    pub fn extension(&mut self, id: u8, content: &[u8]) -> Option<()> {
        if !(1..=ONE_BYTE_ID_MAX).contains(&id) || !(1..=16).contains(&content.len()) {
            return None;
        }
        let start = if self.block == 0 { self.at + 4 } else { self.at };
        let end = start + 1 + content.len();
        let place = self.buf.get_mut(start..end)?;
        place[0] = id << 4 | (content.len() - 1) as u8;
        place[1..].copy_from_slice(content);
        if self.block == 0 {
            self.block = self.at;
        }
        self.at = end;
        Some(())
    }

    /// Pads and closes the extension block; answers the length of the header.
    #[must_use]
    pub fn finish(self) -> Option<usize> {
        if self.block == 0 {
            return Some(self.at);
        }
        let len = (self.at - self.block).next_multiple_of(4);
        let block = self.buf.get_mut(self.block..self.block + len)?;
        block[self.at - self.block..].fill(0);
        block[..2].copy_from_slice(&ONE_BYTE_PROFILE.to_be_bytes());
        block[2..4].copy_from_slice(&((len / 4 - 1) as u16).to_be_bytes());
        self.buf[0] |= 0x10;
        Some(self.block + len)
    }
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIELDS: HeaderFields = HeaderFields {
        marker: true,
        payload_type: 111,
        seq: 0x1234,
        timestamp: 0x0102_0304,
        ssrc: 0xdead_beef,
        csrc: None,
    };

    #[test]
    fn a_header_has_these_bytes() {
        let mut buf = [0xff; 64];
        let len = write_header(&mut buf, &FIELDS, &[(1, &[0x7f]), (3, &[1, 2])]).unwrap();
        let golden = [
            0x90, 0xef, 0x12, 0x34, 1, 2, 3, 4, 0xde, 0xad, 0xbe, 0xef, // fixed
            0xbe, 0xde, 0, 2, 0x10, 0x7f, 0x31, 1, 2, 0, 0, 0, // extensions
        ];
        assert_eq!(&buf[..len], golden);
    }

    #[test]
    fn a_slot_header_carries_its_participant() {
        let mut buf = [0; 16];
        let fields = HeaderFields { csrc: Some(ParticipantId(7)), ..FIELDS };
        assert_eq!(write_header(&mut buf, &fields, &[]), Some(16));
        assert_eq!(RtpView::parse(&buf).unwrap().csrcs().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn two_byte_extensions_are_read() {
        let mut data = [0; 24];
        data[0] = 0x90;
        data[12..].copy_from_slice(&[0x10, 0x05, 0, 2, 5, 0, 0, 20, 2, 9, 8, 0]);
        let view = RtpView::parse(&data).unwrap();
        let all: Vec<_> = view.extensions().collect();
        assert_eq!(all, [(5, &[][..]), (20, &[9, 8][..])]);
        assert_eq!(view.extension(20), Some(&[9, 8][..]));
    }

    #[test]
    fn padding_must_fit_the_payload() {
        let mut data = [0; 16];
        data[0] = 0xa0;
        for (last, payload) in [(0, None), (1, Some(3)), (4, Some(0)), (5, None)] {
            data[15] = last;
            assert_eq!(RtpView::parse(&data).map(|v| v.payload.len()), payload, "pad {last}");
        }
        assert!(RtpView::parse(&data[..12]).is_none(), "padding without payload");
        assert_eq!(RtpView::parse_header(&data).unwrap().payload.len(), 4, "still encrypted");
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_type() {
        for (second, rtcp) in
            [(200, true), (205, true), (111, false), (224, false), (96 | 0x80, false)]
        {
            assert_eq!(is_rtcp(&[0x80, second]), rtcp, "{second}");
        }
        assert!(!is_rtcp(&[0x80]) && !is_rtcp(&[0x00, 200]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(data in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(view) = RtpView::parse(&data) {
                prop_assert!(view.header_len + view.payload.len() <= data.len());
                let total: usize = view.extensions().map(|(_, c)| c.len() + 1).sum();
                prop_assert!(total <= data.len());
                prop_assert!(view.csrcs().count() <= 15);
            }
        }

        #[test]
        fn what_is_written_is_read(
            marker: bool, payload_type in 0u8..128, seq: u16, timestamp: u32, ssrc: u32,
            csrc in proptest::option::of(any::<u32>()),
            extensions in proptest::collection::vec((1u8..=14, proptest::collection::vec(any::<u8>(), 1..=16)), 0..5),
            payload in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let csrc = csrc.map(ParticipantId);
            let fields = HeaderFields { marker, payload_type, seq, timestamp, ssrc, csrc };
            let list: Vec<_> = extensions.iter().map(|(id, c)| (*id, &c[..])).collect();
            let mut buf = vec![0xaa; 200];
            let len = write_header(&mut buf, &fields, &list).unwrap();
            buf.truncate(len);
            buf.extend_from_slice(&payload);
            let view = RtpView::parse(&buf).unwrap();
            prop_assert_eq!((view.marker, view.payload_type, view.seq), (marker, payload_type, seq));
            prop_assert_eq!((view.timestamp, view.ssrc, view.header_len), (timestamp, ssrc, len));
            prop_assert_eq!(view.csrcs().next(), csrc.map(|c| c.0));
            prop_assert_eq!(view.extensions().collect::<Vec<_>>(), list);
            prop_assert_eq!(view.payload, &payload[..]);
        }

        #[test]
        fn a_short_buffer_is_refused(size in 0usize..27) {
            let mut buf = vec![0; size];
            let extensions: [(u8, &[u8]); 2] = [(1, &[1]), (2, &[1, 2, 3, 4])];
            prop_assert_eq!(write_header(&mut buf, &FIELDS, &extensions).is_some(), size >= 24);
        }
    }
}
