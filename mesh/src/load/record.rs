//! What one viewer received while it was measured.

use super::stamp::Stamp;
use std::collections::BTreeMap;

/// An Opus packet's length in time.
const PACKET_US: u64 = 20_000;

/// One voice as one viewer heard it.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Packets of speech.
    pub(super) packets: u64,
    /// Talk spurts of which something was heard.
    pub(super) spurts: u64,
    /// Packets of speech missing at the beginnings of spurts.
    pub(super) clipped: u64,
    /// Packets of speech missing within spurts.
    pub(super) missing: u64,
    /// The longest time between two packets of a spurt, without what the publisher paused.
    pub(super) longest_gap_us: u64,
    /// Such times of more than 60 ms: what a jitter buffer cannot hide.
    pub(super) gaps: u64,
    last: Option<(Stamp, u64)>,
}

/// Longer pauses are counted.
const GAP_US: u64 = 60_000;

impl Heard {
    /// Takes a packet; the gap before it, within a spurt. `from_us`: since when the viewer could hear everything.
    fn take(&mut self, arrived_us: u64, stamp: &Stamp, from_us: u64) -> Option<u64> {
        if !stamp.speech {
            return None;
        }
        self.packets += 1;
        let last = self.last.replace((*stamp, arrived_us));
        let goes_on = last.filter(|(l, _)| {
            stamp.in_spurt > l.in_spurt
                && stamp.counter.wrapping_sub(l.counter) == u32::from(stamp.in_spurt - l.in_spurt)
        });
        let Some((before, before_us)) = goes_on else {
            if last.is_some_and(|(l, _)| stamp.counter.wrapping_sub(l.counter) as i32 <= 0) {
                // An older packet that came late.
                self.missing = self.missing.saturating_sub(1);
                self.last = last;
                return None;
            }
            let began_us = stamp.sent_us.saturating_sub(u64::from(stamp.in_spurt) * PACKET_US);
            if last.is_some() || began_us >= from_us {
                self.spurts += 1;
                if began_us >= from_us {
                    self.clipped += u64::from(stamp.in_spurt);
                }
            }
            return None;
        };
        let missing = u64::from(stamp.in_spurt - before.in_spurt - 1);
        self.missing += missing;
        let paused = (stamp.sent_us.saturating_sub(before.sent_us))
            .saturating_sub(PACKET_US * (missing + 1));
        let gap = arrived_us.saturating_sub(before_us).saturating_sub(paused);
        self.longest_gap_us = self.longest_gap_us.max(gap);
        self.gaps += u64::from(gap > GAP_US);
        Some(gap)
    }
}

/// Packets of speech are counted in spans of this length, by when they were sent: voices come over ways of different lengths, and
/// a change of speaker from a near to a far one is a pause for this viewer although nothing is missing.
pub(super) const SPAN_US: u64 = 500_000;
/// Spans of a day.
const SPANS_MAX: usize = 172_800;

/// The whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// When measuring began; `None` before.
    pub(super) from_us: Option<u64>,
    /// Voices by the publisher's number.
    pub(super) voices: BTreeMap<u32, Heard>,
    /// Packets of speech by span.
    pub(super) spans: Vec<u16>,
    /// Packets of speech and of pictures.
    pub(super) packets: [u64; 2],
    pub(super) bytes: u64,
    /// Whole frames in the main slot, by encoding.
    pub(super) main_frames: [u64; 3],
    /// Whole frames in all slots.
    pub(super) frames: u64,
    /// Frames with a hole.
    pub(super) broken: u64,
    /// Pictures that did not begin with a key frame, or whose ids jumped.
    pub(super) bad_starts: u64,
    /// Packets whose label names somebody else than who made them.
    pub(super) mislabelled: u64,
    /// Packets of no slot, without a label, or with nothing in them that we know.
    pub(super) strangers: u64,
    /// Packets that cannot be opened.
    pub(super) unopened: u64,
}

impl Record {
    /// Measures from now on, anew.
    pub(super) fn begin(&mut self, now_us: u64) {
        *self = Self { from_us: Some(now_us), ..Self::default() };
    }

    fn span(&mut self, sent_us: u64) -> Option<&mut u16> {
        let at = (sent_us.checked_sub(self.from_us?)? / SPAN_US) as usize;
        if at >= self.spans.len() && at < SPANS_MAX {
            self.spans.resize(at + 1, 0);
        }
        self.spans.get_mut(at)
    }

    /// Packets of speech sent in whole spans up to `until_us`, and when the last of these ended.
    pub(super) fn spoken(&self, until_us: u64) -> (u64, u64) {
        let Some(from_us) = self.from_us else { return (0, until_us) };
        let spans = until_us.saturating_sub(from_us) / SPAN_US;
        let packets = self.spans.iter().take(spans as usize).map(|n| u64::from(*n)).sum();
        (packets, from_us + spans * SPAN_US)
    }

    /// A voice packet; the gap before it.
    pub(super) fn voice(&mut self, arrived_us: u64, stamp: &Stamp) -> Option<u64> {
        let from_us = self.from_us?;
        if stamp.speech {
            self.packets[0] += 1;
            if let Some(span) = self.span(stamp.sent_us) {
                *span += 1;
            }
        }
        self.voices.entry(stamp.source).or_default().take(arrived_us, stamp, from_us)
    }

    /// A packet of a picture.
    pub(super) fn picture(&mut self) {
        self.packets[1] += 1;
    }

    /// The end of a frame.
    pub(super) fn frame(&mut self, main: bool, encoding: u8, whole: bool) {
        if !whole {
            self.broken += 1;
            return;
        }
        self.frames += 1;
        if main {
            self.main_frames[usize::from(encoding.min(2))] += 1;
        }
    }

    /// Whole frames in the main slot.
    pub(super) fn main(&self) -> u64 {
        self.main_frames.iter().sum()
    }

    /// Packets of speech missing at beginnings and within spurts.
    pub(super) fn speech_missing(&self) -> (u64, u64) {
        let add = |(clipped, missing), h: &Heard| (clipped + h.clipped, missing + h.missing);
        self.voices.values().fold((0, 0), add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(counter: u32, in_spurt: u16, sent_ms: u64) -> Stamp {
        Stamp {
            source: 3,
            counter,
            speech: true,
            in_spurt,
            sent_us: sent_ms * 1_000,
            ..Stamp::default()
        }
    }

    #[test]
    fn pauses_losses_and_clipped_words_are_told_apart() {
        let mut record = Record::default();
        assert_eq!(record.voice(1, &stamp(1, 0, 0)), None, "not measured yet");
        record.begin(100_000);
        let mut take = |counter, in_spurt, sent, at: u64| {
            record.voice(at * 1_000, &stamp(counter, in_spurt, sent))
        };
        assert_eq!(take(10, 0, 100, 110), None);
        assert_eq!(take(11, 1, 120, 130), Some(20_000));
        assert_eq!(take(13, 3, 160, 170), Some(40_000), "one is missing");
        assert_eq!(take(12, 2, 140, 171), None, "it was only late");
        assert_eq!(take(14, 4, 180, 290), Some(120_000), "held up on the way");
        assert_eq!(take(15, 5, 280, 300), Some(0), "the publisher paused");
        assert_eq!(take(30, 2, 1_040, 1_050), None, "a new spurt, its first two packets cut off");
        assert_eq!(take(31, 3, 1_060, 1_070), Some(20_000));
        let heard = &record.voices[&3];
        assert_eq!((heard.packets, heard.spurts, heard.clipped, heard.missing), (8, 2, 2, 0));
        assert_eq!((heard.longest_gap_us, heard.gaps), (120_000, 1));
        assert_eq!((&record.spans[..], record.packets[0]), (&[6, 2][..], 8));
        assert_eq!(record.spoken(700_000), (6, 600_000), "the second span is not over");
    }

    #[test]
    fn who_comes_into_a_spurt_late_has_not_been_clipped() {
        let mut record = Record::default();
        record.begin(500_000);
        record.voice(510_000, &stamp(25, 20, 505));
        assert_eq!(record.speech_missing(), (0, 0));
    }

    #[test]
    fn frames_are_counted_whole() {
        let mut record = Record::default();
        (0..30).for_each(|frame| record.frame(frame % 2 == 0, 0, frame != 6));
        assert_eq!((record.main(), record.broken, record.frames), (14, 1, 29));
    }
}
