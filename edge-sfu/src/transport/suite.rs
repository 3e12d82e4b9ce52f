//! The two cipher suites of SRTP: AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1-80 (RFC 3711). They know where the
//! bytes of one packet go, not which packets there were.

use super::kdf::{Aes, LABEL_RTCP, LABEL_RTP, SessionKeys};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;

/// The tag of AES-GCM.
const GCM_TAG: usize = 16;
/// HMAC-SHA1-80: ten bytes of twenty.
const CM_TAG: usize = 10;
/// The SRTCP index with its E bit.
const INDEX_WORD: usize = 4;
/// The header of the first packet of a compound, which stays in the clear.
pub(super) const RTCP_HEADER: usize = 8;
/// "This packet is encrypted" (RFC 3711 section 3.4).
const E_BIT: u32 = 1 << 31;

/// What was negotiated (RFC 5764, RFC 7714), best first: GCM costs a sixth of CM with SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// AEAD_AES_128_GCM.
    Gcm128,
    /// AEAD_AES_256_GCM.
    Gcm256,
    /// SRTP_AES128_CM_SHA1_80, for clients without GCM.
    CmSha1,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gcm128, Self::Gcm256, Self::CmSha1];

    /// Bytes of the master key.
    #[must_use]
    pub fn key_len(self) -> usize {
        if self == Self::Gcm256 { 32 } else { 16 }
    }

    /// Bytes of the master salt.
    #[must_use]
    pub fn salt_len(self) -> usize {
        if self == Self::CmSha1 { 14 } else { 12 }
    }

    /// What sealing adds to an RTP packet.
    #[must_use]
    pub fn rtp_overhead(self) -> usize {
        if self == Self::CmSha1 { CM_TAG } else { GCM_TAG }
    }

    /// What sealing adds to an RTCP packet.
    #[must_use]
    pub fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + INDEX_WORD
    }
}

/// The keys of one direction. `packet` always is the whole buffer; the caller has checked that everything fits.
pub(super) enum Suite {
    Gcm(Box<Gcm>),
    Cm(Box<Cm>),
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gcm(_) => "Gcm",
            Self::Cm(_) => "Cm",
        })
    }
}

impl Suite {
    pub(super) fn new(profile: Profile, master_key: &[u8], master_salt: &[u8]) -> Option<Self> {
        let rtp = SessionKeys::new(master_key, master_salt, LABEL_RTP)?;
        let rtcp = SessionKeys::new(master_key, master_salt, LABEL_RTCP)?;
        Some(match profile {
            Profile::Gcm128 | Profile::Gcm256 => Self::Gcm(Box::new(Gcm {
                rtp: GcmKey::new(profile, &rtp)?,
                rtcp: GcmKey::new(profile, &rtcp)?,
            })),
            Profile::CmSha1 => {
                Self::Cm(Box::new(Cm { rtp: CmKey::new(&rtp)?, rtcp: CmKey::new(&rtcp)? }))
            }
        })
    }

    /// Seals the `len` bytes of an RTP packet whose payload starts at `payload`; returns the new length.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        payload: usize,
        len: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        match self {
            Self::Gcm(gcm) => {
                let nonce = gcm.rtp.rtp_nonce(ssrc, index);
                let (header, body) =
                    packet.get_mut(..len + GCM_TAG)?.split_at_mut_checked(payload)?;
                let (text, space) = body.split_at_mut_checked(len.checked_sub(payload)?)?;
                let tag =
                    gcm.rtp.key.seal_in_place_separate_tag(nonce, Aad::from(header), text).ok()?;
                space.copy_from_slice(tag.as_ref());
                Some(len + GCM_TAG)
            }
            Self::Cm(cm) => {
                cm.rtp.cipher(packet.get_mut(payload..len)?, ssrc, index);
                let tag = cm.rtp.tag(packet.get(..len)?, ((index >> 16) as u32).to_be_bytes());
                packet.get_mut(len..len + CM_TAG)?.copy_from_slice(&tag);
                Some(len + CM_TAG)
            }
        }
    }

    /// Opens a whole SRTP packet; returns the plaintext's length, or `None` if it is not authentic.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        payload: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        match self {
            Self::Gcm(gcm) => {
                let nonce = gcm.rtp.rtp_nonce(ssrc, index);
                let (header, body) = packet.split_at_mut_checked(payload)?;
                let plain = gcm.rtp.key.open_in_place(nonce, Aad::from(header), body).ok()?;
                Some(payload + plain.len())
            }
            Self::Cm(cm) => {
                let len = packet.len().checked_sub(CM_TAG).filter(|len| *len >= payload)?;
                let (text, tag) = packet.split_at_mut(len);
                let expected = cm.rtp.tag(text, ((index >> 16) as u32).to_be_bytes());
                if !same(&expected, tag) {
                    return None;
                }
                cm.rtp.cipher(&mut text[payload..], ssrc, index);
                Some(len)
            }
        }
    }

    /// Seals the `len` bytes of an RTCP compound; returns the new length.
    pub(super) fn seal_rtcp(
        &self,
        packet: &mut [u8],
        len: usize,
        ssrc: u32,
        index: u32,
    ) -> Option<usize> {
        let word = (E_BIT | index).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let nonce = gcm.rtcp.rtcp_nonce(ssrc, index);
                let aad = rtcp_aad(packet, word)?;
                let body = packet.get_mut(RTCP_HEADER..len)?;
                let tag =
                    gcm.rtcp.key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).ok()?;
                packet.get_mut(len..len + GCM_TAG)?.copy_from_slice(tag.as_ref());
                packet.get_mut(len + GCM_TAG..len + GCM_TAG + INDEX_WORD)?.copy_from_slice(&word);
                Some(len + GCM_TAG + INDEX_WORD)
            }
            Self::Cm(cm) => {
                cm.rtcp.cipher(packet.get_mut(RTCP_HEADER..len)?, ssrc, u64::from(index));
                packet.get_mut(len..len + INDEX_WORD)?.copy_from_slice(&word);
                let tag = cm.rtcp.tag(packet.get(..len)?, word);
                packet.get_mut(len + INDEX_WORD..len + INDEX_WORD + CM_TAG)?.copy_from_slice(&tag);
                Some(len + INDEX_WORD + CM_TAG)
            }
        }
    }

    /// The index of an SRTCP packet. `None` for a short one, and for one that says it is not encrypted: we never
    /// agreed to that.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let from_end = match self {
            Self::Gcm(_) => INDEX_WORD,
            Self::Cm(_) => INDEX_WORD + CM_TAG,
        };
        let least =
            RTCP_HEADER + INDEX_WORD + if matches!(self, Self::Gcm(_)) { GCM_TAG } else { CM_TAG };
        let at = packet.len().checked_sub(from_end).filter(|_| packet.len() >= least)?;
        let word = u32::from_be_bytes(packet.get(at..at + INDEX_WORD)?.try_into().ok()?);
        (word & E_BIT != 0).then_some(word & !E_BIT)
    }

    /// Opens a whole SRTCP packet; returns the plaintext's length, or `None` if it is not authentic.
    pub(super) fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Option<usize> {
        let word = (E_BIT | index).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let nonce = gcm.rtcp.rtcp_nonce(ssrc, index);
                let aad = rtcp_aad(packet, word)?;
                let end = packet.len().checked_sub(INDEX_WORD)?;
                let body = packet.get_mut(RTCP_HEADER..end)?;
                let plain = gcm.rtcp.key.open_in_place(nonce, Aad::from(aad), body).ok()?;
                Some(RTCP_HEADER + plain.len())
            }
            Self::Cm(cm) => {
                let len = packet.len().checked_sub(INDEX_WORD + CM_TAG)?;
                let (text, trailer) = packet.split_at_mut(len);
                if !same(&cm.rtcp.tag(text, word), trailer.get(INDEX_WORD..)?) {
                    return None;
                }
                cm.rtcp.cipher(text.get_mut(RTCP_HEADER..)?, ssrc, u64::from(index));
                Some(len)
            }
        }
    }
}

/// RFC 7714 section 9.2: the first eight bytes and the index word are authenticated, not encrypted.
fn rtcp_aad(packet: &[u8], word: [u8; INDEX_WORD]) -> Option<[u8; RTCP_HEADER + INDEX_WORD]> {
    let mut aad = [0; RTCP_HEADER + INDEX_WORD];
    aad[..RTCP_HEADER].copy_from_slice(packet.get(..RTCP_HEADER)?);
    aad[RTCP_HEADER..].copy_from_slice(&word);
    Some(aad)
}

/// Compares tags in constant time.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && std::hint::black_box(a.iter().zip(b).fold(0, |or, (a, b)| or | (a ^ b))) == 0
}

/// AES-GCM keys: RFC 7714. At most 2^48 RTP and 2^31 RTCP packets may use one (section 14.2): the index says when.
pub(super) struct Gcm {
    rtp: GcmKey,
    rtcp: GcmKey,
}

struct GcmKey {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl GcmKey {
    fn new(profile: Profile, keys: &SessionKeys) -> Option<Self> {
        let key = match profile {
            Profile::Gcm256 => UnboundKey::new(&AES_256_GCM, &keys.encryption::<32>()),
            _ => UnboundKey::new(&AES_128_GCM, &keys.encryption::<16>()),
        };
        Some(Self { key: LessSafeKey::new(key.ok()?), salt: keys.salt() })
    }

    /// Section 8.1: 00 00 | SSRC | ROC | SEQ, XOR salt.
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> Nonce {
        self.nonce(ssrc, &index.to_be_bytes()[2..])
    }

    /// Section 9.1: 00 00 | SSRC | 00 00 | 0 + index, XOR salt.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> Nonce {
        self.nonce(ssrc, &u64::from(index).to_be_bytes()[2..])
    }

    fn nonce(&self, ssrc: u32, tail: &[u8]) -> Nonce {
        let mut nonce = self.salt;
        nonce[2..6].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        nonce[6..].iter_mut().zip(tail).for_each(|(n, t)| *n ^= t);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// AES-CM and HMAC-SHA1 keys: RFC 3711.
pub(super) struct Cm {
    rtp: CmKey,
    rtcp: CmKey,
}

struct CmKey {
    aes: Aes,
    salt: [u8; 14],
    mac: hmac::Key,
}

impl CmKey {
    fn new(keys: &SessionKeys) -> Option<Self> {
        Some(Self {
            aes: Aes::new(&keys.encryption::<16>())?,
            salt: keys.salt(),
            mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.authentication::<20>()),
        })
    }

    /// Section 4.1.1: IV = salt * 2^16 XOR SSRC * 2^64 XOR index * 2^16.
    fn cipher(&self, data: &mut [u8], ssrc: u32, index: u64) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        iv[4..8].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]).for_each(|(n, t)| *n ^= t);
        self.aes.counter_mode(iv, data);
    }

    /// Section 4.2: over the packet and the ROC, or the packet and the index word.
    fn tag(&self, text: &[u8], tail: [u8; 4]) -> [u8; CM_TAG] {
        let mut mac = hmac::Context::with_key(&self.mac);
        mac.update(text);
        mac.update(&tail);
        let mut tag = [0; CM_TAG];
        tag.copy_from_slice(&mac.sign().as_ref()[..CM_TAG]);
        tag
    }
}

#[cfg(test)]
impl Suite {
    /// The vectors of RFC 7714 name session keys, the same for both protocols.
    pub(super) fn from_session_keys(profile: Profile, key: &[u8], salt: [u8; 12]) -> Self {
        let one = || {
            let algorithm = if profile == Profile::Gcm256 { &AES_256_GCM } else { &AES_128_GCM };
            GcmKey { key: LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap()), salt }
        };
        Self::Gcm(Box::new(Gcm { rtp: one(), rtcp: one() }))
    }
}
