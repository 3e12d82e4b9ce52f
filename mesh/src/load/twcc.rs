//! Transport-wide feedback of a viewer (draft-holmer-rmcat-transport-wide-cc-extensions-01): which packets came, and when.

use super::limits::FEEDBACK_PACKETS_MAX;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
    SymbolTypeTcc, TransportLayerCc,
};

/// Units of the reference time, microseconds.
const REFERENCE_US: i64 = 64_000;
/// Units of deltas, microseconds.
const DELTA_US: i64 = 250;
/// Symbols of two bits in a chunk.
const SYMBOLS: usize = 7;
/// Deltas that fit one byte.
const SMALL: std::ops::RangeInclusive<i64> = 0..=255;

/// What came since the last feedback.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Number, widened, and arrival.
    seen: Vec<(i64, u64)>,
    newest: Option<i64>,
    /// Where the next feedback begins.
    next: Option<i64>,
    count: u8,
}

impl Arrivals {
    /// A packet has come.
    pub(super) fn add(&mut self, seq: u16, arrived_us: u64) {
        let newest = self.newest.unwrap_or(i64::from(seq));
        let wide = newest + i64::from(seq.wrapping_sub(newest as u16) as i16);
        self.newest = Some(newest.max(wide));
        if self.seen.len() < FEEDBACK_PACKETS_MAX && self.next.is_none_or(|next| wide >= next) {
            self.seen.push((wide, arrived_us));
        }
    }

    /// What is to be fed back, if anything came.
    pub(super) fn take(&mut self, sender_ssrc: u32, media_ssrc: u32) -> Option<TransportLayerCc> {
        self.seen.sort_unstable();
        self.seen.dedup_by_key(|(seq, _)| *seq);
        let (first, first_us) = *self.seen.first()?;
        let (last, _) = *self.seen.last()?;
        let base = self.next.unwrap_or(first).max(last - FEEDBACK_PACKETS_MAX as i64);
        self.next = Some(last + 1);
        let reference = first_us as i64 / REFERENCE_US;
        let (mut symbols, mut recv_deltas) = (Vec::new(), Vec::new());
        let mut before_us = reference * REFERENCE_US;
        let mut seen =
            std::mem::take(&mut self.seen).into_iter().filter(|(s, _)| *s >= base).peekable();
        for seq in base..=last {
            let arrived = seen.next_if(|(s, _)| *s == seq);
            // Too far apart for 16 bits: as good as not received.
            let units = arrived.map(|(_, us)| (us as i64 - before_us) / DELTA_US);
            let units = units.filter(|u| i16::try_from(*u).is_ok());
            let symbol = match units {
                None => SymbolTypeTcc::PacketNotReceived,
                Some(u) if SMALL.contains(&u) => SymbolTypeTcc::PacketReceivedSmallDelta,
                Some(_) => SymbolTypeTcc::PacketReceivedLargeDelta,
            };
            if let Some(units) = units {
                before_us += units * DELTA_US;
                recv_deltas.push(RecvDelta { type_tcc_packet: symbol, delta: units * DELTA_US });
            }
            symbols.push(symbol);
        }
        let chunk = |symbols: &[SymbolTypeTcc]| {
            let mut symbol_list = symbols.to_vec();
            symbol_list.resize(SYMBOLS, SymbolTypeTcc::PacketNotReceived);
            PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::TwoBit,
                symbol_list,
            })
        };
        let feedback = TransportLayerCc {
            sender_ssrc,
            media_ssrc,
            base_sequence_number: base as u16,
            packet_status_count: symbols.len() as u16,
            reference_time: reference as u32 & 0x00ff_ffff,
            fb_pkt_count: self.count,
            packet_chunks: symbols.chunks(SYMBOLS).map(chunk).collect(),
            recv_deltas,
        };
        self.count = self.count.wrapping_add(1);
        Some(feedback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_sfu::rtcp::{Packets, Rtcp};
    use rtc::shared::marshal::Marshal;

    /// What the edge reads of what we write: base, and how many packets it is about.
    fn read(feedback: &TransportLayerCc) -> (u16, u16) {
        let bytes = feedback.marshal().unwrap();
        match Packets::new(&bytes).next() {
            Some(Ok(Rtcp::Twcc([a, b, c, d, ..]))) => {
                (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_edge_reads_a_feedback() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.take(1, 2), None);
        for (seq, us) in [(65_534, 640_000), (65_535, 640_500), (1, 900_000), (2, 900_250)] {
            arrivals.add(seq, us);
        }
        let first = arrivals.take(1, 2).unwrap();
        assert_eq!((first.base_sequence_number, first.packet_status_count), (65_534, 5));
        let deltas: Vec<i64> = first.recv_deltas.iter().map(|d| d.delta).collect();
        assert_eq!(deltas, [0, 500, 259_500, 250]);
        assert_eq!(read(&first), (65_534, 5));
        arrivals.add(0, 950_000);
        arrivals.add(4, 960_000);
        let second = arrivals.take(1, 2).unwrap();
        assert_eq!((second.base_sequence_number, second.packet_status_count), (3, 2));
        assert_eq!((second.fb_pkt_count, second.recv_deltas.len()), (1, 1));
        assert_eq!(read(&second), (3, 2));
    }
}
