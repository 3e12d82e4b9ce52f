//! What is counted over all viewers of a thread.

use super::directory::Way;
use super::histogram::Histogram;

/// Histograms over all viewers.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// One-way delays of voices, by [`Way`].
    pub(super) voice_delay: [Histogram; Way::ALL.len()],
    /// ... and of pictures.
    pub(super) picture_delay: [Histogram; Way::ALL.len()],
    /// Times between packets of a talk spurt.
    pub(super) gap: Histogram,
    /// From the onset of a voice to the first packet of the speaker's picture in the main slot.
    pub(super) switch: Histogram,
    /// How late publishers sent.
    pub(super) late: Histogram,
    /// From a datagram's arrival to its being read.
    pub(super) read_late: Histogram,
}
