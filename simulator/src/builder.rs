//! From a scenario to a world.

use crate::address;
use crate::digest::Fingerprint;
use crate::link_model::LinkParams;
use crate::network::{Access, Network};
use crate::node::{Node, NodeCommand};
use crate::observe::Log;
use crate::participant::{Participant, Plan, Slots};
use crate::queue::Queue;
use crate::random::{Entity, Purpose, between, key, stream};
use crate::regions;
use crate::scenario::{GroupSpec, NodeRole, NodeSpec, Scenario, Who};
use crate::talk::{self, TakingTurns, Turn};
use crate::time::{Clock, SimTime};
use crate::world::{Event, World};
use edge_sfu::peer::PeerConfig;
use edge_sfu::shard::limits::PEERS_MAX;
use edge_sfu::shard::{EdgeCommand, EdgeConfig, EdgeShard};
use edge_sfu::transport::TransportConfig;
use origin_sfu::{OriginCommand, OriginConfig, OriginShard};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use relay_proto::transport::dev::DevCa;
use relay_proto::{Epoch, Links, LinksConfig, MeetingId, Net, NodeId, NodeName, Socket};
use sfu_core::relay::NodeAddress;
use std::time::{Duration, Instant};

/// Granted epochs are even.
const EPOCH: Epoch = Epoch(2);
/// Nodes' wall clocks are wrong by up to this: NTP over the internet, at its worst.
const NODE_WALL_US: u64 = 50_000;
/// What crosses the links is written down so often.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// Audio slots of a participant.
const AUDIO_SLOTS: usize = 3;
const TRUST_DOMAIN: &str = "simulator.mesh";
/// Talks of the AMI corpus, 8 of its meetings (see `data/SOURCES.md`).
const AMI: &str = include_str!("../data/ami_segments_a.csv");

/// Why a world cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// [`Builder::scenario`] was not called.
    #[error("a world needs a scenario")]
    NoScenario,
    /// The scenario says something that only shows now.
    #[error("scenario: {0}")]
    Scenario(String),
    /// Certificates or links.
    #[error("node {node}: {problem}")]
    Node {
        /// Which.
        node: String,
        /// What.
        problem: String,
    },
}

/// Describes a world.
#[derive(Clone, Debug)]
pub struct Builder {
    base: Instant,
    scenario: Option<Scenario>,
    seed: Option<u64>,
    turns: Option<Vec<Turn>>,
    sample_every: Duration,
}

impl Builder {
    pub(crate) fn new(base: Instant) -> Self {
        Self { base, scenario: None, seed: None, turns: None, sample_every: SAMPLE_EVERY }
    }

    /// What is in it.
    #[must_use]
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.scenario = Some(scenario);
        self
    }

    /// Another seed than the scenario's.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// These turns instead of the scenario's.
    #[must_use]
    pub fn turns(mut self, turns: Vec<Turn>) -> Self {
        self.turns = Some(turns);
        self
    }

    /// Flows are written down so often.
    #[must_use]
    pub fn sample_every(mut self, every: Duration) -> Self {
        self.sample_every = every;
        self
    }

    /// Makes the world; nothing has happened in it yet.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<World, BuildError> {
        let scenario = self.scenario.ok_or(BuildError::NoScenario)?;
        let seed = self.seed.unwrap_or(scenario.seed);
        let origin = scenario.origin_index().ok_or(BuildError::NoScenario)?;
        let clock = Clock::new(self.base);
        let end = SimTime::from_secs_f64(scenario.duration_s);
        let plans = plans(&scenario);
        let turns = match self.turns {
            Some(turns) => talk::number(turns),
            None => turns_of(&scenario, seed, &plans, end)?,
        };
        let access: Vec<Access> = plans.iter().map(|p| access(&scenario, p)).collect();
        let network =
            Network::new(seed, scenario.node.len(), |from, to| path(&scenario, from, to), &access);
        let nodes = nodes(&scenario, seed, &clock)?;
        let own_turns =
            |place: usize| turns.iter().filter(|t| t.speaker == place).copied().collect();
        let participants: Vec<Participant> = plans
            .into_iter()
            .enumerate()
            .map(|(place, plan)| Participant::new(seed, place, plan, own_turns(place)))
            .collect();
        let mut world = World {
            clock,
            time: SimTime::ZERO,
            queue: Queue::default(),
            network,
            node_wakes: vec![None; nodes.len()],
            nodes,
            ids: vec![None; participants.len()],
            participant_wakes: vec![None; participants.len()],
            participants,
            turns,
            meeting: MeetingId(stream(seed, Entity::World, Purpose::Meeting).next_u64()),
            epoch: EPOCH,
            origin,
            control_delay: Duration::from_millis(scenario.control_delay_ms),
            sample_every: self.sample_every,
            end,
            log: Log::default(),
            fingerprint: Fingerprint::default(),
            events: 0,
            outputs: Vec::new(),
            net: Net::new(),
            about: (scenario.name.clone(), seed),
        };
        schedule(&mut world, &scenario);
        Ok(world)
    }
}

/// The first events.
fn schedule(world: &mut World, scenario: &Scenario) {
    let addresses: Vec<NodeAddress> = (scenario.node.iter().enumerate())
        .map(|(i, n)| NodeAddress {
            node: node_id(i),
            region: n.region.as_ref().clone(),
            relay: vec![address::of_node(i, Socket::Relay)],
        })
        .collect();
    for (i, node) in scenario.node.iter().enumerate() {
        let command = match node.role {
            NodeRole::Edge => NodeCommand::Edge(EdgeCommand::Nodes(addresses.clone())),
            NodeRole::Origin => NodeCommand::Origin(OriginCommand::Nodes(addresses.clone())),
        };
        world.queue.push(SimTime::ZERO, Event::Command(i, Box::new(command)));
    }
    for (place, p) in world.participants.iter().enumerate() {
        world.queue.push(p.plan.join_at, Event::Join(place));
    }
    world.queue.push(SimTime::ZERO, Event::Sample);
}

fn node_id(index: usize) -> NodeId {
    NodeId(index as u32 + 1)
}

fn nodes(scenario: &Scenario, seed: u64, clock: &Clock) -> Result<Vec<Node>, BuildError> {
    let bad =
        |node: &NodeSpec, problem: String| BuildError::Node { node: node.name.clone(), problem };
    let mut nodes = Vec::new();
    for (i, spec) in scenario.node.iter().enumerate() {
        let ca = DevCa::new(key(seed, Entity::World, Purpose::Relay)).map_err(|e| bad(spec, e))?;
        let region = spec.region.as_ref().clone();
        let name = NodeName {
            trust_domain: TRUST_DOMAIN.into(),
            region: region.clone(),
            node: node_id(i),
        };
        let identity = ca.issue(&name).map_err(|e| bad(spec, e))?;
        let relay_seed = key(seed, Entity::Node(i), Purpose::Relay);
        let wall_us =
            between(&mut stream(seed, Entity::Node(i), Purpose::WallClock), 0, 2 * NODE_WALL_US);
        let wall_us = wall_us as i64 - NODE_WALL_US as i64;
        let config = LinksConfig::new(name, 1, identity, relay_seed);
        let links = Links::new(clock.now(SimTime::ZERO, wall_us), config)
            .map_err(|e| bad(spec, e.to_string()))?;
        let rng = ChaCha12Rng::from_seed(key(seed, Entity::Node(i), Purpose::Shard));
        nodes.push(match spec.role {
            NodeRole::Origin => {
                let shard = OriginShard::new(OriginConfig { node: node_id(i) }, links, rng);
                Node::origin(spec.name.clone(), region, wall_us, shard)
            }
            NodeRole::Edge => {
                let config = EdgeConfig {
                    node: node_id(i),
                    name: spec.name.clone(),
                    region: region.clone(),
                    peer: PeerConfig {
                        transport: TransportConfig::clear(vec![address::of_node(i, Socket::Media)]),
                    },
                    peers_max: PEERS_MAX,
                };
                Node::edge(spec.name.clone(), region, wall_us, EdgeShard::new(config, links, rng))
            }
        });
    }
    Ok(nodes)
}

fn one_way(a: &str, b: &str) -> Duration {
    let table = regions::default_table();
    let index = |r| table.index_of(r).unwrap_or(usize::MAX);
    table.one_way(index(a), index(b)).unwrap_or_default()
}

/// The path between two nodes: half the round trip of their regions, unless the scenario says otherwise.
fn path(scenario: &Scenario, from: usize, to: usize) -> LinkParams {
    let (a, b) = (&scenario.node[from], &scenario.node[to]);
    let mut params = LinkParams::delay(one_way(a.region.as_ref(), b.region.as_ref()));
    params.jitter_us = scenario.path_jitter_us;
    for spec in &scenario.path {
        let there = *spec.from.as_ref() == a.name && *spec.to.as_ref() == b.name;
        let back = *spec.from.as_ref() == b.name && *spec.to.as_ref() == a.name;
        if there || (spec.both && back) {
            params.delay_us = spec.delay_us.unwrap_or(params.delay_us);
            params.jitter_us = spec.jitter_us.unwrap_or(params.jitter_us);
            (params.loss, params.rate_bps, params.queue) = (spec.loss, spec.rate_bps, spec.queue);
        }
    }
    params
}

/// The last mile; to an edge in another region the sea is added.
fn access(scenario: &Scenario, plan: &Plan) -> Access {
    let group = &scenario.group[plan.entity.0];
    let (here, there) = (group.region.as_ref(), scenario.node[plan.edge].region.as_ref());
    let mut params = group.access;
    if here != there {
        params.delay_us += one_way(here, there).as_micros() as u64;
    }
    Access { entity: plan.entity, edge: plan.edge, params }
}

fn edges_of(scenario: &Scenario, group: &GroupSpec) -> Vec<usize> {
    if group.edges.is_empty() {
        let here =
            |n: &NodeSpec| n.role == NodeRole::Edge && n.region.as_ref() == group.region.as_ref();
        return (0..scenario.node.len()).filter(|i| here(&scenario.node[*i])).collect();
    }
    group.edges.iter().filter_map(|name| scenario.node_index(name.as_ref())).collect()
}

fn plans(scenario: &Scenario) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (g, group) in scenario.group.iter().enumerate() {
        let edges = edges_of(scenario, group);
        let first = SimTime::from_secs_f64(group.join_at_s);
        for i in 0..group.count {
            plans.push(Plan {
                name: format!("{}-{i}", group.name),
                entity: (g, i),
                edge: edges.get(i % edges.len().max(1)).copied().unwrap_or(0),
                join_at: first.plus(Duration::from_millis(group.join_every_ms * i as u64)),
                speaks: !group.watch || i < group.cameras,
                camera: i < group.cameras,
                slots: Slots { audio: AUDIO_SLOTS, video: group.video_slots },
                strip: group.strip,
                max_bitrate_bps: group.max_bitrate_bps,
            });
        }
    }
    plans
}

fn turns_of(
    scenario: &Scenario,
    seed: u64,
    plans: &[Plan],
    end: SimTime,
) -> Result<Vec<Turn>, BuildError> {
    let talk = &scenario.talk;
    let may = |p: &Plan| match talk.who {
        Who::All => p.speaks,
        Who::Cameras => p.camera,
        Who::Nobody => false,
    };
    let speakers: Vec<usize> =
        plans.iter().enumerate().filter(|(_, p)| may(p)).map(|(i, _)| i).collect();
    let how = TakingTurns {
        from: SimTime::from_secs_f64(talk.from_s),
        until: end,
        turn_ms: (talk.turn_ms[0], talk.turn_ms[1]),
        gap_ms: (talk.gap_ms[0], talk.gap_ms[1]),
    };
    match &talk.recorded {
        None => Ok(talk::taking_turns(seed, &speakers, &how)),
        Some(meeting) => {
            let skip = SimTime::from_secs_f64(talk.recorded_from_s);
            talk::recorded(AMI, meeting.as_ref(), &speakers, skip, &how)
                .map_err(|e| BuildError::Scenario(e.to_string()))
        }
    }
}
