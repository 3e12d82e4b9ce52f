//! The transport of the simulator: the same checks, flights, sizes and states, but no secrets and no entropy of its own.
//!
//! The checks are real STUN with integrity (cheap, deterministic, and the gate is exercised). The handshake has the four
//! flights of DTLS 1.2 as records of fixed bytes; its time-outs are the client's. Packets carry dummy bytes where
//! AES-GCM puts its tag. Replays are *not* noticed: the link model duplicates packets, and the hub must cope.

use super::client::Client;
use super::seal::{Content, write_sealed};
use super::stun;
use super::{CloseReason, LocalIce, Opened, RemoteIce, TransportEvent};
use crate::gate::{Kind, classify};
use relay_proto::machine::{Net, Socket};
use relay_proto::time::Now;
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Sizes of the flights, headers included, as measured between `rtc` and dimpl: hello; hello, certificate, key
/// exchange, request, done; certificate, key exchange, verify, finished; finished.
const FLIGHT_BYTES: [usize; 4] = [153, 636, 625, 75];
/// Handshake, DTLS 1.2, epoch 0; the last byte of the header's sequence number is the flight.
const FLIGHT_HEADER: [u8; 5] = [22, 0xfe, 0xfd, 0, 0];
const FLIGHT_AT: usize = 10;
/// Content type, version, epoch and sequence, length.
const RECORD_HEADER: usize = 13;
/// close_notify: an alert of epoch 1, as long as AES-GCM makes it.
const GOODBYE_BYTES: usize = RECORD_HEADER + 8 + 2 + 16;
/// Dummy tags have this value.
const FILLER: u8 = 0xc1;

fn write_flight(buf: &mut [u8], flight: usize) -> Option<usize> {
    let len = *FLIGHT_BYTES.get(flight)?;
    let record = buf.get_mut(..len)?;
    record.fill(0);
    record[..FLIGHT_HEADER.len()].copy_from_slice(&FLIGHT_HEADER);
    record[FLIGHT_AT] = flight as u8;
    record[11..13].copy_from_slice(&((len - RECORD_HEADER) as u16).to_be_bytes());
    Some(len)
}

fn read_flight(data: &[u8]) -> Option<usize> {
    let flight = usize::from(*data.get(FLIGHT_AT)?);
    let fits = data.starts_with(&FLIGHT_HEADER) && FLIGHT_BYTES.get(flight) == Some(&data.len());
    fits.then_some(flight)
}

fn write_goodbye(buf: &mut [u8]) -> Option<usize> {
    let record = buf.get_mut(..GOODBYE_BYTES)?;
    record.fill(0);
    record[..5].copy_from_slice(&[21, 0xfe, 0xfd, 0, 1]);
    record[12] = (GOODBYE_BYTES - RECORD_HEADER) as u8;
    Some(GOODBYE_BYTES)
}

fn is_goodbye(data: &[u8]) -> bool {
    data.len() == GOODBYE_BYTES && data.starts_with(&[21, 0xfe, 0xfd, 0, 1])
}

/// "Seals" the first `len` bytes.
fn pad(packet: &mut [u8], len: usize, content: Content) -> Result<usize, DropReason> {
    let end = len + content.overhead_max();
    packet.get_mut(len..end).ok_or(DropReason::TooLarge)?.fill(FILLER);
    Ok(end)
}

/// "Opens" a packet.
fn unpad(data: &[u8]) -> Opened {
    let content = Content::of(data);
    let plain = data.len().checked_sub(content.overhead_max());
    let plain = plain.filter(|len| data[*len..].iter().all(|b| *b == FILLER));
    Opened::from_plain(content, plain.ok_or(DropReason::SrtpAuth))
}

/// The server's end.
#[derive(Debug)]
pub struct ClearTransport {
    pub(super) client: Client,
}

impl ClearTransport {
    pub(super) fn new(now: Now, local: &LocalIce, remote: &RemoteIce) -> Self {
        Self { client: Client::new(now, local, remote) }
    }

    pub(super) fn handle(
        &mut self,
        now: Now,
        from: SocketAddr,
        data: &mut [u8],
        net: &mut Net,
    ) -> Opened {
        match classify(data) {
            Ok(Kind::Stun) => match self.client.ice.handle_check(now.mono, from, data, net) {
                Ok(event) => Opened::from_event(event),
                Err(reason) => Opened::Dropped(reason),
            },
            Ok(Kind::Dtls) => {
                self.client.ice.handshake_from(from);
                self.handle_record(now, data, net)
            }
            Ok(Kind::Srtp) if self.client.is_established() => {
                self.client.heard(now, from, unpad(data))
            }
            Ok(Kind::Srtp) => Opened::Dropped(DropReason::NotConnected),
            Err(reason) => Opened::Dropped(reason),
        }
    }

    fn handle_record(&mut self, now: Now, data: &[u8], net: &mut Net) -> Opened {
        if is_goodbye(data) {
            return Opened::Event(self.end(CloseReason::PeerClosed));
        }
        // Flights 0 and 2 are the client's. Each is answered however often it comes: the client resends, not we.
        let Some(flight) = read_flight(data).filter(|flight| flight % 2 == 0) else {
            return Opened::Dropped(DropReason::DtlsRefused);
        };
        if let Some(path) = self.client.addr() {
            net.write(Socket::Media, path, FLIGHT_BYTES[flight + 1], |buf| {
                write_flight(buf, flight + 1)
            });
        }
        if flight == 2 && !self.client.is_established() {
            return Opened::Event(self.client.establish(now));
        }
        Opened::Nothing
    }

    pub(super) fn seal(
        &mut self,
        net: &mut Net,
        content: Content,
        max_len: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), DropReason> {
        write_sealed(net, self.client.path()?, max_len, content, write, |packet, len| {
            pad(packet, len, content)
        })
    }

    pub(super) fn end(&mut self, reason: CloseReason) -> TransportEvent {
        self.client.end(reason)
    }

    pub(super) fn close(&mut self, _now: Now, net: &mut Net) {
        if self.client.is_established()
            && let Some(path) = self.client.addr()
        {
            net.write(Socket::Media, path, GOODBYE_BYTES, write_goodbye);
        }
        self.end(CloseReason::Local);
    }
}

/// Checks are repeated this often until answered (RFC 8445 section 14.3: the first time-out).
const CHECK_RETRY: Duration = Duration::from_millis(500);
/// A browser checks a stable path this often.
const CHECK_INTERVAL: Duration = Duration::from_millis(2_500);
/// Flights are repeated this often; browsers start at 50..400 ms by round-trip time.
const FLIGHT_RETRY: Duration = Duration::from_millis(400);

/// What a client's transport waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Answer,
    Flight(usize),
    Nothing,
}

/// The client's end, for the simulator's participants and for tests. It trusts the server and never gives up.
#[derive(Debug)]
pub struct ClearClient {
    server: SocketAddr,
    user: String,
    key: ring::hmac::Key,
    checks: u64,
    waits: Waits,
    check_due: Instant,
    flight_due: Option<Instant>,
    closed: bool,
}

impl ClearClient {
    /// A client of the server at `server`; `local_ufrag` is the client's own, `remote` is from the answer.
    #[must_use]
    pub fn new(now: Now, server: SocketAddr, local_ufrag: &str, remote: &LocalIce) -> Self {
        Self {
            server,
            user: format!("{}:{local_ufrag}", remote.ufrag),
            key: stun::key(&remote.pwd),
            checks: 0,
            waits: Waits::Answer,
            check_due: now.mono,
            flight_due: None,
            closed: false,
        }
    }

    /// Whether packets may flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.waits == Waits::Nothing && !self.closed
    }

    /// When [`Self::on_deadline`] next wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let due = self.flight_due.map_or(self.check_due, |at| at.min(self.check_due));
        (!self.closed).then_some(due)
    }

    /// Sends the checks and flights that are due.
    pub fn on_deadline(&mut self, now: Now, net: &mut Net) {
        if self.closed {
            return;
        }
        if self.check_due <= now.mono {
            self.checks += 1;
            let interval = if self.waits == Waits::Answer { CHECK_RETRY } else { CHECK_INTERVAL };
            self.check_due = now.mono + interval;
            let (transaction, user, key) = (self.transaction(), &self.user, &self.key);
            net.write(Socket::Media, self.server, stun::STUN_BYTES_MAX, |buf| {
                stun::write_request(buf, transaction, user, true, key)
            });
        }
        if self.flight_due.is_some_and(|at| at <= now.mono) {
            self.send_flight(now, net);
        }
    }

    fn transaction(&self) -> [u8; 12] {
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.checks.to_be_bytes());
        id
    }

    fn send_flight(&mut self, now: Now, net: &mut Net) {
        let Waits::Flight(answer) = self.waits else {
            return;
        };
        let flight = answer - 1;
        self.flight_due = Some(now.mono + FLIGHT_RETRY);
        net.write(Socket::Media, self.server, FLIGHT_BYTES[flight], |buf| {
            write_flight(buf, flight)
        });
    }

    /// Takes one datagram from the server.
    pub fn handle(&mut self, now: Now, data: &mut [u8], net: &mut Net) -> Opened {
        match classify(data) {
            Ok(Kind::Stun) => {
                let answered = stun::is_success(data, self.transaction(), &self.key);
                if answered && self.waits == Waits::Answer {
                    self.waits = Waits::Flight(1);
                    self.check_due = now.mono + CHECK_INTERVAL;
                    self.send_flight(now, net);
                }
                Opened::Nothing
            }
            Ok(Kind::Dtls) if is_goodbye(data) => {
                self.closed = true;
                Opened::Event(TransportEvent::Closed(CloseReason::PeerClosed))
            }
            Ok(Kind::Dtls) => self.handle_flight(now, data, net),
            Ok(Kind::Srtp) if self.is_connected() => unpad(data),
            Ok(Kind::Srtp) => Opened::Dropped(DropReason::NotConnected),
            Err(reason) => Opened::Dropped(reason),
        }
    }

    fn handle_flight(&mut self, now: Now, data: &[u8], net: &mut Net) -> Opened {
        match (self.waits, read_flight(data)) {
            (Waits::Flight(1), Some(1)) => {
                self.waits = Waits::Flight(3);
                self.send_flight(now, net);
                Opened::Nothing
            }
            (Waits::Flight(3), Some(3)) => {
                self.waits = Waits::Nothing;
                self.flight_due = None;
                Opened::Event(TransportEvent::Connected)
            }
            _ => Opened::Nothing,
        }
    }

    /// Sends one plaintext RTP packet or RTCP compound.
    ///
    /// # Errors
    /// `NotConnected` before the handshake is done, `TooLarge` for what no datagram takes.
    pub fn send(&mut self, net: &mut Net, plaintext: &[u8]) -> Result<(), DropReason> {
        if !self.is_connected() {
            return Err(DropReason::NotConnected);
        }
        let content = Content::of(plaintext);
        let copy = |buf: &mut [u8]| {
            buf.copy_from_slice(plaintext);
            Some(plaintext.len())
        };
        write_sealed(net, self.server, plaintext.len(), content, copy, |packet, len| {
            pad(packet, len, content)
        })
    }

    /// Says goodbye.
    pub fn close(&mut self, net: &mut Net) {
        if self.is_connected() {
            net.write(Socket::Media, self.server, GOODBYE_BYTES, write_goodbye);
        }
        self.closed = true;
    }
}
