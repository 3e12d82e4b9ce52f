//! Who a node is: a certificate of the cluster's CA with a SPIFFE identity in it.

use crate::ids::NodeId;
use crate::limits::REGION_BYTES_MAX;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Certificate chain and key of this node, and the cluster's CA.
#[derive(Clone)]
pub struct NodeIdentity {
    /// This node's certificate first, then intermediates.
    pub cert_chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: Arc<PrivateKeyDer<'static>>,
    /// Certificates that are trusted to sign nodes.
    pub ca: Vec<CertificateDer<'static>>,
}

impl NodeIdentity {
    /// From DER.
    #[must_use]
    pub fn new(
        cert_chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        ca: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self { cert_chain, key: Arc::new(key), ca }
    }

    /// The CA as TLS wants it.
    ///
    /// # Errors
    /// A certificate in it cannot be used.
    pub fn roots(&self) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        for ca in &self.ca {
            roots.add(ca.clone())?;
        }
        Ok(roots)
    }
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeIdentity")
            .field("chain", &self.cert_chain.len())
            .finish_non_exhaustive()
    }
}

/// The URI SANs of a certificate.
///
/// # Errors
/// What cannot be read, for a log line.
pub fn uris_of_certificate(der: &[u8]) -> Result<Vec<String>, String> {
    let (_, cert) = X509Certificate::from_der(der).map_err(|e| format!("certificate: {e}"))?;
    let san = cert.subject_alternative_name().map_err(|e| format!("SAN: {e}"))?;
    let names = san.map(|s| s.value.general_names.as_slice()).unwrap_or_default();
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    Ok(uris.collect())
}

/// What the URI SAN of a node's certificate says: `spiffe://<trust-domain>/node/<region>/<id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    /// The cluster.
    pub trust_domain: String,
    /// The region.
    pub region: String,
    /// The node.
    pub node: NodeId,
}

impl NodeName {
    /// Reads the one SPIFFE identity of a certificate.
    ///
    /// # Errors
    /// What is missing or wrong, for a log line.
    pub fn of_certificate(der: &[u8]) -> Result<Self, String> {
        match uris_of_certificate(der)?.as_slice() {
            [uri] => uri.parse(),
            [] => Err("certificate has no URI SAN".to_owned()),
            // SPIFFE X509-SVID section 2: exactly one.
            _ => Err("certificate has several URI SANs".to_owned()),
        }
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(uri: &str) -> Result<Self, String> {
        let bad = || format!("not a node's identity: {uri}");
        let rest = uri.strip_prefix("spiffe://").ok_or_else(bad)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [trust_domain, "node", region, id] = parts[..] else { return Err(bad()) };
        let canonical =
            !id.is_empty() && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
        let id: u32 =
            id.parse().ok().filter(|id| canonical && *id <= NodeId::MAX).ok_or_else(bad)?;
        if trust_domain.is_empty() || region.is_empty() || region.len() > REGION_BYTES_MAX {
            return Err(bad());
        }
        Ok(Self { trust_domain: trust_domain.into(), region: region.into(), node: NodeId(id) })
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/node/{}/{}", self.trust_domain, self.region, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_back_as_written() {
        let name = NodeName {
            trust_domain: "mesh.test".into(),
            region: "eu-1".into(),
            node: NodeId(4_095),
        };
        assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn other_identities_are_refused() {
        for uri in [
            "",
            "spiffe://a/node/r/0",
            "spiffe://a/node/r/01",
            "spiffe://a/node/r/+1",
            "spiffe://a/node/r/4096",
            "spiffe://a/node/r/1/2",
            "spiffe://a/edge/r/1",
            "spiffe:///node/r/1",
            "spiffe://a/node//1",
            "https://a/node/r/1",
        ] {
            assert!(uri.parse::<NodeName>().is_err(), "{uri}");
        }
    }
}
