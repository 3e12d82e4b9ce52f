//! The relay side of a shard, the same at edges and origins: its links, and whose their flows are.

use crate::canonical::write_link_rtp;
use crate::clock::LinkSenderReport;
use crate::drop_reason::{DropReason, Drops};
use crate::hub::{FlowIds, HubEvent, PortId};
use crate::meetings::{Meeting, Meetings};
use crate::packet::Packet;
use relay_proto::control::{Body, Codec, Control, Refusal};
use relay_proto::links::{LinkDrop, LinkEvent, LinkId, LinkInfo, LinkInput, Links};
use relay_proto::{Epoch, FlowId, Lane, Machine, MeetingId, NodeId, Now, Outbox, Progress};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// Where packets of a flow belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowOwner {
    /// The owner's key of the meeting.
    pub meeting: usize,
    /// The hub's port for the link.
    pub port: PortId,
}

/// A neighbour's addresses, as the topology's record of it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// The node.
    pub node: NodeId,
    /// Its region.
    pub region: String,
    /// Relay address of each lane, or one for all.
    pub relay: Vec<SocketAddr>,
}

impl NodeAddress {
    /// The relay address for a lane.
    #[must_use]
    pub fn relay_of(&self, lane: Lane) -> Option<SocketAddr> {
        self.relay.get(usize::from(lane.0) % self.relay.len().max(1)).copied()
    }
}

/// How often neighbours were told that a message about a meeting was not obeyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalCounters {
    /// Their epoch is older than the one in force.
    pub stale_epoch: u64,
    /// This node is not the meeting's origin, or not the head.
    pub not_mine: u64,
    /// A limit would be passed.
    pub full: u64,
    /// The hop list has this node in it, or is too long.
    pub hop_loop: u64,
}

impl RefusalCounters {
    /// Labels of `mesh_control_refused_total`, with their counts.
    #[must_use]
    pub fn by_reason(&self) -> [(&'static str, u64); 4] {
        [
            ("stale_epoch", self.stale_epoch),
            ("not_mine", self.not_mine),
            ("full", self.full),
            ("loop", self.hop_loop),
        ]
    }

    fn count(&mut self, refusal: Refusal) {
        *match refusal {
            Refusal::StaleEpoch(_) => &mut self.stale_epoch,
            Refusal::NotMine => &mut self.not_mine,
            Refusal::Full => &mut self.full,
            Refusal::Loop => &mut self.hop_loop,
        } += 1;
    }
}

/// The links of a shard with the flows that come over them.
#[derive(Debug)]
pub struct Relay {
    links: Links,
    nested: Outbox<LinkEvent>,
    /// What the links brought, until it is polled.
    arrived: VecDeque<LinkEvent>,
    /// Link ids by their dense index, which is what hubs know a link by.
    ids: Vec<Option<LinkId>>,
    flows: BTreeMap<(usize, FlowId), FlowOwner>,
    nodes: BTreeMap<NodeId, NodeAddress>,
    refused: RefusalCounters,
    /// Gives out the flow ids of this shard.
    pub flow_ids: FlowIds,
}

impl Relay {
    /// Over links that were made for this shard.
    #[must_use]
    pub fn new(links: Links) -> Self {
        Self {
            links,
            nested: Outbox::nested(),
            arrived: VecDeque::new(),
            ids: Vec::new(),
            flows: BTreeMap::new(),
            nodes: BTreeMap::new(),
            refused: RefusalCounters::default(),
            flow_ids: FlowIds::default(),
        }
    }

    /// The nodes there are now. One that is gone is not dialled any more; a link to it that still works goes on.
    pub fn set_nodes(&mut self, now: Now, nodes: Vec<NodeAddress>) {
        self.nodes = nodes.into_iter().map(|n| (n.node, n)).collect();
        let gone = |info: &LinkInfo| !info.up && !self.nodes.contains_key(&info.node);
        let gone: Vec<LinkId> = self.links.iter_info().filter(gone).map(|info| info.link).collect();
        for link in gone {
            self.links.disconnect(now, link);
        }
    }

    /// What is known of a node.
    #[must_use]
    pub fn node(&self, node: NodeId) -> Option<&NodeAddress> {
        self.nodes.get(&node)
    }

    /// Wants a link to `node` for `lane`; none while its address is not known. Idempotent.
    pub fn connect(&mut self, now: Now, node: NodeId, lane: Lane) -> Option<LinkId> {
        let addr = self.nodes.get(&node)?.relay_of(lane)?;
        let link = self.links.connect(now, node, lane, addr);
        self.note(link);
        Some(link)
    }

    /// Whether a link is up.
    #[must_use]
    pub fn is_up(&self, link: LinkId) -> bool {
        self.links.info(link).is_some_and(|i| i.up)
    }

    /// What neighbours were refused.
    #[must_use]
    pub fn refused(&self) -> RefusalCounters {
        self.refused
    }

    /// The links themselves.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    fn note(&mut self, link: LinkId) {
        let index = link.index();
        if self.ids.len() <= index {
            self.ids.resize(index + 1, None);
        }
        self.ids[index] = Some(link);
    }

    /// The link of a dense index.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<LinkId> {
        self.ids.get(index).copied().flatten()
    }

    /// Takes a datagram of the relay socket; [`Self::poll_event`] has what it brought.
    pub fn handle<T>(
        &mut self,
        now: Now,
        from: SocketAddr,
        ecn: u8,
        data: &mut [u8],
        out: &mut Outbox<T>,
    ) {
        let input = LinkInput::Datagram { from, ecn, data };
        self.with_links(out, |links, nested| links.handle(now, input, nested));
    }

    /// Pumps what waits into the outbox.
    pub fn flush<T>(&mut self, now: Now, out: &mut Outbox<T>) -> Progress {
        self.with_links(out, |links, nested| links.flush(now, nested))
    }

    /// Does what is due on the links.
    pub fn on_deadline<T>(&mut self, now: Now, out: &mut Outbox<T>) {
        if self.links.deadline().is_some_and(|at| at <= now.mono) {
            self.with_links(out, |links, nested| links.on_deadline(now, nested));
        }
    }

    fn with_links<T, R>(
        &mut self,
        out: &mut Outbox<T>,
        run: impl FnOnce(&mut Links, &mut Outbox<LinkEvent>) -> R,
    ) -> R {
        let Self { links, nested, .. } = self;
        let result = out.lend(nested, |nested| run(links, nested));
        self.arrived.extend(nested.events.drain(..));
        result
    }

    /// What the links brought, in order. A packet goes to the hub that its flow belongs to, here and now; what comes
    /// back is for the policy.
    pub fn poll_event<M: Meeting>(
        &mut self,
        now: Now,
        meetings: &mut Meetings<M>,
        drops: &mut Drops,
    ) -> Option<LinkEvent> {
        while let Some(event) = self.arrived.pop_front() {
            match event {
                LinkEvent::Media { link, flow, facts, rtp, .. } => {
                    let Some(owner) = self.owner(link, flow) else {
                        drops.count(DropReason::UnknownFlow);
                        continue;
                    };
                    if let Some(meeting) = meetings.get_mut(owner.meeting) {
                        // A refused packet is counted by the hub.
                        let _ = meeting.hub_mut().ingest_link(now, owner.port, flow, facts, &rtp);
                        meetings.touch(owner.meeting);
                    }
                }
                LinkEvent::Rtcp { link, flow, rtcp } => {
                    let offset_us = self.to_our_clock_us(link);
                    if let Some(owner) = self.owner(link, flow)
                        && let Some(meeting) = meetings.get_mut(owner.meeting)
                    {
                        meeting.hub_mut().link_rtcp(owner.port, flow, &rtcp, offset_us);
                    }
                }
                LinkEvent::Up { link, .. } => {
                    self.note(link);
                    return Some(event);
                }
                LinkEvent::Down { link, .. } => {
                    self.forget_flows(link);
                    return Some(event);
                }
                other => return Some(other),
            }
        }
        None
    }

    /// When the links next want to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.links.deadline()
    }

    /// Whose a flow of a link is.
    #[must_use]
    pub fn owner(&self, link: LinkId, flow: FlowId) -> Option<FlowOwner> {
        self.flows.get(&(link.index(), flow)).copied()
    }

    /// The flows of this link are void: it went down.
    fn forget_flows(&mut self, link: LinkId) {
        self.flows.retain(|(index, _), _| *index != link.index());
    }

    /// The flows of this meeting are void: it is over here.
    pub fn forget_meeting(&mut self, meeting: usize, id: MeetingId) {
        self.links.fence_mut().forget(id);
        self.flows.retain(|_, owner| owner.meeting != meeting);
    }

    /// Says something about a meeting to the neighbour behind a link.
    ///
    /// # Errors
    /// The link is not up; whoever attaches again is told everything anew.
    pub fn say(
        &mut self,
        now: Now,
        link: LinkId,
        meeting: MeetingId,
        epoch: Epoch,
        body: Body,
    ) -> Result<(), LinkDrop> {
        if let Body::Refused(refusal) = body {
            self.refused.count(refusal);
        }
        self.links.send_control(now, link, &Control { meeting, epoch, body })
    }

    /// Carries out those events of a hub that concern links; gives the others back.
    pub fn obey(
        &mut self,
        now: Now,
        meeting: (usize, MeetingId, Epoch),
        event: HubEvent,
    ) -> Option<HubEvent> {
        let (key, id, epoch) = meeting;
        match event {
            HubEvent::Send { link, body } => {
                if let Some(link) = self.id(link) {
                    // A link that is down is attached to again, and then everything is said anew.
                    let _ = self.say(now, link, id, epoch, body);
                }
                None
            }
            HubEvent::FlowOpened { link, flow, port } => {
                self.flows.insert((link, flow), FlowOwner { meeting: key, port });
                None
            }
            HubEvent::FlowClosed { link, flow } => {
                self.flows.remove(&(link, flow));
                None
            }
            other => Some(other),
        }
    }

    /// Hands a message about media to the hub's port for the link it came by; the neighbour is told of a refusal.
    pub fn media_control(
        &mut self,
        now: Now,
        link: LinkId,
        meeting: &mut impl Meeting,
        port: PortId,
        body: &Body,
    ) {
        let (id, epoch) = (meeting.id(), meeting.epoch());
        if let Err(refusal) = meeting.hub_mut().handle_link(now, port, body, &mut self.flow_ids) {
            let _ = self.say(now, link, id, epoch, Body::Refused(refusal));
        }
    }

    /// Sends one packet of a flow.
    ///
    /// # Errors
    /// Why it was dropped.
    pub fn send_media(
        &mut self,
        now: Now,
        index: usize,
        flow: FlowId,
        codec: Codec,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        let link = self.id(index).ok_or(DropReason::NotConnected)?;
        let write = |buf: &mut [u8]| write_link_rtp(packet, codec, buf);
        self.links.send_media(now, link, flow, &packet.facts, write).map_err(|drop| match drop {
            LinkDrop::UnknownLink | LinkDrop::NotUp => DropReason::NotConnected,
            LinkDrop::TooLarge | LinkDrop::Empty => DropReason::TooLarge,
            LinkDrop::Queue | LinkDrop::Backlog => DropReason::LinkQueue,
        })
    }

    /// Sends a sender report of a flow.
    pub fn send_report(&mut self, now: Now, index: usize, flow: FlowId, report: &LinkSenderReport) {
        if let Some(link) = self.id(index) {
            let _ = self.links.send_rtcp(now, link, flow, &report.write());
        }
    }

    /// What to add to the clock of the neighbour to get ours, microseconds; 0 before the clocks were compared.
    #[must_use]
    pub fn to_our_clock_us(&self, link: LinkId) -> i64 {
        -self.links.info(link).and_then(|i| i.clock_offset_us).unwrap_or(0)
    }
}
