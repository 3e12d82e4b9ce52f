//! One link: the (node, lane) it joins, its two possible pairs of connections, its queue and counters.

use crate::ids::{Lane, NodeId};
use crate::limits::{LINK_QUEUE_BYTES_MAX, REDIAL_MAX, REDIAL_MIN, STABLE_AFTER};
use crate::links_api::LinkCounters;
use crate::queue::ClassQueue;
use crate::session::LinkSession;
use crate::time::Now;
use crate::transport::channel::ChannelKind;
use crate::transport::{ConnKey, Side};
use rand::Rng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One connection of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half {
    pub(super) key: ConnKey,
    /// Handshake done and identity checked.
    pub(super) ready: bool,
}

/// A media and a control connection that one end dialled together.
#[derive(Debug)]
pub(super) struct Pair {
    /// The number in their server names.
    pub(super) number: u32,
    /// By [`ChannelKind`].
    pub(super) halves: [Option<Half>; 2],
    pub(super) session: LinkSession,
    /// Region in the certificate.
    pub(super) region: String,
    pub(super) born: Instant,
}

impl Pair {
    pub(super) fn new(now: Now, number: u32, session: LinkSession) -> Self {
        Self { number, halves: [None, None], session, region: String::new(), born: now.mono }
    }

    pub(super) fn key(&self, kind: ChannelKind) -> Option<ConnKey> {
        self.halves[kind as usize].map(|half| half.key)
    }

    pub(super) fn is_ready(&self, kind: ChannelKind) -> bool {
        self.halves[kind as usize].is_some_and(|half| half.ready)
    }
}

/// One link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) lane: Lane,
    pub(super) addr: Option<SocketAddr>,
    /// `connect` was called: redial.
    pub(super) wanted: bool,
    /// By [`Side`].
    pub(super) pairs: [Option<Pair>; 2],
    /// The pair that both ends agreed on.
    pub(super) active: Option<Side>,
    pub(super) up: bool,
    pub(super) up_at: Option<Instant>,
    pub(super) suspect: bool,
    pub(super) dial_at: Option<Instant>,
    /// Failed attempts in a row.
    attempts: u32,
    pub(super) beat_at: Option<Instant>,
    pub(super) queue: ClassQueue,
    pub(super) counters: LinkCounters,
    pub(super) region: String,
}

impl Link {
    pub(super) fn new(node: NodeId, lane: Lane) -> Self {
        Self {
            node,
            lane,
            addr: None,
            wanted: false,
            pairs: [None, None],
            active: None,
            up: false,
            up_at: None,
            suspect: false,
            dial_at: None,
            attempts: 0,
            beat_at: None,
            queue: ClassQueue::new(LINK_QUEUE_BYTES_MAX),
            counters: LinkCounters::default(),
            region: String::new(),
        }
    }

    pub(super) fn pair(&self, side: Side) -> Option<&Pair> {
        self.pairs[side as usize].as_ref()
    }

    pub(super) fn pair_mut(&mut self, side: Side) -> Option<&mut Pair> {
        self.pairs[side as usize].as_mut()
    }

    pub(super) fn active_pair(&self) -> Option<&Pair> {
        self.pair(self.active?)
    }

    pub(super) fn active_pair_mut(&mut self) -> Option<&mut Pair> {
        self.pair_mut(self.active?)
    }

    /// Whether no connection exists or is being made.
    pub(super) fn is_idle(&self) -> bool {
        self.pairs.iter().all(Option::is_none)
    }

    /// Arms the redial: doubling from [`REDIAL_MIN`] to [`REDIAL_MAX`], of which a random half is waited at least, so
    /// that a herd spreads out.
    pub(super) fn schedule_dial(&mut self, now: Now, rng: &mut impl Rng) {
        if !self.wanted {
            return;
        }
        if self
            .up_at
            .take()
            .is_some_and(|at| now.mono.saturating_duration_since(at) >= STABLE_AFTER)
        {
            self.attempts = 0;
        }
        let full = REDIAL_MIN.saturating_mul(1 << self.attempts.min(6)).min(REDIAL_MAX);
        self.attempts += 1;
        let wait =
            full / 2 + Duration::from_micros(rng.random_range(0..=full.as_micros() as u64 / 2));
        self.dial_at = Some(now.mono + wait);
    }

    /// The next moment at which this link wants to act.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.dial_at.into_iter().chain(self.beat_at).min()
    }

    /// Folds what the session of a pair that ends had counted into the link's counters.
    pub(super) fn settle(&mut self, pair: &Pair) {
        self.counters.lost += pair.session.lost();
        self.counters.peer_lost += pair.session.peer_lost();
        self.counters.heartbeats += pair.session.heartbeats();
    }
}
