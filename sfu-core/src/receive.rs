//! Reception statistics of one source (RFC 3550 appendices A.1, A.3 and A.8): the fields of a report block.

use relay_proto::{Now, NtpTime};
use std::time::Instant;

/// The fields of a report block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost since the beginning, as a signed 24-bit number.
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
pub struct ReceiveStats {}

impl ReceiveStats {
    /// Nothing received; `rate` is the RTP clock rate in Hz.
    #[must_use]
    pub fn new(_rate: u32) -> Self {
        Self {}
    }
    /// A packet came (not by RTX).
    pub fn on_packet(&mut self, _now: Instant, _seq: u16, _timestamp: u32) {}
    /// A sender report of this source came.
    pub fn on_sender_report(&mut self, _now: Instant, _ntp: NtpTime) {}
    /// The block for the next receiver report; begins a new interval.
    pub fn report(&mut self, _now: Now) -> ReportBlock {
        ReportBlock::default()
    }
}
