//! Why an offer cannot be answered. Every text says what the client should do instead.

/// Why an offer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// Longer than a signalling frame takes.
    #[error(
        "the offer has {bytes} bytes, at most {max} are read: restrict codecs with setCodecPreferences"
    )]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// Too many lines.
    #[error(
        "the offer has more than {max} lines: restrict codecs with setCodecPreferences or offer fewer slots"
    )]
    TooManyLines {
        /// How many it may have.
        max: usize,
    },
    /// Too many m-lines.
    #[error("the offer has {lines} m-lines, at most {max} are answered: offer fewer receive slots")]
    TooManyMediaLines {
        /// How many it has.
        lines: usize,
        /// How many it may have.
        max: usize,
    },
    /// Not SDP.
    #[error("the offer is not SDP ({0}): send RTCPeerConnection.localDescription.sdp unchanged")]
    Syntax(String),
    /// No m-line.
    #[error(
        "the offer has no audio or video m-line: add a transceiver for each slot and each own track"
    )]
    NoMedia,
    /// An m-line stands outside the BUNDLE group.
    #[error("m-line {mid:?} is not in the BUNDLE group: use bundlePolicy \"max-bundle\"")]
    NoBundle {
        /// Which.
        mid: String,
    },
    /// RTCP would need a second port.
    #[error("m-line {mid:?} has no a=rtcp-mux: use rtcpMuxPolicy \"require\"")]
    NoRtcpMux {
        /// Which.
        mid: String,
    },
    /// No certificate fingerprint that can be checked.
    #[error("the offer has no sha-256 (or stronger) a=fingerprint: media needs DTLS-SRTP")]
    NoFingerprint,
    /// No ICE credentials.
    #[error("the offer has no a=ice-ufrag and a=ice-pwd of legal length (RFC 8839 section 5.4)")]
    NoIceCredentials,
    /// An m-line without a mid, or two with the same one.
    #[error("m-line {index} has no a=mid of its own (at most 16 token characters)")]
    BadMid {
        /// Its position, from 0.
        index: usize,
    },
    /// One extension id stands for two things in one bundle.
    #[error(
        "header extension id {id} is used for two URIs; ids must agree within the bundle (RFC 8843 section 10)"
    )]
    ExtensionConflict {
        /// The id.
        id: u8,
    },
    /// A publish line names no m-line that sends.
    #[error("`publish` names mid {mid:?}, which is not a sendonly or sendrecv m-line of the offer")]
    UnknownMid {
        /// Which.
        mid: String,
    },
    /// A microphone on a video line, or the like.
    #[error("`publish` says m-line {mid:?} is a {kind:?}, but its media type is another")]
    WrongKind {
        /// Which.
        mid: String,
        /// What it was said to be.
        kind: relay_proto::TrackKind,
    },
    /// Two m-lines for one kind.
    #[error(
        "`publish` names two m-lines for {kind:?}; a participant publishes at most one of each"
    )]
    TwoOfAKind {
        /// Which kind.
        kind: relay_proto::TrackKind,
    },
    /// A new offer that takes m-lines away.
    #[error(
        "the new offer has {lines} m-lines, the one before {before}: m-lines are never removed (RFC 8829 section 5.2.2)"
    )]
    LinesRemoved {
        /// How many it has.
        lines: usize,
        /// How many the one before had.
        before: usize,
    },
    /// A new offer that changes the certificate or the DTLS role of a running transport.
    #[error("the new offer has another {what}: close the peer and join again")]
    TransportChanged {
        /// What changed.
        what: &'static str,
    },
    /// ICE or DTLS could not be set up.
    #[error("the transport could not be set up: {0}")]
    Transport(String),
}
