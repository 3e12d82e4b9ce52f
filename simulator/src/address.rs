//! Addresses of the virtual world: an address says who has it, so nothing is looked up.

use relay_proto::Socket;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const MEDIA_PORT: u16 = 5_000;
const RELAY_PORT: u16 = 7_000;
const PARTICIPANT_PORT: u16 = 4_000;
/// Nodes live in 10/8, participants in 11/8.
const NODES: u8 = 10;
const PARTICIPANTS: u8 = 11;

/// Who has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The socket of a node.
    Node(usize, Socket),
    /// A participant.
    Participant(usize),
}

fn address(net: u8, index: usize, port: u16) -> SocketAddr {
    let [_, a, b, c] = (index as u32).to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(net, a, b, c), port))
}

pub(crate) fn of_node(index: usize, socket: Socket) -> SocketAddr {
    let port = if socket == Socket::Media { MEDIA_PORT } else { RELAY_PORT };
    address(NODES, index, port)
}

pub(crate) fn of_participant(index: usize) -> SocketAddr {
    address(PARTICIPANTS, index, PARTICIPANT_PORT)
}

pub(crate) fn whose(addr: SocketAddr) -> Option<Whose> {
    let IpAddr::V4(ip) = addr.ip() else { return None };
    let [net, a, b, c] = ip.octets();
    let index = u32::from_be_bytes([0, a, b, c]) as usize;
    match (net, addr.port()) {
        (NODES, MEDIA_PORT) => Some(Whose::Node(index, Socket::Media)),
        (NODES, RELAY_PORT) => Some(Whose::Node(index, Socket::Relay)),
        (PARTICIPANTS, PARTICIPANT_PORT) => Some(Whose::Participant(index)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whose_it_is() {
        assert_eq!(whose(of_node(700, Socket::Relay)), Some(Whose::Node(700, Socket::Relay)));
        assert_eq!(whose(of_participant(70_000)), Some(Whose::Participant(70_000)));
        assert_eq!(whose(SocketAddr::from(([127, 0, 0, 1], 5_000))), None);
    }
}
