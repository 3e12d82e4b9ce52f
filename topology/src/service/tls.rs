//! TLS for both sides: mutual, 1.3, ring given explicitly, names by SPIFFE URI instead of DNS.

use super::TlsIdentity;
use super::identity::Identity;
use crate::limits::{PEER_SILENCE_MAX, STREAMS_PER_CONNECTION};
use crate::protocol::ALPN;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use relay_proto::transport::verifier::ServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// rustls refuses chain, key or CA.
    #[error("certificate, key and CA do not work together: {0}")]
    Rustls(#[from] rustls::Error),
    /// The CA is empty or cannot verify clients.
    #[error("the CA cannot verify clients: {0}")]
    Verifier(String),
}

/// Read certificate chain, key and CA from PEM files.
///
/// # Errors
/// [`TlsError::File`] naming the file that cannot be used.
pub fn load_identity(chain: &Path, key: &Path, ca: &Path) -> Result<TlsIdentity, TlsError> {
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| TlsError::File { path: key.to_owned(), reason: e.to_string() })?;
    Ok(TlsIdentity::new(certificates(chain)?, private, certificates(ca)?))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let certs: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))?.collect();
    let certs = certs.map_err(|e| bad(e.to_string()))?;
    if certs.is_empty() { Err(bad("no certificate in it".to_owned())) } else { Ok(certs) }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A peer that is silent for `idle` is dead: the shorter time of both sides counts. Something is sent four times in it.
fn transport(idle: Duration) -> quinn::TransportConfig {
    let idle_ms = quinn::VarInt::from_u32(idle.as_millis() as u32);
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_idle_timeout(Some(quinn::IdleTimeout::from(idle_ms)))
        .keep_alive_interval(Some(idle / 4))
        .max_concurrent_bidi_streams(STREAMS_PER_CONNECTION.into())
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None);
    transport
}

pub(super) fn server_config(
    identity: &TlsIdentity,
    protocols: &[&[u8]],
) -> Result<quinn::ServerConfig, TlsError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(identity.roots()?), provider())
            .build()
            .map_err(|e| TlsError::Verifier(e.to_string()))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.cert_chain.clone(), identity.key.clone_key())?;
    tls.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let quic = QuicServerConfig::try_from(tls).map_err(|e| TlsError::Verifier(e.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport(PEER_SILENCE_MAX)));
    Ok(config)
}

/// QUIC configuration of a client of the topology, for tools that bring their own endpoint.
///
/// # Errors
/// Certificate, key and CA do not work together.
pub fn client_config(
    identity: &TlsIdentity,
    trust_domain: &str,
) -> Result<quinn::ClientConfig, TlsError> {
    client_config_for(identity, trust_domain, ALPN, PEER_SILENCE_MAX)
}

/// The same for another protocol between the same sides, or for an end that gives up earlier.
pub(super) fn client_config_for(
    identity: &TlsIdentity,
    trust_domain: &str,
    protocol: &[u8],
    idle: Duration,
) -> Result<quinn::ClientConfig, TlsError> {
    let trust_domain = trust_domain.to_owned();
    let verifier = ServerVerifier::new(Arc::new(identity.roots()?), move |cert| {
        topology_only(cert, &trust_domain)
    });
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.cert_chain.clone(), identity.key.clone_key())?;
    tls.alpn_protocols = vec![protocol.to_vec()];
    let quic = QuicClientConfig::try_from(tls).map_err(|e| TlsError::Verifier(e.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport(idle)));
    Ok(config)
}

/// The name must be a topology member's: otherwise any node with a stolen certificate could play the service.
fn topology_only(cert: &CertificateDer<'_>, trust_domain: &str) -> Result<(), String> {
    match Identity::of_certificate(cert, trust_domain) {
        Ok(Identity::Topology(_)) => Ok(()),
        Ok(other) => Err(format!("{other} is not a topology service")),
        Err(e) => Err(e.to_string()),
    }
}

/// The certificate of the other side of a connection.
pub(super) fn peer_certificate(connection: &quinn::Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.first().cloned()
}

/// Which protocol the handshake agreed on.
pub(super) fn protocol_of(connection: &quinn::Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    data.protocol
}
