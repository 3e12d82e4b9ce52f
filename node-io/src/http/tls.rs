//! TLS 1.3 for the HTTP server, from certificate files that may be exchanged while it runs.

use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// Where a server's certificate lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, PEM, the server's own first.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// A certificate in force, and where a newer one will be found. Cloning gives the same one.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// What new handshakes are answered with. Open connections have their keys and need no certificate any more.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl TlsFiles {
    fn load(&self) -> io::Result<CertifiedKey> {
        let bad = |path: &Path, why: &dyn Display| {
            io::Error::other(format!("TLS: {}: {why}", path.display()))
        };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(&self.cert).map_err(|e| bad(&self.cert, &e))?.collect();
        let chain = chain.map_err(|e| bad(&self.cert, &e))?;
        if chain.is_empty() {
            return Err(bad(&self.cert, &"no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| bad(&self.key, &e))?;
        let key = any_supported_type(&key).map_err(|e| bad(&self.key, &e))?;
        let certified = CertifiedKey::new(chain, key);
        certified
            .keys_match()
            .map_err(|e| bad(&self.key, &format!("not the key of {}: {e}", self.cert.display())))?;
        Ok(certified)
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load(files: TlsFiles) -> io::Result<Self> {
        let current = Arc::new(Current(RwLock::new(Arc::new(files.load()?))));
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { files, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Reads the files again; whether they have another certificate, which new connections then see. What is open goes on.
    ///
    /// # Errors
    /// Which file cannot be used, and why; the certificate in force stays.
    pub fn reload(&self) -> io::Result<bool> {
        let new = self.files.load()?;
        let mut current = self.current.0.write().unwrap_or_else(PoisonError::into_inner);
        let other = current.cert != new.cert;
        if other {
            *current = Arc::new(new);
        }
        Ok(other)
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}
