//! Edges attach and go; heads are named; what edges say is put in order.

use crate::chat::history;
use crate::meeting::{EDGE_GRACE, EDGES_MAX, Edge};
use crate::shard::{MEETINGS_MAX, OriginOutput, OriginShard};
use relay_proto::control::{Body, Control, Floor, Refusal, Role, RosterChange};
use relay_proto::limits::REGION_BYTES_MAX;
use relay_proto::links::{LinkEvent, LinkId};
use relay_proto::{NodeId, Now, Outbox};
use sfu_core::hub::Direction;

impl OriginShard {
    /// What the links brought, but for packets: those are with their hubs already.
    pub(crate) fn link_events(&mut self, now: Now, out: &mut Outbox<OriginOutput>) {
        while let Some(event) = self.relay.poll_event(now, &mut self.meetings, &mut self.drops) {
            match event {
                LinkEvent::Control { link, control } => self.control(now, link, control, out),
                LinkEvent::Up { node, .. } => {
                    out.events.push(OriginOutput::Link { node, up: true, reason: String::new() });
                }
                LinkEvent::Down { link, node, reason, .. } => {
                    let reason = reason.to_string();
                    out.events.push(OriginOutput::Link { node, up: false, reason });
                    self.link_down(now, link);
                }
                _ => {}
            }
        }
    }

    fn control(
        &mut self,
        now: Now,
        link: LinkId,
        control: Control,
        out: &mut Outbox<OriginOutput>,
    ) {
        let Control { meeting: id, epoch, body } = control;
        let Some(key) = self.meetings.key_of(id) else {
            // Perhaps granted a moment ago: the topology knows. The edge attaches again.
            if matches!(body, Body::Attach { .. }) {
                out.events.push(OriginOutput::NeedPlacement(id));
            }
            let full = self.meetings.len() >= MEETINGS_MAX;
            let refusal = if full { Refusal::Full } else { Refusal::NotMine };
            let _ = self.relay.say(now, link, id, epoch, Body::Refused(refusal));
            return;
        };
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if epoch < meeting.epoch {
            let refusal = Body::Refused(Refusal::StaleEpoch(meeting.epoch));
            let _ = self.relay.say(now, link, id, meeting.epoch, refusal);
            return;
        }
        if epoch > meeting.epoch {
            // Fenced: somebody was granted this meeting after us. The topology says who.
            out.events.push(OriginOutput::NeedPlacement(id));
            let _ = self.relay.say(now, link, id, epoch, Body::Refused(Refusal::NotMine));
            return;
        }
        match body {
            Body::Attach { region } => self.attach(now, key, link, region),
            Body::Detach => {
                if let Some(node) = meeting.edge_of(link) {
                    self.remove_edge(now, key, node);
                }
            }
            Body::Digest(levels) => {
                if let Some(node) = meeting.edge_of(link) {
                    let floor = meeting.floor.digest(now, node, &levels);
                    self.publish_floor(now, key, floor);
                }
            }
            Body::RosterRequest(change) => self.change_roster(now, key, link, change),
            Body::ChatRequest(post) => self.chat(now, key, link, post),
            Body::HostRequest { key: request, from, action } => {
                self.host_request(now, key, link, (request, from), action)
            }
            Body::Knock(knocker) => self.knock(now, key, link, knocker),
            Body::KnockEnded(id) => self.knock_ended(now, key, link, id),
            Body::Announce(_) | Body::Withdraw(_) | Body::Demand { .. } | Body::Keyframe { .. } => {
                self.media_control(now, key, link, &body);
            }
            _ => {}
        }
        self.meetings.touch(key);
    }

    fn attach(&mut self, now: Now, key: usize, link: LinkId, region: String) {
        let Some(info) = self.relay.links().info(link) else {
            return;
        };
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let (id, epoch, node) = (meeting.id, meeting.epoch, info.node);
        let full = meeting.edges.len() >= EDGES_MAX && !meeting.edges.contains_key(&node);
        if full || region.len() > REGION_BYTES_MAX {
            let _ = self.relay.say(now, link, id, epoch, Body::Refused(Refusal::Full));
            return;
        }
        if let Some(rtt) = info.rtt {
            meeting.hub.set_link_rtt(rtt);
        }
        // The same edge again keeps its turn; its port begins anew, as its own does.
        let known = meeting.edges.remove(&node);
        let order = known.as_ref().filter(|e| e.region == region).map(|e| e.order);
        if let Some(port) = known.and_then(|e| e.port) {
            meeting.hub.remove_port(now, port);
        }
        meeting.attached += 1;
        let order = order.unwrap_or(meeting.attached);
        meeting
            .edges
            .insert(node, Edge { link, region: region.clone(), order, port: None, gone_at: None });
        self.assign(now, key, node);
        self.name_roles(now, key, &region, Some(node));
        self.brief(now, key, link);
    }

    /// Tells an edge its part and gives a head its port.
    fn assign(&mut self, now: Now, key: usize, node: NodeId) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let Some(role) = meeting.role_of(node) else {
            return;
        };
        let (id, epoch) = (meeting.id, meeting.epoch);
        let Some(edge) = meeting.edges.get_mut(&node) else {
            return;
        };
        let _ = self.relay.say(now, edge.link, id, epoch, Body::Attached { role });
        match (role, edge.port) {
            (Role::Head, None) => {
                edge.port = Some(meeting.hub.add_link(now, edge.link.index(), Direction::Down))
            }
            (Role::Child { .. }, Some(port)) => {
                edge.port = None;
                meeting.hub.remove_port(now, port);
            }
            _ => {}
        }
    }

    /// After a head came or went: whoever of the region plays another part than its port says is told.
    fn name_roles(&mut self, now: Now, key: usize, region: &str, except: Option<NodeId>) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let wrong = |node: &NodeId, edge: &Edge| {
            let is_head = meeting.role_of(*node) == Some(Role::Head);
            edge.region == region && edge.gone_at.is_none() && is_head != edge.port.is_some()
        };
        let nodes: Vec<NodeId> =
            meeting.edges.iter().filter(|(n, e)| wrong(n, e)).map(|(n, _)| *n).collect();
        for node in nodes.into_iter().filter(|n| Some(*n) != except) {
            self.assign(now, key, node);
        }
    }

    /// Tells an edge that attached everything it must know.
    fn brief(&mut self, now: Now, key: usize, link: LinkId) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let (id, epoch) = (meeting.id, meeting.epoch);
        // The settings first: who enters by them is in the roster that follows.
        let mut bodies = vec![Body::Settings(meeting.conduct.settings)];
        bodies.extend(meeting.roster.snapshot());
        bodies.push(meeting.conduct.knocking());
        if let Some(node) = meeting.edge_of(link) {
            bodies.extend(history(&meeting.chat, node));
        }
        bodies.push(Body::Floor(meeting.hub.floor().clone()));
        for body in bodies {
            // A backlog closes the link, and the edge attaches anew.
            let _ = self.relay.say(now, link, id, epoch, body);
        }
    }

    fn media_control(&mut self, now: Now, key: usize, link: LinkId, body: &Body) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let port = meeting.edge_of(link).and_then(|n| meeting.edges.get(&n)).and_then(|e| e.port);
        let Some(port) = port else { return };
        self.relay.media_control(now, link, meeting, port, body);
    }

    /// Gives a change its number and tells every edge.
    fn change_roster(&mut self, now: Now, key: usize, link: LinkId, change: RosterChange) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let Some(node) = meeting.edge_of(link) else {
            return;
        };
        // An edge speaks for its own participants only.
        let owner = match &change {
            RosterChange::Put(member) => member.edge,
            RosterChange::Remove(id) => id.node(),
        };
        if owner != node {
            return;
        }
        let (id, epoch) = (meeting.id, meeting.epoch);
        match meeting.enters(change) {
            Ok(change) => self.publish_change(now, key, change),
            Err((participant, barrier)) => {
                let answer = Body::TurnedAway { participant, barrier };
                let _ = self.relay.say(now, link, id, epoch, answer);
            }
        }
    }

    fn publish_change(&mut self, now: Now, key: usize, change: RosterChange) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let floor = match &change {
            RosterChange::Remove(id) => meeting.floor.leave(now, *id),
            RosterChange::Put(_) => None,
        };
        let body = meeting.roster.apply(change);
        if let Some(body) = body {
            self.tell_edges(now, key, &body);
        }
        self.publish_floor(now, key, floor);
    }

    pub(crate) fn tell_edges(&mut self, now: Now, key: usize, body: &Body) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let (id, epoch) = (meeting.id, meeting.epoch);
        for link in meeting.links() {
            let _ = self.relay.say(now, link, id, epoch, body.clone());
        }
    }

    /// Publishes the floor when the election changed it.
    pub(crate) fn publish_floor(&mut self, now: Now, key: usize, floor: Option<Floor>) {
        let (Some(floor), Some(meeting)) = (floor, self.meetings.get_mut(key)) else {
            return;
        };
        meeting.hub.set_floor(&floor);
        self.tell_edges(now, key, &Body::Floor(floor));
    }

    fn link_down(&mut self, now: Now, link: LinkId) {
        for key in self.meetings.keys() {
            let Some(meeting) = self.meetings.get_mut(key) else {
                continue;
            };
            let Some(node) = meeting.edge_of(link) else {
                continue;
            };
            let Some(edge) = meeting.edges.get_mut(&node) else {
                continue;
            };
            edge.gone_at = Some(now.mono + EDGE_GRACE);
            let region = edge.region.clone();
            if let Some(port) = edge.port.take() {
                meeting.hub.remove_port(now, port);
            }
            let floor = meeting.floor.forget_source(now, node);
            self.publish_floor(now, key, floor);
            self.name_roles(now, key, &region, None);
            self.reassign_children(now, key, &region);
            self.meetings.touch(key);
        }
    }

    /// The children of a region learn who is their head now.
    fn reassign_children(&mut self, now: Now, key: usize, region: &str) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let children: Vec<NodeId> = meeting
            .edges
            .iter()
            .filter(|(_, e)| e.region == region && e.gone_at.is_none() && e.port.is_none())
            .map(|(n, _)| *n)
            .collect();
        for node in children {
            self.assign(now, key, node);
        }
    }

    /// An edge has nobody left in the meeting, or did not come back.
    fn remove_edge(&mut self, now: Now, key: usize, node: NodeId) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let Some(edge) = meeting.edges.remove(&node) else {
            return;
        };
        let was_head = edge.port.is_some();
        if let Some(port) = edge.port {
            meeting.hub.remove_port(now, port);
        }
        let floor = meeting.floor.forget_source(now, node);
        let members = meeting.roster.of_edge(node);
        // They were in: when their edge is back, a door that has closed meanwhile is open for them.
        members.iter().for_each(|id| meeting.conduct.admit(*id));
        meeting.conduct.forget(now.mono, |id| id.node() == node);
        self.publish_floor(now, key, floor);
        for id in members {
            self.publish_change(now, key, RosterChange::Remove(id));
        }
        if was_head {
            self.name_roles(now, key, &edge.region, None);
            self.reassign_children(now, key, &edge.region);
        }
    }

    /// Edges that did not come back in time.
    pub(crate) fn expire_edges(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let gone = |e: &Edge| e.gone_at.is_some_and(|at| at <= now.mono);
        let nodes: Vec<NodeId> =
            meeting.edges.iter().filter(|(_, e)| gone(e)).map(|(n, _)| *n).collect();
        for node in nodes {
            self.remove_edge(now, key, node);
        }
    }

    /// The meeting is over, or another node's now.
    pub(crate) fn end(&mut self, now: Now, key: usize, tell: bool) {
        if tell {
            self.tell_edges(now, key, &Body::Ended);
        }
        if let Some(meeting) = self.meetings.remove(key) {
            self.relay.forget_meeting(key, meeting.id);
        }
    }
}
