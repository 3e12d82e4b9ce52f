//! One shard of an origin, as one machine.

use crate::meeting::OriginMeeting;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;
use relay_proto::control::Codec;
use relay_proto::links::Links;
use relay_proto::{
    Epoch, FlowId, Machine, MeetingId, Net, NodeId, Now, NtpTime, Outbox, Progress, ShardInput,
    Socket,
};
use sfu_core::clock::LinkSenderReport;
use sfu_core::hub::{Hub, HubCounters, HubIo};
use sfu_core::meetings::Meetings;
use sfu_core::relay::{NodeAddress, Relay};
use sfu_core::report::ShardReport;
use sfu_core::{DropReason, Drops, Packet, SlotPacket};
use std::time::Instant;

/// Meetings of one shard: hundreds a node, rounded up.
pub(crate) const MEETINGS_MAX: usize = 2_000;

/// Granted epochs are even (ARCHITECTURE section 7): the odd one between two grants is the standby's.
const EPOCH_STEP: u64 = 2;

/// What an origin shard needs to know of itself.
#[derive(Clone, Debug)]
pub struct OriginConfig {
    /// This node.
    pub node: NodeId,
}

/// What the shard is told.
#[derive(Clone, Debug)]
pub enum OriginCommand {
    /// This node is the origin of a meeting, under this epoch.
    Granted {
        /// The meeting.
        meeting: MeetingId,
        /// The epoch.
        epoch: Epoch,
    },
    /// This node is not the origin of this meeting (any more).
    Revoked {
        /// The meeting.
        meeting: MeetingId,
        /// Whether it is over everywhere.
        ended: bool,
    },
    /// All nodes there are.
    Nodes(Vec<NodeAddress>),
    /// Say how things stand.
    Report,
}

/// What the shard wants.
#[derive(Clone, Debug)]
pub enum OriginOutput {
    /// Somebody thinks this node is the origin: ask the topology, and answer with `Granted` or `Revoked`.
    NeedPlacement(MeetingId),
    /// How things stand.
    Report(Box<ShardReport>),
    /// For the logs: a link came up or went down.
    Link {
        /// The neighbour.
        node: NodeId,
        /// Whether it is up.
        up: bool,
        /// Why it is not.
        reason: String,
    },
}

/// One shard of an origin.
pub struct OriginShard {
    config: OriginConfig,
    rng: ChaCha12Rng,
    pub(crate) relay: Relay,
    pub(crate) meetings: Meetings<OriginMeeting>,
    pub(crate) drops: Drops,
}

/// An origin's hubs have links only.
struct OriginIo<'a> {
    relay: &'a mut Relay,
    net: &'a mut Net,
}

impl HubIo for OriginIo<'_> {
    fn is_full(&self) -> bool {
        self.net.is_full()
    }

    fn slot(&mut self, _: Now, _: usize, _: u16, _: &SlotPacket<'_>) -> Result<(), DropReason> {
        Err(DropReason::NotConnected)
    }

    fn link(
        &mut self,
        now: Now,
        target: usize,
        flow: FlowId,
        codec: Codec,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        self.relay.send_media(now, target, flow, codec, packet)
    }

    fn slot_report(&mut self, _: Now, _: usize, _: u16, _: NtpTime, _: u32) {}

    fn link_report(&mut self, now: Now, target: usize, flow: FlowId, report: LinkSenderReport) {
        self.relay.send_report(now, target, flow, &report);
    }
}

impl OriginShard {
    /// A shard without meetings.
    #[must_use]
    pub fn new(config: OriginConfig, links: Links, rng: ChaCha12Rng) -> Self {
        Self {
            config,
            rng,
            relay: Relay::new(links),
            meetings: Meetings::default(),
            drops: Drops::default(),
        }
    }

    /// The links with their counters.
    #[must_use]
    pub fn links(&self) -> &Links {
        self.relay.links()
    }

    /// Meetings this shard is the origin of.
    #[must_use]
    pub fn meetings(&self) -> usize {
        self.meetings.len()
    }

    /// Participants of all its meetings.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.meetings.iter().map(|m| m.roster.len()).sum()
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
        let mut report = ShardReport { counters: self.counters(), ..ShardReport::default() };
        report.add_relay(&self.relay);
        for meeting in self.meetings.iter() {
            report.add_meeting(meeting.id, &meeting.hub, &self.relay);
            report.members += meeting.roster.len();
        }
        report
    }

    fn command(&mut self, now: Now, command: OriginCommand) {
        match command {
            OriginCommand::Granted { meeting, epoch } => self.granted(now, meeting, epoch),
            OriginCommand::Revoked { meeting, ended } => {
                if let Some(key) = self.meetings.key_of(meeting) {
                    self.end(now, key, ended);
                }
            }
            OriginCommand::Nodes(nodes) => self.relay.set_nodes(nodes),
            OriginCommand::Report => {}
        }
    }

    fn granted(&mut self, now: Now, id: MeetingId, epoch: Epoch) {
        if let Some(key) = self.meetings.key_of(id) {
            let Some(meeting) = self.meetings.get_mut(key) else { return };
            if meeting.epoch >= epoch {
                return;
            }
            if epoch.0 == meeting.epoch.0 + EPOCH_STEP {
                // The very next grant, and it is ours again: another standby was named. Nobody else can have
                // acted in between, so what is known here stands.
                meeting.epoch = epoch;
                return;
            }
            self.end(now, key, false);
        }
        if self.meetings.len() >= MEETINGS_MAX {
            return;
        }
        let hub = Hub::new(self.config.node, self.rng.next_u64());
        self.meetings.insert(OriginMeeting::new(id, epoch, hub));
    }

    fn drain_hub(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let whose = (key, meeting.id, meeting.epoch);
        for event in meeting.hub.take_events() {
            // What is left concerns peers, and an origin has none.
            let _ = self.relay.obey(now, whose, event);
        }
        self.meetings.rearm(key);
    }

    fn flush_meeting(&mut self, now: Now, key: usize, net: &mut Net) -> Progress {
        self.drain_hub(now, key);
        let Some(meeting) = self.meetings.get_mut(key) else {
            return Progress::Done;
        };
        let progress = meeting.hub.flush(now, &mut OriginIo { relay: &mut self.relay, net });
        self.drain_hub(now, key);
        progress
    }

    fn meeting_deadline(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        meeting.hub.on_deadline(now);
        // An origin publishes nothing of its own; polling keeps the source quiet.
        let _ = meeting.hub.poll_digest(now);
        let floor = meeting.floor.on_deadline(now);
        self.publish_floor(now, key, floor);
        self.expire_edges(now, key);
        self.tell_knocking(now, key);
        self.meetings.touch(key);
    }
}

impl Machine for OriginShard {
    type Input<'a> = ShardInput<'a, OriginCommand>;
    type Output = OriginOutput;

    fn handle(
        &mut self,
        now: Now,
        input: ShardInput<'_, OriginCommand>,
        out: &mut Outbox<OriginOutput>,
    ) {
        match input {
            ShardInput::Datagram { socket: Socket::Relay, from, ecn, data } => {
                self.relay.handle(now, from, ecn, data, out);
                self.link_events(now, out);
            }
            ShardInput::Datagram { socket: Socket::Media, .. } => {
                self.drops.count(DropReason::NotWebRtc)
            }
            ShardInput::Command(OriginCommand::Report) => {
                let report = self.report();
                out.events.push(OriginOutput::Report(Box::new(report)));
            }
            ShardInput::Command(command) => self.command(now, command),
        }
    }

    fn flush(&mut self, now: Now, out: &mut Outbox<OriginOutput>) -> Progress {
        let mut io = OriginIo { relay: &mut self.relay, net: &mut out.net };
        if self.meetings.flush_voices(now, &mut io) == Progress::More {
            return Progress::More;
        }
        while let Some(key) = self.meetings.next_dirty() {
            if self.flush_meeting(now, key, &mut out.net) == Progress::More {
                return Progress::More;
            }
            self.meetings.flushed();
        }
        let progress = self.relay.flush(now, out);
        self.link_events(now, out);
        if self.meetings.next_dirty().is_none() { progress } else { Progress::More }
    }

    fn on_deadline(&mut self, now: Now, out: &mut Outbox<OriginOutput>) {
        self.relay.on_deadline(now, out);
        self.link_events(now, out);
        while let Some(key) = self.meetings.pop_due(now) {
            self.meeting_deadline(now, key);
            self.meetings.rearm(key);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        [self.relay.deadline(), self.meetings.deadline()].into_iter().flatten().min()
    }
}
