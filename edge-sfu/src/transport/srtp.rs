//! SRTP and SRTCP of one peer, both directions, in place and without allocation per packet.

use super::index::Sources;
use super::suite::{RTCP_HEADER, Suite};
use sfu_core::drop_reason::DropReason;

pub use super::suite::Profile;

/// Sources a peer may send us. A browser has 13 (a voice, three pictures and three screens, each with its resend
/// source); SSRCs that renegotiation replaces stay, because forgetting one would let its packets be replayed.
pub const RECEIVE_SOURCES_MAX: usize = 64;
/// Sources we may send a peer: 64 m-lines, each with a source and a resend source, twice over.
pub const SEND_SOURCES_MAX: usize = 256;
/// An SRTCP index has 31 bits and never repeats under one key (RFC 3711 section 3.2.1): at 50 reports a second it
/// lasts 497 days.
const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;

/// Who made the DTLS hello: its keys come first in the keying material (RFC 5764 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// We are the DTLS client.
    Client,
    /// We are the DTLS server.
    Server,
}

/// The session: one set of keys and one table of sources for each direction and protocol.
#[derive(Debug)]
pub struct SrtpSession {
    profile: Profile,
    send: Suite,
    receive: Suite,
    sent: Sources,
    received: Sources,
    reports: Sources,
    rtcp_sent: u32,
}

impl SrtpSession {
    /// From what DTLS exported: client key, server key, client salt, server salt. `None` if the length is wrong.
    #[must_use]
    pub fn new(profile: Profile, keying: &[u8], we_are: KeyOwner) -> Option<Self> {
        let (key, salt) = (profile.key_len(), profile.salt_len());
        if keying.len() != 2 * (key + salt) {
            return None;
        }
        let (keys, salts) = keying.split_at(2 * key);
        let client = Suite::new(profile, &keys[..key], &salts[..salt])?;
        let server = Suite::new(profile, &keys[key..], &salts[salt..])?;
        let (send, receive) = match we_are {
            KeyOwner::Client => (client, server),
            KeyOwner::Server => (server, client),
        };
        Some(Self {
            profile,
            send,
            receive,
            sent: Sources::new(SEND_SOURCES_MAX),
            received: Sources::new(RECEIVE_SOURCES_MAX),
            reports: Sources::new(RECEIVE_SOURCES_MAX),
            rtcp_sent: 0,
        })
    }

    /// What was negotiated.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Seals the RTP packet in the first `len` bytes of `packet`, which has [`Profile::rtp_overhead`] bytes more.
    /// Returns the sealed length.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` (no room), `Replay` (this sequence number was sent before, or is 1,024 behind), or
    /// `TooManySources`. The packet must not be sent then.
    pub fn seal_rtp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, DropReason> {
        if len + self.profile.rtp_overhead() > packet.len() {
            return Err(DropReason::TooLarge);
        }
        let header = RtpHeader::parse(&packet[..len]).ok_or(DropReason::Malformed)?;
        let place = self.sent.place_rtp(header.ssrc, header.sequence)?;
        // Recorded first: if sealing failed half-way, this nonce must not be used again either.
        self.sent.accept(header.ssrc, place);
        self.send
            .seal_rtp(packet, header.len, len, header.ssrc, place.index)
            .ok_or(DropReason::Malformed)
    }

    /// Opens an SRTP packet; the plaintext is in the first so many bytes afterwards. A packet that is not authentic
    /// changes nothing but its own buffer.
    ///
    /// # Errors
    /// `Malformed`, `Replay`, `TooManySources` or `SrtpAuth`.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        let header = RtpHeader::parse(packet).ok_or(DropReason::Malformed)?;
        let place = self.received.place_rtp(header.ssrc, header.sequence)?;
        let len = self
            .receive
            .open_rtp(packet, header.len, header.ssrc, place.index)
            .ok_or(DropReason::SrtpAuth)?;
        self.received.accept(header.ssrc, place);
        Ok(len)
    }

    /// Seals the RTCP compound in the first `len` bytes of `packet`, which has [`Profile::rtcp_overhead`] bytes more.
    /// Returns the sealed length.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` (no room), or `Limit` when the key is used up.
    pub fn seal_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, DropReason> {
        if len + self.profile.rtcp_overhead() > packet.len() {
            return Err(DropReason::TooLarge);
        }
        let ssrc = rtcp_ssrc(&packet[..len]).ok_or(DropReason::Malformed)?;
        if self.rtcp_sent >= RTCP_INDEX_MAX {
            return Err(DropReason::Limit);
        }
        // One counter for all our SSRCs: indices only have to be unique.
        self.rtcp_sent += 1;
        self.send.seal_rtcp(packet, len, ssrc, self.rtcp_sent).ok_or(DropReason::Malformed)
    }

    /// Opens an SRTCP packet, in the same way.
    ///
    /// # Errors
    /// `Malformed`, `Replay`, `TooManySources` or `SrtpAuth`.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, DropReason> {
        let ssrc = rtcp_ssrc(packet).ok_or(DropReason::Malformed)?;
        let index = self.receive.rtcp_index(packet).ok_or(DropReason::SrtpAuth)?;
        let place = self.reports.place_rtcp(ssrc, index)?;
        let len = self.receive.open_rtcp(packet, ssrc, index).ok_or(DropReason::SrtpAuth)?;
        self.reports.accept(ssrc, place);
        Ok(len)
    }
}

/// As much of an RTP header as SRTP needs (RFC 3550 section 5.1).
struct RtpHeader {
    ssrc: u32,
    sequence: u16,
    /// Bytes before the payload: fixed header, CSRCs, extension.
    len: usize,
}

impl RtpHeader {
    fn parse(packet: &[u8]) -> Option<Self> {
        let first = *packet.first().filter(|b| **b >> 6 == 2)?;
        let mut len = 12 + 4 * usize::from(first & 15);
        if first & 0x10 != 0 {
            let words: [u8; 2] = packet.get(len + 2..len + 4)?.try_into().ok()?;
            len += 4 + 4 * usize::from(u16::from_be_bytes(words));
        }
        let ssrc = packet.get(8..12)?.try_into().ok().map(u32::from_be_bytes)?;
        let sequence = packet.get(2..4)?.try_into().ok().map(u16::from_be_bytes)?;
        (len <= packet.len()).then_some(Self { ssrc, sequence, len })
    }
}

/// The sender of a compound: the SSRC of its first packet.
fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let version = packet.first()? >> 6;
    let ssrc = packet.get(4..RTCP_HEADER)?.try_into().ok().map(u32::from_be_bytes)?;
    (version == 2).then_some(ssrc)
}

#[cfg(test)]
#[path = "srtp_tests.rs"]
mod tests;
