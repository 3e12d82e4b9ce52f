//! All QUIC connections of one socket.

use super::channel::Channel;
use super::conn::{CloseCode, Conn, ConnEvent};
use super::settings::Settings;
use crate::limits::{CONNECTIONS_MAX, HALF_OPEN_MAX, HALF_OPEN_RETRY};
use crate::machine::{DATAGRAM_BYTES_MAX, Net, Progress, SLICE_DATAGRAMS, Socket};
use crate::time::Now;
use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ConnectionHandle, DatagramEvent, EcnCodepoint, Endpoint, Incoming, Transmit, VarInt,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// Segments of one transmit; quinn's own driver uses as many.
const SEGMENTS: usize = 10;
/// Memory that received datagrams are copied into, again and again: the largest one, and small ones beside it. What quinn
/// keeps of a datagram (a piece of a stream that came too early) holds on to so much at most.
const RECEIVED_BYTES: usize = 2 * 1024;
const _: () = assert!(RECEIVED_BYTES >= DATAGRAM_BYTES_MAX);

/// Handle of a connection; reused once it is gone.
pub(crate) type ConnKey = usize;

/// Which end dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// This node.
    Dialled = 0,
    /// The peer.
    Accepted = 1,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Dialled, Self::Accepted];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dialled => Self::Accepted,
            Self::Accepted => Self::Dialled,
        }
    }
}

/// What came through the socket and came to nothing, before a link could count it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) strays: u64,
    pub(crate) crowded: u64,
    pub(crate) retried: u64,
    pub(crate) unreadable: u64,
    pub(crate) handshakes: u64,
}

/// The endpoint and its connections.
pub(crate) struct Transport {
    endpoint: Endpoint,
    settings: Settings,
    /// By quinn's own handle, which is a slab key.
    conns: Vec<Option<Conn>>,
    open: usize,
    half_open: usize,
    dirty: VecDeque<ConnKey>,
    events: VecDeque<(ConnKey, ConnEvent)>,
    scratch: Vec<u8>,
    /// Received datagrams are copied here and split off; the memory comes back when quinn is done with them.
    received: BytesMut,
    turned: Turned,
    /// When something last became dirty: the deadline until it is flushed.
    touched: Option<Instant>,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(settings: Settings) -> Self {
        let endpoint =
            Endpoint::new(settings.endpoint.clone(), Some(settings.server.clone()), true, None);
        Self {
            endpoint,
            settings,
            conns: Vec::new(),
            open: 0,
            half_open: 0,
            dirty: VecDeque::new(),
            events: VecDeque::new(),
            scratch: Vec::with_capacity(SLICE_DATAGRAMS * 1_500),
            received: BytesMut::new(),
            turned: Turned::default(),
            touched: None,
        }
    }

    /// Begins a handshake.
    pub(crate) fn dial(
        &mut self,
        now: Now,
        addr: SocketAddr,
        channel: Channel,
        first_cid: u64,
    ) -> Result<ConnKey, String> {
        if self.open >= CONNECTIONS_MAX {
            return Err("too many connections".to_owned());
        }
        let config = self.settings.client(channel.kind, first_cid);
        let name = channel.to_string();
        let (handle, quinn) =
            self.endpoint.connect(now.mono, config, addr, &name).map_err(|e| e.to_string())?;
        self.insert(now, handle, Conn::new(quinn, Side::Dialled, Some(channel)));
        Ok(handle.0)
    }

    fn insert(&mut self, now: Now, handle: ConnectionHandle, conn: Conn) {
        if self.conns.len() <= handle.0 {
            self.conns.resize_with(handle.0 + 1, || None);
        }
        self.open += 1;
        self.half_open += usize::from(conn.side == Side::Accepted);
        self.conns[handle.0] = Some(conn);
        self.dirty.push_back(handle.0);
        self.drive(now, handle.0);
    }

    /// Takes a datagram from the socket. Answers that belong to no connection go straight to `net`.
    pub(crate) fn handle(
        &mut self,
        now: Now,
        from: SocketAddr,
        ecn: u8,
        data: &[u8],
        net: &mut Net,
    ) {
        self.scratch.clear();
        let ecn = EcnCodepoint::from_bits(ecn);
        if self.received.capacity() < data.len() {
            self.received.reserve(RECEIVED_BYTES.max(data.len()));
        }
        self.received.extend_from_slice(data);
        let data = self.received.split();
        match self.endpoint.handle(now.mono, from, None, ecn, data, &mut self.scratch) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(conn) = self.get_mut(handle.0) {
                    conn.quinn.handle_event(event);
                    self.drive(now, handle.0);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.accept(now, incoming, net),
            // Another version, or a connection that is long gone: answered, and nothing is kept.
            Some(DatagramEvent::Response(transmit)) => {
                self.turned.strays += 1;
                write(net, &transmit, &self.scratch);
            }
            None => self.turned.strays += 1,
        }
    }

    fn accept(&mut self, now: Now, incoming: Incoming, net: &mut Net) {
        self.scratch.clear();
        if self.half_open >= HALF_OPEN_MAX || self.open >= CONNECTIONS_MAX {
            self.turned.crowded += 1;
            self.endpoint.ignore(incoming);
        } else if self.half_open >= HALF_OPEN_RETRY && incoming.may_retry() {
            self.turned.retried += 1;
            if let Ok(transmit) = self.endpoint.retry(incoming, &mut self.scratch) {
                write(net, &transmit, &self.scratch);
            }
        } else {
            match self.endpoint.accept(incoming, now.mono, &mut self.scratch, None) {
                Ok((handle, quinn)) => {
                    self.insert(now, handle, Conn::new(quinn, Side::Accepted, None))
                }
                Err(error) => {
                    self.turned.unreadable += 1;
                    if let Some(transmit) = error.response {
                        write(net, &transmit, &self.scratch);
                    }
                }
            }
        }
    }

    /// Does what timers ask for.
    pub(crate) fn expire(&mut self, now: Now) {
        for key in 0..self.conns.len() {
            let Some(conn) = self.get_mut(key) else { continue };
            if conn.timer.is_some_and(|at| at <= now.mono) {
                conn.quinn.handle_timeout(now.mono);
                self.drive(now, key);
            }
        }
    }

    /// Lets endpoint and connection talk, collects events. After every touch of a connection.
    fn drive(&mut self, now: Now, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key).and_then(Option::as_mut) else { return };
        let was_half_open = conn.side == Side::Accepted && !conn.connected;
        let mut drained = false;
        while let Some(event) = conn.quinn.poll_endpoint_events() {
            drained |= event.is_drained();
            if let Some(event) = self.endpoint.handle_event(ConnectionHandle(key), event) {
                conn.quinn.handle_event(event);
            }
        }
        while let Some(event) = conn.quinn.poll() {
            if let Some(event) = conn.translate(event) {
                self.events.push_back((key, event));
            }
        }
        conn.timer = conn.quinn.poll_timeout();
        if was_half_open && (conn.connected || drained) {
            self.half_open -= 1;
            self.turned.handshakes += u64::from(!conn.connected);
        }
        if drained {
            self.conns[key] = None;
            self.open -= 1;
        } else {
            self.touch(now, key);
        }
    }

    /// The next event, for connections in the order they were touched.
    pub(crate) fn next_event(&mut self) -> Option<(ConnKey, ConnEvent)> {
        self.events.pop_front()
    }

    pub(crate) fn get(&self, key: ConnKey) -> Option<&Conn> {
        self.conns.get(key)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: ConnKey) -> Option<&mut Conn> {
        self.conns.get_mut(key)?.as_mut()
    }

    /// Has a connection polled at the next flush: something was written to it.
    pub(crate) fn touch(&mut self, now: Now, key: ConnKey) {
        let Some(conn) = self.conns.get_mut(key).and_then(Option::as_mut) else { return };
        if !conn.dirty || self.touched.is_none() {
            self.touched.get_or_insert(now.mono);
        }
        if !std::mem::replace(&mut conn.dirty, true) {
            self.dirty.push_back(key);
        }
    }

    /// Closes a connection; its owner hears no more of it.
    pub(crate) fn close(&mut self, now: Now, key: ConnKey, code: CloseCode, reason: &str) {
        let Some(conn) = self.get_mut(key) else { return };
        conn.tag = None;
        let reason = Bytes::copy_from_slice(reason.as_bytes());
        conn.quinn.close(now.mono, VarInt::from_u32(code as u32), reason);
        self.drive(now, key);
        self.events.retain(|(of, _)| *of != key);
    }

    /// Polls what is dirty into `net`, `pump` first: it fills the connection's datagram buffer from its class queue.
    pub(crate) fn transmit(
        &mut self,
        now: Now,
        net: &mut Net,
        mut pump: impl FnMut(&mut Conn),
    ) -> Progress {
        while !net.is_full() {
            let Some(key) = self.dirty.pop_front() else {
                self.touched = None;
                return Progress::Done;
            };
            let Some(conn) = self.conns.get_mut(key).and_then(Option::as_mut) else { continue };
            if !conn.dirty {
                continue;
            }
            loop {
                pump(conn);
                self.scratch.clear();
                let Some(transmit) =
                    conn.quinn.poll_transmit(now.mono, SEGMENTS, &mut self.scratch)
                else {
                    conn.dirty = false;
                    break;
                };
                write(net, &transmit, &self.scratch);
                if net.is_full() {
                    // Others get their turn first.
                    self.dirty.push_back(key);
                    break;
                }
            }
            conn.timer = conn.quinn.poll_timeout();
        }
        if self.dirty.is_empty() {
            self.touched = None;
            return Progress::Done;
        }
        Progress::More
    }

    /// The first timer, or at once while something waits to be flushed.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timers = self.conns.iter().flatten().filter_map(|c| c.timer);
        timers.chain(self.touched).min()
    }

    /// Connections that exist, closing ones included.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// What came to nothing so far.
    pub(crate) fn turned(&self) -> Turned {
        self.turned
    }
}

fn write(net: &mut Net, transmit: &Transmit, bytes: &[u8]) {
    let bytes = &bytes[..transmit.size];
    let ecn = transmit.ecn.map_or(0, |codepoint| codepoint as u8);
    for segment in bytes.chunks(transmit.segment_size.unwrap_or(bytes.len()).max(1)) {
        net.send(Socket::Relay, transmit.destination, ecn, segment);
    }
}
