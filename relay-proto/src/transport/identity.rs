//! Who a node is: a certificate of the cluster's CA with a SPIFFE identity in it.

use crate::ids::NodeId;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::sync::Arc;

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
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeIdentity").field("chain", &self.cert_chain.len()).finish_non_exhaustive()
    }
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

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/node/{}/{}", self.trust_domain, self.region, self.node)
    }
}
