//! Which node becomes a meeting's origin, and which its standby.

use super::{Region, RttTable};
use relay_proto::{MeetingId, NodeId};
use std::collections::BTreeMap;

/// One-way mouth to ear above which people begin to talk over each other (ITU-T G.114: 150 ms).
const BUDGET_US: u64 = 150_000;
/// Both participants' last miles (20 ms each) and two forwarding steps (1 ms each).
const ACCESS_US: u64 = 2 * 20_000 + 2 * 1_000;
/// What it costs when every pair is over the budget (notes: median + 200 V beats median alone).
const OVER_BUDGET_US: u64 = 200_000;
/// Weight of the listeners' mean distance (joins, chat, control) against the talkers': one in eight.
const CONTROL_SHARE: u64 = 8;
/// Load costs this times rho / (1 - rho).
const LOAD_US: u64 = 5_000;
/// Nodes fuller than this are used only when there is no other; at 100 % never.
const FULL_PERMILLE: [u32; 2] = [850, 1_000];

/// A node that may take the meeting.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub node: NodeId,
    /// Where.
    pub region: &'a Region,
    /// Its utilisation in thousandths, this meeting not included.
    pub used_permille: u32,
}

/// Who takes part in one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionDemand {
    /// Participants there.
    pub listeners: u32,
    /// Their share of the talking, in thousandths. When nobody talks anywhere, everybody counts alike.
    pub talk_permille: u32,
}

/// Who takes part, by region.
pub type Demand = BTreeMap<Region, RegionDemand>;

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The origin.
    pub origin: NodeId,
    /// Its standby: in another region where there is one, else another node. Never the origin.
    pub standby: Option<NodeId>,
    /// The origin's cost in microseconds, for reports.
    pub cost_us: u64,
}

/// Choose origin and standby among `origins` and `standbys`, or nothing when nobody has room.
///
/// The cost of a node in region `o`, with `n_r` listeners and `s_r` talk in region `r`, `N` and `S` their sums, and `L` half
/// the round trip, is in microseconds
///
/// - `sum_r (s_r (N - n_r) + n_r (S - s_r)) L(r, o) / (S N)`: the mean detour of a voice (weighted 1-median),
/// - `+ 200 ms x` the share of (talker, listener) pairs in different regions that are over 150 ms by way of `o`,
/// - `+ sum_r n_r L(r, o) / N / 8`: the way of joins, chat and control,
/// - `+ 5 ms x rho / (1 - rho)`: its load.
///
/// At creation the hint region is the only weight. Equal costs are decided by a hash of meeting and node (rendezvous), so
/// equal nodes share meetings evenly and every replica chooses alike. The standby is the cheapest node of another region;
/// only when there is none, another node of the same region.
#[must_use]
pub fn place(
    meeting: MeetingId,
    demand: &Demand,
    origins: &[Candidate<'_>],
    standbys: &[Candidate<'_>],
    rtt: &RttTable,
) -> Option<Placement> {
    let mut costs = RegionCosts::new(demand, rtt);
    let (origin, cost_us) = cheapest(meeting, origins, &mut costs)?;
    let standby = standby_of(meeting, &origin, standbys, &mut costs);
    Some(Placement { origin: origin.node, standby, cost_us })
}

/// Choose a standby for a meeting whose `origin` stays.
pub(super) fn place_standby(
    meeting: MeetingId,
    demand: &Demand,
    origin: &Candidate<'_>,
    standbys: &[Candidate<'_>],
    rtt: &RttTable,
) -> Option<NodeId> {
    standby_of(meeting, origin, standbys, &mut RegionCosts::new(demand, rtt))
}

fn standby_of(
    meeting: MeetingId,
    origin: &Candidate<'_>,
    standbys: &[Candidate<'_>],
    costs: &mut RegionCosts<'_>,
) -> Option<NodeId> {
    let elsewhere: Vec<_> =
        standbys.iter().filter(|c| c.region != origin.region).copied().collect();
    let beside: Vec<_> = standbys
        .iter()
        .filter(|c| c.region == origin.region && c.node != origin.node)
        .copied()
        .collect();
    let chosen = cheapest(meeting, &elsewhere, costs).or_else(|| cheapest(meeting, &beside, costs));
    chosen.map(|(c, _)| c.node)
}

fn cheapest<'a>(
    meeting: MeetingId,
    candidates: &[Candidate<'a>],
    costs: &mut RegionCosts<'_>,
) -> Option<(Candidate<'a>, u64)> {
    FULL_PERMILLE.into_iter().find_map(|full| {
        let roomy = candidates.iter().filter(|c| c.used_permille < full);
        roomy
            .map(|c| (*c, costs.of(c.region) + load_cost_us(c.used_permille)))
            .min_by_key(|(c, cost)| (*cost, std::cmp::Reverse(rendezvous(meeting, c.node)), c.node))
    })
}

/// `5 ms x rho / (1 - rho)`; 5 s and more at 99.9 %.
fn load_cost_us(used_permille: u32) -> u64 {
    let rho = u64::from(used_permille.min(999));
    LOAD_US * rho / (1_000 - rho)
}

/// Highest random weight (Thaler and Ravishankar 1998), mixed by splitmix64.
fn rendezvous(meeting: MeetingId, node: NodeId) -> u64 {
    splitmix64(meeting.0 ^ splitmix64(u64::from(node.0)))
}

fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Costs of regions, computed once each: a region has many nodes.
struct RegionCosts<'a> {
    weights: Vec<Weight<'a>>,
    listeners: u128,
    talk: u128,
    rtt: &'a RttTable,
    known: BTreeMap<Region, u64>,
}

struct Weight<'a> {
    region: &'a Region,
    listeners: u128,
    talk: u128,
}

impl<'a> RegionCosts<'a> {
    fn new(demand: &'a Demand, rtt: &'a RttTable) -> Self {
        let silent = demand.values().all(|d| d.talk_permille == 0 || d.listeners == 0);
        let weights: Vec<_> = demand
            .iter()
            .filter(|(_, d)| d.listeners > 0)
            .map(|(region, d)| {
                let talk = if silent { d.listeners } else { d.talk_permille };
                Weight { region, listeners: u128::from(d.listeners), talk: u128::from(talk) }
            })
            .collect();
        let listeners = weights.iter().map(|w| w.listeners).sum();
        let talk = weights.iter().map(|w| w.talk).sum();
        Self { weights, listeners, talk, rtt, known: BTreeMap::new() }
    }

    fn of(&mut self, origin: &Region) -> u64 {
        if let Some(cost) = self.known.get(origin) {
            return *cost;
        }
        let cost = self.compute(origin);
        self.known.insert(origin.clone(), cost);
        cost
    }

    fn compute(&self, origin: &Region) -> u64 {
        let pairs = self.listeners * self.talk;
        if pairs == 0 {
            return 0;
        }
        let one_way: Vec<u64> =
            self.weights.iter().map(|w| u64::from(self.rtt.rtt_us(w.region, origin)) / 2).collect();
        let (mut detour, mut control, mut over) = (0u128, 0u128, 0u128);
        for (a, la) in self.weights.iter().zip(&one_way) {
            let weight =
                a.talk * (self.listeners - a.listeners) + a.listeners * (self.talk - a.talk);
            detour += weight * u128::from(*la);
            control += a.listeners * u128::from(*la);
            for (b, lb) in self.weights.iter().zip(&one_way) {
                if a.region != b.region && ACCESS_US + la + lb > BUDGET_US {
                    over += a.talk * b.listeners;
                }
            }
        }
        let cost = detour / pairs
            + over * u128::from(OVER_BUDGET_US) / pairs
            + control / self.listeners / u128::from(CONTROL_SHARE);
        u64::try_from(cost).unwrap_or(u64::MAX / 2)
    }
}
