//! Reception statistics of one source (RFC 3550 appendices A.1, A.3 and A.8): the fields of a report block.

use crate::unwrap::SeqUnwrapper;
use relay_proto::{Now, NtpTime};
use std::time::Instant;

/// A jump further than this is a source that began anew.
const JUMP_MAX: u64 = 3_000;
/// The cumulative loss is a signed 24-bit number.
const TOTAL_LOST_MAX: i64 = 0x7f_ffff;

/// The fields of a report block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning; fits a signed 24-bit number, negative when duplicates outnumber losses.
    pub total_lost: i32,
    /// Highest sequence received, extended.
    pub highest_seq: u32,
    /// Interarrival jitter in RTP clock units.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, 0 when none came.
    pub last_sr: u32,
    /// Since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// Statistics of one source.
#[derive(Clone, Debug)]
pub struct ReceiveStats {
    rate: u32,
    seqs: SeqUnwrapper,
    /// Extended sequence of the first packet.
    base: u64,
    received: u64,
    /// Expected and received as of the last report.
    reported: (u64, u64),
    /// Arrival and timestamp of the last packet.
    last: Option<(Instant, u32)>,
    /// Jitter x 16, as RFC 3550 A.8 keeps it.
    jitter_x16: u32,
    sender_report: Option<(Instant, NtpTime)>,
}

impl ReceiveStats {
    /// Nothing received; `rate` is the RTP clock rate in Hz.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self {
            rate,
            seqs: SeqUnwrapper::new(),
            base: 0,
            received: 0,
            reported: (0, 0),
            last: None,
            jitter_x16: 0,
            sender_report: None,
        }
    }

    /// A packet came (not by RTX).
    pub fn on_packet(&mut self, now: Instant, seq: u16, timestamp: u32) {
        let extended = self.seqs.peek(seq);
        let jumped =
            self.seqs.highest().is_none_or(|highest| highest.abs_diff(extended) > JUMP_MAX);
        if jumped {
            self.seqs.restart_at(seq);
            self.base = self.seqs.peek(seq);
            self.received = 0;
            self.reported = (0, 0);
            self.last = None;
        }
        self.seqs.unwrap(seq);
        self.received += 1;
        self.note_jitter(now, timestamp);
    }

    fn note_jitter(&mut self, now: Instant, timestamp: u32) {
        if let Some((before, earlier)) = self.last {
            let gap = now.saturating_duration_since(before).as_micros() as u64;
            let arrival_ticks = gap.saturating_mul(u64::from(self.rate)) / 1_000_000;
            let sent_ticks = i64::from(timestamp.wrapping_sub(earlier) as i32);
            let difference = (arrival_ticks as i64).saturating_sub(sent_ticks).unsigned_abs();
            // A pause (mute, DTX) is not jitter: a second is the most that counts.
            let difference = difference.min(u64::from(self.rate)) as u32;
            self.jitter_x16 += difference;
            self.jitter_x16 -= (self.jitter_x16 - difference + 8) >> 4;
        }
        self.last = Some((now, timestamp));
    }

    /// A sender report of this source came.
    pub fn on_sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.sender_report = Some((now, ntp));
    }

    /// The block for the next receiver report; begins a new interval.
    pub fn report(&mut self, now: Now) -> ReportBlock {
        let Some(highest) = self.seqs.highest() else {
            return ReportBlock::default();
        };
        let expected = (highest + 1).saturating_sub(self.base);
        let interval_expected = expected - self.reported.0.min(expected);
        let interval_lost = interval_expected.saturating_sub(self.received - self.reported.1);
        self.reported = (expected, self.received);
        let total = expected as i64 - self.received as i64;
        let since_sr = self.sender_report.map(|(at, _)| now.mono.saturating_duration_since(at));
        ReportBlock {
            fraction_lost: (interval_lost * 256)
                .checked_div(interval_expected)
                .unwrap_or(0)
                .min(255) as u8,
            total_lost: total.clamp(-TOTAL_LOST_MAX - 1, TOTAL_LOST_MAX) as i32,
            highest_seq: (highest - (1 << 16)) as u32,
            jitter: self.jitter_x16 >> 4,
            last_sr: self.sender_report.map_or(0, |(_, ntp)| ntp.middle_32()),
            delay_since_last_sr: since_sr.map_or(0, |d| ((d.as_micros() << 16) / 1_000_000) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn start() -> Now {
        Now { mono: Instant::now(), wall: NtpTime(0) }
    }

    #[test]
    fn loss_is_reported_for_the_interval_and_for_all_time() {
        let (mut stats, now) = (ReceiveStats::new(90_000), start());
        for seq in [65_534, 65_535, 1, 2] {
            stats.on_packet(now.mono, seq, 0);
        }
        let first = stats.report(now);
        assert_eq!((first.fraction_lost, first.total_lost), (51, 1), "1 of 5");
        assert_eq!(first.highest_seq, 1 << 16 | 2);
        stats.on_packet(now.mono, 0, 0);
        stats.on_packet(now.mono, 3, 0);
        let second = stats.report(now);
        assert_eq!((second.fraction_lost, second.total_lost), (0, 0), "it was only late");
    }

    #[test]
    fn steady_arrival_has_no_jitter_and_a_late_packet_has() {
        let (mut stats, mut now) = (ReceiveStats::new(90_000), start());
        for i in 0..50 {
            stats.on_packet(now.mono, i, u32::from(i) * 900);
            now = now.plus(Duration::from_millis(10));
        }
        assert_eq!(stats.report(now).jitter, 0);
        now = now.plus(Duration::from_millis(16));
        stats.on_packet(now.mono, 50, 50 * 900);
        assert_eq!(stats.report(now).jitter, 90, "1/16 of 16 ms");
    }

    #[test]
    fn the_last_sender_report_and_its_age_come_back() {
        let (mut stats, now) = (ReceiveStats::new(48_000), start());
        stats.on_packet(now.mono, 0, 0);
        assert_eq!((stats.report(now).last_sr, stats.report(now).delay_since_last_sr), (0, 0));
        stats.on_sender_report(now.mono, NtpTime(0x1122_3344_5566_7788));
        let block = stats.report(now.plus(Duration::from_millis(500)));
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x3344_5566, 1 << 15));
    }

    #[test]
    fn a_source_that_began_anew_has_not_lost_thousands() {
        let (mut stats, now) = (ReceiveStats::new(48_000), start());
        for seq in [60_000, 60_001, 5, 6] {
            stats.on_packet(now.mono, seq, 0);
        }
        assert_eq!(stats.report(now).total_lost, 0);
    }
}
