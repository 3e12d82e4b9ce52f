//! One shard of an edge: the thread's whole state, as one machine.
//!
//! The way of a packet: [`EdgeShard::handle`] asks the [`Gate`] whose it is, [`Peer::handle_datagram`] opens it in place,
//! [`Hub::ingest`] keeps it; [`EdgeShard::flush`] fans it out into slots of peers and over links.

mod attach;
mod chat;
mod command;
mod host;
mod io;
mod join;
pub mod limits;
mod lobby;
mod meeting;
mod peers;
mod roster;
mod sink;
mod uplink;

pub use command::{EdgeCommand, EdgeOutput, Join, Placement, SocketId};

use crate::gate::Gate;
use crate::peer::{Peer, PeerConfig};
use io::EdgeIo;
use meeting::EdgeMeeting;
use peers::Peers;
use rand_chacha::ChaCha12Rng;
use relay_proto::control::Body;
use relay_proto::links::Links;
use relay_proto::{Machine, Net, NodeId, Now, Outbox, Progress, ShardInput, Socket};
use sfu_core::hub::{Hub, HubCounters, HubEvent};
use sfu_core::meetings::{Meeting, Meetings};
use sfu_core::relay::Relay;
use sfu_core::report::ShardReport;
use sfu_core::{DropReason, Drops};
use sink::{Note, Sink};
use std::collections::BTreeMap;
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
    meetings: Meetings<EdgeMeeting>,
    /// What a peer said while its hub was being fed.
    notes: Vec<Note>,
    /// Participants admitted so far.
    admitted: u32,
    drops: Drops,
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
            meetings: Meetings::default(),
            notes: Vec::new(),
            admitted: 0,
            drops: Drops::default(),
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
        let mut sum = self.meetings.counters();
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
        for meeting in self.meetings.iter() {
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
        let met = self.with_peer(now, routed.peer, out, |peer, net, sink| {
            peer.handle_datagram(now, from, data, net, sink)
        });
        match met {
            Some(meeting) => self.meetings.touch(meeting),
            None => self.drops.count(DropReason::UnknownAddress),
        }
    }

    /// Lets a peer act, its meeting's hub at hand, and then does what it asked for; the meeting's key.
    fn with_peer(
        &mut self,
        now: Now,
        key: usize,
        out: &mut Outbox<EdgeOutput>,
        act: impl FnOnce(&mut Peer, &mut Net, &mut Sink<'_>),
    ) -> Option<usize> {
        let Self { peers, meetings, notes, drops, .. } = self;
        let entry = peers.get_mut(key)?;
        let (meeting, port, participant) = (entry.meeting, entry.port, entry.participant);
        let hub = meetings.get_mut(meeting)?.hub_mut();
        let mut sink = Sink { now, hub, port, participant, notes, drops };
        act(&mut entry.peer, &mut out.net, &mut sink);
        self.peers.rearm(key);
        self.settle_notes(now, key, out);
        Some(meeting)
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
        self.meetings.rearm(key);
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
        self.enter_all(now, key, out);
        self.meetings.touch(key);
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
                self.relay.handle(now, from, ecn, data, out);
                self.link_events(now, out);
            }
            ShardInput::Command(command) => self.command(now, command, out),
        }
    }

    fn flush(&mut self, now: Now, out: &mut Outbox<EdgeOutput>) -> Progress {
        let mut io = EdgeIo { peers: &mut self.peers, relay: &mut self.relay, net: &mut out.net };
        if self.meetings.flush_voices(now, &mut io) == Progress::More {
            return Progress::More;
        }
        while let Some(key) = self.meetings.next_dirty() {
            if self.flush_meeting(now, key, out) == Progress::More {
                return Progress::More;
            }
            self.meetings.flushed();
        }
        let progress = self.relay.flush(now, out);
        self.link_events(now, out);
        if self.meetings.next_dirty().is_none() { progress } else { Progress::More }
    }

    fn on_deadline(&mut self, now: Now, out: &mut Outbox<EdgeOutput>) {
        self.relay.on_deadline(now, out);
        self.link_events(now, out);
        while let Some(key) = self.peers.pop_due(now.mono) {
            self.with_peer(now, key, out, |peer, net, sink| peer.on_deadline(now, net, sink));
        }
        while let Some(key) = self.meetings.pop_due(now) {
            self.meeting_deadline(now, key, out);
            self.meetings.rearm(key);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [self.relay.deadline(), self.peers.deadline(), self.meetings.deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// A hub for a meeting, its numbering drawn from the shard's generator.
fn new_hub(node: NodeId, rng: &mut impl rand::RngCore) -> Hub {
    Hub::new(node, rng.next_u64())
}
