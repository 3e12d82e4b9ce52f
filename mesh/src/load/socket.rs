//! UDP sockets that many participants share.
//!
//! An edge tells participants apart by source address. When the mesh is on this machine, all of 127.0.0.0/8 is ours: one socket
//! serves many participants, each with an address of its own, written into and read from each datagram (`IP_PKTINFO`). Otherwise
//! each has a socket and a port. Datagrams carry the kernel's time of arrival: a late reader must not look like a late server.

use super::limits::{
    BATCH, BATCHES_PER_TURN, DATAGRAM_BYTES_MAX, PARTICIPANTS_PER_SOCKET, RECEIVE_BUFFER_BYTES,
};
use anyhow::{Context, bail};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg,
    setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Addresses of participants: 127.100.1.1 and on, 250 in each of 250 rows.
const ROW: u32 = 250;
const SECOND_OCTET: u8 = 100;

/// Where a participant sends from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    socket: usize,
    /// Its address, as its edge sees it.
    pub(super) addr: SocketAddrV4,
}

/// A datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'a> {
    /// The participant it is for.
    pub(super) number: u32,
    /// Who sent it.
    pub(super) from: SocketAddrV4,
    /// Kernel's time of arrival, microseconds since 1970.
    pub(super) kernel_us: i64,
    pub(super) data: &'a [u8],
}

/// All sockets.
pub(super) struct Pool {
    sockets: Vec<UdpSocket>,
    ports: Vec<u16>,
    shared: bool,
    own: Ipv4Addr,
}

/// Room for the datagrams of one call.
pub(super) struct Batch {
    headers: MultiHeaders<SockaddrIn>,
    buffer: Vec<u8>,
}

impl Batch {
    pub(super) fn new() -> Self {
        let control = cmsg_space!(nix::libc::in_pktinfo, TimeSpec);
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(control)),
            buffer: vec![0; BATCH * DATAGRAM_BYTES_MAX],
        }
    }
}

/// The own address on the way to `toward`.
fn own_address(toward: IpAddr) -> anyhow::Result<Ipv4Addr> {
    let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    probe.connect((toward, 9)).with_context(|| format!("no way to {toward}"))?;
    match probe.local_addr()? {
        SocketAddr::V4(own) => Ok(*own.ip()),
        SocketAddr::V6(_) => bail!("{toward}: only IPv4 is supported"),
    }
}

impl Pool {
    /// Sockets for `participants` whose edges are at `toward`.
    pub(super) fn new(participants: usize, toward: IpAddr) -> anyhow::Result<Self> {
        let own = own_address(toward)?;
        let shared = IpAddr::V4(own) == toward;
        let count =
            if shared { participants.div_ceil(PARTICIPANTS_PER_SOCKET) } else { participants };
        let mut pool = Self { sockets: Vec::new(), ports: Vec::new(), shared, own };
        for _ in 0..count.max(1) {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
                .context("no UDP socket: raise the limit of open files (ulimit -n)")?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
            setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
            pool.ports.push(socket.local_addr()?.port());
            pool.sockets.push(socket);
        }
        Ok(pool)
    }

    /// The own address on the way to the edges.
    pub(super) fn own(&self) -> IpAddr {
        IpAddr::V4(self.own)
    }

    /// How many sockets there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Where participant `number` sends from.
    pub(super) fn place(&self, number: u32) -> Place {
        let socket = number as usize % self.sockets.len();
        let ip = if self.shared {
            let (row, column) = ((number / ROW) as u8, (number % ROW) as u8);
            Ipv4Addr::new(127, SECOND_OCTET, row + 1, column + 1)
        } else {
            self.own
        };
        Place { socket, addr: SocketAddrV4::new(ip, self.ports[socket]) }
    }

    /// Whose a datagram is that arrived at `socket` for `to`.
    fn owner(&self, socket: usize, to: Ipv4Addr) -> Option<u32> {
        if !self.shared {
            return Some(socket as u32);
        }
        let [127, SECOND_OCTET, row, column] = to.octets() else { return None };
        Some(u32::from(row).checked_sub(1)? * ROW + u32::from(column).checked_sub(1)?)
    }

    /// Sends; what the kernel does not take is lost, as it would be on the way. Whether it was taken.
    pub(super) fn send(&self, place: &Place, data: &[u8], to: SocketAddrV4) -> bool {
        let Some(socket) = self.sockets.get(place.socket) else { return false };
        let address = nix::libc::in_addr { s_addr: u32::from_ne_bytes(place.addr.ip().octets()) };
        let info =
            nix::libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: address };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let parts = [IoSlice::new(data)];
        let to = SockaddrIn::from(to);
        sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::MSG_DONTWAIT, Some(&to)).is_ok()
    }

    /// Reads what a socket has, some batches at most; how many datagrams there were.
    pub(super) fn receive(
        &self,
        socket: usize,
        batch: &mut Batch,
        mut take: impl FnMut(Datagram<'_>),
    ) -> usize {
        let Some(fd) = self.sockets.get(socket).map(AsRawFd::as_raw_fd) else { return 0 };
        let mut total = 0;
        for _ in 0..BATCHES_PER_TURN {
            let Batch { headers, buffer } = &mut *batch;
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                buffer.chunks_exact_mut(DATAGRAM_BYTES_MAX).map(|c| [IoSliceMut::new(c)]).collect();
            let received =
                match recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
                    Ok(received) => received,
                    // A port that is gone said so: that is news of an earlier datagram.
                    Err(Errno::EINTR | Errno::ECONNREFUSED) => continue,
                    Err(_) => break,
                };
            let mut count = 0;
            for message in received {
                count += 1;
                let (mut to, mut kernel_us) = (None, 0);
                for control in message.cmsgs().into_iter().flatten() {
                    match control {
                        ControlMessageOwned::Ipv4PacketInfo(info) => {
                            to = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()));
                        }
                        ControlMessageOwned::ScmTimestampns(t) => {
                            kernel_us = t.tv_sec() * 1_000_000 + t.tv_nsec() / 1_000;
                        }
                        _ => {}
                    }
                }
                let number = to.and_then(|to| self.owner(socket, to));
                let from = message.address.map(SocketAddrV4::from);
                let data = message.iovs().next();
                if let (Some(number), Some(from), Some(data)) = (number, from, data) {
                    take(Datagram { number, from, kernel_us, data });
                }
            }
            total += count;
            if count < BATCH {
                break;
            }
        }
        total
    }

    /// Waits until something arrives, at most `limit`; the sockets that have something.
    pub(super) fn wait(&self, limit: Duration) -> Vec<usize> {
        let mut fds: Vec<PollFd<'_>> =
            self.sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)).collect();
        if !matches!(ppoll(&mut fds, Some(TimeSpec::from_duration(limit)), None), Ok(1..)) {
            return Vec::new();
        }
        let ready = fds.iter().enumerate().filter(|(_, fd)| fd.any() == Some(true));
        ready.map(|(i, _)| i).collect()
    }

    /// Datagrams that the kernel dropped because these sockets were not read in time (`/proc/net/udp`).
    pub(super) fn dropped(&self) -> u64 {
        let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
        let mut drops: BTreeMap<u16, u64> = BTreeMap::new();
        for line in table.lines() {
            let mut fields = line.split_ascii_whitespace();
            let port = fields.nth(1).and_then(|a| a.rsplit_once(':')).map(|(_, port)| port);
            let port = port.and_then(|p| u16::from_str_radix(p, 16).ok());
            if let (Some(port), Some(dropped)) = (port, fields.next_back()) {
                *drops.entry(port).or_default() += dropped.parse().unwrap_or(0);
            }
        }
        self.ports.iter().filter_map(|p| drops.get(p)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn participants_of_one_socket_have_addresses_of_their_own() {
        let pool = Pool::new(300, IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert_eq!(pool.len(), 10);
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let SocketAddr::V4(at) = server.local_addr().unwrap() else { unreachable!() };
        let mut batch = Batch::new();
        for number in [0, 1, 249, 250, 299] {
            let place = pool.place(number);
            assert!(pool.send(&place, b"hello", at));
            let mut buffer = [0; 16];
            let (_, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!(from, SocketAddr::V4(place.addr));
            server.send_to(b"answer", from).unwrap();
            let ready = pool.wait(Duration::from_secs(5));
            assert_eq!(ready, [place.socket]);
            let mut got = Vec::new();
            pool.receive(ready[0], &mut batch, |d| {
                got.push((d.number, d.from, d.data.to_vec()));
                assert!((d.kernel_us - super::super::clock::kernel_offset_us()).abs() < 60_000_000);
            });
            assert_eq!(got, [(number, at, b"answer".to_vec())]);
        }
        assert_eq!(pool.dropped(), 0);
    }
}
