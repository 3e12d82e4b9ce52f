//! What a participant received, slot by slot and sender by sender.

use crate::stamp::Stamp;
use std::collections::BTreeMap;

/// Longer pauses are kept one by one.
pub const GAP_NOTED_US: u64 = 30_000;
/// Delays kept a stream: 20 minutes of one voice.
const DELAYS_MAX: usize = 60_000;
/// Pauses kept a stream.
const GAPS_MAX: usize = 1_000;

/// A pause in what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When it ended.
    pub at_us: u64,
    /// How long it was.
    pub us: u64,
    /// How long the sender had paused between the same two packets.
    pub sent_us: u64,
    /// Packets between them that never came.
    pub missing: u32,
}

/// Between two packets of a voice.
const PACKET_US: u64 = 20_000;

impl Gap {
    /// How much of it was made on the way: what the sender paused beyond a packet's time is not, what was lost is.
    #[must_use]
    pub fn on_the_way_us(&self) -> u64 {
        let theirs = self.sent_us.saturating_sub(PACKET_US * u64::from(self.missing + 1));
        self.us.saturating_sub(theirs)
    }
}

/// One sender in one slot.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Packets.
    pub packets: u64,
    /// Packets without a stamp, or with that of another encoding than the last.
    pub unstamped: u64,
    /// First arrival.
    pub first_us: u64,
    /// Last arrival.
    pub last_us: u64,
    /// Pauses of more than [`GAP_NOTED_US`].
    pub gaps: Vec<Gap>,
    /// Packets that never came, by the counter of the encoding shown.
    pub lost: u64,
    /// Packets older than the newest.
    pub late: u64,
    /// One-way delays.
    pub delays_us: Vec<u32>,
    /// Packets by encoding.
    pub encodings: [u64; 3],
    /// Arrival of the last packet by encoding.
    pub last_of_us: [u64; 3],
    /// Packets of key frames.
    pub keys: u64,
    /// The publisher as the stamp names it.
    pub source: Option<u32>,
    last: Option<(u8, u32, u64)>,
}

impl Stream {
    fn take(&mut self, at_us: u64, payload: &[u8]) {
        if self.packets == 0 {
            self.first_us = at_us;
        }
        self.packets += 1;
        let before = std::mem::replace(&mut self.last_us, at_us);
        let Some(stamp) = Stamp::read(payload) else {
            self.unstamped += 1;
            return;
        };
        self.source = Some(stamp.source);
        let encoding = usize::from(stamp.encoding.min(2));
        self.encodings[encoding] += 1;
        self.last_of_us[encoding] = at_us;
        self.keys += u64::from(stamp.key);
        if self.delays_us.len() < DELAYS_MAX {
            self.delays_us.push(at_us.saturating_sub(stamp.sent_us) as u32);
        }
        if let Some((encoding, counter, sent_us)) = self.last {
            let gap = at_us.saturating_sub(before);
            if gap > GAP_NOTED_US && self.gaps.len() < GAPS_MAX {
                let sent_us = stamp.sent_us.saturating_sub(sent_us);
                let missing = stamp.counter.wrapping_sub(counter).saturating_sub(1);
                let missing = if missing < 1_000 { missing } else { 0 };
                self.gaps.push(Gap { at_us, us: gap, sent_us, missing });
            }
            if encoding == stamp.encoding {
                let step = stamp.counter.wrapping_sub(counter) as i32;
                match step {
                    1.. => self.lost += (step - 1) as u64,
                    _ => {
                        self.late += 1;
                        self.lost = self.lost.saturating_sub(1);
                        return;
                    }
                }
            }
        }
        self.last = Some((stamp.encoding, stamp.counter, stamp.sent_us));
    }

    /// The longest pause of a voice after `from_us`, without what the sender paused.
    #[must_use]
    pub fn longest_gap_us(&self, from_us: u64) -> u64 {
        let gaps = self.gaps.iter().filter(|g| g.at_us >= from_us);
        gaps.map(Gap::on_the_way_us).max().unwrap_or(0)
    }

    /// A quantile of the one-way delay, milliseconds.
    #[must_use]
    pub fn delay_ms(&self, quantile: f64) -> f64 {
        quantile_ms(self.delays_us.clone(), quantile)
    }
}

/// A quantile of microseconds, in milliseconds; nothing gives NaN.
#[must_use]
pub fn quantile_ms(mut values: Vec<u32>, quantile: f64) -> f64 {
    values.sort_unstable();
    let at = ((values.len() as f64 * quantile) as usize).min(values.len().saturating_sub(1));
    values.get(at).map_or(f64::NAN, |us| f64::from(*us) / 1_000.0)
}

/// One receive slot.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// The m-line's mid.
    pub mid: String,
    /// A voice, not a picture.
    pub audio: bool,
    /// By CSRC: the participant's id.
    pub streams: BTreeMap<u32, Stream>,
}

/// All slots, by SSRC.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The slots.
    pub slots: BTreeMap<u32, Slot>,
    /// RTP packets of no slot, or without exactly one CSRC.
    pub strangers: u64,
}

impl Record {
    /// Takes a packet.
    pub fn take(&mut self, at_us: u64, ssrc: u32, csrc: &[u32], payload: &[u8]) {
        match (self.slots.get_mut(&ssrc), csrc) {
            (Some(slot), [from]) => slot.streams.entry(*from).or_default().take(at_us, payload),
            _ => self.strangers += 1,
        }
    }

    /// Forgets what was received.
    pub fn clear(&mut self) {
        self.strangers = 0;
        self.slots.values_mut().for_each(|s| s.streams.clear());
    }

    /// Everything heard of a participant, over all audio slots.
    pub fn voice(&self, participant: u32) -> impl Iterator<Item = &Stream> {
        self.of(true, participant)
    }

    /// Everything seen of a participant, over all video slots.
    pub fn pictures(&self, participant: u32) -> impl Iterator<Item = &Stream> {
        self.of(false, participant)
    }

    fn of(&self, audio: bool, participant: u32) -> impl Iterator<Item = &Stream> {
        let slots = self.slots.values().filter(move |s| s.audio == audio);
        slots.filter_map(move |s| s.streams.get(&participant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_losses_and_delays_are_told_apart() {
        let mut stream = Stream::default();
        for (counter, sent, at) in
            [(1, 0, 10), (2, 20, 30), (4, 60, 70), (5, 80, 190), (3, 40, 191), (6, 100, 200)]
        {
            let stamp =
                Stamp { source: 1, counter, encoding: 0, key: false, sent_us: sent * 1_000 };
            stream.take(at * 1_000, &stamp.bytes());
        }
        assert_eq!((stream.packets, stream.lost, stream.late), (6, 0, 1));
        let gaps: Vec<_> = stream.gaps.iter().map(|g| (g.us, g.sent_us, g.missing)).collect();
        assert_eq!(gaps, [(40_000, 40_000, 1), (120_000, 20_000, 0)]);
        let paused = Gap { at_us: 0, us: 90_000, sent_us: 70_000, missing: 0 };
        assert_eq!(paused.on_the_way_us(), 40_000);
        assert!((stream.delay_ms(0.0) - 10.0).abs() < 0.01);
        assert_eq!(stream.longest_gap_us(100_000), 120_000);
    }
}
