//! Attaching to a meeting's tree, and what its neighbours say.

use super::EdgeShard;
use super::command::{EdgeOutput, Placement};
use super::limits::HELD_MAX;
use super::roster::Applied;
use super::uplink::{ATTACH_RETRY, Attachment};
use crate::signal::ServerMessage;
use relay_proto::control::{Body, Control, Refusal, Role, RosterChange};
use relay_proto::links::{LinkEvent, LinkId};
use relay_proto::{Lane, MeetingId, NodeId, Now, Outbox};
use sfu_core::hub::{Direction, PortId};
use sfu_core::meetings::Meeting;
use std::time::Duration;

impl EdgeShard {
    /// Where the meeting is, or that it is nowhere.
    pub(super) fn placed(
        &mut self,
        now: Now,
        id: MeetingId,
        placement: Option<Placement>,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(key) = self.meetings.key_of(id) else {
            return;
        };
        let Some(placement) = placement else {
            self.end_meeting(now, key, "there is no such meeting, or it is over", out);
            return;
        };
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if meeting.uplink.placement.is_some_and(|p| p.epoch > placement.epoch) {
            return;
        }
        let moved = meeting.uplink.placement.is_none_or(|p| p.origin != placement.origin);
        meeting.uplink.placement = Some(placement);
        if moved {
            self.leave_tree(now, key);
        }
        self.attach(now, key);
        // An origin whose address is not known is not waited for.
        let held =
            if self.relay.node(placement.origin).is_some() { HELD_MAX } else { Duration::ZERO };
        if let Some(meeting) = self.meetings.get_mut(key) {
            meeting.held_until.get_or_insert(now.mono + held);
        }
        self.enter_all(now, key, out);
        self.meetings.touch(key);
    }

    /// Forgets the place in the tree: links stay, ports go.
    fn leave_tree(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let uplink = &mut meeting.uplink;
        let ports = uplink.media.take().map(|(_, p)| p).into_iter();
        let children = std::mem::take(&mut uplink.children).into_values();
        let ports: Vec<PortId> = ports.chain(children).collect();
        (uplink.origin, uplink.head, uplink.role) = (None, None, None);
        for port in ports {
            meeting.hub.remove_port(now, port);
        }
    }

    /// Says `Attach` to the origin (and to the head), where that has not been answered, and sees to it that it is said again.
    pub(super) fn attach(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let Some(placement) = meeting.uplink.placement else {
            return;
        };
        let lane = Lane::of(meeting.id);
        let (id, epoch, region) = (meeting.id, placement.epoch, self.config.region.clone());
        let head = match meeting.uplink.role {
            Some(Role::Child { head }) => Some(head),
            _ => None,
        };
        let mut waits = false;
        for (is_origin, node) in [(true, Some(placement.origin)), (false, head)] {
            let Some(node) = node else { continue };
            let known = if is_origin { meeting.uplink.origin } else { meeting.uplink.head };
            if known.is_some_and(|a| a.attached && a.node == node) {
                continue;
            }
            waits = true;
            let Some(link) = self.relay.connect(now, node, lane) else {
                continue;
            };
            let attachment = Some(Attachment { node, link, attached: false });
            if is_origin {
                meeting.uplink.origin = attachment;
            } else {
                meeting.uplink.head = attachment;
            }
            // While the link is down this is refused; `Up` and the retry come back here.
            let _ = self.relay.say(now, link, id, epoch, Body::Attach { region: region.clone() });
        }
        meeting.uplink.retry = waits.then(|| now.mono + ATTACH_RETRY);
        self.meetings.touch(key);
    }

    /// What the links brought, but for packets: those are with their hubs already.
    pub(super) fn link_events(&mut self, now: Now, out: &mut Outbox<EdgeOutput>) {
        while let Some(event) = self.relay.poll_event(now, &mut self.meetings, &mut self.drops) {
            match event {
                LinkEvent::Control { link, control } => self.control(now, link, control, out),
                LinkEvent::Up { node, .. } => {
                    out.events.push(EdgeOutput::Link { node, up: true, reason: String::new() });
                    self.attach_all(now);
                }
                LinkEvent::Down { link, node, reason, .. } => {
                    let reason = reason.to_string();
                    out.events.push(EdgeOutput::Link { node, up: false, reason });
                    self.link_down(now, link, out);
                }
                LinkEvent::DialFailed { node, reason, .. } => {
                    let reason = reason.to_string();
                    out.events.push(EdgeOutput::Link { node, up: false, reason });
                }
                _ => {}
            }
        }
    }

    /// A neighbour may be reached now that could not: a link is up, or the nodes changed.
    pub(super) fn attach_all(&mut self, now: Now) {
        for key in self.meetings.keys() {
            self.attach(now, key);
        }
    }

    fn link_down(&mut self, now: Now, link: LinkId, out: &mut Outbox<EdgeOutput>) {
        for key in self.meetings.keys() {
            let Some(meeting) = self.meetings.get_mut(key) else {
                continue;
            };
            let uplink = &mut meeting.uplink;
            let gone = uplink.media.filter(|(l, _)| *l == link).map(|(_, port)| port);
            if gone.is_some() {
                uplink.media = None;
            }
            let child = uplink.children.remove(&link);
            let orphan = uplink.origin.is_some_and(|a| a.link == link);
            if orphan {
                uplink.origin = None;
            }
            if uplink.head.is_some_and(|a| a.link == link) {
                // The head may be dead: the origin is asked anew, it names another.
                (uplink.head, uplink.role, uplink.origin) = (None, None, None);
            }
            for port in gone.into_iter().chain(child) {
                meeting.hub.remove_port(now, port);
            }
            if orphan {
                meeting.tell_cut_off(&mut out.events);
            }
            self.attach(now, key);
        }
    }

    fn control(&mut self, now: Now, link: LinkId, control: Control, out: &mut Outbox<EdgeOutput>) {
        let Control { meeting: id, epoch, body } = control;
        let Some(key) = self.meetings.key_of(id) else {
            if matches!(body, Body::Attach { .. }) {
                let _ = self.relay.say(now, link, id, epoch, Body::Refused(Refusal::NotMine));
            }
            return;
        };
        match body {
            Body::Attach { .. } => self.child_attaches(now, key, link),
            Body::Detach => self.child_detaches(now, key, link),
            Body::Attached { role } => self.attached(now, key, link, role),
            Body::Refused(refusal) => self.refused(now, key, link, refusal, out),
            Body::Ended => self.end_meeting(now, key, "the meeting has ended", out),
            Body::Floor(floor) => {
                if let Some(meeting) = self.meetings.get_mut(key) {
                    meeting.hub.set_floor(&floor);
                    meeting.tell_floor(&mut out.events);
                }
            }
            Body::Roster { seq, change } => self.roster_change(now, key, seq, change, out),
            Body::RosterSnapshot { seq, members, first, last } => {
                if let Some(meeting) = self.meetings.get_mut(key) {
                    meeting.roster.snapshot(now.mono, seq, members, first, last);
                }
                if last {
                    self.follow_roles(now, key, out);
                }
            }
            Body::Chat(message) => {
                if let Some(meeting) = self.meetings.get_mut(key) {
                    meeting.written(message, &mut out.events);
                }
            }
            Body::ChatHistory { seq, messages, last } => {
                if let Some(meeting) = self.meetings.get_mut(key) {
                    meeting.written_before(messages, last.then_some(seq), &mut out.events);
                }
                if last {
                    self.write_again(now, key);
                }
            }
            Body::Settings(_)
            | Body::Knocking { .. }
            | Body::HostAnswer { .. }
            | Body::TurnedAway { .. }
            | Body::Command { .. } => self.conduct(now, key, body, out),
            Body::Digest(_)
            | Body::RosterRequest(_)
            | Body::ChatRequest(_)
            | Body::HostRequest { .. }
            | Body::Knock(_)
            | Body::KnockEnded(_) => {}
            media => self.media_control(now, key, link, &media),
        }
        self.meetings.touch(key);
    }

    fn roster_change(
        &mut self,
        now: Now,
        key: usize,
        seq: u64,
        change: RosterChange,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let put = if let RosterChange::Put(member) = &change { Some(member.id) } else { None };
        match (meeting.roster.apply(now.mono, seq, change), put) {
            (Applied::Gap, _) => {
                // The link is ordered, so this is a message of another attachment: a new one brings a snapshot.
                meeting.uplink.origin =
                    meeting.uplink.origin.map(|a| Attachment { attached: false, ..a });
                self.attach(now, key);
            }
            (Applied::Yes, Some(id)) => self.follow_role(now, key, id, out),
            _ => {}
        }
    }

    fn media_control(&mut self, now: Now, key: usize, link: LinkId, body: &Body) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let upward = meeting.uplink.media.filter(|(l, _)| *l == link).map(|(_, port)| port);
        let port = upward.or_else(|| meeting.uplink.children.get(&link).copied());
        // A message of an attachment that is over: whoever sent it will learn.
        let Some(port) = port else { return };
        self.relay.media_control(now, link, meeting, port, body);
    }

    /// Another edge of the region attaches: this edge is, or is said to be, its head.
    fn child_attaches(&mut self, now: Now, key: usize, link: LinkId) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let (id, epoch) = (meeting.id, meeting.epoch());
        if !meeting.uplink.is_head() {
            let _ = self.relay.say(now, link, id, epoch, Body::Refused(Refusal::NotMine));
            return;
        }
        if let Some(old) = meeting.uplink.children.remove(&link) {
            meeting.hub.remove_port(now, old);
        }
        let role = Role::Child { head: self.config.node };
        let _ = self.relay.say(now, link, id, epoch, Body::Attached { role });
        let port = meeting.hub.add_link(now, link.index(), Direction::Down);
        meeting.uplink.children.insert(link, port);
    }

    fn child_detaches(&mut self, now: Now, key: usize, link: LinkId) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if let Some(port) = meeting.uplink.children.remove(&link) {
            meeting.hub.remove_port(now, port);
        }
    }

    /// The origin, or the head, has answered.
    fn attached(&mut self, now: Now, key: usize, link: LinkId, role: Role) {
        let me = self.config.node;
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let uplink = &mut meeting.uplink;
        let by_origin = uplink.origin.is_some_and(|a| a.link == link);
        if let Some(origin) = uplink.origin.as_mut().filter(|_| by_origin) {
            origin.attached = true;
            let role = if role == (Role::Child { head: me }) { Role::Head } else { role };
            if uplink.role != Some(role) {
                uplink.role = Some(role);
                uplink.head = None;
            }
            meeting.hub.expect_new_election();
            if std::mem::take(&mut meeting.cut_off) {
                meeting.roster.tell_anew(now.mono);
            }
        } else if let Some(head) = uplink.head.as_mut().filter(|a| a.link == link) {
            head.attached = true;
        } else {
            return;
        }
        // Whoever answers begins anew, and announces everything anew. An answer of the origin while media goes by the head
        // says nothing of that: the head would not announce again what this edge forgot.
        let uplink = &meeting.uplink;
        let by = uplink.media_link();
        let stays = by != Some(link) && uplink.media.map(|(media, _)| media) == by;
        if !stays {
            self.move_media(now, key);
        }
        if by_origin {
            self.report_members(now, key);
            self.knock_again(now, key);
        }
        self.attach(now, key);
    }

    /// Makes the hub's upward port follow the link that media goes by. A fresh attachment gets a fresh port: both sides
    /// begin anew.
    fn move_media(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if let Some((_, port)) = meeting.uplink.media.take() {
            meeting.hub.remove_port(now, port);
        }
        if let Some(link) = meeting.uplink.media_link() {
            let port = meeting.hub.add_link(now, link.index(), Direction::Up);
            meeting.uplink.media = Some((link, port));
            if let Some(rtt) = self.relay.links().info(link).and_then(|i| i.rtt) {
                meeting.hub.set_link_rtt(rtt);
            }
        }
    }

    fn refused(
        &mut self,
        now: Now,
        key: usize,
        link: LinkId,
        refusal: Refusal,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let uplink = &mut meeting.uplink;
        if uplink.head.is_some_and(|a| a.link == link) && refusal == Refusal::NotMine {
            // Not the head (any more): the origin is asked again.
            (uplink.head, uplink.role) = (None, None);
            uplink.origin = uplink.origin.map(|a| Attachment { attached: false, ..a });
            uplink.retry = Some(now.mono + ATTACH_RETRY);
        } else if matches!(refusal, Refusal::NotMine | Refusal::StaleEpoch(_)) {
            let id = meeting.id;
            uplink.origin = uplink.origin.map(|a| Attachment { attached: false, ..a });
            uplink.retry = Some(now.mono + ATTACH_RETRY);
            out.events.push(EdgeOutput::NeedPlacement(id));
        }
    }

    /// Tells the origin of everybody here; each comes back with a number.
    fn report_members(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let members: Vec<_> = meeting.local.values().cloned().collect();
        for member in members {
            self.request_change(now, key, RosterChange::Put(member));
        }
    }

    /// Asks the origin to put a change into the roster. While there is none, nothing is lost: [`Self::report_members`] says
    /// everything when it is attached to.
    pub(super) fn request_change(&mut self, now: Now, key: usize, change: RosterChange) {
        self.say_up(now, key, Body::RosterRequest(change));
    }

    /// Says something to the origin, while it is attached to. A backlog closes the link, and what counts is said again after
    /// attaching anew.
    pub(super) fn say_up(&mut self, now: Now, key: usize, body: Body) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        if let Some(link) = meeting.uplink.control_link() {
            let _ = self.relay.say(now, link, meeting.id, meeting.epoch(), body);
        }
        self.meetings.touch(key);
    }

    /// Says to origin and head that nobody is left here, and forgets the meeting.
    pub(super) fn detach(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let (id, epoch, uplink) = (meeting.id, meeting.epoch(), &meeting.uplink);
        let links: Vec<LinkId> =
            [uplink.origin, uplink.head].into_iter().flatten().map(|a| a.link).collect();
        for link in links {
            let _ = self.relay.say(now, link, id, epoch, Body::Detach);
        }
        self.leave_tree(now, key);
        self.drain_hub(now, key, None);
        self.forget_meeting(key);
    }

    fn end_meeting(&mut self, now: Now, key: usize, reason: &str, out: &mut Outbox<EdgeOutput>) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let waiting = std::mem::take(&mut meeting.waiting).into_iter();
        for join in waiting.chain(std::mem::take(&mut meeting.lobby).into_values()) {
            let code = crate::signal::ErrorCode::NoMeeting;
            let text = format!("{reason}: check the link, or ask for a new one");
            out.events.extend(super::command::refusal(join.socket, code, text));
        }
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        meeting.tell_all(ServerMessage::Ended { reason: reason.to_owned() }, &mut out.events);
        let sockets: Vec<_> = meeting.sockets.values().copied().collect();
        for socket in sockets {
            if let Some(peer) = self.peers.of_socket(socket) {
                self.remove_peer(now, peer, out);
            }
            out.events.push(EdgeOutput::Close(socket));
        }
        self.forget_meeting(key);
    }

    /// This node, for those who count it.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.config.node
    }
}
