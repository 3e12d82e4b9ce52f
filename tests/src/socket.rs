//! A participant's UDP socket, whose datagrams carry the kernel's time of arrival.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt::RcvBuf,
    sockopt::ReceiveTimestampns,
};
use nix::sys::time::TimeSpec;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// Half a second of a viewer's 4 Mbit/s.
const RECEIVE_BUFFER: usize = 256 * 1024;

/// The socket.
pub struct Socket {
    udp: Arc<UdpSocket>,
    control: Vec<u8>,
}

impl Socket {
    /// On a free port of `ip` (IPv4).
    ///
    /// # Errors
    /// When there is none.
    pub fn bind(ip: IpAddr) -> anyhow::Result<Self> {
        let udp = UdpSocket::bind((ip, 0))?;
        udp.set_nonblocking(true)?;
        setsockopt(&udp, ReceiveTimestampns, &true)?;
        setsockopt(&udp, RcvBuf, &RECEIVE_BUFFER)?;
        Ok(Self { udp: Arc::new(udp), control: cmsg_space!(TimeSpec) })
    }

    /// Its address.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addr(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.udp.local_addr()?)
    }

    /// The socket itself: to wait on, or to send what the stack would not.
    #[must_use]
    pub fn udp(&self) -> Arc<UdpSocket> {
        self.udp.clone()
    }

    /// Sends; what the kernel does not take is lost, as it would be on the way.
    pub fn send(&self, data: &[u8], to: SocketAddr) {
        let _ = self.udp.send_to(data, to);
    }

    /// One datagram: its length, its sender, and its arrival in microseconds since 1970.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr, i64)> {
        let mut parts = [IoSliceMut::new(buffer)];
        let fd = self.udp.as_raw_fd();
        let message = loop {
            match recvmsg::<SockaddrIn>(
                fd,
                &mut parts,
                Some(&mut self.control),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => break message,
                // A port that is gone said so: that is news of an earlier datagram.
                Err(Errno::EINTR | Errno::ECONNREFUSED) => {}
                Err(_) => return None,
            }
        };
        let from = SocketAddr::V4(SocketAddrV4::from(message.address?));
        let stamp = message.cmsgs().ok()?.find_map(|c| match c {
            ControlMessageOwned::ScmTimestampns(t) => {
                Some(t.tv_sec() * 1_000_000 + t.tv_nsec() / 1_000)
            }
            _ => None,
        })?;
        Some((message.bytes, from, stamp))
    }
}
