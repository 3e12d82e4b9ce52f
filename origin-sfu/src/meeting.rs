//! One meeting at its origin.

use crate::conduct::Conduct;
use crate::roster::Roster;
use relay_proto::control::{Role, RosterChange};
use relay_proto::links::LinkId;
use relay_proto::roles::Barrier;
use relay_proto::{Epoch, MeetingId, NodeId, ParticipantId};
use sfu_core::chat::ChatLog;
use sfu_core::hub::{Hub, PortId};
use sfu_core::meetings::Meeting;
use sfu_core::speakers::FloorElection;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An edge whose link is gone has this long to come back before its participants are said to have left.
pub(crate) const EDGE_GRACE: Duration = Duration::from_secs(5);

/// Edges of one meeting: 20 regions with some edges each.
pub(crate) const EDGES_MAX: usize = 256;

/// An edge that takes part.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) link: LinkId,
    pub(crate) region: String,
    /// Order of attaching: the first of a region is its head.
    pub(crate) order: u64,
    /// Its port in the hub, while it is a head.
    pub(crate) port: Option<PortId>,
    /// While its link is down: when it is given up.
    pub(crate) gone_at: Option<Instant>,
}

/// One meeting.
#[derive(Debug)]
pub(crate) struct OriginMeeting {
    pub(crate) id: MeetingId,
    pub(crate) epoch: Epoch,
    pub(crate) hub: Hub,
    pub(crate) roster: Roster,
    pub(crate) chat: ChatLog,
    pub(crate) conduct: Conduct,
    pub(crate) floor: FloorElection,
    pub(crate) edges: BTreeMap<NodeId, Edge>,
    pub(crate) attached: u64,
}

impl OriginMeeting {
    pub(crate) fn new(id: MeetingId, epoch: Epoch, hub: Hub) -> Self {
        Self {
            id,
            epoch,
            hub,
            roster: Roster::default(),
            chat: ChatLog::default(),
            conduct: Conduct::default(),
            floor: FloorElection::new(),
            edges: BTreeMap::new(),
            attached: 0,
        }
    }

    /// The head of a region: of the edges whose link is up the one that attached first.
    pub(crate) fn head_of(&self, region: &str) -> Option<NodeId> {
        let present = self.edges.iter().filter(|(_, e)| e.region == region && e.gone_at.is_none());
        present.min_by_key(|(_, e)| e.order).map(|(node, _)| *node)
    }

    /// The part that an edge plays.
    pub(crate) fn role_of(&self, node: NodeId) -> Option<Role> {
        let edge = self.edges.get(&node)?;
        let head = self.head_of(&edge.region)?;
        Some(if head == node { Role::Head } else { Role::Child { head } })
    }

    /// The edge behind a link.
    pub(crate) fn edge_of(&self, link: LinkId) -> Option<NodeId> {
        self.edges
            .iter()
            .find(|(_, e)| e.link == link && e.gone_at.is_none())
            .map(|(node, _)| *node)
    }

    /// Checks a change of the roster against the door, and gives who comes back the role they had; `Err`: who may not enter.
    pub(crate) fn enters(
        &mut self,
        change: RosterChange,
    ) -> Result<RosterChange, (ParticipantId, Barrier)> {
        let RosterChange::Put(mut member) = change else {
            return Ok(change);
        };
        if self.roster.get(member.id).is_none() {
            let barrier = if self.roster.is_full() {
                Some(Barrier::Full)
            } else {
                self.conduct.barrier(&member)
            };
            if let Some(barrier) = barrier {
                return Err((member.id, barrier));
            }
            member.role = self.conduct.role_before(member.identity).unwrap_or(member.role);
        }
        Ok(RosterChange::Put(member))
    }

    /// Links of all edges that are up.
    pub(crate) fn links(&self) -> Vec<LinkId> {
        self.edges.values().filter(|e| e.gone_at.is_none()).map(|e| e.link).collect()
    }
}

impl Meeting for OriginMeeting {
    fn id(&self) -> MeetingId {
        self.id
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn hub_mut(&mut self) -> &mut Hub {
        &mut self.hub
    }

    fn deadline(&self) -> Option<Instant> {
        let grace = self.edges.values().filter_map(|e| e.gone_at).min();
        [self.hub.deadline(), self.floor.deadline(), grace, self.conduct.tell_at]
            .into_iter()
            .flatten()
            .min()
    }
}
