//! What the topology knows about a node.

use super::{ApplyError, Region};
use crate::limits::{NAME_BYTES_MAX, RELAY_ADDRESSES_MAX, URL_BYTES_MAX};
use relay_proto::{Lane, NodeId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Participants connect to it.
    Edge,
    /// It hosts meetings' origins.
    Origin,
}

/// Whether a node may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Heartbeats arrive.
    Online,
    /// Heartbeats are missed; nothing new is placed on it, nothing is taken away.
    Suspect,
    /// An operator takes it out: nothing new, and what it has is moved away.
    Draining,
    /// Gone; what it had is placed anew.
    Down,
}

/// How a node describes itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its number, as in its certificate; [`NodeId::NONE`] asks for the lowest free one.
    pub id: NodeId,
    /// A name for people.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where it stands.
    pub region: Region,
    /// HTTP API and health, such as `https://e1.example.net:8443`.
    pub http_url: String,
    /// WebSocket signalling, such as `wss://e1.example.net:8443/v1/signal`.
    pub signal_url: String,
    /// Where participants send media (the address they see).
    pub media: SocketAddr,
    /// Where nodes open links: one address for all lanes, or one a lane.
    pub relay: Vec<SocketAddr>,
    /// Random number of this process: another one means that it restarted and forgot everything.
    pub instance: u64,
    /// Participants (edge) or links (origin) it can carry.
    pub capacity: u32,
}

impl NodeRecord {
    /// The address of links of `lane`.
    #[must_use]
    pub fn relay_address(&self, lane: Lane) -> Option<SocketAddr> {
        let n = self.relay.len();
        if n == 0 { None } else { self.relay.get(usize::from(lane.0) % n).copied() }
    }

    /// # Errors
    /// [`ApplyError::TooLong`] or [`ApplyError::BadNodeId`].
    pub(super) fn check(&self) -> Result<(), ApplyError> {
        if self.id.0 > NodeId::MAX {
            return Err(ApplyError::BadNodeId(self.id));
        }
        check_len("node name", self.name.len(), NAME_BYTES_MAX)?;
        check_len("http url", self.http_url.len(), URL_BYTES_MAX)?;
        check_len("signal url", self.signal_url.len(), URL_BYTES_MAX)?;
        check_len("relay address list", self.relay.len(), RELAY_ADDRESSES_MAX)
    }
}

/// # Errors
/// [`ApplyError::TooLong`] when `len` is above `max`.
pub(super) fn check_len(what: &str, len: usize, max: usize) -> Result<(), ApplyError> {
    if len <= max {
        Ok(())
    } else {
        Err(ApplyError::TooLong { what: what.to_owned(), len: len as u64, max: max as u64 })
    }
}

/// How busy a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Utilisation in thousandths: the largest of CPU, packets and egress.
    pub used_permille: u16,
    /// Participants (edge) or links (origin) now.
    pub carried: u32,
}

impl Load {
    /// Step of the replicated utilisation.
    const STEP_PERMILLE: u16 = 50;

    /// Rounded up to 5 % and to 1/64 of `capacity`, so that the replicated value changes seldom.
    #[must_use]
    pub fn quantised(self, capacity: u32) -> Self {
        let step = (capacity / 64).max(1);
        Self {
            used_permille: self.used_permille.min(1_000).div_ceil(Self::STEP_PERMILLE)
                * Self::STEP_PERMILLE,
            carried: self.carried.div_ceil(step).saturating_mul(step),
        }
    }

    /// Whether `new` is a step away from `self`, with half a step of hysteresis downward.
    #[must_use]
    pub fn moved(self, new: Self, capacity: u32) -> bool {
        let up = new.quantised(capacity);
        let slack = Self {
            used_permille: new.used_permille.saturating_add(Self::STEP_PERMILLE / 2),
            carried: new.carried.saturating_add((capacity / 128).max(1)),
        };
        let down = slack.quantised(capacity);
        up.used_permille > self.used_permille
            || up.carried > self.carried
            || down.used_permille < self.used_permille
            || down.carried < self.carried
    }
}

/// A node, as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its own words.
    pub record: NodeRecord,
    /// Whether it may be used.
    pub state: NodeState,
    /// An operator wants it empty; outlives a reconnect, not a restart.
    pub draining: bool,
    /// How busy it said it was, in steps.
    pub load: Load,
    /// Origins placed here since it last reported its load.
    pub placed_since_report: u32,
    /// When it registered, in milliseconds since 1970.
    pub registered_ms: u64,
}

/// Links that one more meeting is thought to cost a node until it reports: a mean meeting has about six.
const MEETING_CARRIES: u64 = 6;

impl Node {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.record.id
    }

    /// Utilisation in thousandths, meetings included that the last report cannot have in it. Those alone never fill a node:
    /// a guess may steer a burst of meetings elsewhere, but must not refuse it.
    #[must_use]
    pub fn predicted_permille(&self) -> u32 {
        let capacity = u64::from(self.record.capacity);
        let share =
            |links: u64| (links * 1_000).checked_div(capacity).unwrap_or(1_000).min(1_000) as u32;
        let reported = u32::from(self.load.used_permille).max(share(u64::from(self.load.carried)));
        if reported >= 1_000 {
            return 1_000;
        }
        (reported + share(u64::from(self.placed_since_report) * MEETING_CARRIES)).min(999)
    }
}
