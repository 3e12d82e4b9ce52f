//! Whom a client of the cluster believes: the chain leads to the cluster's CA, and the SPIFFE identity fits. The TLS
//! server name says nothing.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fmt;
use std::sync::Arc;

/// Verifies a server of the cluster. `F` judges the identity in its certificate.
pub struct ServerVerifier<F> {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    judge: F,
}

impl<F> ServerVerifier<F>
where
    F: Fn(&CertificateDer<'_>) -> Result<(), String> + Send + Sync,
{
    /// `judge` sees the end entity's certificate once its chain is known to be good, and says what is wrong with it.
    pub fn new(roots: Arc<RootCertStore>, judge: F) -> Self {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        Self { roots, algorithms, judge }
    }
}

impl<F> fmt::Debug for ServerVerifier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl<F> ServerCertVerifier for ServerVerifier<F>
where
    F: Fn(&CertificateDer<'_>) -> Result<(), String> + Send + Sync,
{
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let cert = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &cert,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        (self.judge)(end_entity).map_err(rustls::Error::General)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
