//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): what arrived, and
//! when.
//!
//! ```text
//! |V=2|P| FMT=15  |    PT=205     |           length            |
//! |                     SSRC of packet sender                   |
//! |                      SSRC of media source                   |
//! |      base sequence number     |     packet status count     |
//! |             reference time (64 ms)            | feedback no |
//! |          packet chunks, 16 bits each          | deltas ...  |
//! ```

#[cfg(test)]
mod tests;

use crate::unwrap::SeqUnwrapper;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longest feedback packet written: the largest number of statuses with two-byte deltas.
pub const FEEDBACK_BYTES_MAX: usize =
    (HEADER_BYTES + feedback_body(STATUSES_MAX)).next_multiple_of(4);
/// Room for the longest gap and the packet after it: a shorter buffer could never tell of that packet.
pub const FEEDBACK_BYTES_MIN: usize =
    (HEADER_BYTES + feedback_body(JUMP_MAX as usize + 1)).next_multiple_of(4);
/// Feedback goes out so long after the first packet it tells of: as often as an estimator can use it.
const INTERVAL: Duration = Duration::from_millis(50);
/// Statuses in one packet: 100 ms of 4,000 packets/s; 20 + 116 + 800 bytes.
const STATUSES_MAX: usize = 400;
/// Arrivals kept: what is told of in one interval, and what may still come late.
const ARRIVALS_MAX: usize = 1_024;
/// A jump further than this is not loss but another numbering; what is told begins anew. It must leave room in one packet for the
/// packet after it.
const JUMP_MAX: u64 = 256;
/// So many told ones are kept, to be told again together with one that came late among them.
const TOLD_MAX: u64 = 64;
const _: () = assert!((JUMP_MAX as usize) < STATUSES_MAX);
/// Common header, two SSRCs, base and count, reference time and number.
const HEADER_BYTES: usize = 20;
/// Unit of the deltas.
const TICK_US: u64 = 250;
/// Unit of the reference time: 64 ms in ticks.
const REFERENCE_TICKS: u64 = 256;
const RUN_MAX: usize = (1 << 13) - 1;
/// Symbols in a two-bit vector chunk.
const VECTOR: usize = 7;

/// Bytes of the chunks and deltas of `count` packets, at the most.
const fn feedback_body(count: usize) -> usize {
    2 * count.div_ceil(VECTOR) + 2 * count
}

/// Whether and how a packet arrived, as two bits tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Symbol {
    Missing = 0,
    Small = 1,
    Large = 2,
}

/// Arrivals of one peer by transport-wide sequence number.
#[derive(Clone, Debug)]
pub struct TwccRecorder {
    epoch: Instant,
    seqs: SeqUnwrapper,
    /// Ticks since the epoch, of the packets `first ..`.
    arrivals: VecDeque<Option<u64>>,
    first: u64,
    /// The first packet that was not told of.
    next: u64,
    pending_since: Option<Instant>,
    number: u8,
}

impl TwccRecorder {
    /// Nothing arrived; `epoch` is where the reference times of the feedback count from.
    #[must_use]
    pub fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            seqs: SeqUnwrapper::new(),
            arrivals: VecDeque::new(),
            first: 0,
            next: 0,
            pending_since: None,
            number: 0,
        }
    }

    /// A packet with this transport-wide sequence arrived.
    pub fn on_packet(&mut self, now: Instant, seq: u16) {
        let extended = self.seqs.unwrap(seq);
        let end = self.first + self.arrivals.len() as u64;
        if self.arrivals.is_empty() || extended >= end + JUMP_MAX {
            self.arrivals.clear();
            self.first = extended;
            self.next = extended;
        }
        if extended < self.first {
            return;
        }
        while self.first + (self.arrivals.len() as u64) <= extended {
            self.arrivals.push_back(None);
        }
        while self.arrivals.len() > ARRIVALS_MAX {
            self.arrivals.pop_front();
            self.first += 1;
        }
        let ticks = now.saturating_duration_since(self.epoch).as_micros() as u64 / TICK_US;
        if let Some(place @ None) = self.arrivals.get_mut((extended - self.first) as usize) {
            *place = Some(ticks);
            self.next = self.next.min(extended).max(self.first);
            self.pending_since.get_or_insert(now);
        }
    }

    /// When the next feedback is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.pending_since.map(|since| since + INTERVAL)
    }

    /// Writes one feedback packet; `None` when there is nothing to tell, or `buf` is shorter than
    /// [`FEEDBACK_BYTES_MIN`]. Call until it answers
    /// `None`.
    pub fn write(
        &mut self,
        _now: Instant,
        sender: u32,
        media: u32,
        buf: &mut [u8],
    ) -> Option<usize> {
        self.pending_since?;
        let begin = (self.next - self.first) as usize;
        let base_ticks = self.arrivals.range(begin..).find_map(|arrival| *arrival)?;
        let reference = base_ticks / REFERENCE_TICKS;
        let count = self.fitting(begin, reference * REFERENCE_TICKS, buf.len());
        if count == 0 {
            return None;
        }
        let statuses = || symbols(&self.arrivals, begin, count, reference * REFERENCE_TICKS);
        buf[4..8].copy_from_slice(&sender.to_be_bytes());
        buf[8..12].copy_from_slice(&media.to_be_bytes());
        buf[12..14].copy_from_slice(&(self.next as u16).to_be_bytes());
        buf[14..16].copy_from_slice(&(count as u16).to_be_bytes());
        buf[16..20]
            .copy_from_slice(&((reference as u32) << 8 | u32::from(self.number)).to_be_bytes());
        let mut at = write_chunks(buf, statuses().map(|(symbol, _)| symbol));
        for (symbol, delta) in statuses() {
            match symbol {
                Symbol::Missing => {}
                Symbol::Small => {
                    buf[at] = delta as u8;
                    at += 1;
                }
                Symbol::Large => {
                    buf[at..at + 2].copy_from_slice(&(delta as i16).to_be_bytes());
                    at += 2;
                }
            }
        }
        let len = close(buf, at);
        self.told(count);
        Some(len)
    }

    /// How many statuses from `begin` fit the limits and `room`, ending with a packet that arrived.
    fn fitting(&self, begin: usize, reference_ticks: u64, room: usize) -> usize {
        let fits = |count: usize| HEADER_BYTES + feedback_body(count).next_multiple_of(4) <= room;
        let mut count = 0;
        let all = symbols(&self.arrivals, begin, STATUSES_MAX, reference_ticks);
        for (i, (symbol, delta)) in all.enumerate() {
            if !fits(i + 1) || i16::try_from(delta).is_err() {
                break;
            }
            if symbol != Symbol::Missing {
                count = i + 1;
            }
        }
        count
    }

    fn told(&mut self, count: usize) {
        self.number = self.number.wrapping_add(1);
        self.next += count as u64;
        let end = self.first + self.arrivals.len() as u64;
        if self.next >= end {
            self.pending_since = None;
        }
        while self.first + TOLD_MAX < self.next {
            self.arrivals.pop_front();
            self.first += 1;
        }
    }
}

/// The statuses of at most `count` packets, each with its delta in ticks to the one before that arrived.
fn symbols(
    arrivals: &VecDeque<Option<u64>>,
    begin: usize,
    count: usize,
    reference_ticks: u64,
) -> impl Iterator<Item = (Symbol, i64)> {
    let mut before = reference_ticks;
    arrivals.range(begin..).take(count).map(move |arrival| {
        let Some(ticks) = *arrival else {
            return (Symbol::Missing, 0);
        };
        let delta = ticks as i64 - before as i64;
        before = ticks;
        (if (0..256).contains(&delta) { Symbol::Small } else { Symbol::Large }, delta)
    })
}

/// Writes the chunks after the header; answers where they end.
fn write_chunks(buf: &mut [u8], symbols: impl Iterator<Item = Symbol>) -> usize {
    let mut chunk = Chunk::default();
    let mut at = HEADER_BYTES;
    let mut put = |bits: u16| {
        buf[at..at + 2].copy_from_slice(&bits.to_be_bytes());
        at += 2;
    };
    for symbol in symbols {
        while !chunk.takes(symbol) {
            put(chunk.flush());
        }
        chunk.push(symbol);
    }
    while chunk.len > 0 {
        put(chunk.flush());
    }
    at
}

/// Symbols that are not written yet: a run of equal ones of any length, or at most seven different ones.
#[derive(Default)]
struct Chunk {
    /// The first seven.
    symbols: [u8; VECTOR],
    len: usize,
    mixed: bool,
}

impl Chunk {
    fn takes(&self, symbol: Symbol) -> bool {
        self.len < VECTOR || (!self.mixed && self.symbols[0] == symbol as u8 && self.len < RUN_MAX)
    }

    fn push(&mut self, symbol: Symbol) {
        if let Some(place) = self.symbols.get_mut(self.len) {
            *place = symbol as u8;
        }
        self.len += 1;
        self.mixed |= symbol as u8 != self.symbols[0];
    }

    fn flush(&mut self) -> u16 {
        let bits = if self.mixed {
            let vector = self.symbols.iter().take(self.len).enumerate();
            vector.fold(0b11 << 14, |bits, (i, s)| bits | u16::from(*s) << (12 - 2 * i))
        } else {
            u16::from(self.symbols[0]) << 13 | self.len as u16
        };
        *self = Self::default();
        bits
    }
}

/// Pads to whole words and writes the common header; answers the length.
fn close(buf: &mut [u8], at: usize) -> usize {
    let len = at.next_multiple_of(4);
    let padding = len - at;
    buf[at..len].fill(0);
    if padding > 0 {
        buf[len - 1] = padding as u8;
    }
    buf[0] = 0x80 | u8::from(padding > 0) << 5 | 15;
    buf[1] = 205;
    buf[2..4].copy_from_slice(&((len / 4 - 1) as u16).to_be_bytes());
    len
}
