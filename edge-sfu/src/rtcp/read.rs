//! A compound packet, read one packet at a time.

use super::{format, packet_type};
use relay_proto::NtpTime;
use sfu_core::DropReason;

/// Bytes of a report block (RFC 3550 section 6.4.1).
const BLOCK_BYTES: usize = 24;

/// One report block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The stream it is about.
    pub ssrc: u32,
    /// Lost since the last report, of 256.
    pub fraction_lost: u8,
    /// Jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report; 0: none came.
    pub last_sender_report: u32,
    /// Time since then, in 1/65536 s.
    pub delay: u32,
}

/// One RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtcp<'a> {
    /// A sender report; its blocks follow it.
    SenderReport {
        /// Of which stream.
        ssrc: u32,
        /// Sender's clock.
        ntp: NtpTime,
        /// RTP timestamp at that time.
        rtp: u32,
        /// Report blocks, unread.
        blocks: Blocks<'a>,
    },
    /// A receiver report.
    ReceiverReport {
        /// Report blocks, unread.
        blocks: Blocks<'a>,
    },
    /// RFC 4585 section 6.2.1.
    Nack {
        /// The stream that misses packets.
        media: u32,
        /// Pairs of packet id and bitmask.
        pairs: Pairs<'a>,
    },
    /// RFC 4585 section 6.3.1.
    Pli {
        /// The stream that needs a key frame.
        media: u32,
    },
    /// RFC 5104 section 4.3.1, one entry.
    Fir {
        /// The streams that need a key frame, and a sequence number each.
        entries: Entries<'a>,
    },
    /// draft-alvestrand-rmcat-remb.
    Remb {
        /// Bits a second.
        bps: u64,
    },
    /// Transport-wide feedback, from the base sequence number on.
    Twcc(&'a [u8]),
    /// Well formed, of no interest.
    Other,
}

macro_rules! chunks {
    ($(#[$doc:meta])* $name:ident, $bytes:expr, $item:ty, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a>(&'a [u8]);

        impl Iterator for $name<'_> {
            type Item = $item;

            fn next(&mut self) -> Option<$item> {
                let (head, rest) = self.0.split_at_checked($bytes)?;
                self.0 = rest;
                Some($read(head))
            }
        }
    };
}

chunks!(
    /// Report blocks.
    Blocks, BLOCK_BYTES, Block, read_block
);
chunks!(
    /// Generic NACK pairs.
    Pairs, 4, (u16, u16), |b| ((word(b, 0) >> 16) as u16, word(b, 0) as u16)
);
chunks!(
    /// SSRC and command sequence number of a FIR.
    Entries, 8, (u32, u8), |b| (word(b, 0), (word(b, 4) >> 24) as u8)
);

/// Reads 4 bytes at `at`; callers have checked the length, a cut one reads as 0.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok()).map_or(0, u32::from_be_bytes)
}

fn read_block(b: &[u8]) -> Block {
    Block {
        ssrc: word(b, 0),
        fraction_lost: (word(b, 4) >> 24) as u8,
        jitter: word(b, 12),
        last_sender_report: word(b, 16),
        delay: word(b, 20),
    }
}

/// The packets of one datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packets<'a>(&'a [u8]);

impl<'a> Packets<'a> {
    /// Of a decrypted datagram, compound or reduced-size (RFC 5506).
    #[must_use]
    pub fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Rtcp<'a>, DropReason>;

    /// Ends after the first malformed packet: what follows it cannot be found.
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let rest = std::mem::take(&mut self.0);
        let Some((body, count, kind, rest)) = split(rest) else {
            return Some(Err(DropReason::Malformed));
        };
        self.0 = rest;
        let read = read_packet(kind, count, body).ok_or(DropReason::Malformed);
        if read.is_err() {
            self.0 = &[];
        }
        Some(read)
    }
}

/// One packet's body without header and padding, its count and type, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], u8, u8, &[u8])> {
    let [first, kind, ..] = *bytes else {
        return None;
    };
    let words = usize::from((word(bytes.get(..4)?, 0) & 0xffff) as u16);
    let (packet, rest) = bytes.split_at_checked(4 + 4 * words)?;
    let mut body = packet.get(4..)?;
    if first >> 6 != 2 {
        return None;
    }
    if first & 0x20 != 0 {
        let padding = usize::from(*body.last()?);
        // RFC 3550 section 6.4.1 wants a multiple of four, but transport-wide feedback pads to a word with 1 to 3.
        if padding == 0 {
            return None;
        }
        body = body.get(..body.len().checked_sub(padding)?)?;
    }
    Some((body, first & 0x1f, kind, rest))
}

fn read_packet(kind: u8, count: u8, body: &[u8]) -> Option<Rtcp<'_>> {
    let blocks = |from: usize| {
        let bytes = body.get(from..from + BLOCK_BYTES * usize::from(count))?;
        Some(Blocks(bytes))
    };
    match (kind, count) {
        (packet_type::SENDER_REPORT, _) => {
            let blocks = blocks(24)?;
            let ntp = NtpTime(u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)));
            Some(Rtcp::SenderReport { ssrc: word(body, 0), ntp, rtp: word(body, 12), blocks })
        }
        (packet_type::RECEIVER_REPORT, _) => Some(Rtcp::ReceiverReport { blocks: blocks(4)? }),
        (packet_type::TRANSPORT_FEEDBACK | packet_type::PAYLOAD_FEEDBACK, _) => {
            let fci = body.get(8..)?;
            Some(read_feedback(kind, count, word(body, 4), fci))
        }
        _ => Some(Rtcp::Other),
    }
}

fn read_feedback(kind: u8, fmt: u8, media: u32, fci: &[u8]) -> Rtcp<'_> {
    match (kind, fmt) {
        (packet_type::TRANSPORT_FEEDBACK, format::NACK) => Rtcp::Nack { media, pairs: Pairs(fci) },
        // base sequence 2, status count 2, reference time 3, feedback count 1
        (packet_type::TRANSPORT_FEEDBACK, format::TWCC) if fci.len() >= 8 => Rtcp::Twcc(fci),
        (packet_type::PAYLOAD_FEEDBACK, format::PLI) => Rtcp::Pli { media },
        (packet_type::PAYLOAD_FEEDBACK, format::FIR) => Rtcp::Fir { entries: Entries(fci) },
        (packet_type::PAYLOAD_FEEDBACK, format::APPLICATION) if fci.starts_with(b"REMB") => {
            let rate = word(fci, 4);
            let (exponent, mantissa) = (rate >> 18 & 0x3f, u64::from(rate & 0x3_ffff));
            let bps = if fci.len() < 8 { 0 } else { mantissa.saturating_mul(1 << exponent) };
            if bps == 0 { Rtcp::Other } else { Rtcp::Remb { bps } }
        }
        _ => Rtcp::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_compound_of_report_and_feedback_is_read() {
        let mut bytes = vec![0x81, 201, 0, 7];
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 9, 64, 0, 0, 3]);
        bytes.extend([0, 0, 1, 2, 0, 0, 0, 5, 0x11, 0x22, 0x33, 0x44, 0, 1, 0, 0]);
        bytes.extend([0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 9, 0x10, 0, 0, 3]);
        bytes.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9]);
        let read: Vec<_> = Packets::new(&bytes).map(Result::unwrap).collect();
        let [
            Rtcp::ReceiverReport { mut blocks },
            Rtcp::Nack { media: 9, pairs },
            Rtcp::Pli { media: 9 },
        ] = read[..]
        else {
            panic!("{read:?}");
        };
        let block = blocks.next().unwrap();
        assert_eq!((block.ssrc, block.fraction_lost, block.jitter), (9, 64, 5));
        assert_eq!((block.last_sender_report, block.delay), (0x1122_3344, 65_536));
        assert_eq!(pairs.collect::<Vec<_>>(), [(0x1000, 3)]);
    }

    #[test]
    fn a_remb_of_the_webrtc_form_is_read() {
        use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
        let remb = ReceiverEstimatedMaximumBitrate {
            sender_ssrc: 1,
            bitrate: 2_500_000.0,
            ssrcs: vec![7],
        };
        let bytes = rtc_rtcp::packet::marshal(&[Box::new(remb)]).unwrap();
        let Some(Ok(Rtcp::Remb { bps })) = Packets::new(&bytes).next() else { panic!() };
        assert!((2_499_000..=2_500_000).contains(&bps));
    }

    #[test]
    fn a_report_that_claims_more_blocks_than_it_has_is_malformed() {
        let bytes = [0x82, 201, 0, 1, 0, 0, 0, 1];
        assert_eq!(Packets::new(&bytes).next(), Some(Err(DropReason::Malformed)));
        assert_eq!(Packets::new(&[0x80, 201, 0, 9]).next(), Some(Err(DropReason::Malformed)));
    }

    #[test]
    fn padding_is_removed_and_checked() {
        let pli = [0xa1, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 4];
        assert_eq!(Packets::new(&pli).next(), Some(Ok(Rtcp::Pli { media: 9 })));
        let mut bad = pli;
        for padding in [0, 13, 200] {
            bad[15] = padding;
            assert_eq!(Packets::new(&bad).next(), Some(Err(DropReason::Malformed)), "{padding}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_always_end(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            for packet in Packets::new(&bytes).flatten() {
                match packet {
                    Rtcp::SenderReport { blocks, .. } | Rtcp::ReceiverReport { blocks } => {
                        prop_assert!(blocks.count() <= 31);
                    }
                    Rtcp::Nack { pairs, .. } => prop_assert!(pairs.count() <= 50),
                    Rtcp::Fir { entries } => prop_assert!(entries.count() <= 25),
                    _ => {}
                }
            }
        }
    }
}
