//! A certificate authority for tests, the simulator and `mesh dev`: deterministic, from a seed. Never for production.

use super::identity::{NodeIdentity, NodeName};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// PKCS #8 around an Ed25519 seed (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The authority.
pub struct DevCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
    seed: [u8; 32],
}

impl std::fmt::Debug for DevCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevCa").finish_non_exhaustive()
    }
}

fn key_of(seed: [u8; 32]) -> Result<(KeyPair, PrivatePkcs8KeyDer<'static>), rcgen::Error> {
    let der = [&PKCS8_PREFIX[..], &seed].concat();
    let der = PrivatePkcs8KeyDer::from(der);
    Ok((KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)?, der))
}

impl DevCa {
    /// The authority of a seed: the same seed gives the same certificates.
    ///
    /// # Errors
    /// Not for any seed known.
    pub fn new(seed: [u8; 32]) -> Result<Self, String> {
        let (key, _) = key_of(seed).map_err(|e| e.to_string())?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "mesh dev CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(SerialNumber::from(1_u64));
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(|e| e.to_string())?;
        Ok(Self { issuer, seed })
    }

    /// The identity of a node.
    ///
    /// # Errors
    /// When the name is not ASCII.
    pub fn issue(&self, name: &NodeName) -> Result<NodeIdentity, String> {
        let mut seed = self.seed;
        for (byte, add) in seed.iter_mut().zip(name.node.0.to_be_bytes()) {
            *byte = byte.wrapping_add(add).wrapping_add(1);
        }
        let (key, der) = key_of(seed).map_err(|e| e.to_string())?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("node {:04}", name.node.0));
        let uri = name.to_string().try_into().map_err(|e: rcgen::Error| e.to_string())?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.serial_number = Some(SerialNumber::from(0x1_0000_u64 + u64::from(name.node.0)));
        let cert = params.signed_by(&key, &self.issuer).map_err(|e| e.to_string())?;
        let ca: CertificateDer<'static> = self.issuer.as_ref().der().clone();
        Ok(NodeIdentity::new(vec![cert.der().clone()], PrivateKeyDer::Pkcs8(der), vec![ca]))
    }
}
