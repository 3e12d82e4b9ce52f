//! The little of STUN that an ICE-lite server speaks (RFC 8489, RFC 8445 section 7): binding requests in, signed
//! answers out. A request is read only as far as it is authenticated: what follows MESSAGE-INTEGRITY does not count.

use ring::hmac;
use std::net::{IpAddr, SocketAddr};

/// RFC 8489 section 5.
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Type, length, cookie, transaction id.
pub(crate) const HEADER_BYTES: usize = 20;
/// A path of unknown MTU carries 576 bytes, 28 of them IPv4 and UDP headers (RFC 8489 section 6.1).
pub(crate) const STUN_BYTES_MAX: usize = 576 - 28;
/// The longest answer: header, XOR-MAPPED-ADDRESS of IPv6 (4 + 20), MESSAGE-INTEGRITY (4 + 20), FINGERPRINT (4 + 4).
/// A request carries a user name, a priority and a role besides the last two, so an IPv4 answer is always shorter.
pub(crate) const ANSWER_BYTES_MAX: usize = HEADER_BYTES + 24 + INTEGRITY_BYTES + FINGERPRINT_BYTES;

const INTEGRITY_BYTES: usize = 4 + 20;
const FINGERPRINT_BYTES: usize = 4 + 4;
const FINGERPRINT_XOR: u32 = 0x5354_554e;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_FAILURE: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// RFC 8445 section 7.3.1.1: both sides claim the same role.
const ROLE_CONFLICT: (u8, u8, &[u8]) = (4, 87, b"Role Conflict");

/// The key of short-term credentials is the password itself (RFC 8489 section 9.1.1).
pub(crate) fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// Whether this can be STUN at all: the cookie tells it from everything else on the socket.
pub(crate) fn has_cookie(data: &[u8]) -> bool {
    data.get(4..8) == Some(&MAGIC[..])
}

/// A binding request whose integrity is not verified yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// Ours: the part of the user name before the colon.
    pub(crate) local_ufrag: &'a [u8],
    /// Theirs.
    pub(crate) remote_ufrag: &'a [u8],
    /// Whether the controlling side picks this path.
    pub(crate) use_candidate: bool,
    /// Whether the sender believes to be the controlled side, which is ours alone.
    pub(crate) claims_controlled: bool,
    /// Comes back in the answer.
    pub(crate) transaction: [u8; 12],
    data: &'a [u8],
    integrity_at: usize,
}

impl<'a> Request<'a> {
    /// Reads a binding request: length, cookie, FINGERPRINT and the attributes ICE demands must all be right.
    pub(crate) fn parse(data: &'a [u8]) -> Option<Self> {
        let length = usize::from(u16_at(data, 2)?);
        let whole =
            data.len() == HEADER_BYTES + length && data.len() <= STUN_BYTES_MAX && length % 4 == 0;
        if u16_at(data, 0)? != BINDING_REQUEST || !has_cookie(data) || !whole {
            return None;
        }
        let transaction = data.get(8..HEADER_BYTES)?.try_into().ok()?;
        let mut user: Option<(&[u8], &[u8])> = None;
        let (mut priority, mut use_candidate, mut claims_controlled) = (false, false, false);
        let mut at = HEADER_BYTES;
        loop {
            let (kind, value) = attribute(data, at)?;
            match kind {
                MESSAGE_INTEGRITY if value.len() == 20 => break,
                USERNAME if user.is_none() => user = Some(split_user(value)?),
                PRIORITY => priority = value.len() == 4,
                USE_CANDIDATE => use_candidate = true,
                ICE_CONTROLLED => claims_controlled = true,
                _ => {}
            }
            at += 4 + value.len().next_multiple_of(4);
        }
        let (local_ufrag, remote_ufrag) = user.filter(|_| priority)?;
        if !fingerprint_fits(data, at + INTEGRITY_BYTES) {
            return None;
        }
        Some(Self {
            local_ufrag,
            remote_ufrag,
            use_candidate,
            claims_controlled,
            transaction,
            data,
            integrity_at: at,
        })
    }

    /// Whether whoever sent this knows the password. Constant time in the tag.
    pub(crate) fn verify(&self, key: &hmac::Key) -> bool {
        let Some(tag) = self.data.get(self.integrity_at + 4..self.integrity_at + INTEGRITY_BYTES)
        else {
            return false;
        };
        let mut signed = [0; STUN_BYTES_MAX];
        let Some(text) = signed.get_mut(..self.integrity_at) else {
            return false;
        };
        text.copy_from_slice(&self.data[..self.integrity_at]);
        // The length that is signed ends with MESSAGE-INTEGRITY (RFC 8489 section 14.5).
        set_length(text, self.integrity_at + INTEGRITY_BYTES);
        hmac::verify(key, text, tag).is_ok()
    }
}

fn split_user(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = value.iter().position(|b| *b == b':')?;
    Some((&value[..colon], &value[colon + 1..]))
}

/// FINGERPRINT must be there, last, and right: it costs a table walk and spares an HMAC.
fn fingerprint_fits(data: &[u8], after_integrity: usize) -> bool {
    let Some(at) = data.len().checked_sub(FINGERPRINT_BYTES).filter(|at| *at >= after_integrity)
    else {
        return false;
    };
    match attribute(data, at) {
        Some((FINGERPRINT, value)) => value == (crc32(&data[..at]) ^ FINGERPRINT_XOR).to_be_bytes(),
        _ => false,
    }
}

fn attribute(data: &[u8], at: usize) -> Option<(u16, &[u8])> {
    let (kind, len) = (u16_at(data, at)?, usize::from(u16_at(data, at + 2)?));
    Some((kind, data.get(at + 4..at + 4 + len)?))
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn set_length(message: &mut [u8], end: usize) {
    message[2..4].copy_from_slice(&((end - HEADER_BYTES) as u16).to_be_bytes());
}

/// Lays messages out; `None` when the buffer is too small.
struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    fn new(buf: &'a mut [u8], kind: u16, transaction: [u8; 12]) -> Option<Self> {
        let header = buf.get_mut(..HEADER_BYTES)?;
        header[..2].copy_from_slice(&kind.to_be_bytes());
        header[4..8].copy_from_slice(&MAGIC);
        header[8..].copy_from_slice(&transaction);
        Some(Self { buf, at: HEADER_BYTES })
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) -> Option<()> {
        let end = self.at + 4 + value.len().next_multiple_of(4);
        let space = self.buf.get_mut(self.at..end)?;
        space.fill(0);
        space[..2].copy_from_slice(&kind.to_be_bytes());
        space[2..4].copy_from_slice(&(value.len() as u16).to_be_bytes());
        space[4..4 + value.len()].copy_from_slice(value);
        self.at = end;
        Some(())
    }

    /// Adds MESSAGE-INTEGRITY and FINGERPRINT and returns the message's length.
    fn finish(mut self, key: &hmac::Key) -> Option<usize> {
        set_length(self.buf, self.at + INTEGRITY_BYTES);
        let tag = hmac::sign(key, &self.buf[..self.at]);
        self.attribute(MESSAGE_INTEGRITY, tag.as_ref())?;
        set_length(self.buf, self.at + FINGERPRINT_BYTES);
        let crc = crc32(&self.buf[..self.at]) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, &crc.to_be_bytes())?;
        Some(self.at)
    }
}

/// Answers a check: this is the address you were seen at.
pub(crate) fn write_success(
    buf: &mut [u8],
    transaction: [u8; 12],
    seen: SocketAddr,
    key: &hmac::Key,
) -> Option<usize> {
    let mut writer = Writer::new(buf, BINDING_SUCCESS, transaction)?;
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC);
    mask[4..].copy_from_slice(&transaction);
    let mut value = [0; 20];
    value[2..4].copy_from_slice(&(seen.port() ^ 0x2112).to_be_bytes());
    // A dual-stack socket shows IPv4 senders as mapped IPv6; they know themselves as IPv4.
    let used = match seen.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..].copy_from_slice(&ip.octets());
            20
        }
    };
    value[4..used].iter_mut().zip(mask).for_each(|(byte, m)| *byte ^= m);
    writer.attribute(XOR_MAPPED_ADDRESS, &value[..used])?;
    writer.finish(key)
}

/// Answers a check whose sender claims our role.
pub(crate) fn write_role_conflict(
    buf: &mut [u8],
    transaction: [u8; 12],
    key: &hmac::Key,
) -> Option<usize> {
    let mut writer = Writer::new(buf, BINDING_FAILURE, transaction)?;
    let (class, number, phrase) = ROLE_CONFLICT;
    let mut value = [0; 4 + 13];
    (value[2], value[3]) = (class, number);
    value[4..].copy_from_slice(phrase);
    writer.attribute(ERROR_CODE, &value)?;
    writer.finish(key)
}

/// A check as a client sends it: the client half of the clear transport, and tests.
pub(crate) fn write_request(
    buf: &mut [u8],
    transaction: [u8; 12],
    user: &str,
    use_candidate: bool,
    key: &hmac::Key,
) -> Option<usize> {
    let mut writer = Writer::new(buf, BINDING_REQUEST, transaction)?;
    writer.attribute(USERNAME, user.as_bytes())?;
    // 2^24 * 126 (host) + 2^8 * 65535 + 255 (RFC 8445 section 5.1.2.1).
    writer.attribute(PRIORITY, &((126_u32 << 24) + (65_535 << 8) + 255).to_be_bytes())?;
    writer.attribute(ICE_CONTROLLING, &[0x7f; 8])?;
    if use_candidate {
        writer.attribute(USE_CANDIDATE, &[])?;
    }
    writer.finish(key)
}

/// Whether `data` is a success answer to `transaction`, signed with `key`: what a client checks.
pub(crate) fn is_success(data: &[u8], transaction: [u8; 12], key: &hmac::Key) -> bool {
    let fits = u16_at(data, 0) == Some(BINDING_SUCCESS)
        && has_cookie(data)
        && data.get(8..HEADER_BYTES) == Some(&transaction[..])
        && data.len() <= STUN_BYTES_MAX;
    let Some(at) = data.len().checked_sub(INTEGRITY_BYTES + FINGERPRINT_BYTES).filter(|_| fits)
    else {
        return false;
    };
    let Some((MESSAGE_INTEGRITY, tag)) = attribute(data, at) else {
        return false;
    };
    let mut signed = [0; STUN_BYTES_MAX];
    signed[..at].copy_from_slice(&data[..at]);
    set_length(&mut signed, at + INTEGRITY_BYTES);
    hmac::verify(key, &signed[..at], tag).is_ok()
}

/// CRC-32 of IEEE 802.3, reflected, as FINGERPRINT uses it.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut value = i as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[i] = value;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use is::Sha1HmacProvider;
    use is::stun::{StunMessage, TransId};

    fn sha1(key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        is::DefaultSha1HmacProvider.sha1_hmac(key, payloads)
    }

    #[test]
    fn reads_and_verifies_what_another_library_writes() {
        let mut buf = [0; 500];
        let message = StunMessage::binding_request("us12:them", TransId::new(), true, 7, 99, true);
        let n = message.to_bytes(Some(b"a long enough password"), &mut buf, sha1).unwrap();
        let request = Request::parse(&buf[..n]).unwrap();
        assert_eq!((request.local_ufrag, request.remote_ufrag), (&b"us12"[..], &b"them"[..]));
        assert!(request.use_candidate && !request.claims_controlled);
        assert!(request.verify(&key("a long enough password")));
        assert!(!request.verify(&key("another password")));
    }

    #[test]
    fn another_library_reads_and_verifies_our_answers() {
        for seen in ["192.0.2.7:4711", "[2001:db8::9]:5000", "[::ffff:192.0.2.7]:80"] {
            let seen: SocketAddr = seen.parse().unwrap();
            let mut buf = [0; ANSWER_BYTES_MAX];
            let n = write_success(&mut buf, [5; 12], seen, &key("password")).unwrap();
            let message = StunMessage::parse(&buf[..n]).unwrap();
            assert!(message.is_successful_binding_response());
            assert!(message.verify(b"password", sha1));
            let canonical = SocketAddr::new(seen.ip().to_canonical(), seen.port());
            assert_eq!(message.mapped_address(), Some(canonical));
            assert!(is_success(&buf[..n], [5; 12], &key("password")));
            assert!(!is_success(&buf[..n], [5; 12], &key("wrong")));
        }
        let mut buf = [0; ANSWER_BYTES_MAX];
        let n = write_role_conflict(&mut buf, [5; 12], &key("password")).unwrap();
        let message = StunMessage::parse(&buf[..n]).unwrap();
        assert_eq!(message.error_code().map(|e| e.0), Some(487));
        assert!(message.verify(b"password", sha1));
    }

    #[test]
    fn our_requests_are_read_by_us_and_by_others() {
        let mut buf = [0; STUN_BYTES_MAX];
        let n = write_request(&mut buf, [9; 12], "abcd:efgh", true, &key("pw")).unwrap();
        assert!(Request::parse(&buf[..n]).is_some_and(|r| r.verify(&key("pw")) && r.use_candidate));
        assert!(StunMessage::parse(&buf[..n]).unwrap().verify(b"pw", sha1));
    }

    #[test]
    fn an_answer_is_never_longer_than_a_request_over_ipv4() {
        let mut request = [0; STUN_BYTES_MAX];
        let mut answer = [0; ANSWER_BYTES_MAX];
        let asked = write_request(&mut request, [9; 12], "abcd:e", false, &key("pw")).unwrap();
        let seen = SocketAddr::from(([192, 0, 2, 1], 9));
        assert!(write_success(&mut answer, [9; 12], seen, &key("pw")).unwrap() <= asked);
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let mut buf = [0; STUN_BYTES_MAX];
        let n = write_request(&mut buf, [9; 12], "abcd:efgh", false, &key("pw")).unwrap();
        for bit in 0..n * 8 {
            let mut bad = buf;
            bad[bit / 8] ^= 1 << (bit % 8);
            let accepted = Request::parse(&bad[..n]).is_some_and(|r| r.verify(&key("pw")));
            assert!(!accepted, "bit {bit}");
        }
        for len in 0..n {
            assert!(Request::parse(&buf[..len]).is_none(), "cut to {len}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(mut data in proptest::collection::vec(proptest::num::u8::ANY, 0..200), frame in proptest::bool::ANY) {
            if frame && data.len() >= HEADER_BYTES {
                data[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
                data[4..8].copy_from_slice(&MAGIC);
                let len = data.len();
                set_length(&mut data, len);
            }
            if let Some(request) = Request::parse(&data) {
                let _ = request.verify(&key("pw"));
            }
            let _ = is_success(&data, [0; 12], &key("pw"));
        }
    }
}
