//! All links of a world: between every two nodes, and from and to every participant.

use crate::address::{Whose, whose};
use crate::link_model::LinkParams;
use crate::random::{Entity, Purpose, stream};
use crate::time::SimTime;
use crate::wire::{Datagram, Pool, Wire, WireCounters};
use rand_chacha::rand_core::RngCore;
use relay_proto::Socket;
use std::net::SocketAddr;

/// All links.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: usize,
    /// Node to node first, then each participant's way up and way down.
    wires: Vec<Wire>,
    pub(crate) pool: Pool,
    /// Datagrams to an address that nobody has, or nobody reaches from there.
    pub(crate) unroutable: u64,
}

/// What lies between two places.
#[derive(Debug)]
pub(crate) struct Access {
    /// Group and place in it.
    pub(crate) entity: (usize, usize),
    pub(crate) edge: usize,
    pub(crate) params: LinkParams,
}

impl Network {
    /// `path` gives the parameters from one node to another.
    pub(crate) fn new(
        seed: u64,
        nodes: usize,
        path: impl Fn(usize, usize) -> LinkParams,
        access: &[Access],
    ) -> Self {
        let mut wires = Vec::with_capacity(nodes * nodes + 2 * access.len());
        for from in 0..nodes {
            for to in 0..nodes {
                let luck = stream(seed, Entity::Path(from, to), Purpose::Link).next_u64();
                wires.push(Wire::new(Whose::Node(to, Socket::Relay), path(from, to), luck));
            }
        }
        for (place, a) in access.iter().enumerate() {
            let mut luck = stream(seed, Entity::Participant(a.entity.0, a.entity.1), Purpose::Link);
            wires.push(Wire::new(Whose::Node(a.edge, Socket::Media), a.params, luck.next_u64()));
            wires.push(Wire::new(Whose::Participant(place), a.params, luck.next_u64()));
        }
        Self { nodes, wires, pool: Pool::default(), unroutable: 0 }
    }

    pub(crate) fn path(&self, from: usize, to: usize) -> usize {
        from * self.nodes + to
    }

    pub(crate) fn up(&self, participant: usize) -> usize {
        self.nodes * self.nodes + 2 * participant
    }

    pub(crate) fn down(&self, participant: usize) -> usize {
        self.up(participant) + 1
    }

    pub(crate) fn wire(&mut self, index: usize) -> Option<&mut Wire> {
        self.wires.get_mut(index)
    }

    pub(crate) fn params(&self, index: usize) -> LinkParams {
        self.wires.get(index).map(Wire::params).unwrap_or_default()
    }

    pub(crate) fn counters(&self, index: usize) -> WireCounters {
        self.wires.get(index).map(Wire::counters).unwrap_or_default()
    }

    /// Sends a datagram. Answers the wire and the time at which it wants to be looked after, if nothing was under way on it.
    pub(crate) fn send(
        &mut self,
        now: SimTime,
        from: SocketAddr,
        to: SocketAddr,
        ecn: u8,
        bytes: &[u8],
    ) -> Option<(usize, SimTime)> {
        let wire = match (whose(from), whose(to)) {
            (Some(Whose::Node(a, Socket::Relay)), Some(Whose::Node(b, Socket::Relay)))
                if a != b =>
            {
                self.path(a, b)
            }
            (Some(Whose::Node(_, Socket::Media)), Some(Whose::Participant(p))) => self.down(p),
            (Some(Whose::Participant(p)), Some(Whose::Node(_, Socket::Media))) => self.up(p),
            _ => usize::MAX,
        };
        let Some(link) = self.wires.get_mut(wire) else {
            self.unroutable += 1;
            return None;
        };
        let socket = if wire < self.nodes * self.nodes { Socket::Relay } else { Socket::Media };
        let bytes = self.pool.take(bytes);
        let datagram = Datagram { at: now, socket, from, ecn, bytes };
        link.send(now, datagram, &mut self.pool).map(|at| (wire, at))
    }
}
