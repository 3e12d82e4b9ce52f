//! Session keys from master keys: the AES-CM pseudo-random function of RFC 3711 section 4.3.3, key derivation rate 0.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

/// Labels of RFC 3711 section 4.3.2; the three of SRTCP are three higher.
pub(super) const LABEL_RTP: u8 = 0;
pub(super) const LABEL_RTCP: u8 = 3;
const ENCRYPTION: u8 = 0;
const AUTHENTICATION: u8 = 1;
const SALT: u8 = 2;

/// Master salts of AES-CM are 14 bytes; those of GCM are 12 and padded at the right (RFC 7714 section 11).
const SALT_BYTES: usize = 14;

/// AES with the key size that the profile names.
pub(super) enum Aes {
    A128(aes::Aes128),
    A256(aes::Aes256),
}

impl Aes {
    /// `None` unless the key has 16 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => aes::Aes128::new_from_slice(key).ok().map(Self::A128),
            32 => aes::Aes256::new_from_slice(key).ok().map(Self::A256),
            _ => None,
        }
    }

    fn encrypt(&self, blocks: &mut [Array<u8, aes::cipher::consts::U16>]) {
        match self {
            Self::A128(aes) => aes.encrypt_blocks(blocks),
            Self::A256(aes) => aes.encrypt_blocks(blocks),
        }
    }

    /// XORs `data` with the key stream of counter mode that starts at `iv`, whose last 16 bits count blocks
    /// (RFC 3711 section 4.1.1).
    pub(super) fn counter_mode(&self, iv: [u8; 16], data: &mut [u8]) {
        /// As many as AES-NI pipelines.
        const BLOCKS: usize = 8;
        let mut counter = u16::from_be_bytes([iv[14], iv[15]]);
        for chunk in data.chunks_mut(BLOCKS * 16) {
            let mut stream = [Array::from(iv); BLOCKS];
            let used = chunk.len().div_ceil(16);
            for block in &mut stream[..used] {
                block[14..].copy_from_slice(&counter.to_be_bytes());
                counter = counter.wrapping_add(1);
            }
            self.encrypt(&mut stream[..used]);
            for (part, key) in chunk.chunks_mut(16).zip(&stream) {
                match <&mut [u8; 16]>::try_from(&mut *part) {
                    Ok(whole) => {
                        let mixed =
                            u128::from_ne_bytes(*whole) ^ u128::from_ne_bytes((*key).into());
                        *whole = mixed.to_ne_bytes();
                    }
                    Err(_) => part.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key),
                }
            }
        }
    }
}

/// The session keys of one direction of one protocol.
pub(super) struct SessionKeys {
    aes: Aes,
    salt: [u8; SALT_BYTES],
    base: u8,
}

impl SessionKeys {
    /// From a master key and salt; `base` is [`LABEL_RTP`] or [`LABEL_RTCP`].
    pub(super) fn new(master_key: &[u8], master_salt: &[u8], base: u8) -> Option<Self> {
        let mut salt = [0; SALT_BYTES];
        salt.get_mut(..master_salt.len())?.copy_from_slice(master_salt);
        Some(Self { aes: Aes::new(master_key)?, salt, base })
    }

    pub(super) fn encryption<const N: usize>(&self) -> [u8; N] {
        self.derive(ENCRYPTION)
    }

    pub(super) fn authentication<const N: usize>(&self) -> [u8; N] {
        self.derive(AUTHENTICATION)
    }

    pub(super) fn salt<const N: usize>(&self) -> [u8; N] {
        self.derive(SALT)
    }

    fn derive<const N: usize>(&self, what: u8) -> [u8; N] {
        let mut iv = [0; 16];
        iv[..SALT_BYTES].copy_from_slice(&self.salt);
        // key_id = label || 48-bit index (0), right-aligned with the 112-bit salt.
        iv[7] ^= self.base + what;
        let mut out = [0; N];
        self.aes.counter_mode(iv, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 appendix B.3.
    #[test]
    fn derives_the_keys_of_the_rfc() {
        let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
        let keys = SessionKeys::new(&key, &hex("0EC675AD498AFEEBB6960B3AABE6"), LABEL_RTP).unwrap();
        assert_eq!(keys.encryption::<16>()[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt::<14>()[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            keys.authentication::<20>()[..],
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
        );
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    }
}
