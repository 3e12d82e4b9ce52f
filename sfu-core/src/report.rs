//! How a shard stands, for metrics and for those who look.

use crate::hub::{Hub, HubCounters};
use crate::relay::{RefusalCounters, Relay};
use relay_proto::links::{LinkInfo, LinksStats};
use relay_proto::{Encoding, MeetingId, NodeId, ParticipantId, TrackId};

/// One flow that is being sent over a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowReport {
    /// Its meeting.
    pub meeting: MeetingId,
    /// The neighbour it is sent to.
    pub node: NodeId,
    /// What it carries.
    pub track: TrackId,
    /// Which encoding.
    pub encoding: Encoding,
    /// Packets so far.
    pub packets: u64,
    /// Sent because somebody began to speak, not because it was asked for.
    pub pushed: bool,
}

/// One meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingReport {
    /// Which.
    pub meeting: MeetingId,
    /// Who has the main picture.
    pub main: Option<ParticipantId>,
    /// Its hub's counters.
    pub counters: HubCounters,
}

/// How one shard stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardReport {
    /// Counters of all its hubs.
    pub counters: HubCounters,
    /// Participants' peers (edge).
    pub peers: usize,
    /// Members of rosters (origin).
    pub members: usize,
    /// The links.
    pub links: Vec<LinkInfo>,
    /// What came through the relay socket and no link counted.
    pub relay: LinksStats,
    /// What neighbours were refused.
    pub refused: RefusalCounters,
    /// What they carry.
    pub flows: Vec<FlowReport>,
    /// The meetings.
    pub meetings: Vec<MeetingReport>,
}

impl ShardReport {
    /// Adds the links, and what was refused there.
    pub fn add_relay(&mut self, relay: &Relay) {
        self.links = relay.links().iter_info().collect();
        self.relay = relay.links().stats();
        self.refused = relay.refused();
    }

    /// Adds one meeting's hub.
    pub fn add_meeting(&mut self, meeting: MeetingId, hub: &Hub, relay: &Relay) {
        self.meetings.push(MeetingReport {
            meeting,
            main: hub.floor().main,
            counters: hub.counters(),
        });
        for (link, track, encoding, packets, pushed) in hub.flows() {
            let node = relay.id(link).and_then(|id| relay.links().info(id)).map(|i| i.node);
            if let Some(node) = node {
                self.flows.push(FlowReport { meeting, node, track, encoding, packets, pushed });
            }
        }
    }
}
