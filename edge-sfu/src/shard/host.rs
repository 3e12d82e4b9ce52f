//! Roles, settings, and what hosts want done: asked of the origin, and carried out here when it says so.

use super::EdgeShard;
use super::command::{EdgeOutput, complaint, refusal};
use super::meeting::EdgeMeeting;
use crate::signal::{ErrorCode, HostActionJson, KnockerJson, MemberJson, ServerMessage};
use relay_proto::control::{Body, RosterChange};
use relay_proto::roles::{Barrier, HostAction, HostRefusal, MemberRole, Settings, Standing, may};
use relay_proto::{Now, Outbox, ParticipantId, TrackId, TrackKind};
use sfu_core::meetings::Meeting;

/// What the origin said of those who wait to be let in.
pub(super) type Knocking = (Vec<KnockerJson>, u32);

impl EdgeMeeting {
    pub(super) fn settings_message(&self) -> ServerMessage {
        let Settings { locked, waiting_room, chat_locked, pinned_share } = self.settings;
        let pinned_share = pinned_share.map(|p| p.0);
        ServerMessage::Settings { locked, waiting_room, chat_locked, pinned_share }
    }

    pub(super) fn knocking_message(&self) -> ServerMessage {
        let (people, total) = self.knocking.clone();
        ServerMessage::Knocking { people, total }
    }

    /// Hosts learn who waits.
    pub(super) fn set_knocking(&mut self, knocking: Knocking, out: &mut Vec<EdgeOutput>) {
        if self.knocking == knocking {
            return;
        }
        self.knocking = knocking;
        let message = self.knocking_message();
        for member in self.local.values().filter(|m| m.role == MemberRole::Host) {
            if let Some(socket) = self.sockets.get(&member.id) {
                let message = Box::new(message.clone());
                out.push(EdgeOutput::Send { socket: *socket, message });
            }
        }
    }

    /// The origin says how the meeting is set.
    pub(super) fn set_settings(&mut self, settings: Settings, out: &mut Vec<EdgeOutput>) {
        if self.settings == settings {
            return;
        }
        self.settings = settings;
        self.hub.pin_share(settings.pinned_share);
        self.tell_all(self.settings_message(), out);
        if settings.chat_locked {
            self.drop_pending_chat(out);
        }
    }

    /// What somebody of ours may do, by what is known here.
    fn standing(&self, id: ParticipantId) -> Option<Standing> {
        let member = self.local.get(&id).or_else(|| self.roster.get(id))?;
        Some(Standing { role: member.role, owner: member.owner })
    }
}

impl EdgeShard {
    /// A participant wants to act as host.
    pub(super) fn host_action(
        &mut self,
        now: Now,
        peer: usize,
        key: u32,
        action: HostActionJson,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(entry) = self.peers.get(peer) else {
            return;
        };
        let (from, socket) = (entry.participant, entry.socket);
        let Some(meeting) = self.meetings.get(entry.meeting) else {
            return;
        };
        let action = HostAction::from(action);
        let target = action.target().and_then(|id| meeting.standing(id));
        let actor = meeting.standing(from);
        let allowed = actor.is_some_and(|a| may(a, action, target, action.target() == Some(from)));
        let refused = match meeting.uplink.control_link() {
            _ if !allowed => Some(told(HostRefusal::NotAllowed)),
            None => Some("the meeting's origin cannot be reached just now: try again in a moment"),
            Some(link) => {
                let (id, epoch) = (meeting.id, meeting.epoch());
                let body = Body::HostRequest { key, from, action };
                self.relay.say(now, link, id, epoch, body).is_err().then_some(BUSY)
            }
        };
        if let Some(text) = refused {
            let message = ServerMessage::Done { key, refused: Some(text.to_owned()) };
            out.events.push(EdgeOutput::Send { socket, message: Box::new(message) });
        }
    }

    /// What the origin says of roles, settings and the door.
    pub(super) fn conduct(
        &mut self,
        now: Now,
        key: usize,
        body: Body,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        match body {
            Body::Settings(settings) => {
                meeting.informed = true;
                meeting.set_settings(settings, &mut out.events);
                self.enter_all(now, key, out);
            }
            Body::Knocking { people, total } => {
                let person =
                    |k: relay_proto::roles::Knocker| KnockerJson { id: k.id.0, name: k.name };
                let people = people.into_iter().map(person).collect();
                meeting.set_knocking((people, total), &mut out.events);
            }
            Body::HostAnswer { key, from, refused } => {
                if let Some(socket) = meeting.sockets.get(&from) {
                    let refused = refused.map(|r| told(r).to_owned());
                    let message = Box::new(ServerMessage::Done { key, refused });
                    out.events.push(EdgeOutput::Send { socket: *socket, message });
                }
            }
            Body::TurnedAway { participant, barrier } => {
                self.turned_away(now, key, participant, barrier, out)
            }
            Body::Command { by, action } => self.obey(now, key, by, action, out),
            _ => {}
        }
    }

    /// Carries out what a host wants, on participants here.
    fn obey(
        &mut self,
        now: Now,
        key: usize,
        by: ParticipantId,
        action: HostAction,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        match action {
            HostAction::Mute { target, kind } => self.silence(now, key, target, kind, by, out),
            HostAction::MuteAll { but_hosts } => {
                let heard = meeting.local.values().filter(|m| !m.mic_muted);
                let heard = heard.filter(|m| !(but_hosts && m.role == MemberRole::Host));
                for id in heard.map(|m| m.id).collect::<Vec<_>>() {
                    self.silence(now, key, id, TrackKind::Mic, by, out);
                }
            }
            HostAction::LowerHand { target } => {
                let raised = meeting.local.values().filter(|m| m.hand != 0);
                let lowered = raised.filter(|m| target.is_none_or(|t| t == m.id));
                for id in lowered.map(|m| m.id).collect::<Vec<_>>() {
                    self.change_member(now, key, id, |member| member.hand = 0);
                }
            }
            HostAction::Remove { target, .. } => {
                self.send_out(now, key, target, "a host has removed you from the meeting", out)
            }
            HostAction::Admit { target: Some(target) } => self.let_in(now, key, target, out),
            HostAction::Deny { target } => {
                let text = "the host did not let you in";
                self.send_away(now, key, target, ErrorCode::Forbidden, text, out);
            }
            _ => {}
        }
    }

    /// A host silences a source of somebody here.
    fn silence(
        &mut self,
        now: Now,
        key: usize,
        target: ParticipantId,
        kind: TrackKind,
        by: ParticipantId,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let socket = self.meetings.get(key).and_then(|m| m.sockets.get(&target).copied());
        let Some(socket) = socket else { return };
        let message = Box::new(ServerMessage::Muted { kind: kind.into(), by: by.0 });
        out.events.push(EdgeOutput::Send { socket, message });
        self.set_muted(now, key, target, kind, true);
    }

    /// A source of somebody here is silent from now on, or not any more.
    pub(super) fn set_muted(
        &mut self,
        now: Now,
        key: usize,
        participant: ParticipantId,
        kind: TrackKind,
        muted: bool,
    ) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        meeting.hub.mute(now, TrackId { participant, kind }, muted);
        self.change_member(now, key, participant, |member| match kind {
            TrackKind::Mic => member.mic_muted = muted,
            TrackKind::Camera => member.camera_off = muted,
            TrackKind::Screen => {}
        });
    }

    /// Sends somebody here out of the meeting.
    fn send_out(
        &mut self,
        now: Now,
        key: usize,
        target: ParticipantId,
        reason: &str,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let socket = self.meetings.get(key).and_then(|m| m.sockets.get(&target).copied());
        let Some(socket) = socket else { return };
        let message = Box::new(ServerMessage::Ended { reason: reason.to_owned() });
        out.events.push(EdgeOutput::Send { socket, message });
        if let Some(peer) = self.peers.of_socket(socket) {
            self.remove_peer(now, peer, out);
        }
        out.events.push(EdgeOutput::Close(socket));
    }

    /// The origin does not let somebody of ours in.
    fn turned_away(
        &mut self,
        now: Now,
        key: usize,
        participant: ParticipantId,
        barrier: Barrier,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let (code, text) = barred(barrier);
        self.send_away(now, key, participant, code, text, out);
        let socket = self.meetings.get(key).and_then(|m| m.sockets.get(&participant).copied());
        let Some(socket) = socket else { return };
        out.events.extend(refusal(socket, code, text));
        if let Some(peer) = self.peers.of_socket(socket) {
            self.remove_peer(now, peer, out);
        }
    }

    /// The roster says what somebody here may do now.
    pub(super) fn follow_roles(&mut self, now: Now, key: usize, out: &mut Outbox<EdgeOutput>) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let differs = |id: &ParticipantId, role: MemberRole| {
            meeting.roster.get(*id).is_some_and(|m| m.role != role)
        };
        let changed = meeting.local.iter().filter(|(id, m)| differs(id, m.role));
        let changed: Vec<_> = changed.map(|(id, _)| *id).collect();
        for id in changed {
            self.follow_role(now, key, id, out);
        }
    }

    /// As [`Self::follow_roles`], for one of them.
    pub(super) fn follow_role(
        &mut self,
        now: Now,
        key: usize,
        id: ParticipantId,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let (Some(role), Some(member)) =
            (meeting.roster.get(id).map(|m| m.role), meeting.local.get_mut(&id))
        else {
            return;
        };
        let Some(socket) = meeting.sockets.get(&id).copied() else {
            return;
        };
        if std::mem::replace(&mut member.role, role) == role {
            return;
        }
        if let Some(entry) = self.peers.of_socket(socket).and_then(|p| self.peers.get_mut(p)) {
            entry.may_publish = role.publishes();
        }
        let mut say = |message| {
            out.events.push(EdgeOutput::Send { socket, message: Box::new(message) });
        };
        say(ServerMessage::Role { role: role.into() });
        if role == MemberRole::Host {
            say(meeting.knocking_message());
        }
        if !role.publishes() {
            for kind in TrackKind::ALL {
                meeting.hub.withdraw(now, TrackId { participant: id, kind });
            }
            self.change_member(now, key, id, |member| {
                (member.mic_muted, member.camera_off) = (true, true);
            });
        }
        self.meetings.touch(key);
    }

    /// Changes what the roster says of somebody here.
    pub(super) fn change_member(
        &mut self,
        now: Now,
        key: usize,
        id: ParticipantId,
        change: impl FnOnce(&mut relay_proto::control::Member),
    ) {
        let member = self.meetings.get_mut(key).and_then(|m| m.local.get_mut(&id));
        let Some(member) = member else { return };
        change(member);
        let member = member.clone();
        self.request_change(now, key, RosterChange::Put(member));
        self.meetings.touch(key);
    }

    /// A participant wants to see a part of the roster.
    pub(super) fn roster_page(
        &mut self,
        now: Now,
        peer: usize,
        after: Option<u32>,
        search: Option<&str>,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(entry) = self.peers.get_mut(peer) else {
            return;
        };
        let (socket, key) = (entry.socket, entry.meeting);
        if !entry.pages.take(now.mono) {
            let text = "too many pages of the roster: one a second; try again in a moment";
            out.events.push(complaint(socket, ErrorCode::TooMany, text));
            return;
        }
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let (members, next) = meeting.roster.page(after.map(ParticipantId), search);
        let members = members.into_iter().map(MemberJson::from).collect();
        let message = ServerMessage::RosterPage { members, next: next.map(|id| id.0) };
        out.events.push(EdgeOutput::Send { socket, message: Box::new(message) });
    }
}

const BUSY: &str = "the meeting's origin is busy: try again in a moment";

fn told(refusal: HostRefusal) -> &'static str {
    match refusal {
        HostRefusal::NotAllowed => "your role does not allow that: ask a host",
        HostRefusal::Gone => "they have left, or wait no more",
    }
}

/// What somebody is told whom the door stops.
pub(super) fn barred(barrier: Barrier) -> (ErrorCode, &'static str) {
    match barrier {
        Barrier::Locked => (ErrorCode::Forbidden, "the meeting is locked: ask a host to unlock it"),
        Barrier::Blocked => (ErrorCode::Forbidden, "a host has removed you from the meeting"),
        Barrier::Waits => (ErrorCode::Unavailable, "a host must let you in: join again to wait"),
        Barrier::Full => (ErrorCode::Busy, "the meeting is full: try again when somebody has left"),
    }
}
