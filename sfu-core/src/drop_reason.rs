//! Every reason why a packet is not forwarded. No packet disappears without one.

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// Sender address is not a validated one of any peer.
    UnknownAddress,
    /// STUN message without valid integrity, or for no peer.
    StunRefused,
    /// DTLS record from an unvalidated address, or malformed.
    DtlsRefused,
    /// Neither STUN, DTLS, nor RTP.
    NotWebRtc,
    /// SRTP tag did not verify.
    SrtpAuth,
    /// SRTP or hub has seen this packet before.
    Replay,
    /// RTP or RTCP header malformed.
    Malformed,
    /// SSRC, MID and RID name no published source.
    UnknownSource,
    /// The peer's table of sources is full.
    TooManySources,
    /// The participant has no grant to publish this.
    NotGranted,
    /// The source is muted by signalling.
    Muted,
    /// Arrived on a port from which this track does not come (split horizon).
    WrongPort,
    /// Flow is not announced on this link.
    UnknownFlow,
    /// Too late to be of use, or before the first key frame.
    TooOld,
    /// Not among the loudest.
    NotElected,
    /// Larger than any datagram takes.
    TooLarge,
    /// The link or peer is not up.
    NotConnected,
    /// The class queue of a link was full, or its deadline passed.
    LinkQueue,
    /// The viewer fell further behind than the ring reaches.
    RingOverrun,
    /// A limit of `limits.rs`.
    Limit,
}

impl DropReason {
    /// All reasons, in order of their numbers.
    pub const ALL: [Self; 20] = [
        Self::UnknownAddress,
        Self::StunRefused,
        Self::DtlsRefused,
        Self::NotWebRtc,
        Self::SrtpAuth,
        Self::Replay,
        Self::Malformed,
        Self::UnknownSource,
        Self::TooManySources,
        Self::NotGranted,
        Self::Muted,
        Self::WrongPort,
        Self::UnknownFlow,
        Self::TooOld,
        Self::NotElected,
        Self::TooLarge,
        Self::NotConnected,
        Self::LinkQueue,
        Self::RingOverrun,
        Self::Limit,
    ];

    /// Label of the `reason` dimension of `mesh_drops_total`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::UnknownAddress => "unknown_address",
            Self::StunRefused => "stun_refused",
            Self::DtlsRefused => "dtls_refused",
            Self::NotWebRtc => "not_webrtc",
            Self::SrtpAuth => "srtp_auth",
            Self::Replay => "replay",
            Self::Malformed => "malformed",
            Self::UnknownSource => "unknown_source",
            Self::TooManySources => "too_many_sources",
            Self::NotGranted => "not_granted",
            Self::Muted => "muted",
            Self::WrongPort => "wrong_port",
            Self::UnknownFlow => "unknown_flow",
            Self::TooOld => "too_old",
            Self::NotElected => "not_elected",
            Self::TooLarge => "too_large",
            Self::NotConnected => "not_connected",
            Self::LinkQueue => "link_queue",
            Self::RingOverrun => "ring_overrun",
            Self::Limit => "limit",
        }
    }
}

/// Counters, one a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// Counts one.
    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    /// Counts several.
    pub fn count_many(&mut self, reason: DropReason, many: u64) {
        self.0[reason as usize] += many;
    }

    /// Adds the counters of another.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// All counters with their reasons.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|r| (r, self.get(r)))
    }
}
