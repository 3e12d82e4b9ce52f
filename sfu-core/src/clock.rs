//! Capture time: a source's RTP timestamps on this node's wall clock.
//!
//! At the ingress edge a publisher's sender reports say which RTP timestamp belongs to which moment of the publisher's clock, and
//! [`PublisherClock`] says how that clock stands to the own one. On a link the neighbour's [`LinkSenderReport`]s say the same in
//! the neighbour's clock, and the link measures the offset. So no two nodes need synchronised clocks.

use relay_proto::{Now, NtpTime};
use std::time::{Duration, Instant};

/// The offset of a clock is the least of this long and of the time before it: longer than any queue stands, and
/// 50 ppm of drift are 3 ms in it.
const OFFSET_WINDOW: Duration = Duration::from_secs(60);
/// A clock that is further off than any network delays was set anew.
const STEP_US: i64 = 2_000_000;
/// After a quarter of its range an RTP timestamp is anchored anew, long before it wraps.
const ANCHOR_REACH: u32 = 1 << 30;

/// One publisher's wall clock against this node's: shared by all their tracks, so that voice and picture stay together.
///
/// A report that spent the least time on its way shows the offset best, so the least difference of the last one to two
/// minutes counts.
#[derive(Clone, Debug, Default)]
pub struct PublisherClock {
    window: Option<OffsetWindow>,
}

#[derive(Clone, Copy, Debug)]
struct OffsetWindow {
    began: Instant,
    least_us: i64,
    /// Least of the window before.
    before_us: i64,
}

impl PublisherClock {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the NTP time of any sender report of this publisher; answers the offset (own minus theirs) in us, which is
    /// then to be told to [`CaptureClock::set_offset`] of *all* their tracks.
    pub fn on_report(&mut self, now: Now, ntp: NtpTime) -> i64 {
        let sample = now.wall.micros_since(ntp);
        let fresh = OffsetWindow { began: now.mono, least_us: sample, before_us: sample };
        let window = self.window.get_or_insert(fresh);
        if (sample - window.least_us.min(window.before_us)).abs() > STEP_US {
            *window = fresh;
        } else if now.mono >= window.began + OFFSET_WINDOW {
            *window = OffsetWindow { before_us: window.least_us, ..fresh };
        }
        window.least_us = window.least_us.min(sample);
        window.least_us.min(window.before_us)
    }

    /// The offset (own minus theirs) in us.
    #[must_use]
    pub fn offset_us(&self) -> Option<i64> {
        self.window.map(|window| window.least_us.min(window.before_us))
    }
}

/// RTP timestamp <-> own wall clock of one encoding.
#[derive(Clone, Debug)]
pub struct CaptureClock {
    /// RTP clock rate in Hz.
    rate: u32,
    anchor: Option<Anchor>,
}

/// One moment in both clocks.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// In the clock of whoever wrote the report.
    ntp: NtpTime,
    rtp: u32,
    /// Own clock minus that clock.
    offset_us: i64,
    /// From a report, not from an arrival.
    reported: bool,
}

impl CaptureClock {
    /// Nothing known; `rate` is the RTP clock rate in Hz.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate: rate.max(1), anchor: None }
    }

    /// A sender report: `ntp` in the clock of whoever wrote it, `offset_us` = own clock minus that clock
    /// ([`PublisherClock::on_report`] at the ingress edge, the link's measured offset elsewhere).
    pub fn on_report(&mut self, ntp: NtpTime, rtp: u32, offset_us: i64) {
        self.anchor = Some(Anchor { ntp, rtp, offset_us, reported: true });
    }

    /// The offset of the clock of the last report was measured anew.
    pub fn set_offset(&mut self, offset_us: i64) {
        if let Some(anchor) = self.anchor.as_mut().filter(|anchor| anchor.reported) {
            anchor.offset_us = offset_us;
        }
    }

    /// Every packet: before any report the quickest arrival stands for capture.
    pub fn on_packet(&mut self, now: Now, rtp: u32) {
        let arrival = Anchor { ntp: now.wall, rtp, offset_us: 0, reported: false };
        let Some(anchor) = &mut self.anchor else {
            self.anchor = Some(arrival);
            return;
        };
        let ticks = rtp.wrapping_sub(anchor.rtp) as i32;
        if ticks.unsigned_abs() > ANCHOR_REACH {
            let at = anchor.ntp.plus_micros(micros(ticks, self.rate));
            *anchor = Anchor { ntp: at, rtp, ..*anchor };
        } else if !anchor.reported && self.capture_of(rtp).is_none_or(|at| now.wall < at) {
            self.anchor = Some(arrival);
        }
    }

    /// When the sample `rtp` was captured.
    #[must_use]
    pub fn capture_of(&self, rtp: u32) -> Option<NtpTime> {
        let anchor = self.anchor?;
        let ticks = rtp.wrapping_sub(anchor.rtp) as i32;
        Some(anchor.ntp.plus_micros(micros(ticks, self.rate) + anchor.offset_us))
    }

    /// The RTP timestamp of a sample captured at `at`.
    #[must_use]
    pub fn rtp_at(&self, at: NtpTime) -> Option<u32> {
        let anchor = self.anchor?;
        let since_us = at.micros_since(anchor.ntp) - anchor.offset_us;
        Some(anchor.rtp.wrapping_add(ticks(since_us, self.rate) as u32))
    }

    /// Whether a sender report was ever seen: before that, [`Self::capture_of`] is the time of arrival.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.anchor.is_some_and(|anchor| anchor.reported)
    }
}

/// RTP ticks as microseconds, rounded down.
fn micros(ticks: i32, rate: u32) -> i64 {
    (i64::from(ticks) * 1_000_000).div_euclid(i64::from(rate))
}

/// Microseconds as RTP ticks, rounded to the nearest; valid for many years.
pub(crate) fn ticks(micros: i64, rate: u32) -> i64 {
    ((i128::from(micros) * i128::from(rate) + 500_000).div_euclid(1_000_000)) as i64
}

/// Sender report of a relay flow: a 28-byte RTCP SR without report blocks (RFC 3550 section 6.4.1).
///
/// ```text
/// |V=2|P|  RC=0 |  PT=200  |  length = 6  |
/// |                 SSRC                  |
/// |         NTP time, 8 bytes             |
/// |             RTP timestamp             |
/// |             packet count              |
/// |              octet count              |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSenderReport {
    /// SSRC of the flow ([`crate::canonical::ssrc_of`]).
    pub ssrc: u32,
    /// Capture time in the sending node's wall clock.
    pub ntp: NtpTime,
    /// RTP timestamp of the source at that time.
    pub rtp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// Its length.
pub const SENDER_REPORT_BYTES: usize = 28;
/// First word: version 2, no padding, no blocks; type 200; six words follow.
const SENDER_REPORT_HEAD: [u8; 4] = [0x80, 200, 0, 6];

impl LinkSenderReport {
    /// What to tell the next hop now; `None` while the capture time is not known.
    #[must_use]
    pub fn now(
        now: Now,
        clock: &CaptureClock,
        ssrc: u32,
        packets: u32,
        octets: u32,
    ) -> Option<Self> {
        let rtp = clock.rtp_at(now.wall)?;
        Some(Self { ssrc, ntp: now.wall, rtp, packets, octets })
    }

    /// Writes it.
    #[must_use]
    pub fn write(&self) -> [u8; SENDER_REPORT_BYTES] {
        let mut bytes = [0; SENDER_REPORT_BYTES];
        bytes[..4].copy_from_slice(&SENDER_REPORT_HEAD);
        bytes[4..8].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.ntp.0.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.rtp.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.packets.to_be_bytes());
        bytes[24..].copy_from_slice(&self.octets.to_be_bytes());
        bytes
    }

    /// Reads it from the start of an RTCP packet; report blocks and whatever follows are not looked at.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let bytes: &[u8; SENDER_REPORT_BYTES] = data.first_chunk()?;
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let words = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        let fits = words >= 6 && 4 * (words + 1) <= data.len();
        (bytes[0] >> 6 == 2 && bytes[1] == 200 && fits).then(|| Self {
            ssrc: word(4),
            ntp: NtpTime(u64::from(word(8)) << 32 | u64::from(word(12))),
            rtp: word(16),
            packets: word(20),
            octets: word(24),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn start() -> Now {
        let unix = Duration::from_secs(1_790_000_000);
        Now { mono: Instant::now(), wall: NtpTime::from_unix(unix) }
    }

    #[test]
    fn the_quickest_report_shows_the_offset() {
        let mut clock = PublisherClock::new();
        let mut now = start();
        for (delay_us, offset_us) in [(40_000, 40_000), (10_000, 10_000), (90_000, 10_000)] {
            now = now.plus(Duration::from_secs(1));
            let offset = clock.on_report(now, now.wall.plus_micros(-delay_us));
            assert!((offset - offset_us).abs() <= 1, "{offset}");
        }
        for _ in 0..3 {
            now = now.plus(OFFSET_WINDOW);
            clock.on_report(now, now.wall.plus_micros(-30_000));
        }
        let offset = clock.offset_us().unwrap();
        assert!((offset - 30_000).abs() <= 1, "the old least is forgotten: {offset}");
    }

    #[test]
    fn a_clock_that_was_set_is_believed_at_once() {
        let mut clock = PublisherClock::new();
        let now = start();
        for off in [0, 3_600_000_000, -3_600_000_000] {
            let offset = clock.on_report(now, now.wall.plus_micros(-off));
            assert!((offset - off).abs() <= 1, "{offset}");
        }
    }

    #[test]
    fn voice_and_picture_of_one_publisher_share_their_clock() {
        let now = start();
        let mut publisher = PublisherClock::new();
        let (mut voice, mut picture) = (CaptureClock::new(48_000), CaptureClock::new(90_000));
        let theirs = NtpTime(77 << 32);
        let offset = publisher.on_report(now, theirs);
        voice.on_report(theirs, 1_000, offset);
        let later = now.plus(Duration::from_millis(990));
        let offset = publisher.on_report(later, theirs.plus_micros(1_000_000));
        picture.on_report(theirs.plus_micros(1_000_000), 5_000, offset);
        voice.set_offset(offset);
        let gap =
            picture.capture_of(5_000).unwrap().micros_since(voice.capture_of(49_000).unwrap());
        assert!(gap.abs() <= 1, "captured at the same moment, {gap} us apart");
    }

    #[test]
    fn before_a_report_the_quickest_arrival_counts() {
        let now = start();
        let mut clock = CaptureClock::new(90_000);
        assert_eq!(clock.capture_of(0), None);
        clock.on_packet(now, 0);
        clock.on_packet(now.plus(Duration::from_millis(5)), 900);
        clock.on_packet(now.plus(Duration::from_millis(50)), 1_800);
        let error = clock.capture_of(900).unwrap().micros_since(now.wall) - 5_000;
        assert!(error.abs() <= 1, "the second was 5 ms quicker than the first");
        assert!(!clock.is_reported());
    }

    #[test]
    fn an_anchor_follows_timestamps_past_their_wrap() {
        let now = start();
        let mut clock = CaptureClock::new(90_000);
        clock.on_report(now.wall, 0, 0);
        let hour = Duration::from_secs(3_600);
        for hours in 1..40_u32 {
            clock.on_packet(now.plus(hour * hours), 324_000_000_u32.wrapping_mul(hours));
        }
        let last = 324_000_000_u32.wrapping_mul(39);
        let error = clock.capture_of(last).unwrap().micros_since(now.plus(hour * 39).wall);
        assert!(error.abs() < 100, "{error}");
    }

    #[test]
    fn a_link_sender_report_has_these_bytes() {
        let report =
            LinkSenderReport { ssrc: 1, ntp: NtpTime(0x0203), rtp: 4, packets: 5, octets: 6 };
        let golden = [
            0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6,
        ];
        assert_eq!(report.write(), golden);
        assert_eq!(LinkSenderReport::read(&golden), Some(report));
        assert_eq!(LinkSenderReport::read(&golden[..27]), None);
        assert!(crate::rtp::is_rtcp(&golden));
    }

    proptest! {
        #[test]
        fn a_timestamp_comes_back_from_its_capture_time(
            rtp: u32, ticks in -500_000_000i32..500_000_000, offset in -1_000_000_000i64..1_000_000_000, rate in 0usize..2,
        ) {
            let mut clock = CaptureClock::new([48_000, 90_000][rate]);
            clock.on_report(start().wall, rtp, offset);
            let asked = rtp.wrapping_add(ticks as u32);
            let back = clock.rtp_at(clock.capture_of(asked).unwrap()).unwrap();
            prop_assert!((back.wrapping_sub(asked) as i32).abs() <= 1);
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = LinkSenderReport::read(&data);
        }
    }
}
