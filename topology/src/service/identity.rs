//! Who is at the other end: the URI in its certificate.

use crate::model::Region;
use relay_proto::NodeId;
use relay_proto::transport::identity::uris_of_certificate;
use rustls::pki_types::CertificateDer;
use std::fmt;

/// What a certificate says its holder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// `spiffe://<trust-domain>/node/<region>/<id>`
    Node {
        /// Where it stands.
        region: Region,
        /// Its number.
        node: NodeId,
    },
    /// `spiffe://<trust-domain>/operator/<name>`
    Operator(String),
    /// `spiffe://<trust-domain>/topology/<name>`: a member of the topology service.
    Topology(String),
}

/// Why a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// There is none, or it cannot be parsed.
    #[error("the peer's certificate cannot be read: issue it anew")]
    Unreadable,
    /// No SPIFFE URI, or several.
    #[error(
        "the peer's certificate must have exactly one spiffe:// URI, it has {0}: issue it anew"
    )]
    NotOneUri(usize),
    /// Another cluster.
    #[error(
        "the peer is {uri}, outside of trust domain {trust_domain}: use a certificate of this cluster"
    )]
    OtherDomain {
        /// What it says.
        uri: String,
        /// What was expected.
        trust_domain: String,
    },
    /// Not one of the known forms.
    #[error("{0} is neither /node/<region>/<id>, /operator/<name> nor /topology/<name>")]
    UnknownForm(String),
}

impl Identity {
    /// From the end-entity certificate of a verified chain.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn of_certificate(
        cert: &CertificateDer<'_>,
        trust_domain: &str,
    ) -> Result<Self, IdentityError> {
        let uris = uris_of_certificate(cert).map_err(|_| IdentityError::Unreadable)?;
        let uris: Vec<&String> = uris.iter().filter(|u| u.starts_with("spiffe://")).collect();
        match uris.as_slice() {
            [uri] => Self::of_uri(uri, trust_domain),
            other => Err(IdentityError::NotOneUri(other.len())),
        }
    }

    /// From a SPIFFE URI.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn of_uri(uri: &str, trust_domain: &str) -> Result<Self, IdentityError> {
        let text: String = uri.chars().take(160).collect();
        let rest = uri
            .strip_prefix("spiffe://")
            .ok_or_else(|| IdentityError::UnknownForm(text.clone()))?;
        let (domain, path) = rest.split_once('/').unwrap_or((rest, ""));
        if domain != trust_domain {
            return Err(IdentityError::OtherDomain {
                uri: text,
                trust_domain: trust_domain.to_owned(),
            });
        }
        let parts: Vec<&str> = path.split('/').collect();
        let known = match parts.as_slice() {
            ["node", region, id] => node(region, id),
            ["operator", name] if fits(name) => Some(Self::Operator((*name).to_owned())),
            ["topology", name] if fits(name) => Some(Self::Topology((*name).to_owned())),
            _ => None,
        };
        known.ok_or(IdentityError::UnknownForm(text))
    }

    /// The URI a certificate of this identity carries.
    #[must_use]
    pub fn uri(&self, trust_domain: &str) -> String {
        format!("spiffe://{trust_domain}/{self}")
    }
}

fn node(region: &str, id: &str) -> Option<Identity> {
    let region = Region::new(region).ok()?;
    let number: u32 = id.parse().ok()?;
    let plain = number.to_string() == id && (1..=NodeId::MAX).contains(&number);
    plain.then_some(Identity::Node { region, node: NodeId(number) })
}

fn fits(name: &str) -> bool {
    (1..=64).contains(&name.len())
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { region, node } => write!(f, "node/{region}/{node}"),
            Self::Operator(name) => write!(f, "operator/{name}"),
            Self::Topology(name) => write!(f, "topology/{name}"),
        }
    }
}
