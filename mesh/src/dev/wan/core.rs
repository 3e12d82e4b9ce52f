//! Fronts, sessions and links; what the emulator's thread does in a turn.

use super::WanError;
use super::line::{DelayLine, InFlight, Timing};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use serde::Serialize;
use simulator::link_model::{LinkCounters, LinkModel, LinkParams, Verdict};
use simulator::rtt_matrix::RttMatrix;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// 20 regions with 5 nodes each, seen from 20 regions.
const FRONTS_MAX: usize = 2_000;
/// Addresses behind one front: the nodes of a region, with restarts.
const SESSIONS_PER_FRONT: usize = 64;
/// A session without traffic ends; links send keep-alives every few seconds.
const SESSION_IDLE: Duration = Duration::from_secs(120);
/// How often idle sessions are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Sockets looked at in a turn.
const EVENTS: usize = 64;
/// Datagrams taken from one socket in a turn.
const DATAGRAMS_PER_SOCKET: usize = 64;
/// Buffers for the bursts of a turn.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// The largest UDP payload.
const DATAGRAM_BYTES: usize = 65_535;

/// What has passed in one direction of a region pair. `offered` counts what was received from the sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PairCounters {
    /// What the link model did.
    #[serde(flatten)]
    pub link: LinkCounters,
    /// Datagrams dropped because too many bytes were under way, or a front had too many sessions.
    pub overflowed: u64,
    /// Datagrams that arrived at a session that had ended, or that the kernel refused.
    pub undeliverable: u64,
}

struct Link {
    model: LinkModel,
    overflowed: u64,
    undeliverable: u64,
}

struct Front {
    socket: UdpSocket,
    from: usize,
    to: usize,
    target: SocketAddr,
    sessions: BTreeMap<SocketAddr, u64>,
}

struct Session {
    socket: UdpSocket,
    front: u64,
    client: SocketAddr,
    used: Instant,
}

pub(super) struct Core {
    start: Instant,
    matrix: RttMatrix,
    links: Vec<Link>,
    fronts: BTreeMap<u64, Front>,
    fronts_by_name: BTreeMap<(usize, String), u64>,
    sessions: BTreeMap<u64, Session>,
    /// Fronts and sessions are numbered together, and no number is used again: a late event meets nobody else.
    next_id: u64,
    line: DelayLine,
    timing: Timing,
    epoll: OwnedFd,
    swept: Instant,
    buffer: Vec<u8>,
}

impl Core {
    pub(super) fn new(matrix: RttMatrix, seed: u64) -> io::Result<Self> {
        let n = matrix.regions().len();
        let links = (0..n * n).map(|i| Link {
            model: LinkModel::new(
                initial(&matrix, i / n, i % n),
                seed.wrapping_mul(n as u64 * n as u64) + i as u64,
            ),
            overflowed: 0,
            undeliverable: 0,
        });
        Ok(Self {
            start: Instant::now(),
            links: links.collect(),
            matrix,
            fronts: BTreeMap::new(),
            fronts_by_name: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_id: 0,
            line: DelayLine::default(),
            timing: Timing::default(),
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            swept: Instant::now(),
            buffer: vec![0; DATAGRAM_BYTES],
        })
    }

    /// The descriptor that is readable when a socket is.
    pub(super) fn epoll(&self) -> io::Result<OwnedFd> {
        self.epoll.try_clone()
    }

    pub(super) fn timing(&self) -> Timing {
        self.timing
    }

    pub(super) fn front(
        &mut self,
        from: &str,
        to_node: &str,
        to: &str,
        target: SocketAddr,
    ) -> Result<SocketAddr, WanError> {
        let (from, to) = (self.region(from)?, self.region(to)?);
        let name = (from, to_node.to_owned());
        if let Some(front) = self.fronts_by_name.get(&name).and_then(|id| self.fronts.get_mut(id)) {
            if front.target != target || front.to != to {
                (front.target, front.to) = (target, to);
                for session in std::mem::take(&mut front.sessions).into_values() {
                    self.sessions.remove(&session);
                }
            }
            return Ok(front.socket.local_addr()?);
        }
        if self.fronts.len() >= FRONTS_MAX {
            return Err(WanError::TooManyFronts(FRONTS_MAX));
        }
        let socket = local_socket(target.ip())?;
        let addr = socket.local_addr()?;
        let id = self.watch(&socket)?;
        self.fronts.insert(id, Front { socket, from, to, target, sessions: BTreeMap::new() });
        self.fronts_by_name.insert(name, id);
        Ok(addr)
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> Result<&mut LinkModel, WanError> {
        let index = self.pair(from, to)?;
        Ok(&mut self.links[index].model)
    }

    pub(super) fn reset(&mut self, from: &str, to: &str) -> Result<LinkParams, WanError> {
        let params = initial(&self.matrix, self.region(from)?, self.region(to)?);
        self.link(from, to)?.set_params(params);
        Ok(params)
    }

    pub(super) fn isolate(&mut self, region: &str, cut: bool) -> Result<(), WanError> {
        let (n, region) = (self.matrix.regions().len(), self.region(region)?);
        for other in (0..n).filter(|o| *o != region) {
            for index in [region * n + other, other * n + region] {
                let model = &mut self.links[index].model;
                model.set_params(LinkParams { down: cut, ..model.params() });
            }
        }
        Ok(())
    }

    pub(super) fn counters(&self, from: &str, to: &str) -> Result<PairCounters, WanError> {
        Ok(counters_of(&self.links[self.pair(from, to)?]))
    }

    pub(super) fn all_counters(&self) -> Vec<(String, String, PairCounters)> {
        let regions = self.matrix.regions();
        let pairs = self.links.iter().enumerate().map(|(i, link)| (i, counters_of(link)));
        pairs
            .filter(|(_, c)| *c != PairCounters::default())
            .map(|(i, c)| {
                (regions[i / regions.len()].clone(), regions[i % regions.len()].clone(), c)
            })
            .collect()
    }

    /// Receives what is there, sends what has arrived; returns when the next datagram arrives.
    pub(super) fn turn(&mut self, now: Instant) -> Option<Instant> {
        self.receive(now);
        self.deliver();
        self.sweep(now);
        self.line.next_at().map(|at| self.start + at)
    }

    fn receive(&mut self, now: Instant) {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let spare = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&self.epoll, spare, Some(&rustix::event::Timespec::default())).is_err() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        for event in &events {
            let id = event.data.u64();
            for _ in 0..DATAGRAMS_PER_SOCKET {
                if !self.receive_one(id, now, &mut buffer) {
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Takes one datagram from a front (on its way to the node) or a session (on its way back).
    fn receive_one(&mut self, id: u64, now: Instant, buffer: &mut [u8]) -> bool {
        if let Some(front) = self.fronts.get(&id) {
            let (pair, received) = ((front.from, front.to), front.socket.recv_from(buffer));
            let Ok((len, client)) = received else {
                return is_passing(received.err());
            };
            if let Some(session) = self.session(id, client, now) {
                self.offer(pair, session, false, now, &buffer[..len]);
            } else {
                let index = self.index(pair);
                self.links[index].overflowed += 1;
            }
            return true;
        }
        let Some(session) = self.sessions.get_mut(&id) else {
            return false;
        };
        let received = session.socket.recv(buffer);
        let Ok(len) = received else {
            return is_passing(received.err());
        };
        session.used = now;
        let front = session.front;
        let Some(pair) = self.fronts.get(&front).map(|f| (f.to, f.from)) else {
            return false;
        };
        self.offer(pair, id, true, now, &buffer[..len]);
        true
    }

    fn offer(
        &mut self,
        pair: (usize, usize),
        session: u64,
        to_client: bool,
        now: Instant,
        data: &[u8],
    ) {
        let index = self.index(pair);
        let link = &mut self.links[index];
        if !self.line.has_room(data.len()) {
            link.overflowed += 1;
            return;
        }
        let since = now.saturating_duration_since(self.start);
        if let Verdict::Deliver(at) = link.model.offer(since, data.len()) {
            self.line.push(at, index, session, to_client, data);
        }
    }

    fn deliver(&mut self) {
        let now = self.start.elapsed();
        while let Some(datagram) = self.line.pop_due(now) {
            self.timing.record(now.saturating_sub(datagram.at));
            if !self.send(&datagram) {
                self.links[datagram.link].undeliverable += 1;
            }
        }
    }

    fn send(&self, datagram: &InFlight) -> bool {
        let Some(session) = self.sessions.get(&datagram.session) else {
            return false;
        };
        let Some(front) = self.fronts.get(&session.front) else {
            return false;
        };
        let send = || match datagram.to_client {
            true => front.socket.send_to(&datagram.data, session.client),
            false => session.socket.send(&datagram.data),
        };
        // A connected socket reports an earlier refusal instead of sending, once.
        send().is_ok() || send().is_ok()
    }

    fn session(&mut self, front_id: u64, client: SocketAddr, now: Instant) -> Option<u64> {
        let front = self.fronts.get(&front_id)?;
        if let Some(id) = front.sessions.get(&client) {
            let id = *id;
            self.sessions.get_mut(&id)?.used = now;
            return Some(id);
        }
        if front.sessions.len() >= SESSIONS_PER_FRONT {
            return None;
        }
        let target = front.target;
        let socket = local_socket(target.ip()).and_then(|s| s.connect(target).map(|()| s)).ok()?;
        let id = self.watch(&socket).ok()?;
        self.sessions.insert(id, Session { socket, front: front_id, client, used: now });
        self.fronts.get_mut(&front_id)?.sessions.insert(client, id);
        Some(id)
    }

    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.sessions.retain(|_, s| now.saturating_duration_since(s.used) < SESSION_IDLE);
        for front in self.fronts.values_mut() {
            front.sessions.retain(|_, id| self.sessions.contains_key(id));
        }
    }

    fn watch(&mut self, socket: &UdpSocket) -> io::Result<u64> {
        let id = self.next_id;
        epoll::add(&self.epoll, socket, EventData::new_u64(id), EventFlags::IN)?;
        self.next_id += 1;
        Ok(id)
    }

    fn region(&self, name: &str) -> Result<usize, WanError> {
        self.matrix.index_of(name).ok_or_else(|| WanError::UnknownRegion(name.to_owned()))
    }

    fn pair(&self, from: &str, to: &str) -> Result<usize, WanError> {
        Ok(self.index((self.region(from)?, self.region(to)?)))
    }

    fn index(&self, (from, to): (usize, usize)) -> usize {
        from * self.matrix.regions().len() + to
    }
}

fn counters_of(link: &Link) -> PairCounters {
    let (overflowed, undeliverable) = (link.overflowed, link.undeliverable);
    PairCounters { link: link.model.counters(), overflowed, undeliverable }
}

fn initial(matrix: &RttMatrix, from: usize, to: usize) -> LinkParams {
    LinkParams::delay(matrix.one_way(from, to).unwrap_or_default())
}

/// Whether a failed receive says nothing about the next one: an earlier send was refused.
fn is_passing(error: Option<io::Error>) -> bool {
    error.is_some_and(|e| matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::Interrupted))
}

/// A socket on the loopback interface, or on any when what it speaks to is elsewhere.
fn local_socket(peer: IpAddr) -> io::Result<UdpSocket> {
    let ip: IpAddr = match (peer.is_loopback(), peer.is_ipv4()) {
        (true, true) => Ipv4Addr::LOCALHOST.into(),
        (true, false) => Ipv6Addr::LOCALHOST.into(),
        (false, true) => Ipv4Addr::UNSPECIFIED.into(),
        (false, false) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_nonblocking(true)?;
    // With privilege the whole size, without it what the kernel allows.
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES)
        .is_err()
    {
        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES)?;
    }
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES)?;
    Ok(socket)
}
