//! Offer in, answer out (RFC 8829, RFC 8866): what a participant sends, and which slots they receive.

pub mod answer;
mod error;
mod extension;
pub mod offer;
pub mod plan;

pub use error::OfferError;
pub use extension::{Extension, ExtensionMap};
pub use offer::ID_BYTES_MAX;

use crate::signal::{SIGNAL_BYTES_MAX, SlotLine};
use relay_proto::{EncodingSet, TrackKind, control::Codec};

/// Longest offer.
pub const OFFER_BYTES_MAX: usize = SIGNAL_BYTES_MAX;
/// Most lines of an offer. The SDK's has 810 with candidates of four interfaces, an unrestricted one 2,500.
pub const OFFER_LINES_MAX: usize = 3_000;
/// Most m-lines of an offer: 3 own tracks, 3 voices, a gallery of 49, a screen, and room for stopped transceivers.
pub const MEDIA_LINES_MAX: usize = 64;

/// The answer, and what it means.
#[derive(Clone, Debug)]
pub struct Answer {
    /// SDP for `setRemoteDescription`.
    pub sdp: String,
    /// The receive slots, in the order of [`crate::peer::Peer::slots`] (stopped ones left out).
    pub slots: Vec<SlotLine>,
    /// What the participant publishes now.
    pub sources: Vec<SourceLine>,
}

/// One published source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// Which track.
    pub kind: TrackKind,
    /// Its codec.
    pub codec: Codec,
    /// Its encodings.
    pub encodings: EncodingSet,
}

#[cfg(test)]
mod tests;
