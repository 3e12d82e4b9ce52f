//! One shard of an edge: the thread's whole state, as one machine.
//!
//! The way of a packet: [`EdgeShard::handle`] asks the [`Gate`] whose it is, [`Peer::handle_datagram`] opens it in place,
//! [`Hub::ingest`] keeps it; [`EdgeShard::flush`] fans it out into slots of peers and over links.

mod attach;
mod command;
mod io;
mod join;
pub mod limits;
mod meeting;
mod peers;
mod roster;
mod sink;
mod uplink;

pub use command::{EdgeCommand, EdgeOutput, Join, Placement, SocketId};

use crate::gate::Gate;
use crate::peer::PeerConfig;
use io::EdgeIo;
use meeting::EdgeMeeting;
use peers::Peers;
use rand_chacha::ChaCha12Rng;
use relay_proto::control::Body;
use relay_proto::links::{LinkEvent, Links};
use relay_proto::{Machine, MeetingId, NodeId, Now, Outbox, Progress, ShardInput, Socket};
use sfu_core::alarms::Alarms;
use sfu_core::hub::{Hub, HubCounters, HubEvent};
use sfu_core::relay::Relay;
use sfu_core::report::ShardReport;
use sfu_core::{DropReason, Drops};
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

/// What an edge shard needs to know of itself.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// This node.
    pub node: NodeId,
    /// Its name, as clients are told.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Certificate and candidates of the peers.
    pub peer: PeerConfig,
    /// Peers this shard takes at most.
    pub peers_max: usize,
}

/// One shard of an edge.
pub struct EdgeShard {
    config: EdgeConfig,
    rng: ChaCha12Rng,
    gate: Gate,
    peers: Peers,
    relay: Relay,
    link_events: Vec<LinkEvent>,
    meetings: Slab<EdgeMeeting>,
    by_id: BTreeMap<MeetingId, usize>,
    alarms: Alarms,
    /// Meetings that wait to be flushed.
    dirty: VecDeque<usize>,
    /// What a peer said while its hub was being fed.
    notes: Vec<sink::Note>,
    /// Participants admitted so far.
    admitted: u32,
    drops: Drops,
    /// What hubs that are gone had counted.
    past: HubCounters,
}

impl EdgeShard {
    /// A shard without participants. `rng` must be a cryptographic generator in nodes: ICE passwords come from it.
    #[must_use]
    pub fn new(config: EdgeConfig, links: Links, rng: ChaCha12Rng) -> Self {
        Self {
            config,
            rng,
            gate: Gate::new(),
            peers: Peers::default(),
            relay: Relay::new(links),
            link_events: Vec::new(),
            meetings: Slab::new(),
            by_id: BTreeMap::new(),
            alarms: Alarms::default(),
            dirty: VecDeque::new(),
            notes: Vec::new(),
            admitted: 0,
            drops: Drops::default(),
            past: HubCounters::default(),
        }
    }

    /// Participants connected or connecting.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Meetings with somebody here.
    #[must_use]
    pub fn meetings(&self) -> usize {
        self.meetings.len()
    }

    /// The links with their counters.
    #[must_use]
    pub fn links(&self) -> &Links {
        self.relay.links()
    }

    /// Counters of all hubs, and of what never reached one.
    #[must_use]
    pub fn counters(&self) -> HubCounters {
        let mut sum = self.past.clone();
        for (_, meeting) in &self.meetings {
            sum.add(&meeting.hub.counters());
        }
        sum.drops.add(&self.drops);
        sum
    }

    /// How things stand.
    #[must_use]
    pub fn report(&self) -> ShardReport {
        let mut report = ShardReport {
            counters: self.counters(),
            peers: self.peers.len(),
            ..ShardReport::default()
        };
        report.add_relay(&self.relay);
        for (_, meeting) in &self.meetings {
            report.add_meeting(meeting.id, &meeting.hub, &self.relay);
        }
        report
    }

    fn media_datagram(
        &mut self,
        now: Now,
        from: SocketAddr,
        data: &mut [u8],
        out: &mut Outbox<EdgeOutput>,
    ) {
        let routed = match self.gate.route(now, from, data) {
            Ok(routed) => routed,
            Err(reason) => {
                self.drops.count(reason);
                return;
            }
        };
        let Self { peers, meetings, notes, drops, .. } = self;
        let Some(entry) = peers.get_mut(routed.peer) else {
            drops.count(DropReason::UnknownAddress);
            return;
        };
        let Some(meeting) = meetings.get_mut(entry.meeting) else {
            return;
        };
        let key = entry.meeting;
        let mut sink = sink::Sink {
            now,
            hub: &mut meeting.hub,
            port: entry.port,
            participant: entry.participant,
            notes,
            drops,
        };
        entry.peer.handle_datagram(now, from, data, &mut out.net, &mut sink);
        self.peers.rearm(routed.peer);
        self.settle_notes(now, routed.peer, out);
        self.touch(key);
    }

    /// The meeting has something to flush, and perhaps an earlier deadline.
    fn touch(&mut self, key: usize) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if !std::mem::replace(&mut meeting.queued, true) {
            self.dirty.push_back(key);
        }
    }

    /// Carries out what a hub wants done.
    fn drain_hub(&mut self, now: Now, key: usize, mut out: Option<&mut Outbox<EdgeOutput>>) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let whose = (key, meeting.id, meeting.epoch());
        for event in meeting.hub.take_events() {
            match self.relay.obey(now, whose, event) {
                Some(HubEvent::Keyframe { peer, kind, encoding }) => {
                    if let (Some(entry), Some(out)) = (self.peers.get_mut(peer), out.as_deref_mut())
                    {
                        entry.peer.request_keyframe(now, kind, encoding, &mut out.net);
                    }
                }
                Some(HubEvent::Slot { target, slot, shown }) => {
                    meeting.slots.entry(target).or_default().push((slot, shown));
                }
                _ => {}
            }
        }
        self.alarms.arm(key, meeting.deadline());
    }

    /// Tells clients whose slots changed.
    fn tell_slots(&mut self, key: usize, out: &mut Outbox<EdgeOutput>) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        while let Some((peer, changes)) = meeting.slots.pop_first() {
            let Some(entry) = self.peers.get(peer) else {
                continue;
            };
            let mut states: BTreeMap<u16, _> = BTreeMap::new();
            for (slot, shown) in changes {
                let Some(line) = entry.peer.slots().get(usize::from(slot)) else {
                    continue;
                };
                let is_audio = line.role == crate::signal::SlotRole::Audio;
                states.insert(slot, meeting::slot_state(&line.mid, shown, is_audio));
            }
            let message =
                crate::signal::ServerMessage::Slots { slots: states.into_values().collect() };
            out.events.push(EdgeOutput::Send { socket: entry.socket, message: Box::new(message) });
        }
    }

    /// Voices of all meetings that wait, before any picture of one.
    fn flush_voices(&mut self, now: Now, out: &mut Outbox<EdgeOutput>) -> Progress {
        for i in 0..self.dirty.len() {
            let Some(meeting) = self.dirty.get(i).and_then(|key| self.meetings.get_mut(*key))
            else {
                continue;
            };
            let mut io =
                EdgeIo { peers: &mut self.peers, relay: &mut self.relay, net: &mut out.net };
            if meeting.hub.flush_voices(now, &mut io) == Progress::More {
                return Progress::More;
            }
        }
        Progress::Done
    }

    fn flush_meeting(&mut self, now: Now, key: usize, out: &mut Outbox<EdgeOutput>) -> Progress {
        self.drain_hub(now, key, Some(out));
        let Some(meeting) = self.meetings.get_mut(key) else {
            return Progress::Done;
        };
        let mut io = EdgeIo { peers: &mut self.peers, relay: &mut self.relay, net: &mut out.net };
        let progress = meeting.hub.flush(now, &mut io);
        self.drain_hub(now, key, Some(out));
        self.tell_slots(key, out);
        progress
    }

    fn meeting_deadline(&mut self, now: Now, key: usize, out: &mut Outbox<EdgeOutput>) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        meeting.hub.on_deadline(now);
        if let Some(digest) = meeting.hub.poll_digest(now) {
            let (id, epoch, link) = (meeting.id, meeting.epoch(), meeting.uplink.control_link());
            if let Some(link) = link {
                // The next digest says it again.
                let _ = self.relay.say(now, link, id, epoch, Body::Digest(digest));
            }
        }
        if let Some(message) = meeting.roster.poll(now.mono) {
            meeting.tell_all(message, &mut out.events);
        }
        if meeting.uplink.retry.is_some_and(|at| at <= now.mono) {
            meeting.uplink.retry = None;
            self.attach(now, key);
        }
        self.touch(key);
    }
}

impl Machine for EdgeShard {
    type Input<'a> = ShardInput<'a, EdgeCommand>;
    type Output = EdgeOutput;

    fn handle(
        &mut self,
        now: Now,
        input: ShardInput<'_, EdgeCommand>,
        out: &mut Outbox<EdgeOutput>,
    ) {
        match input {
            ShardInput::Datagram { socket: Socket::Media, from, data, .. } => {
                self.media_datagram(now, from, data, out)
            }
            ShardInput::Datagram { socket: Socket::Relay, from, ecn, data } => {
                self.relay.handle(now, from, ecn, data, out, &mut self.link_events);
                self.link_events(now, out);
            }
            ShardInput::Command(command) => self.command(now, command, out),
        }
    }

    fn flush(&mut self, now: Now, out: &mut Outbox<EdgeOutput>) -> Progress {
        if self.flush_voices(now, out) == Progress::More {
            return Progress::More;
        }
        while let Some(key) = self.dirty.front().copied() {
            if self.flush_meeting(now, key, out) == Progress::More {
                return Progress::More;
            }
            self.dirty.pop_front();
            if let Some(meeting) = self.meetings.get_mut(key) {
                meeting.queued = false;
            }
        }
        let progress = self.relay.flush(now, out, &mut self.link_events);
        self.link_events(now, out);
        if self.dirty.is_empty() { progress } else { Progress::More }
    }

    fn on_deadline(&mut self, now: Now, out: &mut Outbox<EdgeOutput>) {
        self.relay.on_deadline(now, out, &mut self.link_events);
        self.link_events(now, out);
        while let Some(key) = self.peers.pop_due(now.mono) {
            self.peer_deadline(now, key, out);
        }
        while let Some(key) = self.alarms.pop_due(now.mono) {
            let due = self.meetings.get(key).and_then(EdgeMeeting::deadline);
            if due.is_some_and(|at| at <= now.mono) {
                self.meeting_deadline(now, key, out);
            }
            self.alarms.arm(key, self.meetings.get(key).and_then(EdgeMeeting::deadline));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [self.relay.deadline(), self.peers.deadline(), self.alarms.deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// A hub for a meeting, its numbering drawn from the shard's generator.
fn new_hub(node: NodeId, rng: &mut impl rand::RngCore) -> Hub {
    Hub::new(node, rng.next_u64())
}
