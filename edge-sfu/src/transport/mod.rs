//! One peer's secured path: ICE-lite, DTLS, SRTP; or the same without secrets, for the simulator.
//!
//! Behind [`crate::gate::Gate`]: what arrives here was attributed to this peer, and came from an address that had
//! proved to know the peer's password (a STUN message proves it itself, again, here).

pub mod clear;
mod client;
pub mod dtls;
mod fingerprint;
pub mod ice;
mod index;
mod kdf;
mod seal;
pub mod srtp;
pub(crate) mod stun;
mod suite;

pub use clear::{ClearClient, ClearTransport};
pub use dtls::{DtlsIdentity, DtlsTransport, IdentityError};
pub use fingerprint::{BadFingerprint, Fingerprint, FingerprintHash};
pub use ice::LocalIce;

use client::Client;
use ice::Consent;
use relay_proto::machine::{DATAGRAM_BYTES_MAX, Net};
use relay_proto::time::Now;
use seal::Content;
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The most that sealing adds to an RTP packet: the tag of AES-GCM.
pub const RTP_OVERHEAD_MAX: usize = 16;
/// The most that sealing adds to an RTCP packet: the tag and the index word.
pub const RTCP_OVERHEAD_MAX: usize = 16 + 4;
/// What a shard's largest plaintext packet may have.
pub const RTP_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - RTP_OVERHEAD_MAX;

/// Who we are in the DTLS handshake (`a=setup` of our answer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// We wait for the client's hello: `passive`, the rule.
    Passive,
    /// We send the hello: `active`, for WHIP encoders that insist on `passive` themselves.
    Active,
}

/// The client's half of the credentials, from its offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteIce {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`. A lite agent sends no checks, so it is not used.
    pub pwd: String,
    /// `a=fingerprint`.
    pub fingerprint: Fingerprint,
    /// Who *we* are.
    pub setup: DtlsRole,
}

/// How this node's peers are secured.
#[derive(Clone, Debug)]
pub enum Security {
    /// DTLS-SRTP with the node's certificate.
    Dtls(Arc<DtlsIdentity>),
    /// Not at all, but with the same sizes and flights: the simulator, and only the simulator.
    Clear,
}

/// What all peers of a shard share. Made once, cheap to clone.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// How they are secured.
    pub security: Security,
    /// The shard's media addresses, in the order of preference: the candidates of the answer.
    pub local_candidates: Vec<SocketAddr>,
}

impl TransportConfig {
    /// DTLS-SRTP.
    #[must_use]
    pub fn dtls(identity: Arc<DtlsIdentity>, local_candidates: Vec<SocketAddr>) -> Self {
        Self { security: Security::Dtls(identity), local_candidates }
    }

    /// No secrets, for the simulator.
    #[must_use]
    pub fn clear(local_candidates: Vec<SocketAddr>) -> Self {
        Self { security: Security::Clear, local_candidates }
    }

    /// What to write into `a=fingerprint` of the answer.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match &self.security {
            Security::Dtls(identity) => identity.fingerprint().clone(),
            Security::Clear => Fingerprint::of(FingerprintHash::Sha256, b"clear"),
        }
    }
}

/// Where a transport stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportState {
    /// Waits for checks and the handshake.
    Connecting,
    /// Packets flow.
    Connected,
    /// Connected, but the client has been silent for [`ice::CONSENT_PAUSE`]: nothing is sent until it is heard again.
    Paused,
    /// Over; remove the peer.
    Closed,
}

/// Why a transport is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// No check came within [`ice::FIRST_CHECK_MAX`].
    NeverChecked,
    /// The handshake took longer than [`ice::HANDSHAKE_MAX`].
    HandshakeTimeout,
    /// The client fell silent for [`ice::CONSENT_LOST`].
    ConsentLost,
    /// The client's certificate is not the one its offer named.
    FingerprintMismatch,
    /// The handshake failed, or the client sent a fatal alert.
    DtlsFailed,
    /// The client negotiated no SRTP profile of ours.
    NoSrtp,
    /// The client said goodbye (close_notify).
    PeerClosed,
    /// We did ([`SecureTransport::close`]).
    Local,
}

/// Something the owner must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// Keys are there and the client is who it said: packets may flow. Call [`crate::gate::Gate::opened`].
    Connected,
    /// Over: remove the peer from the gate and the hub.
    Closed(CloseReason),
    /// The client nominated another address; sending has moved already.
    AddressChanged {
        /// The old one.
        from: SocketAddr,
        /// The new one.
        to: SocketAddr,
    },
}

/// What a datagram turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A plaintext RTP packet in the first so many bytes of the datagram.
    Rtp(usize),
    /// A plaintext compound RTCP packet in the first so many bytes.
    Rtcp(usize),
    /// Something happened.
    Event(TransportEvent),
    /// It was for the transport itself.
    Nothing,
    /// It was no good.
    Dropped(DropReason),
}

impl Opened {
    fn from_event(event: Option<TransportEvent>) -> Self {
        event.map_or(Self::Nothing, Self::Event)
    }

    fn from_plain(content: Content, opened: Result<usize, DropReason>) -> Self {
        match (content, opened) {
            (Content::Rtp, Ok(len)) => Self::Rtp(len),
            (Content::Rtcp, Ok(len)) => Self::Rtcp(len),
            (_, Err(reason)) => Self::Dropped(reason),
        }
    }
}

/// The seam: everything above sends and receives plaintext and does not know which of the two it has.
#[derive(Debug)]
pub enum SecureTransport {
    /// In nodes.
    Dtls(Box<DtlsTransport>),
    /// In the simulator.
    Clear(Box<ClearTransport>),
}

/// Calls the same method of whichever transport this is.
macro_rules! either {
    ($self:expr, $transport:ident => $call:expr) => {
        match $self {
            SecureTransport::Dtls($transport) => $call,
            SecureTransport::Clear($transport) => $call,
        }
    };
}

impl SecureTransport {
    /// Our end for a client that made an offer.
    #[must_use]
    pub fn server(
        now: Now,
        config: &TransportConfig,
        local: &LocalIce,
        remote: &RemoteIce,
    ) -> Self {
        match &config.security {
            Security::Dtls(identity) => {
                Self::Dtls(Box::new(DtlsTransport::new(now, Arc::clone(identity), local, remote)))
            }
            Security::Clear => Self::Clear(Box::new(ClearTransport::new(now, local, remote))),
        }
    }

    fn client(&self) -> &Client {
        either!(self, t => &t.client)
    }

    /// Takes one datagram that the gate attributed to this peer. RTP and RTCP are opened in place.
    pub fn handle(&mut self, now: Now, from: SocketAddr, data: &mut [u8], net: &mut Net) -> Opened {
        if self.client().is_closed() {
            return Opened::Dropped(DropReason::NotConnected);
        }
        either!(self, t => t.handle(now, from, data, net))
    }

    /// Sends one RTP packet: `write` lays the plaintext (at most `max_len` bytes) into the arena and returns its
    /// length, it is sealed there. `write` is not called when nothing can be sent; a `None` of it is counted as
    /// [`DropReason::TooLarge`]. No packet of one SSRC may repeat a sequence number: that is [`DropReason::Replay`].
    ///
    /// # Errors
    /// The reason why nothing was sent.
    pub fn seal_rtp(
        &mut self,
        net: &mut Net,
        max_len: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), DropReason> {
        either!(self, t => t.seal(net, Content::Rtp, max_len, write))
    }

    /// Sends one compound RTCP packet, in the same way.
    ///
    /// # Errors
    /// The reason why nothing was sent.
    pub fn seal_rtcp(
        &mut self,
        net: &mut Net,
        max_len: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), DropReason> {
        either!(self, t => t.seal(net, Content::Rtcp, max_len, write))
    }

    /// Where this stands.
    #[must_use]
    pub fn state(&self) -> TransportState {
        self.client().state()
    }

    /// Whether a packet could be sent now: connected and not paused.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state() == TransportState::Connected
    }

    /// Where packets go: the nominated address, or before a nomination the one the client talks from.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.client().addr()
    }

    /// When [`Self::on_deadline`] next wants to be called. Packets do not move it (only handshake flights do).
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let flight = match self {
            Self::Dtls(dtls) => dtls.flight_due(),
            Self::Clear(_) => None,
        };
        self.client().deadline().map(|at| flight.map_or(at, |flight| flight.min(at)))
    }

    /// Does what was due: resends a flight, pauses or gives up a silent client.
    pub fn on_deadline(&mut self, now: Now, net: &mut Net) -> Option<TransportEvent> {
        if self.client().is_closed() {
            return None;
        }
        if let Consent::Lost(reason) = either!(self, t => t.client.ice.on_deadline(now.mono)) {
            return Some(either!(self, t => t.end(reason)));
        }
        match self {
            Self::Dtls(dtls) => dtls.on_flight_due(now, net),
            Self::Clear(_) => None,
        }
    }

    /// ICE restart: `local` (register it at the gate too) is good from now on, beside the credentials in use; the
    /// peer moves when the client nominates a path with the new ones.
    ///
    /// # Errors
    /// [`RestartRefused`] if the offer names another certificate: that is a new association, so a new peer.
    pub fn restart(&mut self, local: &LocalIce, remote: &RemoteIce) -> Result<(), RestartRefused> {
        either!(self, t => t.client.restart(local, remote))
    }

    /// Says goodbye (close_notify). Afterwards the state is [`TransportState::Closed`]; no event follows.
    pub fn close(&mut self, now: Now, net: &mut Net) {
        either!(self, t => t.close(now, net));
    }
}

/// The offer of an ICE restart names another certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ICE restart cannot change the certificate; join again")]
pub struct RestartRefused;
