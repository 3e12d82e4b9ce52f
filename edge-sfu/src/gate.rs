//! What stands in front of all peers of a shard: it decides whose a datagram is, and drops what is nobody's.
//!
//! - Nothing is ever answered here, so nobody can be made to send to a third party.
//! - State changes only after MESSAGE-INTEGRITY was verified.
//! - Handshake records and media count only from addresses that passed such a check.
//! - Nothing is logged: a drop is a [`DropReason`] for the caller to count.

use crate::transport::LocalIce;
use crate::transport::stun::{self, Request};
use arrayvec::ArrayVec;
use relay_proto::time::Now;
use ring::hmac;
use sfu_core::drop_reason::DropReason;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Peers whose handshake is not done, per shard: twice a join storm of 1,000. At most 60 KB each, so 120 MB; and
/// 2,048 handshakes at 1.5 ms are 3 s of a core, within the 10 s each may take.
pub const HALF_OPEN_MAX: usize = 2_048;
/// Handshake datagrams of one peer before it is connected: two flights of at most six datagrams, sent five times.
pub const HANDSHAKE_DATAGRAMS_MAX: u8 = 64;
/// Validated addresses of one peer: two networks with IPv4 and IPv6, and as many again after a move.
pub const ADDRESSES_MAX: usize = 8;
/// Credentials of one peer: the current ones and those of an ICE restart.
const CREDENTIALS_MAX: usize = 2;
/// An address counts for so long after its last check: consent of RFC 7675. Browsers check spare paths every 25 s.
pub const ADDRESS_LIFETIME: Duration = Duration::from_secs(30);
/// An address that its peer checked so recently is not handed to another peer, whoever asks: two checks of 2.5 s.
const ADDRESS_HELD: Duration = Duration::from_secs(5);

/// A record: type, version, epoch and sequence number, length.
const RECORD_HEADER: usize = 13;
/// An encrypted record holds a tag and at least a byte.
const SEALED_RECORD_MIN: usize = 16 + 1;
const ALERT: u8 = 21;
/// The shortest sealed packet: an empty RTP packet with the tag of HMAC-SHA1-80 (SRTCP's is as long).
const SRTP_BYTES_MIN: usize = 12 + 10;

/// What a datagram is, by its first byte (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A connectivity check.
    Stun,
    /// Handshake records.
    Dtls,
    /// SRTP or SRTCP.
    Srtp,
}

/// Tells what a datagram is. Too short ones and foreign ones are refused.
///
/// # Errors
/// `NotWebRtc`, `StunRefused`, `DtlsRefused` or `Malformed`.
pub fn classify(data: &[u8]) -> Result<Kind, DropReason> {
    match data.first() {
        Some(0..=3) if stun::has_cookie(data) && data.len() >= stun::HEADER_BYTES => Ok(Kind::Stun),
        Some(0..=3) => Err(DropReason::StunRefused),
        Some(20..=63) if records_fit(data) => Ok(Kind::Dtls),
        Some(20..=63) => Err(DropReason::DtlsRefused),
        Some(128..=191) if data.len() >= SRTP_BYTES_MIN => Ok(Kind::Srtp),
        Some(128..=191) => Err(DropReason::Malformed),
        _ => Err(DropReason::NotWebRtc),
    }
}

/// Whether a datagram is a row of whole records, none of which is impossible: an alert in the clear could only be
/// somebody else's, and a sealed record too short for its tag has killed other stacks.
fn records_fit(data: &[u8]) -> bool {
    let mut rest = data;
    while !rest.is_empty() {
        let [kind, 0xfe, _, epoch_high, epoch_low, _, _, _, _, _, _, len_high, len_low, body @ ..] =
            rest
        else {
            return false;
        };
        let len = usize::from(u16::from_be_bytes([*len_high, *len_low]));
        let sealed = (*epoch_high, *epoch_low) != (0, 0);
        let possible = if sealed { len >= SEALED_RECORD_MIN } else { len > 0 && *kind != ALERT };
        if !possible || len > body.len() {
            return false;
        }
        rest = &body[len..];
    }
    data.len() >= RECORD_HEADER
}

/// Whose a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routed {
    /// The peer's key.
    pub peer: usize,
    /// What it is.
    pub kind: Kind,
}

#[derive(Debug)]
struct Credential {
    ufrag: Box<[u8]>,
    key: hmac::Key,
}

#[derive(Debug)]
struct Entry {
    /// Newest last.
    credentials: ArrayVec<Credential, CREDENTIALS_MAX>,
    addresses: ArrayVec<SocketAddr, ADDRESSES_MAX>,
    /// `None` once connected.
    handshake_datagrams: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Validated {
    peer: usize,
    checked: Instant,
}

/// The gate of one shard's media socket.
#[derive(Debug, Default)]
pub struct Gate {
    peers: BTreeMap<usize, Entry>,
    ufrags: BTreeMap<Box<[u8]>, usize>,
    addresses: BTreeMap<SocketAddr, Validated>,
    half_open: usize,
}

impl Gate {
    /// A gate that lets nobody in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many peers are not connected yet.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.half_open
    }

    /// Expects checks with these credentials for the peer `key`. A second call for a key is an ICE restart: the old
    /// credentials stay good until the client nominates a path with the new ones.
    ///
    /// # Errors
    /// `Limit` when too many handshakes are under way, or the ufrag is taken.
    pub fn register(&mut self, key: usize, local: &LocalIce) -> Result<(), DropReason> {
        let ufrag: Box<[u8]> = local.ufrag.as_bytes().into();
        let is_new = !self.peers.contains_key(&key);
        if self.ufrags.contains_key(&ufrag) || is_new && self.half_open >= HALF_OPEN_MAX {
            return Err(DropReason::Limit);
        }
        self.half_open += usize::from(is_new);
        let entry = self.peers.entry(key).or_insert_with(|| Entry {
            credentials: ArrayVec::new(),
            addresses: ArrayVec::new(),
            handshake_datagrams: Some(0),
        });
        if entry.credentials.is_full()
            && let Some(unfinished) = entry.credentials.pop()
        {
            self.ufrags.remove(&unfinished.ufrag);
        }
        entry.credentials.push(Credential { ufrag: ufrag.clone(), key: stun::key(&local.pwd) });
        self.ufrags.insert(ufrag, key);
        Ok(())
    }

    /// Forgets a peer, its credentials and its addresses.
    pub fn remove(&mut self, key: usize) {
        let Some(entry) = self.peers.remove(&key) else {
            return;
        };
        self.half_open -= usize::from(entry.handshake_datagrams.is_some());
        for credential in &entry.credentials {
            self.ufrags.remove(&credential.ufrag);
        }
        for address in &entry.addresses {
            self.addresses.remove(address);
        }
    }

    /// The peer's handshake is done ([`crate::transport::TransportEvent::Connected`]).
    pub fn opened(&mut self, key: usize) {
        if let Some(entry) = self.peers.get_mut(&key) {
            self.half_open -= usize::from(entry.handshake_datagrams.take().is_some());
        }
    }

    /// Whose this datagram is. A check with the right password validates its source address on the way.
    ///
    /// # Errors
    /// Why it is nobody's. Nothing has changed then, except that a handshake datagram of a half-open peer counts.
    pub fn route(&mut self, now: Now, from: SocketAddr, data: &[u8]) -> Result<Routed, DropReason> {
        let kind = classify(data)?;
        let peer = match kind {
            Kind::Stun => self.check(now, from, data)?,
            Kind::Dtls | Kind::Srtp => self.owner(now, from).ok_or(DropReason::UnknownAddress)?,
        };
        if kind == Kind::Dtls
            && let Some(count) =
                self.peers.get_mut(&peer).and_then(|e| e.handshake_datagrams.as_mut())
        {
            if *count >= HANDSHAKE_DATAGRAMS_MAX {
                return Err(DropReason::Limit);
            }
            *count += 1;
        }
        Ok(Routed { peer, kind })
    }

    fn owner(&self, now: Now, from: SocketAddr) -> Option<usize> {
        let validated = self.addresses.get(&from)?;
        (now.mono < validated.checked + ADDRESS_LIFETIME).then_some(validated.peer)
    }

    fn check(&mut self, now: Now, from: SocketAddr, data: &[u8]) -> Result<usize, DropReason> {
        let refused = DropReason::StunRefused;
        let request = Request::parse(data).ok_or(refused)?;
        let peer = *self.ufrags.get(request.local_ufrag).ok_or(refused)?;
        let entry = self.peers.get_mut(&peer).ok_or(refused)?;
        let credential = entry.credentials.iter().position(|c| *c.ufrag == *request.local_ufrag);
        let credential =
            credential.filter(|c| request.verify(&entry.credentials[*c].key)).ok_or(refused)?;
        if request.use_candidate && !request.claims_controlled {
            // The transport drops its older session at the same moment.
            for old in entry.credentials.drain(..credential) {
                self.ufrags.remove(&old.ufrag);
            }
        }
        if self.validate(now, from, peer) { Ok(peer) } else { Err(refused) }
    }

    /// Notes that the peer `key` proved to be at `from`; [`Self::route`] does so by itself. `false` if the address
    /// is another peer's, and fresh.
    pub fn validate(&mut self, now: Now, from: SocketAddr, key: usize) -> bool {
        let Some(entry) = self.peers.get_mut(&key) else {
            return false;
        };
        match self.addresses.get_mut(&from) {
            Some(validated) if validated.peer == key => {
                validated.checked = now.mono;
                return true;
            }
            Some(validated) if now.mono < validated.checked + ADDRESS_HELD => return false,
            _ => {}
        }
        if entry.addresses.is_full() {
            let checked = |a: &SocketAddr| self.addresses.get(a).map(|v| v.checked);
            let oldest = (0..entry.addresses.len()).min_by_key(|i| checked(&entry.addresses[*i]));
            if let Some(oldest) = oldest {
                self.addresses.remove(&entry.addresses.swap_remove(oldest));
            }
        }
        entry.addresses.push(from);
        let before = self.addresses.insert(from, Validated { peer: key, checked: now.mono });
        if let Some(other) = before.and_then(|v| self.peers.get_mut(&v.peer)) {
            other.addresses.retain(|a| *a != from);
        }
        true
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
