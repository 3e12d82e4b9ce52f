//! RTP header extensions this edge reads or writes, and the offer's numbers for them.

use super::OfferError;
use sfu_core::rtp::ONE_BYTE_ID_MAX;

/// A header extension with a meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Extension {
    /// RFC 6464.
    AudioLevel = 0,
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01.
    TransportSequence = 1,
    /// RFC 9143 section 15.
    Mid = 2,
    /// RFC 8852.
    Rid = 3,
    /// RFC 8852.
    RepairedRid = 4,
    /// webrtc.org abs-capture-time.
    CaptureTime = 5,
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AudioLevel,
        Self::TransportSequence,
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::CaptureTime,
    ];

    /// Its URI in SDP.
    #[must_use]
    pub fn uri(self) -> &'static str {
        match self {
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::TransportSequence => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::CaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        }
    }

    /// Whether a slot's packets carry it. MID is agreed on (bundling wants it) though slots never need it: their
    /// SSRCs stand in the answer.
    #[must_use]
    pub fn in_slots(self, audio: bool) -> bool {
        match self {
            Self::AudioLevel => audio,
            Self::TransportSequence | Self::Mid | Self::CaptureTime => true,
            Self::Rid | Self::RepairedRid => false,
        }
    }

    /// Whether it is wanted of a source.
    #[must_use]
    pub fn in_sources(self, audio: bool) -> bool {
        match self {
            Self::AudioLevel => audio,
            Self::TransportSequence | Self::Mid => true,
            Self::Rid | Self::RepairedRid => !audio,
            // Read by nobody yet: sender reports give the mesh time of a track.
            Self::CaptureTime => false,
        }
    }
}

/// Extension ids of one peer, the offer's; 0: not agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap([u8; Extension::ALL.len()]);

impl ExtensionMap {
    /// The id of an extension, if agreed on.
    #[must_use]
    pub fn id(&self, extension: Extension) -> Option<u8> {
        Some(self.0[extension as usize]).filter(|id| *id != 0)
    }

    /// Sets an id; the same one may be said again by every m-line.
    pub(super) fn set(&mut self, extension: Extension, id: u8) -> Result<(), OfferError> {
        let taken = Extension::ALL.into_iter().any(|e| e != extension && self.id(e) == Some(id));
        if taken || self.id(extension).is_some_and(|known| known != id) {
            return Err(OfferError::ExtensionConflict { id });
        }
        self.0[extension as usize] = id;
        Ok(())
    }
}

/// Reads the value of an `a=extmap`: `3 URI`, or `3/recvonly URI`. Unknown URIs give nothing, nor do ids that the
/// one-byte form cannot carry (RFC 8285 section 4.2): it is the only one written here.
pub(super) fn parse(value: &str) -> Option<(u8, Extension)> {
    let mut words = value.split_whitespace();
    let id: u8 = words.next()?.split('/').next()?.parse().ok()?;
    let uri = words.next()?;
    let extension = Extension::ALL.into_iter().find(|e| e.uri() == uri)?;
    (1..=ONE_BYTE_ID_MAX).contains(&id).then_some((id, extension))
}
