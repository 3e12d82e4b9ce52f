//! How a run went: numbers by participant, turn and link.

mod floor;
mod table;

pub use floor::FloorDelay;

use crate::digest::RunHash;
use crate::histogram::Delays;
use crate::link_model::LinkParams;
use crate::observe::Log;
use crate::participant::{
    CameraCounters, HeardTurn, Participant, PictureCounters, Signalled, Spoken, Stage,
};
use crate::talk::Turn;
use crate::time::SimTime;
use crate::wire::WireCounters;
use crate::world::World;
use relay_proto::ParticipantId;
use sfu_core::report::ShardReport;
use std::collections::BTreeMap;
use std::time::Duration;

/// One node.
#[derive(Clone, Debug)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Whether it is an edge.
    pub is_edge: bool,
    /// What it says of itself.
    pub shard: ShardReport,
    /// Times a deadline was served and did not move.
    pub stuck: u64,
}

/// One direction of a path between two nodes.
#[derive(Clone, Debug)]
pub struct PathRow {
    /// Sender's place.
    pub from: usize,
    /// Receiver's place.
    pub to: usize,
    /// The path.
    pub params: LinkParams,
    /// What it carried.
    pub counters: WireCounters,
}

/// One participant.
#[derive(Clone, Debug)]
pub struct ParticipantRow {
    /// Their name.
    pub name: String,
    /// Their edge's place.
    pub edge: usize,
    /// Their id, once joined.
    pub id: Option<ParticipantId>,
    /// Where they stand.
    pub stage: Stage,
    /// What they were told over the signalling socket.
    pub signalled: Signalled,
    /// Since when they send and receive.
    pub connected_at: Option<SimTime>,
    /// What they spoke.
    pub spoken: Vec<Spoken>,
    /// What they heard, by speaker's place and turn.
    pub heard: BTreeMap<(usize, usize), HeardTurn>,
    /// Voice packets heard.
    pub voice_packets: u64,
    /// Comfort noise among them.
    pub comfort_packets: u64,
    /// From capture to arrival, voice.
    pub voice_delays: Delays,
    /// Packets of the own voice or picture that came back.
    pub own_packets: u64,
    /// Packets whose CSRC is not their sender's.
    pub mislabelled: u64,
    /// Voice packets that came twice, or late.
    pub voice_repeated: u64,
    /// What came through the video slots.
    pub pictures: PictureCounters,
    /// What their camera sent.
    pub camera: Option<CameraCounters>,
    /// By how much abs-capture-time was wrong.
    pub capture_error: Delays,
    /// Sender reports of slots that came.
    pub reports: u64,
    /// Packets of no slot.
    pub unknown_packets: u64,
    /// What went wrong, in their eyes.
    pub problems: Vec<String>,
    /// What their edge said that did not end the meeting for them.
    pub notices: Vec<String>,
    /// The last mile.
    pub access: LinkParams,
    /// What it carried, up and down.
    pub up: WireCounters,
    /// See `up`.
    pub down: WireCounters,
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scenario's name.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Virtual time.
    pub time: SimTime,
    /// Events.
    pub events: u64,
    /// The hash of the run.
    pub hash: RunHash,
    /// Nodes, by place.
    pub nodes: Vec<NodeRow>,
    /// Paths between nodes that carried something.
    pub paths: Vec<PathRow>,
    /// Participants, by place.
    pub participants: Vec<ParticipantRow>,
    /// Turns, by number.
    pub turns: Vec<Turn>,
    /// What was written down on the way.
    pub log: Log,
    /// The origin's place.
    pub origin: usize,
    /// Datagrams to nobody.
    pub unroutable: u64,
}

impl Report {
    pub(crate) fn of(world: &World) -> Self {
        let n = world.nodes.len();
        let path = |from: usize, to: usize| {
            let wire = world.network.path(from, to);
            PathRow {
                from,
                to,
                params: world.network.params(wire),
                counters: world.network.counters(wire),
            }
        };
        let paths = (0..n * n)
            .map(|i| path(i / n, i % n))
            .filter(|p| p.counters.model.offered > 0)
            .collect();
        let nodes = world.nodes.iter().map(|node| NodeRow {
            name: node.name.clone(),
            region: node.region.clone(),
            is_edge: node.is_edge(),
            shard: node.report(),
            stuck: node.stuck,
        });
        Self {
            name: world.about.0.clone(),
            seed: world.about.1,
            time: world.time,
            events: world.events,
            hash: world.fingerprint.finish(),
            nodes: nodes.collect(),
            paths,
            participants: (0..world.participants.len())
                .map(|p| row(world, p, &world.participants[p]))
                .collect(),
            turns: world.turns.clone(),
            log: world.log.clone(),
            origin: world.origin,
            unroutable: world.network.unroutable,
        }
    }

    /// The path from one node to another, if it carried something.
    #[must_use]
    pub fn path(&self, from: usize, to: usize) -> Option<&PathRow> {
        self.paths.iter().find(|p| p.from == from && p.to == to)
    }

    /// Delay of the path from one node to another, jitter included.
    #[must_use]
    pub fn longest_one_way(&self, from: usize, to: usize) -> Duration {
        let path = self.path(from, to).filter(|_| from != to);
        path.map_or(Duration::ZERO, |p| {
            Duration::from_micros(p.params.delay_us + p.params.jitter_us)
        })
    }

    /// The participant with an id.
    #[must_use]
    pub fn place_of(&self, id: ParticipantId) -> Option<usize> {
        self.participants.iter().position(|p| p.id == Some(id))
    }

    /// What was spoken in a turn: by whom, and when.
    #[must_use]
    pub fn spoken(&self, turn: usize) -> Option<(usize, Spoken)> {
        let speaker = self.turns.get(turn)?.speaker;
        let spoken = self.participants.get(speaker)?.spoken.iter().find(|s| s.turn == turn)?;
        Some((speaker, *spoken))
    }

    /// Whether everything that was put on a link came out of it, was dropped, or is under way, on every link.
    #[must_use]
    pub fn conserved(&self) -> bool {
        let access = self.participants.iter().flat_map(|p| [&p.up, &p.down]);
        self.paths.iter().map(|p| &p.counters).chain(access).all(WireCounters::conserved)
    }
}

fn row(world: &World, place: usize, p: &Participant) -> ParticipantRow {
    let (up, down) = (world.network.up(place), world.network.down(place));
    let viewer = &p.viewer;
    ParticipantRow {
        name: p.plan.name.clone(),
        edge: p.plan.edge,
        id: p.id,
        stage: p.stage,
        signalled: p.signalled.clone(),
        connected_at: p.connected_at,
        spoken: p.voice.spoken.clone(),
        heard: viewer.heard.turns.clone(),
        voice_packets: viewer.heard.packets,
        comfort_packets: viewer.heard.comfort,
        voice_delays: viewer.heard.delays.clone(),
        own_packets: viewer.heard.own + viewer.pictures.own,
        mislabelled: viewer.heard.mislabelled + viewer.pictures.mislabelled,
        voice_repeated: viewer.heard.repeated,
        pictures: viewer.pictures.clone(),
        camera: p.camera.as_ref().map(|c| c.counters),
        capture_error: viewer.capture_error.clone(),
        reports: viewer.reports,
        unknown_packets: viewer.unknown,
        problems: p.problems.clone(),
        notices: p.notices.clone(),
        access: world.network.params(up),
        up: world.network.counters(up),
        down: world.network.counters(down),
    }
}
