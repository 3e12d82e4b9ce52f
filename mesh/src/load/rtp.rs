//! RTP packets (RFC 3550 section 5.1) with one-byte header extensions (RFC 8285): as much as a participant reads and writes.
//! Written apart from the servers' reader, so that the two check each other.

/// Profile of one-byte header extensions.
const ONE_BYTE: u16 = 0xbede;

/// What stands in clear in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    /// The first contributing source, if there is exactly one.
    pub(super) csrc: Option<u32>,
    extensions: &'a [u8],
    /// Where the payload begins.
    pub(super) len: usize,
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn half(data: &[u8], at: usize) -> Option<u16> {
    let bytes = data.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

impl<'a> Header<'a> {
    /// Reads a header; `None` when it is cut short.
    pub(super) fn read(data: &'a [u8]) -> Option<Self> {
        let [first, second, ..] = *data else { return None };
        if first >> 6 != 2 {
            return None;
        }
        let csrcs = usize::from(first & 15);
        let csrc = if csrcs == 1 { Some(word(data, 12)?) } else { None };
        let mut len = 12 + 4 * csrcs;
        let mut extensions: &[u8] = &[];
        if first & 0x10 != 0 {
            let words = usize::from(half(data, len + 2)?);
            let found = data.get(len + 4..len + 4 + 4 * words)?;
            if half(data, len)? == ONE_BYTE {
                extensions = found;
            }
            len += 4 + 4 * words;
        }
        (len <= data.len()).then_some(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            seq: half(data, 2)?,
            timestamp: word(data, 4)?,
            ssrc: word(data, 8)?,
            csrc,
            extensions,
            len,
        })
    }

    /// The value of a header extension.
    pub(super) fn extension(&self, id: u8) -> Option<&'a [u8]> {
        let mut rest = self.extensions;
        while let [head, tail @ ..] = rest {
            if *head == 0 {
                rest = tail;
                continue;
            }
            let len = usize::from(head & 15) + 1;
            let value = tail.get(..len)?;
            if head >> 4 == id {
                return Some(value);
            }
            rest = tail.get(len..)?;
        }
        None
    }
}

/// What a publisher writes in front of a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) marker: bool,
    pub(super) payload_type: u8,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
}

/// Writes a packet. Extensions have 1 to 16 bytes each.
pub(super) fn write(fields: &Fields, extensions: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + payload.len());
    out.push(0x80 | if extensions.is_empty() { 0 } else { 0x10 });
    out.push(u8::from(fields.marker) << 7 | fields.payload_type);
    out.extend(fields.seq.to_be_bytes());
    out.extend(fields.timestamp.to_be_bytes());
    out.extend(fields.ssrc.to_be_bytes());
    if !extensions.is_empty() {
        let bytes: usize = extensions.iter().map(|(_, v)| 1 + v.len()).sum();
        out.extend(ONE_BYTE.to_be_bytes());
        out.extend((bytes.div_ceil(4) as u16).to_be_bytes());
        for (id, value) in extensions {
            out.push(id << 4 | (value.len() as u8).saturating_sub(1));
            out.extend_from_slice(value);
        }
        out.resize(out.len() + bytes.next_multiple_of(4) - bytes, 0);
    }
    out.extend_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfu_core::rtp::RtpView;

    #[test]
    fn the_edge_reads_what_a_publisher_writes_and_so_do_we() {
        let fields =
            Fields { marker: true, payload_type: 96, seq: 7, timestamp: 9, ssrc: 0x1020_3040 };
        let packet = write(&fields, &[(3, &[1, 2]), (10, b"q")], b"payload");
        let (ours, theirs) = (Header::read(&packet).unwrap(), RtpView::parse(&packet).unwrap());
        assert_eq!((ours.seq, ours.timestamp, ours.ssrc, ours.marker), (7, 9, 0x1020_3040, true));
        assert_eq!(
            (theirs.seq, theirs.timestamp, theirs.ssrc, theirs.marker),
            (7, 9, 0x1020_3040, true)
        );
        assert_eq!((ours.extension(3), ours.extension(10)), (Some(&[1, 2][..]), Some(&b"q"[..])));
        assert_eq!(theirs.extension(10), Some(&b"q"[..]));
        assert_eq!((&packet[ours.len..], theirs.payload), (&b"payload"[..], &b"payload"[..]));
        assert_eq!(ours.extension(4), None);
    }

    #[test]
    fn a_packet_that_is_cut_short_is_none() {
        let fields = Fields { marker: false, payload_type: 1, seq: 1, timestamp: 1, ssrc: 1 };
        let packet = write(&fields, &[(1, &[5])], &[]);
        for len in 0..packet.len() {
            assert_eq!(Header::read(&packet[..len]), None, "{len} bytes");
        }
        let with_source = [&[0x81_u8, 96, 0, 1][..], &[0; 8], &7_u32.to_be_bytes()].concat();
        assert_eq!(Header::read(&with_source).unwrap().csrc, Some(7));
    }
}
