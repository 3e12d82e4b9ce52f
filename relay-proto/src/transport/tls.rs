//! Mutual TLS between nodes: both sides present a certificate of the cluster's CA.
//!
//! The name that counts is the SPIFFE identity in it, not the TLS server name (which carries the [`super::channel`]).
//! Handshakes draw keys from the operating system; with Ed25519 certificates and X25519 alone, nothing that is drawn
//! changes a size or a time, so virtual-time runs stay reproducible.

use super::identity::{NodeIdentity, NodeName};
use super::verifier::ServerVerifier;
use crate::time::{NTP_UNIX_OFFSET_S, NtpTime};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Native protocol.
pub(crate) const ALPN_NATIVE: &[u8] = b"sfu-relay/1";

/// The wall clock that certificates are checked against: whatever the machine was last told.
#[derive(Debug, Default)]
pub(crate) struct ToldClock(AtomicU64);

impl ToldClock {
    pub(crate) fn set(&self, wall: NtpTime) {
        let unix = (wall.0 >> 32).saturating_sub(NTP_UNIX_OFFSET_S);
        self.0.store(unix, Ordering::Relaxed);
    }

    fn since_epoch(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

impl rustls::time_provider::TimeProvider for ToldClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.since_epoch()))
    }
}

impl quinn_proto::TimeSource for ToldClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.since_epoch()
    }
}

/// Both TLS configurations of a node.
pub(crate) struct Tls {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
}

impl Tls {
    /// Checks that certificate, key and CA fit together.
    pub(crate) fn new(identity: &NodeIdentity, clock: &Arc<ToldClock>) -> Result<Self, String> {
        let provider = Arc::new(provider());
        let roots = Arc::new(identity.roots().map_err(|e| format!("CA: {e}"))?);
        // Some node of the cluster; which one is judged once the handshake is done, where the expectation is known.
        let verifier =
            ServerVerifier::new(roots.clone(), |cert| NodeName::of_certificate(cert).map(|_| ()));
        let mut client = ClientConfig::builder_with_details(provider.clone(), clock.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(identity.cert_chain.clone(), identity.key.clone_key())
            .map_err(|e| format!("certificate: {e}"))?;
        client.alpn_protocols = vec![ALPN_NATIVE.to_vec()];
        // A resumed handshake has another size, and skips the certificates.
        client.resumption = rustls::client::Resumption::disabled();
        let peers = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|e| format!("CA: {e}"))?;
        let mut server = ServerConfig::builder_with_details(provider, clock.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| e.to_string())?
            .with_client_cert_verifier(peers)
            .with_single_cert(identity.cert_chain.clone(), identity.key.clone_key())
            .map_err(|e| format!("certificate: {e}"))?;
        server.alpn_protocols = vec![ALPN_NATIVE.to_vec()];
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }
}

/// ring with X25519 alone: a P-256 fallback would change sizes, a post-quantum one needs aws-lc-rs.
fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![ring::kx_group::X25519], ..ring::default_provider() }
}
