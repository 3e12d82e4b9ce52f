//! ICE-lite (RFC 8445 section 2.5): we answer checks, the client chooses the path. And consent (RFC 7675): the client's
//! checks are also what allows us to send to it.
//!
//! There is no candidate-pair machinery here. A lite agent sends no checks, so all its state is: which credentials are
//! good, which address was nominated last, and when somebody who knows the password was last heard from there.

use super::stun::{self, ANSWER_BYTES_MAX, Request};
use super::{CloseReason, TransportEvent};
use arrayvec::ArrayVec;
use relay_proto::machine::{Net, Socket};
use ring::hmac;
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The client holds our answer and candidates before it sends its first check; signalling may take a few retries.
pub const FIRST_CHECK_MAX: Duration = Duration::from_secs(15);
/// From the first check to the end of the DTLS handshake: four flights, each lost twice at 1 + 2 s timeouts.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Silence after which sending stops. Browsers check a stable path every 2.5 s and send RTCP more often than that, so
/// this is two checks and several reports lost in a row.
pub const CONSENT_PAUSE: Duration = Duration::from_secs(5);
/// Silence after which the peer is gone: six checks.
pub const CONSENT_LOST: Duration = Duration::from_secs(15);
/// RFC 7675 section 5.1: without an authenticated *check* consent ends after 30 s, whatever else is heard.
pub const CHECK_LOST: Duration = Duration::from_secs(30);
/// An ICE restart runs beside the session it replaces.
const SESSIONS_MAX: usize = 2;

/// Letters of ice-ufrag and ice-pwd that no text format minds.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// 6 bits a letter: 96 bits, so that a ufrag names one peer of a shard and cannot be guessed.
const UFRAG_CHARS: usize = 16;
/// RFC 8445 section 5.3 asks for 128 bits; 24 letters are 144.
const PWD_CHARS: usize = 24;

/// Our half of the credentials; goes into the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalIce {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
}

impl LocalIce {
    /// Fresh credentials. Nodes must pass a cryptographic generator, the simulator its seeded one.
    #[must_use]
    pub fn generate(rng: &mut impl rand::RngCore) -> Self {
        let mut text =
            |len| (0..len).map(|_| char::from(ICE_CHARS[rng.next_u32() as usize % 64])).collect();
        Self { ufrag: text(UFRAG_CHARS), pwd: text(PWD_CHARS) }
    }
}

#[derive(Debug)]
struct Session {
    local_ufrag: Box<[u8]>,
    remote_ufrag: Box<[u8]>,
    key: hmac::Key,
}

impl Session {
    fn new(local: &LocalIce, remote_ufrag: &str) -> Self {
        Self {
            local_ufrag: local.ufrag.as_bytes().into(),
            remote_ufrag: remote_ufrag.as_bytes().into(),
            key: stun::key(&local.pwd),
        }
    }
}

/// What the consent timer found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    Fine,
    Lost(CloseReason),
}

/// The lite agent of one peer.
#[derive(Debug)]
pub(crate) struct IceLite {
    /// Newest last.
    sessions: ArrayVec<Session, SESSIONS_MAX>,
    path: Option<SocketAddr>,
    nominated: bool,
    connected: bool,
    paused: bool,
    created: Instant,
    first_check: Option<Instant>,
    /// Last authenticated check on the path.
    checked: Instant,
    /// Last authenticated packet of any kind on the path.
    heard: Instant,
    /// When to look at the times above; moved only when it fires, so that packets do not move deadlines.
    wake: Instant,
}

impl IceLite {
    pub(crate) fn new(now: Instant, local: &LocalIce, remote_ufrag: &str) -> Self {
        let mut sessions = ArrayVec::new();
        sessions.push(Session::new(local, remote_ufrag));
        Self {
            sessions,
            path: None,
            nominated: false,
            connected: false,
            paused: false,
            created: now,
            first_check: None,
            checked: now,
            heard: now,
            wake: now + FIRST_CHECK_MAX,
        }
    }

    /// Starts a second session beside the current one. A third restart replaces the unfinished second.
    pub(crate) fn restart(&mut self, local: &LocalIce, remote_ufrag: &str) {
        self.sessions.truncate(SESSIONS_MAX - 1);
        self.sessions.push(Session::new(local, remote_ufrag));
    }

    /// Where to send: the nominated address, or before a nomination the one the client talks from.
    pub(crate) fn path(&self) -> Option<SocketAddr> {
        self.path
    }

    /// Whether media may be sent: nobody sends to an address that fell silent.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Takes a check; answers it if its sender knows the password. Nothing changes before that is proved.
    pub(crate) fn handle_check(
        &mut self,
        now: Instant,
        from: SocketAddr,
        data: &[u8],
        net: &mut Net,
    ) -> Result<Option<TransportEvent>, DropReason> {
        let request = Request::parse(data).ok_or(DropReason::StunRefused)?;
        let (index, session) = self
            .sessions
            .iter()
            .enumerate()
            .find(|(_, s)| {
                *s.local_ufrag == *request.local_ufrag && *s.remote_ufrag == *request.remote_ufrag
            })
            .filter(|(_, s)| request.verify(&s.key))
            .ok_or(DropReason::StunRefused)?;
        let conflict = request.claims_controlled;
        net.write(Socket::Media, from, ANSWER_BYTES_MAX, |buf| match conflict {
            true => stun::write_role_conflict(buf, request.transaction, &session.key),
            false => stun::write_success(buf, request.transaction, from, &session.key),
        });
        if conflict {
            return Ok(None);
        }
        Ok(self.checked(now, from, index, request.use_candidate))
    }

    fn checked(
        &mut self,
        now: Instant,
        from: SocketAddr,
        session: usize,
        nominates: bool,
    ) -> Option<TransportEvent> {
        if self.first_check.is_none() {
            self.first_check = Some(now);
            self.wake = self.wake.min(now + HANDSHAKE_MAX);
        }
        let before = self.path;
        if nominates {
            // The last nomination counts, not the best priority: that is how browsers move between networks.
            self.sessions.drain(..session);
            self.nominated = true;
            self.path = Some(from);
        } else if self.path.is_none() {
            self.path = Some(from);
        }
        if self.path == Some(from) {
            self.checked = now;
            self.heard_on_path(now);
        }
        match before {
            Some(before) if Some(before) != self.path => {
                Some(TransportEvent::AddressChanged { from: before, to: from })
            }
            _ => None,
        }
    }

    /// An authenticated packet came from `from`.
    pub(crate) fn heard(&mut self, now: Instant, from: SocketAddr) {
        if self.path == Some(from) {
            self.heard_on_path(now);
        }
    }

    fn heard_on_path(&mut self, now: Instant) {
        self.heard = now;
        self.paused = false;
    }

    /// A handshake record came from a validated address: until a path is nominated, answer where the client talks.
    pub(crate) fn handshake_from(&mut self, from: SocketAddr) {
        if !self.nominated {
            self.path = Some(from);
        }
    }

    /// The handshake is done: consent is watched from here on.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.connected = true;
        self.heard = now;
        self.checked = self.checked.max(self.first_check.unwrap_or(now));
        self.wake = now + CONSENT_PAUSE;
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.wake
    }

    pub(crate) fn on_deadline(&mut self, now: Instant) -> Consent {
        if now < self.wake {
            return Consent::Fine;
        }
        if !self.connected {
            let (limit, reason) = match self.first_check {
                None => (self.created + FIRST_CHECK_MAX, CloseReason::NeverChecked),
                Some(at) => (at + HANDSHAKE_MAX, CloseReason::HandshakeTimeout),
            };
            self.wake = limit;
            return if now >= limit { Consent::Lost(reason) } else { Consent::Fine };
        }
        if now >= self.heard + CONSENT_LOST || now >= self.checked + CHECK_LOST {
            return Consent::Lost(CloseReason::ConsentLost);
        }
        self.paused = now >= self.heard + CONSENT_PAUSE;
        let next = if self.paused { CONSENT_LOST } else { CONSENT_PAUSE };
        self.wake = (self.heard + next).min(self.checked + CHECK_LOST);
        Consent::Fine
    }
}
