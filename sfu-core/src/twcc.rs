//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): what arrived, and when.

use std::time::Instant;

/// Longest feedback packet written.
pub const FEEDBACK_BYTES_MAX: usize = 1_200;

/// Arrivals of one peer by transport-wide sequence number.
#[derive(Clone, Debug)]
pub struct TwccRecorder {}

impl TwccRecorder {
    /// Nothing arrived; `epoch` is where the reference times of the feedback count from.
    #[must_use]
    pub fn new(_epoch: Instant) -> Self {
        Self {}
    }
    /// A packet with this transport-wide sequence arrived.
    pub fn on_packet(&mut self, _now: Instant, _seq: u16) {}
    /// When the next feedback is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    /// Writes one feedback packet; `None` when there is nothing to tell. Call until it answers `None`.
    pub fn write(
        &mut self,
        _now: Instant,
        _sender: u32,
        _media: u32,
        _buf: &mut [u8],
    ) -> Option<usize> {
        None
    }
}
