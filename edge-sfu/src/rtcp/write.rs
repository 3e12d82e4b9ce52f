//! RTCP, written into the datagram.

use super::{format, packet_type};
use crate::peer::limits::NACK_SEQS_MAX;
use crate::sdp::answer::CNAME;
use relay_proto::NtpTime;
use sfu_core::receive::ReportBlock;

/// Report blocks in one receiver report: 5 bits count them.
const BLOCKS_MAX: usize = 31;

/// Appends packets to one datagram. What does not fit is left out: every caller stays far below
/// [`crate::peer::limits::RTCP_BYTES_MAX`].
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the beginning of `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Bytes written; `None` when nothing was.
    #[must_use]
    pub fn finish(self) -> Option<usize> {
        (self.len > 0).then_some(self.len)
    }

    /// One packet of `words` 32-bit words after the header.
    fn packet(&mut self, count: u8, kind: u8, words: &[u32]) {
        let Some(room) = self.buffer.get_mut(self.len..self.len + 4 + 4 * words.len()) else {
            return;
        };
        let header =
            u32::from(0x80 | count) << 24 | u32::from(kind) << 16 | words.len() as u32 & 0xffff;
        let all = std::iter::once(&header).chain(words);
        for (place, word) in room.chunks_exact_mut(4).zip(all) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        self.len += room.len();
    }

    /// A sender report without blocks, and the name that goes with it.
    pub fn sender_report(&mut self, ssrc: u32, ntp: NtpTime, rtp: u32, packets: u32, octets: u32) {
        let words = [ssrc, (ntp.0 >> 32) as u32, ntp.0 as u32, rtp, packets, octets];
        self.packet(0, packet_type::SENDER_REPORT, &words);
        self.cname(ssrc);
    }

    /// A receiver report.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[(u32, ReportBlock)]) {
        let mut words = arrayvec::ArrayVec::<u32, { 1 + 6 * BLOCKS_MAX }>::new();
        words.push(ssrc);
        for (media, b) in blocks.iter().take(BLOCKS_MAX) {
            let lost = b.total_lost.clamp(-(1 << 23), (1 << 23) - 1) as u32 & 0xff_ffff;
            words.extend([
                *media,
                u32::from(b.fraction_lost) << 24 | lost,
                b.highest_seq,
                b.jitter,
                b.last_sr,
                b.delay_since_last_sr,
            ]);
        }
        self.packet(blocks.len().min(BLOCKS_MAX) as u8, packet_type::RECEIVER_REPORT, &words);
    }

    /// The canonical name (RFC 3550 section 6.5.1).
    pub fn cname(&mut self, ssrc: u32) {
        let name = CNAME.as_bytes();
        // Chunk: SSRC, item 1, length, name, at least one zero, to a word boundary.
        let mut words = [ssrc, 0, 0];
        let mut item = [0u8; 8];
        item[0] = 1;
        item[1] = name.len() as u8;
        item[2..2 + name.len()].copy_from_slice(name);
        words[1] = u32::from_be_bytes([item[0], item[1], item[2], item[3]]);
        words[2] = u32::from_be_bytes([item[4], item[5], item[6], item[7]]);
        self.packet(1, packet_type::SOURCE_DESCRIPTION, &words);
    }

    /// Asks for a key frame.
    pub fn pli(&mut self, sender: u32, media: u32) {
        self.packet(format::PLI, packet_type::PAYLOAD_FEEDBACK, &[sender, media]);
    }

    /// Asks for packets: `missing` in rising order.
    pub fn nack(&mut self, sender: u32, media: u32, missing: &[u16]) {
        let mut words = arrayvec::ArrayVec::<u32, { 2 + NACK_SEQS_MAX }>::new();
        words.extend([sender, media]);
        let mut pair: Option<(u16, u16)> = None;
        for seq in missing {
            let offset = pair.map_or(u16::MAX, |(id, _)| seq.wrapping_sub(id).wrapping_sub(1));
            match &mut pair {
                Some((_, mask)) if offset < 16 => *mask |= 1 << offset,
                _ => {
                    if let Some((id, mask)) = pair.replace((*seq, 0)) {
                        let _ = words.try_push(u32::from(id) << 16 | u32::from(mask));
                    }
                }
            }
        }
        if let Some((id, mask)) = pair {
            let _ = words.try_push(u32::from(id) << 16 | u32::from(mask));
        }
        if words.len() > 2 {
            self.packet(format::NACK, packet_type::TRANSPORT_FEEDBACK, &words);
        }
    }

    /// Whatever packet `write` puts into the room that is left; it answers its length.
    pub fn append(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        let room = self.buffer.get_mut(self.len..).unwrap_or_default();
        let size = room.len();
        let used = write(room).filter(|n| *n <= size);
        self.len += used.unwrap_or(0);
        used.is_some()
    }
}

// The name fits the three words written for it, with its terminating zero.
const _: () = assert!(CNAME.len() <= 5);

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_rtcp::packet::Packet;
    use rtc_rtcp::receiver_report::ReceiverReport;
    use rtc_rtcp::sender_report::SenderReport;
    use rtc_rtcp::source_description::SourceDescription;
    use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<Box<dyn Packet>> {
        let mut buffer = [0; 1_200];
        let mut writer = Writer::new(&mut buffer);
        write(&mut writer);
        let len = writer.finish().unwrap();
        rtc_rtcp::packet::unmarshal(&mut bytes::Bytes::copy_from_slice(&buffer[..len])).unwrap()
    }

    #[test]
    fn a_sender_report_is_read_by_another_stack() {
        let packets = written(|w| w.sender_report(7, NtpTime(1 << 32 | 5), 90, 3, 400));
        let sr = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
        assert_eq!((sr.ssrc, sr.ntp_time, sr.rtp_time), (7, 1 << 32 | 5, 90));
        assert_eq!((sr.packet_count, sr.octet_count), (3, 400));
        let name = packets[1].as_any().downcast_ref::<SourceDescription>().unwrap();
        assert_eq!(name.chunks[0].source, 7);
        assert_eq!(&name.chunks[0].items[0].text[..], CNAME.as_bytes());
    }

    #[test]
    fn a_receiver_report_is_read_by_another_stack() {
        let block = ReportBlock {
            fraction_lost: 8,
            total_lost: 70,
            highest_seq: 0x1_0002,
            jitter: 4,
            last_sr: 5,
            delay_since_last_sr: 6,
        };
        let packets = written(|w| w.receiver_report(7, &[(9, block)]));
        let rr = packets[0].as_any().downcast_ref::<ReceiverReport>().unwrap();
        let read = &rr.reports[0];
        assert_eq!((read.ssrc, read.fraction_lost, read.total_lost), (9, 8, 70));
        assert_eq!((read.last_sequence_number, read.jitter, read.delay), (0x1_0002, 4, 6));
    }

    #[test]
    fn missing_packets_are_packed_across_the_wrap() {
        let missing = [65_534, 65_535, 0, 14, 15, 300];
        let packets = written(|w| w.nack(1, 2, &missing));
        let nack = packets[0].as_any().downcast_ref::<TransportLayerNack>().unwrap();
        let all: Vec<u16> = nack.nacks.iter().flat_map(|n| n.packet_list()).collect();
        assert_eq!(all, missing);
        assert_eq!(nack.nacks.len(), 3, "65,534 + 16, then 15 stands alone, then 300");
    }
}
