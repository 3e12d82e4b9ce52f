//! The last packets of one encoding, kept once for everybody: fan-out, NACK answers and the made key-frame cache read
//! from here.
//!
//! Entries are in the order of arrival, so that a reader is one cursor and a late packet is read when it comes. The payloads lie
//! in one circular buffer that grows in steps while it reaches back less than it should; once grown, nothing is allocated.

mod bytes;
mod chain;
mod entries;
#[cfg(test)]
mod tests;
mod window;

use crate::drop_reason::DropReason;
use crate::packet::Packet;
use crate::unwrap::{SeqUnwrapper, TimestampUnwrapper};
use crate::vp8::Vp8Descriptor;
use bytes::CircularBytes;
use chain::BaseLayerWalk;
pub use chain::KeyChain;
use entries::{Entries, Entry};
use relay_proto::control::Codec;
use relay_proto::{Now, PacketFacts};
use std::cell::Cell;
use std::time::{Duration, Instant};
use window::{Seen, SeqWindow};

/// Running number of a packet's arrival in its ring: the position of every reader's cursor.
pub type Arrival = u64;

/// A key frame and the frames since are of use this long: a replay at twice the rate then takes a second.
pub const CACHE_AGE_MAX: Duration = Duration::from_secs(2);
/// A new key frame is asked for this long after the last: 500 ms before the cache ends, which is a round trip of the largest meeting and
/// the frame itself.
pub const CACHE_REFRESH_AGE: Duration = Duration::from_millis(1_500);
/// But never sooner than this after the last, however large the frames are: above 3 Mbit/s the cache has gaps, and the source is spared.
pub const CACHE_REFRESH_MIN: Duration = Duration::from_secs(1);
/// And when the frames since the key frame fill three quarters of the ring.
const CACHE_REFRESH_QUARTERS: u64 = 3;
/// A source that has sent nothing for this long (a muted camera) is not asked.
const SOURCE_IDLE: Duration = Duration::from_millis(500);
/// 2 s of 1.5 Mbit/s (720p) are 375 KB.
const VIDEO_BYTES_MAX: usize = 384 * 1024;
/// 2 s of 64 kbit/s with redundancy are 16 KB; twice that.
const AUDIO_BYTES_MAX: usize = 32 * 1024;
/// First steps; each next one is twice as large.
const VIDEO_BYTES_FIRST: usize = 16 * 1024;
const AUDIO_BYTES_FIRST: usize = 2 * 1024;
/// 384 KiB of packets of 384 bytes; the duplicate window is as wide.
const ENTRIES_MAX: usize = window::WINDOW as usize;
const ENTRIES_FIRST: usize = 32;
/// A voice's ring answers NACKs, which a jitter buffer of at most 1 s can still use.
const AUDIO_AGE: Duration = Duration::from_secs(1);
/// So many packets in sequence, all far behind, are a source that began anew (RFC 3550 A.1 takes 2).
const RESTART_RUN: u8 = 4;

/// Everything about a packet in a ring but its payload.
#[derive(Clone, Copy, Debug)]
pub struct EntryMeta {
    /// Sequence number, extended to 64 bits.
    pub seq: u64,
    /// RTP timestamp of the source.
    pub timestamp: u32,
    /// The same, extended to 64 bits: orders frames.
    pub time: u64,
    /// RTP marker bit of the source.
    pub marker: bool,
    /// What the ingress edge learned from the payload.
    pub facts: PacketFacts,
    /// Audio level in -dBov.
    pub level: Option<u8>,
    /// When it arrived here.
    pub arrived: Instant,
    /// The VP8 descriptor, of a VP8 packet that has one.
    pub vp8: Option<Vp8Descriptor>,
}

/// Ring of one encoding.
#[derive(Debug)]
pub struct EncodingRing {
    codec: Codec,
    bytes: CircularBytes,
    entries: Entries,
    seqs: SeqUnwrapper,
    times: TimestampUnwrapper,
    window: SeqWindow,
    chain: Option<KeyChain>,
    /// The head for which the chain was last walked, and whether its base layer was whole.
    walked: Cell<(Arrival, bool)>,
    /// Next sequence number of a source that may have begun anew, and how many came in a row.
    restart: (u16, u8),
}

impl EncodingRing {
    /// An empty ring; takes no memory before the first packet.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            bytes: CircularBytes::default(),
            entries: Entries::default(),
            seqs: SeqUnwrapper::new(),
            times: TimestampUnwrapper::new(),
            window: SeqWindow::default(),
            chain: None,
            walked: Cell::new((0, false)),
            restart: (0, 0),
        }
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// One past the newest arrival.
    #[must_use]
    pub fn head(&self) -> Arrival {
        self.entries.head()
    }

    /// The oldest arrival still here (equal to `head` when empty).
    #[must_use]
    pub fn tail(&self) -> Arrival {
        self.entries.tail()
    }

    /// The packet that arrived as number `arrival`.
    #[must_use]
    pub fn get(&self, arrival: Arrival) -> Option<(EntryMeta, &[u8])> {
        let entry = self.entries.get(arrival)?;
        Some((entry.meta, self.bytes.get(entry.position, usize::from(entry.len))))
    }

    /// The arrival number of the packet with extended sequence `seq`.
    #[must_use]
    pub fn find(&self, seq: u64) -> Option<Arrival> {
        self.entries.find(seq)
    }

    /// The packet that arrived last.
    #[must_use]
    pub fn newest(&self) -> Option<EntryMeta> {
        self.entries.get(self.head().checked_sub(1)?).map(|entry| entry.meta)
    }

    /// The highest extended sequence so far (0 before the first packet).
    #[must_use]
    pub fn highest_seq(&self) -> u64 {
        self.window.highest().unwrap_or(0)
    }

    /// Keeps a packet and answers its arrival number.
    ///
    /// # Errors
    /// [`DropReason::Replay`] for a packet seen before, [`DropReason::TooOld`] for one 1,024 or more behind the
    /// highest, [`DropReason::TooLarge`].
    pub fn insert(&mut self, now: Now, packet: &Packet<'_>) -> Result<Arrival, DropReason> {
        let len = u16::try_from(packet.payload.len()).map_err(|_| DropReason::TooLarge)?;
        if packet.payload.len() > self.bytes_max() {
            return Err(DropReason::TooLarge);
        }
        let seq = self.place(packet)?;
        if seq > self.highest_seq() + window::WINDOW {
            // Whatever this is, it does not go on with the frames since the key frame.
            self.chain = None;
        }
        self.make_room(now.mono, packet.payload.len());
        self.window.insert(seq);
        self.seqs.unwrap(packet.seq);
        let meta = EntryMeta {
            seq,
            timestamp: packet.timestamp,
            time: self.times.unwrap(packet.timestamp),
            marker: packet.marker,
            facts: packet.facts,
            level: packet.level,
            arrived: now.mono,
            vp8: self.descriptor(packet.payload),
        };
        let position = self.bytes.push(packet.payload);
        let arrival = self.entries.push(Entry { meta, position, len });
        self.note_chain(arrival, &meta);
        Ok(arrival)
    }

    fn descriptor(&self, payload: &[u8]) -> Option<Vp8Descriptor> {
        if self.codec == Codec::Vp8 { Vp8Descriptor::parse(payload) } else { None }
    }

    /// The extended sequence number, or why the packet is refused.
    fn place(&mut self, packet: &Packet<'_>) -> Result<u64, DropReason> {
        let extended = self.seqs.peek(packet.seq);
        match self.window.check(extended) {
            Seen::New => {
                self.restart.1 = 0;
                Ok(extended)
            }
            Seen::Before => Err(DropReason::Replay),
            Seen::TooOld => self.place_after_restart(packet).ok_or(DropReason::TooOld),
        }
    }

    /// A publisher that began anew counts from elsewhere; after a few packets in sequence it is believed, and its numbers
    /// are placed beyond all earlier ones.
    fn place_after_restart(&mut self, packet: &Packet<'_>) -> Option<u64> {
        let run = if packet.seq == self.restart.0 { self.restart.1 + 1 } else { 1 };
        self.restart = (packet.seq.wrapping_add(1), run);
        if run < RESTART_RUN {
            return None;
        }
        self.restart.1 = 0;
        self.seqs.restart_at(packet.seq);
        self.times.restart_at(packet.timestamp);
        self.chain = None;
        Some(self.seqs.peek(packet.seq))
    }

    fn make_room(&mut self, now: Instant, len: usize) {
        while self.entries.is_full() {
            if self.entries.capacity() < ENTRIES_MAX && self.reaches_back_too_little(now) {
                self.entries.grow((self.entries.capacity() * 2).max(ENTRIES_FIRST));
            } else {
                self.entries.pop();
            }
        }
        while !self.bytes.fits(self.tail_position(), len) {
            let must = self.entries.is_empty();
            let may = self.bytes.capacity() < self.bytes_max();
            if may && (must || self.reaches_back_too_little(now)) {
                self.grow_bytes();
            } else if must {
                return;
            } else {
                self.entries.pop();
            }
        }
    }

    /// Whether the oldest packet is still too young to be thrown away without need.
    fn reaches_back_too_little(&self, now: Instant) -> bool {
        let age = if self.codec == Codec::Opus { AUDIO_AGE } else { CACHE_AGE_MAX };
        self.entries.get(self.tail()).is_none_or(|oldest| now < oldest.meta.arrived + age)
    }

    fn bytes_max(&self) -> usize {
        if self.codec == Codec::Opus { AUDIO_BYTES_MAX } else { VIDEO_BYTES_MAX }
    }

    /// Where the bytes begin that are still needed.
    fn tail_position(&self) -> u64 {
        self.entries.get(self.tail()).map_or(self.bytes.head(), |oldest| oldest.position)
    }

    fn grow_bytes(&mut self) {
        let first = if self.codec == Codec::Opus { AUDIO_BYTES_FIRST } else { VIDEO_BYTES_FIRST };
        let capacity = (self.bytes.capacity() * 2).clamp(first, self.bytes_max());
        let mut larger = CircularBytes::with_capacity(capacity);
        for arrival in self.tail()..self.head() {
            if let Some(entry) = self.entries.get_mut(arrival) {
                entry.position =
                    larger.push(self.bytes.get(entry.position, usize::from(entry.len)));
            }
        }
        self.bytes = larger;
    }

    fn note_chain(&mut self, arrival: Arrival, meta: &EntryMeta) {
        let newer = self.chain.is_none_or(|chain| meta.seq > chain.seq);
        if meta.facts.key && meta.facts.frame_start && newer {
            self.chain = Some(KeyChain::begin(self, arrival, meta));
        } else if let Some(chain) = &mut self.chain
            && newer
        {
            chain.received += 1;
        }
    }

    /// The newest key frame, while all of what came since is still here and not older than [`CACHE_AGE_MAX`]. Packets of it may
    /// still be missing or on their way.
    #[must_use]
    pub fn key_chain(&self, now: Instant) -> Option<KeyChain> {
        let young = |chain: &KeyChain| now.saturating_duration_since(chain.at) <= CACHE_AGE_MAX;
        self.chain.filter(|chain| chain.start >= self.tail()).filter(young)
    }

    /// First arrival of the newest key frame from which the base layer can be decoded up to now without a hole.
    #[must_use]
    pub fn keyframe_start(&self, now: Instant) -> Option<Arrival> {
        self.key_chain(now).filter(|chain| self.is_whole(chain)).map(|chain| chain.start)
    }

    fn is_whole(&self, chain: &KeyChain) -> bool {
        if chain.received > self.highest_seq() - chain.seq {
            return true;
        }
        // Many readers ask between two arrivals: walk once.
        let (head, whole) = self.walked.get();
        if head == self.head() {
            return whole;
        }
        let mut walk = BaseLayerWalk::default();
        let whole = (chain.seq..=self.highest_seq()).all(|seq| {
            let entry = self.find(seq).and_then(|arrival| self.entries.get(arrival));
            walk.step(entry.map(|entry| entry.meta))
        });
        self.walked.set((self.head(), whole));
        whole
    }

    /// Whether the key-frame cache is missing or will soon be of no use: time to ask for a new key frame, if somebody
    /// watches.
    #[must_use]
    pub fn about_to_overflow(&self, now: Instant) -> bool {
        if self.newest().is_none_or(|newest| now > newest.arrived + SOURCE_IDLE) {
            return false;
        }
        let fresh = |chain: KeyChain| now < chain.at + CACHE_REFRESH_MIN;
        if self.codec == Codec::Opus || self.chain.is_some_and(fresh) {
            return false;
        }
        let Some(chain) = self.key_chain(now) else {
            return true;
        };
        let start = self.entries.get(chain.start).map_or(0, |entry| entry.position);
        let bytes = self.bytes.head() - start;
        let packets = self.head() - chain.start;
        now >= chain.at + CACHE_REFRESH_AGE
            || bytes * 4 >= self.bytes_max() as u64 * CACHE_REFRESH_QUARTERS
            || packets * 4 >= ENTRIES_MAX as u64 * CACHE_REFRESH_QUARTERS
    }

    /// Payload rate over what the ring holds, bit/s; 0 when that is less than two packets.
    #[must_use]
    pub fn rate_bps(&self) -> u64 {
        let (Some(oldest), Some(newest)) = (self.entries.get(self.tail()), self.newest()) else {
            return 0;
        };
        let span = newest.arrived.saturating_duration_since(oldest.meta.arrived);
        let bits = (self.bytes.head() - oldest.position) * 8;
        (bits * 1_000_000).checked_div(span.as_micros() as u64).unwrap_or(0)
    }
}
