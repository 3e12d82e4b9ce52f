//! A UDP socket of a shard: bursts in, bursts out, every loss counted.

use crate::bind::bind_error;
use crate::burst::{Run, send_run};
use crate::limits::{GSO_RETRY, SEND_WAIT, SOCKET_BUFFER_BYTES};
use crate::recv::RecvBatch;
use crate::stats::{SocketStats, bump};
use quinn_udp::{EcnCodepoint, Transmit as UdpTransmit, UdpSocketState};
use relay_proto::machine::{Socket, Transmit};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Instant;

/// A bound socket.
pub(crate) struct UdpPort {
    pub(crate) kind: Socket,
    pub(crate) socket: UdpSocket,
    state: UdpSocketState,
    /// A socket bound to an IPv6 address reaches IPv4 by mapped addresses.
    is_v6: bool,
    gso_off_since: Option<Instant>,
    /// A slice waits for the send buffer at most once.
    may_wait: bool,
}

impl UdpPort {
    /// Binds. Says once when the kernel gave smaller buffers than asked for.
    pub(crate) fn bind(kind: Socket, name: &str, addr: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(addr).map_err(|e| bind_error(&e, "UDP", addr, name))?;
        let given = enlarge_buffers(&socket);
        complain_once(given);
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self { kind, socket, state, is_v6: addr.is_ipv6(), gso_off_since: None, may_wait: true })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Fills `batch`. `false` when the socket has nothing more: the call brought fewer messages than it had room for.
    pub(crate) fn recv(&self, batch: &mut RecvBatch, stats: &SocketStats) -> io::Result<bool> {
        match batch.fill(|slices, meta| self.state.recv((&self.socket).into(), slices, meta)) {
            Ok((datagrams, bytes)) => {
                bump(&stats.recv_calls, 1);
                bump(&stats.datagrams_in, datagrams);
                bump(&stats.bytes_in, bytes);
                Ok(batch.is_full())
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(false)
            }
            Err(e) => {
                bump(&stats.recv_errors, 1);
                Err(e)
            }
        }
    }

    /// A new slice: it may wait again, and offload may be tried again.
    pub(crate) fn begin_slice(&mut self, now: Instant) {
        self.may_wait = true;
        if self.gso_off_since.is_some_and(|since| now.saturating_duration_since(since) >= GSO_RETRY)
            && let Ok(state) = UdpSocketState::new((&self.socket).into())
        {
            self.state = state;
            self.gso_off_since = None;
        }
    }

    /// Sends single datagrams in as few calls as the kernel allows, to addresses that [`Self::reachable`] gave. What it does not
    /// take is dropped and counted.
    pub(crate) fn send_run(&mut self, run: &Run<'_>, stats: &SocketStats) {
        let mut rest = &run[..];
        while !rest.is_empty() {
            bump(&stats.send_calls, 1);
            let (done, next) = match send_run(&self.socket, rest) {
                Ok(taken) => rest.split_at(taken.max(1)),
                Err(e) if e.kind() == ErrorKind::WouldBlock && self.may_wait => {
                    self.may_wait = false;
                    bump(&stats.send_waits, 1);
                    self.wait_for_room();
                    continue;
                }
                Err(e) => {
                    let full = e.kind() == ErrorKind::WouldBlock;
                    let refused = if full { rest.len() } else { 1 };
                    count_drop(&e, refused, stats);
                    rest = &rest[refused..];
                    continue;
                }
            };
            bump(&stats.datagrams_out, done.len() as u64);
            bump(&stats.bytes_out, done.iter().map(|(_, bytes)| bytes.len() as u64).sum());
            rest = next;
        }
    }

    /// Sends one burst, as few calls as the kernel allows. What it does not take is dropped and counted.
    pub(crate) fn send(
        &mut self,
        transmit: &Transmit,
        bytes: &[u8],
        now: Instant,
        stats: &SocketStats,
    ) {
        let per_call = self.state.max_gso_segments().max(1) * transmit.segment;
        for burst in bytes.chunks(per_call) {
            let refused = match self.send_burst(transmit, burst, stats) {
                Ok(()) => continue,
                Err(e) => e,
            };
            if refused.kind() != ErrorKind::WouldBlock && burst.len() > transmit.segment {
                // The driver cannot offload, or one segment is too large for the path: let each speak for itself.
                self.note_gso(now, stats);
                for datagram in burst.chunks(transmit.segment) {
                    if let Err(e) = self.send_burst(transmit, datagram, stats) {
                        count_drop(&e, 1, stats);
                    }
                }
            } else {
                count_drop(&refused, burst.len().div_ceil(transmit.segment), stats);
            }
        }
    }

    fn send_burst(
        &mut self,
        transmit: &Transmit,
        burst: &[u8],
        stats: &SocketStats,
    ) -> io::Result<()> {
        let udp = UdpTransmit {
            destination: self.reachable(transmit.dest),
            ecn: EcnCodepoint::from_bits(transmit.ecn),
            contents: burst,
            segment_size: (burst.len() > transmit.segment).then_some(transmit.segment),
            src_ip: None,
        };
        let mut result = self.try_send(&udp, stats);
        if self.may_wait && result.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock) {
            self.may_wait = false;
            bump(&stats.send_waits, 1);
            self.wait_for_room();
            result = self.try_send(&udp, stats);
        }
        if result.is_ok() {
            bump(&stats.datagrams_out, burst.len().div_ceil(transmit.segment) as u64);
            bump(&stats.bytes_out, burst.len() as u64);
        }
        result
    }

    fn try_send(&self, udp: &UdpTransmit<'_>, stats: &SocketStats) -> io::Result<()> {
        bump(&stats.send_calls, 1);
        self.state.try_send((&self.socket).into(), udp)
    }

    fn wait_for_room(&self) {
        let mut fds = [PollFd::new(&self.socket, PollFlags::OUT)];
        let timeout = Timespec::try_from(SEND_WAIT).ok();
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
    }

    fn note_gso(&mut self, now: Instant, stats: &SocketStats) {
        if self.state.max_gso_segments() <= 1 && self.gso_off_since.is_none() {
            self.gso_off_since = Some(now);
            bump(&stats.gso_fallbacks, 1);
        }
    }

    /// The address as this socket must write it.
    pub(crate) fn reachable(&self, dest: SocketAddr) -> SocketAddr {
        match dest.ip() {
            IpAddr::V4(ip) if self.is_v6 => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), dest.port())
            }
            _ => dest,
        }
    }
}

fn count_drop(error: &io::Error, datagrams: usize, stats: &SocketStats) {
    let counter = match error.kind() {
        ErrorKind::WouldBlock => &stats.send_full,
        _ => &stats.send_errors,
    };
    bump(counter, datagrams as u64);
}

/// Says once a process that bursts may be lost.
fn complain_once(given: usize) {
    static SAID: std::sync::Once = std::sync::Once::new();
    if given < SOCKET_BUFFER_BYTES {
        SAID.call_once(|| {
            tracing::warn!(
                asked = SOCKET_BUFFER_BYTES,
                given,
                "socket buffers are small, bursts may be lost: raise net.core.rmem_max and net.core.wmem_max"
            );
        });
    }
}

/// Asks for large buffers, with privilege if there is any; returns the smaller of what was given.
fn enlarge_buffers(socket: &UdpSocket) -> usize {
    use rustix::net::sockopt;
    let bytes = SOCKET_BUFFER_BYTES;
    if sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(socket, bytes);
    }
    if sockopt::set_socket_send_buffer_size_force(socket, bytes).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(socket, bytes);
    }
    // The kernel reports twice what it was asked for: it counts its own bookkeeping.
    let received = sockopt::socket_recv_buffer_size(socket).unwrap_or(0) / 2;
    received.min(sockopt::socket_send_buffer_size(socket).unwrap_or(0) / 2)
}
