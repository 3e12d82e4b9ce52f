//! Capture time: a source's RTP timestamps on this node's wall clock.

use relay_proto::{Now, NtpTime};

/// One publisher's wall clock against this node's: shared by all their tracks, so that voice and picture stay together.
#[derive(Clone, Debug, Default)]
pub struct PublisherClock {}

impl PublisherClock {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Takes the NTP time of any sender report of this publisher; answers the offset (own minus theirs) in us, to be given to
    /// `CaptureClock::set_offset` of all their tracks.
    pub fn on_report(&mut self, now: Now, ntp: NtpTime) -> i64 {
        now.wall.micros_since(ntp)
    }
}

/// RTP timestamp <-> own wall clock of one encoding.
#[derive(Clone, Debug)]
pub struct CaptureClock {}

impl CaptureClock {
    /// Nothing known; `rate` is the RTP clock rate in Hz.
    #[must_use]
    pub fn new(_rate: u32) -> Self {
        Self {}
    }
    /// A sender report: `ntp` in the clock of whoever wrote it, `offset_us` = own clock minus that clock
    /// ([`PublisherClock::on_report`] at the ingress edge, the link's measured offset elsewhere).
    pub fn on_report(&mut self, _ntp: NtpTime, _rtp: u32, _offset_us: i64) {}
    /// The offset of the clock of the last report was measured anew.
    pub fn set_offset(&mut self, _offset_us: i64) {}
    /// Every packet: before any report, arrival stands for capture.
    pub fn on_packet(&mut self, _now: Now, _rtp: u32) {}
    /// When the sample `rtp` was captured.
    #[must_use]
    pub fn capture_of(&self, _rtp: u32) -> Option<NtpTime> {
        None
    }
    /// The RTP timestamp of a sample captured at `at`.
    #[must_use]
    pub fn rtp_at(&self, _at: NtpTime) -> Option<u32> {
        None
    }
}

/// Sender report of a relay flow: a 28-byte RTCP SR without report blocks (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSenderReport {
    /// SSRC of the flow (`canonical::ssrc_of`).
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

impl LinkSenderReport {
    /// Writes it.
    #[must_use]
    pub fn write(&self) -> [u8; SENDER_REPORT_BYTES] {
        [0; SENDER_REPORT_BYTES]
    }
    /// Reads it from the start of an RTCP packet.
    #[must_use]
    pub fn read(_data: &[u8]) -> Option<Self> {
        None
    }
}
