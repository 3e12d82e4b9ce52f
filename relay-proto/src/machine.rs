//! The one contract of everything that decides: told the time, given input, returns what to do.

use crate::time::Now;
use std::net::SocketAddr;
use std::time::Instant;

/// Whether a slice finished its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to send.
    Done,
    /// The outbox filled up first: call again after draining it.
    More,
}

/// A pure state machine. It reads no clock and no socket and draws from the generator it was given.
///
/// A driver's turn: receive at most 64 datagrams, `handle` each, then `flush` one slice at a time and drain the
/// outbox after each, call `on_deadline` when `deadline` has passed, read the clock again, repeat.
pub trait Machine {
    /// Borrows the receive buffer: packets are opened in place.
    type Input<'a>;
    /// What goes to the control runtime; datagrams go through [`Outbox::net`].
    type Output;

    /// Takes one input.
    fn handle(&mut self, now: Now, input: Self::Input<'_>, out: &mut Outbox<Self::Output>);

    /// Sends what is due, voices first, until done or `out` is full. Called after every receive batch, and again
    /// (with a drained `out`) while it answers [`Progress::More`].
    fn flush(&mut self, now: Now, out: &mut Outbox<Self::Output>) -> Progress;

    /// Does what was due at `deadline()` or earlier.
    fn on_deadline(&mut self, now: Now, out: &mut Outbox<Self::Output>);

    /// When `on_deadline` next wants to be called.
    fn deadline(&self) -> Option<Instant>;
}

/// Which of a shard's two sockets a datagram came through or leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Socket {
    /// WebRTC of the participants.
    Media,
    /// QUIC of the relay links.
    Relay,
}

/// What a shard's machine is given.
#[derive(Debug)]
pub enum ShardInput<'a, C> {
    /// A datagram, in the receive buffer.
    Datagram {
        /// The socket it came through.
        socket: Socket,
        /// The sender.
        from: SocketAddr,
        /// The two ECN bits.
        ecn: u8,
        /// The bytes, which the machine may decrypt in place.
        data: &'a mut [u8],
    },
    /// Something from the control runtime.
    Command(C),
}

/// Datagrams of one slice: ARCHITECTURE section 1.
pub const SLICE_DATAGRAMS: usize = 64;
/// The largest datagram that is ever sent: an Ethernet frame's payload.
pub const DATAGRAM_BYTES_MAX: usize = 1_500;
/// The largest burst to one destination in one transmit. Linux takes at most 64 segments and 65,507 bytes; 40 fit.
pub const SEGMENTS_MAX: usize = 40;
/// A slice may overshoot by one burst (a nested machine finishes what it began).
const NET_BYTES: usize = (SLICE_DATAGRAMS + SEGMENTS_MAX) * DATAGRAM_BYTES_MAX;

/// One send: `segment`-sized datagrams to one destination (the last may be shorter), as GSO wants them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket to send by.
    pub socket: Socket,
    /// The destination.
    pub dest: SocketAddr,
    /// The two ECN bits.
    pub ecn: u8,
    /// Where the bytes start in the arena.
    start: usize,
    /// How many bytes.
    len: usize,
    /// Size of every datagram but the last.
    pub segment: usize,
}

/// The datagrams of one slice, in one arena that is allocated once.
///
/// Equal-sized datagrams to one destination that are written one after the other become one [`Transmit`] with several
/// segments. So a caller that visits a peer once and writes its whole burst gets GSO without asking.
#[derive(Debug)]
pub struct Net {
    /// Reused as it is from slice to slice: clearing 1.5 kB a packet costs as much as copying it.
    bytes: Vec<u8>,
    /// How many of them are taken.
    end: usize,
    transmits: Vec<Transmit>,
    datagrams: usize,
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Net {
    /// An empty arena with room for a slice.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: vec![0; NET_BYTES],
            end: 0,
            transmits: Vec::with_capacity(SLICE_DATAGRAMS + SEGMENTS_MAX),
            datagrams: 0,
        }
    }

    /// An arena that holds nothing and allocates nothing: the other side of a swap.
    #[must_use]
    pub fn placeholder() -> Self {
        Self { bytes: Vec::new(), end: 0, transmits: Vec::new(), datagrams: 0 }
    }

    /// Whether the slice is full. A producer looks before each visit; the arena still takes what is written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.datagrams >= SLICE_DATAGRAMS
    }

    /// How many datagrams wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.datagrams
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams == 0
    }

    /// Writes one datagram of at most `max` bytes: `write` fills the start of the buffer and returns how many
    /// bytes it used, or `None` to send nothing. The buffer holds what an earlier datagram left there: `write` must
    /// write every byte it says it used.
    pub fn write(
        &mut self,
        socket: Socket,
        dest: SocketAddr,
        max: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        let start = self.end;
        let room = self.room(max);
        if cfg!(debug_assertions) {
            // Whoever relies on zeros shows in tests.
            room.fill(0xa5);
        }
        let used = write(room).map(|n| n.min(max)).filter(|n| *n > 0);
        if let Some(len) = used {
            self.append(socket, dest, 0, start, len);
        }
        used.is_some()
    }

    /// Copies one datagram in.
    pub fn send(&mut self, socket: Socket, dest: SocketAddr, ecn: u8, data: &[u8]) {
        let start = self.end;
        self.room(data.len()).copy_from_slice(data);
        self.append(socket, dest, ecn, start, data.len());
    }

    /// The next `max` bytes.
    fn room(&mut self, max: usize) -> &mut [u8] {
        let end = self.end + max;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.end..end]
    }

    fn append(&mut self, socket: Socket, dest: SocketAddr, ecn: u8, start: usize, len: usize) {
        self.datagrams += 1;
        self.end = start + len;
        if let Some(last) = self.transmits.last_mut() {
            let whole = last.len % last.segment == 0;
            let room = last.len / last.segment < SEGMENTS_MAX;
            let same = last.socket == socket && last.dest == dest && last.ecn == ecn;
            if same && whole && room && len <= last.segment && last.start + last.len == start {
                last.len += len;
                return;
            }
        }
        self.transmits.push(Transmit { socket, dest, ecn, start, len, segment: len });
    }

    /// What waits to be sent, in order, with its bytes.
    pub fn transmits(&self) -> impl Iterator<Item = (&Transmit, &[u8])> {
        self.transmits.iter().map(|t| (t, &self.bytes[t.start..t.start + t.len]))
    }

    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        self.end = 0;
        self.transmits.clear();
        self.datagrams = 0;
    }
}

/// Where a machine leaves what it wants done.
#[derive(Debug)]
pub struct Outbox<T> {
    /// Datagrams.
    pub net: Net,
    /// Everything else, in order.
    pub events: Vec<T>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Outbox<T> {
    /// An empty outbox with its arena.
    #[must_use]
    pub fn new() -> Self {
        Self { net: Net::new(), events: Vec::new() }
    }

    /// An outbox for a nested machine: it has no arena of its own and is lent one.
    #[must_use]
    pub fn nested() -> Self {
        Self { net: Net::placeholder(), events: Vec::new() }
    }

    /// Lends this outbox's arena to `inner` while `f` runs a nested machine: one arena, no copy.
    pub fn lend<U, R>(&mut self, inner: &mut Outbox<U>, f: impl FnOnce(&mut Outbox<U>) -> R) -> R {
        std::mem::swap(&mut self.net, &mut inner.net);
        let result = f(inner);
        std::mem::swap(&mut self.net, &mut inner.net);
        result
    }

    /// Whether the slice is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.net.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn equal_datagrams_to_one_destination_become_one_burst() {
        let mut net = Net::new();
        for len in [100, 100, 60] {
            net.send(Socket::Media, addr(1), 0, &vec![7; len]);
        }
        net.send(Socket::Media, addr(1), 0, &[7; 60]);
        net.send(Socket::Media, addr(2), 0, &[7; 60]);
        let shapes: Vec<_> = net.transmits().map(|(t, b)| (t.segment, b.len())).collect();
        assert_eq!(shapes, [(100, 260), (60, 60), (60, 60)], "a short datagram ends its burst");
        assert_eq!(net.len(), 5);
    }

    #[test]
    fn a_write_that_declines_leaves_nothing() {
        let mut net = Net::new();
        assert!(!net.write(Socket::Media, addr(1), 10, |_| None));
        assert!(net.write(Socket::Media, addr(1), 10, |b| {
            b[0] = 1;
            Some(1)
        }));
        assert_eq!(net.transmits().map(|(_, b)| b.to_vec()).collect::<Vec<_>>(), [vec![1]]);
    }

    #[test]
    fn a_burst_ends_at_the_segment_limit() {
        let mut net = Net::new();
        for _ in 0..=SEGMENTS_MAX {
            net.send(Socket::Relay, addr(1), 0, &[0; 10]);
        }
        assert_eq!(net.transmits().count(), 2);
    }
}
