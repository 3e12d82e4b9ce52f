//! All relay links of one shard, over one socket: the machine that shards own.
//!
//! A link joins this node's shard to another node's shard for one lane. It has a media and a control connection, dialled
//! together by one end (a *pair*). When both ends dial, the node with the lower id chooses: it acknowledges the first hello
//! it likes, and the other pair is closed.

mod events;
mod link;
mod send;
mod tick;

use crate::clock::ClockSample;
use crate::fence::EpochFence;
use crate::ids::{FlowId, Lane, NodeId};
use crate::limits::{FEATURE_SHIM, LINKS_MAX};
pub use crate::links_api::{
    DownReason, LinkCounters, LinkDrop, LinkEvent, LinkId, LinkInfo, LinkInput, LinksStats,
};
use crate::machine::{Machine, Outbox, Progress};
use crate::session::LocalNode;
use crate::time::Now;
use crate::transport::channel::ChannelKind;
use crate::transport::identity::{NodeIdentity, NodeName};
use crate::transport::{CloseCode, Settings, Side, Tls, ToldClock, Transport};
use crate::window::FlowLoss;
use bytes::BytesMut;
use link::Link;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The version of the relay protocol that this code speaks, and the lowest it still speaks.
pub const RELAY_VERSION: u16 = 1;
/// See [`RELAY_VERSION`].
pub const RELAY_VERSION_MIN: u16 = 1;

/// What a [`Links`] needs to know.
#[derive(Clone, Debug)]
pub struct LinksConfig {
    /// This node; must equal the identity in its certificate.
    pub node: NodeId,
    /// Its region; must equal the identity in its certificate.
    pub region: String,
    /// Distinguishes two runs of one node.
    pub instance: u64,
    /// Certificate chain, key, and the cluster's CA.
    pub identity: NodeIdentity,
    /// Trust domain of the SPIFFE identities.
    pub trust_domain: String,
    /// Seed of everything that is drawn. Real nodes take it from the operating system: connection ids, reset tokens
    /// and address tokens are only as secret as it is.
    pub seed: [u8; 32],
    /// Versions spoken, lowest and highest: ([`RELAY_VERSION_MIN`], [`RELAY_VERSION`]) but in tests.
    pub versions: (u16, u16),
}

impl LinksConfig {
    /// With the versions of this code.
    #[must_use]
    pub fn new(name: NodeName, instance: u64, identity: NodeIdentity, seed: [u8; 32]) -> Self {
        Self {
            node: name.node,
            region: name.region,
            instance,
            identity,
            trust_domain: name.trust_domain,
            seed,
            versions: (RELAY_VERSION_MIN, RELAY_VERSION),
        }
    }
}

/// Why links cannot be set up at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinksError {
    /// The certificate, key or CA is not usable.
    #[error("identity of this node: {0}")]
    Identity(String),
}

/// All relay links of one shard.
#[derive(Debug)]
pub struct Links {
    local: LocalNode,
    trust_domain: String,
    clock: Arc<ToldClock>,
    transport: Transport,
    rng: StdRng,
    /// By place; a place is reused with the next generation.
    links: Vec<(u32, Option<Link>)>,
    by_peer: BTreeMap<(NodeId, Lane), u32>,
    fence: EpochFence,
    /// Packets are written here and split off: the memory serves dozens of them, and comes back when they have left.
    arena: BytesMut,
    /// What was written to before.
    arena_before: BytesMut,
    /// Events of calls that have no outbox.
    pending: Vec<LinkEvent>,
    stats: LinksStats,
}

impl Links {
    /// No links yet; accepts those of other nodes at once.
    ///
    /// # Errors
    /// When certificate, key, CA and configuration do not fit together.
    pub fn new(now: Now, config: LinksConfig) -> Result<Self, LinksError> {
        let named = config.identity.cert_chain.first().ok_or("no certificate".to_owned());
        let named =
            named.and_then(|cert| NodeName::of_certificate(cert)).map_err(LinksError::Identity)?;
        let expected = NodeName {
            trust_domain: config.trust_domain.clone(),
            region: config.region.clone(),
            node: config.node,
        };
        if named != expected {
            return Err(LinksError::Identity(format!("certificate says {named}, not {expected}")));
        }
        let mut rng = StdRng::from_seed(config.seed);
        let mut endpoint_seed = [0; 32];
        rng.fill_bytes(&mut endpoint_seed);
        let clock = Arc::new(ToldClock::default());
        clock.set(now.wall);
        let tls = Tls::new(&config.identity, &clock).map_err(LinksError::Identity)?;
        let settings = Settings::new(&tls, &clock, endpoint_seed).map_err(LinksError::Identity)?;
        Ok(Self {
            local: LocalNode {
                node: config.node,
                region: config.region,
                instance: config.instance,
                versions: config.versions,
                features: FEATURE_SHIM,
            },
            trust_domain: config.trust_domain,
            clock,
            transport: Transport::new(settings),
            rng,
            links: Vec::new(),
            by_peer: BTreeMap::new(),
            fence: EpochFence::default(),
            arena: BytesMut::new(),
            arena_before: BytesMut::new(),
            pending: Vec::new(),
            stats: LinksStats::default(),
        })
    }

    /// Wants a link to a node's shard for a lane. Idempotent per (node, lane); a changed address counts from the next
    /// dial. Redials until disconnected. A link that the peer opened for the same node and lane is the same link.
    ///
    /// Over [`LINKS_MAX`] links, the id given is void: every use of it says `UnknownLink`.
    pub fn connect(&mut self, now: Now, node: NodeId, lane: Lane, addr: SocketAddr) -> LinkId {
        let Some(index) = self.find_or_create(node, lane) else {
            return LinkId { index: u32::MAX, generation: 0 };
        };
        if let Some(link) = self.link_mut(index) {
            link.addr = Some(addr);
            if !link.wanted {
                link.wanted = true;
                link.dial_at = link.is_idle().then_some(now.mono);
            }
        }
        self.id_of(index)
    }

    /// Wants a link no more: closes it. Its id is void; a `Down` follows if it was up.
    pub fn disconnect(&mut self, now: Now, link: LinkId) {
        let Some(index) = self.index_of(link) else { return };
        if let Some(link) = self.link_mut(index) {
            link.wanted = false;
            link.dial_at = None;
        }
        for side in Side::BOTH {
            self.fail_pair(now, index, side, CloseCode::None, DownReason::Disconnected);
        }
        self.remove_if_unused(index);
    }

    /// Closes every link, so that the peers learn of it at once. Flush afterwards.
    pub fn disconnect_all(&mut self, now: Now) {
        for index in 0..self.links.len() as u32 {
            self.disconnect(now, self.id_of(index));
        }
    }

    /// The link to a node on a lane, if there is one.
    #[must_use]
    pub fn find(&self, node: NodeId, lane: Lane) -> Option<LinkId> {
        self.by_peer.get(&(node, lane)).map(|index| self.id_of(*index))
    }

    /// What is known of a link.
    #[must_use]
    pub fn info(&self, id: LinkId) -> Option<LinkInfo> {
        let link = self.link(self.index_of(id)?)?;
        let pair = link.active_pair();
        let clock: Option<ClockSample> = pair.and_then(|p| p.session.clock());
        let media = pair.and_then(|p| self.transport.get(p.key(ChannelKind::Media)?));
        let control = pair.and_then(|p| self.transport.get(p.key(ChannelKind::Control)?));
        let mut counters = link.counters;
        if let Some(pair) = pair {
            counters.lost += pair.session.lost();
            counters.peer_lost += pair.session.peer_lost();
            counters.heartbeats += pair.session.heartbeats();
        }
        counters.control_unknown += control.map_or(0, |c| c.unknown_frames());
        Some(LinkInfo {
            link: id,
            node: link.node,
            lane: link.lane,
            region: link.region.clone(),
            up: link.up,
            suspect: link.suspect,
            rtt: clock.map(|c| Duration::from_micros(c.rtt_us.unsigned_abs())),
            clock_offset_us: clock.map(|c| c.offset_us),
            clock_error_us: clock.map(|c| c.rtt_us / 2),
            queued_bytes: link.queue.bytes(),
            congestion_window: media.map_or(0, |c| c.congestion_window()),
            counters,
        })
    }

    /// What is known of every link, in the order of their places.
    pub fn iter_info(&self) -> impl Iterator<Item = LinkInfo> + '_ {
        (0..self.links.len() as u32).filter_map(|index| self.info(self.id_of(index)))
    }

    /// Loss of one flow of a link, as its RTP sequence numbers tell.
    #[must_use]
    pub fn flow_loss(&self, id: LinkId, flow: FlowId) -> Option<FlowLoss> {
        self.link(self.index_of(id)?)?.active_pair()?.session.flow_loss(flow)
    }

    /// The epochs that control messages are judged by: raise it when topology names a new one, forget a meeting that
    /// is over.
    pub fn fence_mut(&mut self) -> &mut EpochFence {
        &mut self.fence
    }

    /// What was counted over all links.
    #[must_use]
    pub fn stats(&self) -> LinksStats {
        let turned = self.transport.turned();
        LinksStats {
            strays: turned.strays,
            crowded: turned.crowded,
            retried: turned.retried,
            unreadable: turned.unreadable,
            handshakes: turned.handshakes,
            connections: self.transport.open(),
            links: self.by_peer.len(),
            ..self.stats
        }
    }

    fn id_of(&self, index: u32) -> LinkId {
        let generation = self.links.get(index as usize).map_or(0, |(generation, _)| *generation);
        LinkId { index, generation }
    }

    fn index_of(&self, id: LinkId) -> Option<u32> {
        let (generation, link) = self.links.get(id.index as usize)?;
        (*generation == id.generation && link.is_some()).then_some(id.index)
    }

    fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(index as usize)?.1.as_ref()
    }

    fn link_mut(&mut self, index: u32) -> Option<&mut Link> {
        self.links.get_mut(index as usize)?.1.as_mut()
    }

    fn find_or_create(&mut self, node: NodeId, lane: Lane) -> Option<u32> {
        if let Some(index) = self.by_peer.get(&(node, lane)) {
            return Some(*index);
        }
        if self.by_peer.len() >= LINKS_MAX {
            self.stats.full += 1;
            return None;
        }
        let link = Some(Link::new(node, lane));
        let index = match self.links.iter_mut().position(|(_, link)| link.is_none()) {
            Some(index) => {
                self.links[index].1 = link;
                index
            }
            None => {
                self.links.push((0, link));
                self.links.len() - 1
            }
        } as u32;
        self.by_peer.insert((node, lane), index);
        Some(index)
    }

    fn remove_if_unused(&mut self, index: u32) {
        let Some((generation, slot)) = self.links.get_mut(index as usize) else { return };
        if let Some(link) = slot
            && !link.wanted
            && link.is_idle()
        {
            self.by_peer.remove(&(link.node, link.lane));
            *generation = generation.wrapping_add(1);
            *slot = None;
        }
    }
}

impl Machine for Links {
    type Input<'a> = LinkInput<'a>;
    type Output = LinkEvent;

    fn handle(&mut self, now: Now, input: LinkInput<'_>, out: &mut Outbox<LinkEvent>) {
        let LinkInput::Datagram { from, ecn, data } = input;
        self.clock.set(now.wall);
        self.transport.handle(now, from, ecn, data, &mut out.net);
        self.process(now);
        out.events.append(&mut self.pending);
    }

    fn flush(&mut self, now: Now, out: &mut Outbox<LinkEvent>) -> Progress {
        out.events.append(&mut self.pending);
        self.transmit(now, out)
    }

    fn on_deadline(&mut self, now: Now, out: &mut Outbox<LinkEvent>) {
        self.clock.set(now.wall);
        self.transport.expire(now);
        self.process(now);
        self.tick(now);
        self.process(now);
        out.events.append(&mut self.pending);
    }

    fn deadline(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(|(_, link)| link.as_ref()?.deadline());
        links.chain(self.transport.deadline()).min()
    }
}
