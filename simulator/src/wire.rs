//! The links of the world: each keeps what is under way in order, so the event queue holds one event a link, not a packet.

use crate::address::Whose;
use crate::link_model::{LinkCounters, LinkModel, LinkParams, Verdict};
use crate::time::SimTime;
use relay_proto::Socket;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// IPv4 and UDP headers: the path carries them too.
const IP_UDP_BYTES: usize = 20 + 8;

/// A datagram under way.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) at: SimTime,
    pub(crate) socket: Socket,
    pub(crate) from: SocketAddr,
    pub(crate) ecn: u8,
    pub(crate) bytes: Vec<u8>,
}

/// One direction between two places.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) to: Whose,
    model: LinkModel,
    under_way: VecDeque<Datagram>,
    /// Datagrams and bytes handed over at the far end.
    arrived: (u64, u64),
}

/// What one link did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// What the model counted when packets were offered.
    pub model: LinkCounters,
    /// Datagrams that reached the far end.
    pub arrived: u64,
    /// Their bytes, with IP and UDP headers.
    pub arrived_bytes: u64,
    /// Datagrams still under way.
    pub in_flight: u64,
}

impl WireCounters {
    /// Whether nothing appeared from nowhere and nothing vanished: in = out + dropped + in flight.
    #[must_use]
    pub fn conserved(&self) -> bool {
        self.model.conserved() && self.model.delivered == self.arrived + self.in_flight
    }
}

impl Wire {
    pub(crate) fn new(to: Whose, params: LinkParams, seed: u64) -> Self {
        Self {
            to,
            model: LinkModel::new(params, seed),
            under_way: VecDeque::new(),
            arrived: (0, 0),
        }
    }

    pub(crate) fn set_params(&mut self, params: LinkParams) {
        self.model.set_params(params);
    }

    pub(crate) fn params(&self) -> LinkParams {
        self.model.params()
    }

    /// Sends a datagram. Answers when the far end wants to be woken, if nothing was under way.
    pub(crate) fn send(
        &mut self,
        now: SimTime,
        mut datagram: Datagram,
        pool: &mut Pool,
    ) -> Option<SimTime> {
        let size = datagram.bytes.len() + IP_UDP_BYTES;
        let Verdict::Deliver(at) = self.model.offer(now.as_duration(), size) else {
            pool.give(datagram.bytes);
            return None;
        };
        datagram.at = SimTime::from_duration(at);
        let first = self.under_way.is_empty().then_some(datagram.at);
        self.under_way.push_back(datagram);
        first
    }

    /// The next datagram that has arrived by `now`.
    pub(crate) fn receive(&mut self, now: SimTime) -> Option<Datagram> {
        if self.under_way.front()?.at > now {
            return None;
        }
        let datagram = self.under_way.pop_front()?;
        self.arrived.0 += 1;
        self.arrived.1 += (datagram.bytes.len() + IP_UDP_BYTES) as u64;
        Some(datagram)
    }

    /// When the next one arrives.
    pub(crate) fn next(&self) -> Option<SimTime> {
        self.under_way.front().map(|d| d.at)
    }

    pub(crate) fn counters(&self) -> WireCounters {
        let (arrived, arrived_bytes) = self.arrived;
        WireCounters {
            model: self.model.counters(),
            arrived,
            arrived_bytes,
            in_flight: self.under_way.len() as u64,
        }
    }
}

/// Buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Pool(Vec<Vec<u8>>);

impl Pool {
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.0.pop().unwrap_or_else(|| Vec::with_capacity(1_500));
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    pub(crate) fn give(&mut self, buffer: Vec<u8>) {
        self.0.push(buffer);
    }
}
