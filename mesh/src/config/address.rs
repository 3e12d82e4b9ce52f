//! This machine's address, as others see it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// An address that nobody has (RFC 5737), so that the default route leads there.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 9);

/// The address of the interface of the default route; nothing is sent. Without a route, loopback.
pub(crate) fn default_route_ip() -> IpAddr {
    let local = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(NOWHERE)?;
        socket.local_addr()
    });
    local
        .map(|addr| addr.ip())
        .ok()
        .filter(|ip| !ip.is_unspecified())
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
