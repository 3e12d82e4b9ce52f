//! The transport of nodes: DTLS 1.2 by dimpl, SRTP by [`super::srtp`].

use super::client::Client;
use super::seal::{Content, write_sealed};
use super::srtp::{KeyOwner, Profile, SrtpSession};
use super::{
    CloseReason, DtlsRole, Fingerprint, FingerprintHash, LocalIce, Opened, RemoteIce,
    TransportEvent,
};
use crate::gate::{Kind, classify};
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use relay_proto::machine::{DATAGRAM_BYTES_MAX, Net, Socket};
use relay_proto::time::Now;
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The client's timer drives the handshake: a hello that comes again is answered again, and browsers repeat theirs
/// after 50..400 ms. Ours only helps a client whose answer was lost, and must not fire before the client's own: the
/// `rtc` client (first time-out 1 s) stops resending once it sees our flight twice. dimpl takes a quarter off at most.
const FLIGHT_RTO: Duration = Duration::from_millis(1_350);
/// Answers to repeated flights count too, so this is generous; [`super::ice::HANDSHAKE_MAX`] is what ends a handshake.
const FLIGHT_RETRIES: usize = 8;
/// We seal a Finished, its resends and a close_notify, nothing else. dimpl draws the explicit nonce of an AES-GCM
/// record at random (the pattern of CVE-2026-26014); among 256 of 2^64 a collision has a chance of 2^-49.
const RECORDS_SEALED_MAX: u64 = 256;
/// A broken hello, perhaps somebody else's with the client's address, spoils a handshake; the next one starts afresh.
const HANDSHAKES_MAX: u8 = 4;
/// dimpl writes at most its MTU of 1,150 bytes at a time.
const RECORD_SPACE: usize = DATAGRAM_BYTES_MAX;

/// A node's certificate and the DTLS settings all its peers share. Checking the settings costs 1.3 ms, so they are
/// checked once.
pub struct DtlsIdentity {
    certificate: DtlsCertificate,
    config: Arc<dimpl::Config>,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsIdentity")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// The certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Key or certificate.
    #[error("cannot make a certificate: {0}")]
    Certificate(dimpl::certificate::CertificateError),
    /// DTLS settings.
    #[error("the DTLS settings are refused: {0}")]
    Config(dimpl::Error),
}

impl DtlsIdentity {
    /// Makes a key and a self-signed certificate. Reads the wall clock and draws entropy: called by the shell, once,
    /// when a node starts.
    ///
    /// # Errors
    /// When key generation fails or the crypto provider lacks something.
    pub fn generate() -> Result<Arc<Self>, IdentityError> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(IdentityError::Certificate)?;
        let config = dimpl::Config::builder()
            // The cookie proves that the client receives at its address; its authenticated check has proved more.
            .use_server_cookie(false)
            .require_client_certificate(true)
            .flight_start_rto(FLIGHT_RTO)
            .flight_retries(FLIGHT_RETRIES)
            .handshake_timeout(super::ice::HANDSHAKE_MAX)
            .aead_encryption_limit(RECORDS_SEALED_MAX)
            .build()
            .map_err(IdentityError::Config)?;
        let fingerprint = Fingerprint::of(FingerprintHash::Sha256, &certificate.certificate);
        Ok(Arc::new(Self { certificate, config: Arc::new(config), fingerprint }))
    }

    /// What goes into `a=fingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// DTLS and SRTP of one peer.
#[derive(Debug)]
pub struct DtlsTransport {
    pub(super) client: Client,
    identity: Arc<DtlsIdentity>,
    dtls: Dtls,
    role: DtlsRole,
    certificate_fits: bool,
    handshakes: u8,
    flight_due: Option<Instant>,
    /// There while the client is established.
    srtp: Option<Box<SrtpSession>>,
}

impl DtlsTransport {
    pub(super) fn new(
        now: Now,
        identity: Arc<DtlsIdentity>,
        local: &LocalIce,
        remote: &RemoteIce,
    ) -> Self {
        let mut dtls =
            Dtls::new_12(Arc::clone(&identity.config), identity.certificate.clone(), now.mono);
        dtls.set_active(remote.setup == DtlsRole::Active);
        Self {
            client: Client::new(now, local, remote),
            identity,
            dtls,
            role: remote.setup,
            certificate_fits: false,
            handshakes: 1,
            flight_due: None,
            srtp: None,
        }
    }

    /// The SRTP profile, once negotiated.
    #[must_use]
    pub fn profile(&self) -> Option<Profile> {
        self.srtp.as_ref().map(|s| s.profile())
    }

    pub(super) fn handle(
        &mut self,
        now: Now,
        from: SocketAddr,
        data: &mut [u8],
        net: &mut Net,
    ) -> Opened {
        match classify(data) {
            Ok(Kind::Srtp) => self.open(now, from, data),
            Ok(Kind::Stun) => match self.client.ice.handle_check(now.mono, from, data, net) {
                Ok(event) => {
                    let hello = self.say_hello(now, net);
                    Opened::from_event(event.or(hello))
                }
                Err(reason) => Opened::Dropped(reason),
            },
            Ok(Kind::Dtls) => {
                self.client.ice.handshake_from(from);
                Opened::from_event(self.handle_records(now, data, net))
            }
            Err(reason) => Opened::Dropped(reason),
        }
    }

    fn open(&mut self, now: Now, from: SocketAddr, data: &mut [u8]) -> Opened {
        let Some(srtp) = &mut self.srtp else {
            return Opened::Dropped(DropReason::NotConnected);
        };
        let content = Content::of(data);
        let plain = match content {
            Content::Rtp => srtp.open_rtp(data),
            Content::Rtcp => srtp.open_rtcp(data),
        };
        self.client.heard(now, from, Opened::from_plain(content, plain))
    }

    /// In the active role the first flight leaves as soon as there is an address to send it to.
    fn say_hello(&mut self, now: Now, net: &mut Net) -> Option<TransportEvent> {
        let starts =
            self.role == DtlsRole::Active && self.flight_due.is_none() && self.srtp.is_none();
        if starts { self.tick(now, net) } else { None }
    }

    fn tick(&mut self, now: Now, net: &mut Net) -> Option<TransportEvent> {
        if self.dtls.handle_timeout(now.mono).is_err() {
            return self.fail(now, CloseReason::HandshakeTimeout);
        }
        self.drain(now, net)
    }

    fn handle_records(&mut self, now: Now, data: &[u8], net: &mut Net) -> Option<TransportEvent> {
        let taken = self.dtls.handle_timeout(now.mono).and_then(|()| self.dtls.handle_packet(data));
        match taken {
            Ok(()) => self.drain(now, net),
            Err(_) => self.fail(now, CloseReason::DtlsFailed),
        }
    }

    /// dimpl's errors are final for the association. Before it stands, the client gets another try.
    fn fail(&mut self, now: Now, reason: CloseReason) -> Option<TransportEvent> {
        let again = self.srtp.is_none()
            && self.role == DtlsRole::Passive
            && self.handshakes < HANDSHAKES_MAX;
        if !again {
            return Some(self.end(reason));
        }
        self.handshakes += 1;
        self.certificate_fits = false;
        self.flight_due = None;
        let (config, certificate) =
            (Arc::clone(&self.identity.config), self.identity.certificate.clone());
        self.dtls = Dtls::new_12(config, certificate, now.mono);
        None
    }

    pub(super) fn end(&mut self, reason: CloseReason) -> TransportEvent {
        self.srtp = None;
        self.client.end(reason)
    }

    /// Takes everything out of dimpl: records to send, then what the handshake came to.
    fn drain(&mut self, now: Now, net: &mut Net) -> Option<TransportEvent> {
        let mut space = [0; RECORD_SPACE];
        let (mut connected, mut goodbye) = (false, false);
        let mut keys = None;
        loop {
            match self.dtls.poll_output(&mut space) {
                Output::Packet(record) => {
                    if let Some(path) = self.client.addr() {
                        net.send(Socket::Media, path, 0, record);
                    }
                }
                Output::PeerCert(der) => {
                    self.certificate_fits = self.client.fingerprint.matches(der);
                    if !self.certificate_fits {
                        return Some(self.end(CloseReason::FingerprintMismatch));
                    }
                }
                Output::KeyingMaterial(material, profile) => keys = Some((material, profile)),
                Output::Connected => connected = true,
                Output::CloseNotify => goodbye = true,
                Output::Timeout(at) => {
                    self.flight_due = (self.srtp.is_none()).then_some(at);
                    break;
                }
                Output::BufferTooSmall { .. } => break,
                // Application data would be a data channel: there are none.
                _ => {}
            }
        }
        if goodbye {
            return Some(self.end(CloseReason::PeerClosed));
        }
        if connected { self.establish(now, keys) } else { None }
    }

    fn establish(
        &mut self,
        now: Now,
        keys: Option<(dimpl::KeyingMaterial, SrtpProfile)>,
    ) -> Option<TransportEvent> {
        if !self.certificate_fits {
            return Some(self.end(CloseReason::FingerprintMismatch));
        }
        let we_are = match self.role {
            DtlsRole::Passive => KeyOwner::Server,
            DtlsRole::Active => KeyOwner::Client,
        };
        let session = keys.and_then(|(material, profile)| {
            let profile = match profile {
                SrtpProfile::AEAD_AES_128_GCM => Profile::Gcm128,
                SrtpProfile::AEAD_AES_256_GCM => Profile::Gcm256,
                SrtpProfile::AES128_CM_SHA1_80 => Profile::CmSha1,
                _ => return None,
            };
            SrtpSession::new(profile, &material, we_are)
        });
        let Some(session) = session else {
            return Some(self.end(CloseReason::NoSrtp));
        };
        self.srtp = Some(Box::new(session));
        self.flight_due = None;
        Some(self.client.establish(now))
    }

    pub(super) fn seal(
        &mut self,
        net: &mut Net,
        content: Content,
        max_len: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), DropReason> {
        let path = self.client.path()?;
        let srtp = self.srtp.as_mut().ok_or(DropReason::NotConnected)?;
        write_sealed(net, path, max_len, content, write, |packet, len| match content {
            Content::Rtp => srtp.seal_rtp(packet, len),
            Content::Rtcp => srtp.seal_rtcp(packet, len),
        })
    }

    /// When a flight of ours is to be sent again.
    pub(super) fn flight_due(&self) -> Option<Instant> {
        self.flight_due
    }

    pub(super) fn on_flight_due(&mut self, now: Now, net: &mut Net) -> Option<TransportEvent> {
        let due = self.flight_due.is_some_and(|at| at <= now.mono);
        if due { self.tick(now, net) } else { None }
    }

    pub(super) fn close(&mut self, now: Now, net: &mut Net) {
        if !self.client.is_closed() {
            let queued = self.dtls.handle_timeout(now.mono).and_then(|()| self.dtls.close());
            if queued.is_ok() {
                let _ = self.drain(now, net);
            }
            self.end(CloseReason::Local);
        }
    }
}
