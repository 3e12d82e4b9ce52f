//! The fingerprint of a certificate, as SDP carries it (RFC 8122).

use arrayvec::ArrayVec;
use ring::digest;
use std::fmt;
use std::str::FromStr;

/// Hash functions that are good enough. SHA-1 and MD5 are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintHash {
    /// `sha-256`.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl FingerprintHash {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// Hash of a certificate. Its text is the value of `a=fingerprint`: `sha-256 AF:12:...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which hash.
    pub hash: FingerprintHash,
    /// Its value.
    pub bytes: ArrayVec<u8, { digest::MAX_OUTPUT_LEN }>,
}

impl Fingerprint {
    /// The fingerprint of a certificate in DER.
    #[must_use]
    pub fn of(hash: FingerprintHash, certificate_der: &[u8]) -> Self {
        let value = digest::digest(hash.algorithm(), certificate_der);
        let mut bytes = ArrayVec::new();
        bytes.extend(value.as_ref().iter().copied());
        Self { hash, bytes }
    }

    /// Whether this is the fingerprint of that certificate. Not secret, so not constant time.
    #[must_use]
    pub fn matches(&self, certificate_der: &[u8]) -> bool {
        *self == Self::of(self.hash, certificate_der)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (i, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

/// What is wrong with the value of `a=fingerprint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is sha-256, sha-384 or sha-512, then that many bytes in hex with colons")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let (name, value) = text.trim().split_once(' ').ok_or(BadFingerprint)?;
        let named = |h: &FingerprintHash| h.name().eq_ignore_ascii_case(name);
        let hash = FingerprintHash::ALL.into_iter().find(named).ok_or(BadFingerprint)?;
        let mut bytes = ArrayVec::new();
        for pair in value.trim().split(':') {
            let two_digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            let byte =
                u8::from_str_radix(pair, 16).ok().filter(|_| two_digits).ok_or(BadFingerprint)?;
            bytes.try_push(byte).map_err(|_| BadFingerprint)?;
        }
        let whole = bytes.len() == hash.algorithm().output_len();
        if whole { Ok(Self { hash, bytes }) } else { Err(BadFingerprint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_back_as_written() {
        for hash in FingerprintHash::ALL {
            let fingerprint = Fingerprint::of(hash, b"certificate");
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint.clone()));
            assert_eq!(fingerprint.to_string().to_lowercase().parse(), Ok(fingerprint.clone()));
            assert!(fingerprint.matches(b"certificate") && !fingerprint.matches(b"Certificate"));
        }
    }

    #[test]
    fn weak_or_broken_fingerprints_are_refused() {
        let good = Fingerprint::of(FingerprintHash::Sha256, b"certificate").to_string();
        for bad in [
            "",
            "sha-256",
            "sha-1 AA:BB",
            "sha-256 AA:BB",
            "sha-256 +A:BB",
            &good[..good.len() - 1],
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(BadFingerprint), "{bad}");
        }
    }
}
