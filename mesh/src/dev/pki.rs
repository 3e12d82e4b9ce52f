//! Certificates of a cluster: a CA, and identities of nodes, the topology and operators under it.

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType,
};

/// A certificate and its key, PEM.
pub(crate) struct Pem {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// A certificate authority.
pub(crate) struct Ca(Issuer<'static, KeyPair>);

/// All that is in a CA's certificate but its key: an authority is read back from its key alone.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "mesh CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Ca {
    /// A new one, and its files.
    pub(crate) fn generate() -> anyhow::Result<(Self, Pem)> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let params = ca_params();
        let cert = params.self_signed(&key)?.pem();
        let pem = Pem { cert, key: key.serialize_pem() };
        Ok((Self(Issuer::new(params, key)), pem))
    }

    /// The one with this key.
    pub(crate) fn from_key(pem: &str) -> anyhow::Result<Self> {
        let key = KeyPair::from_pem(pem).context("not a private key in PEM")?;
        Ok(Self(Issuer::new(ca_params(), key)))
    }

    /// A certificate with this one SPIFFE identity, good for both sides of TLS.
    pub(crate) fn issue(&self, name: &str, uri: &str) -> anyhow::Result<Pem> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::URI(uri.to_owned().try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let cert = params.signed_by(&key, &self.0)?.pem();
        Ok(Pem { cert, key: key.serialize_pem() })
    }
}
