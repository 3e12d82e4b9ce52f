//! What hosts do: checked against their role, carried out here or by the edges concerned.

use crate::shard::OriginShard;
use relay_proto::control::{Body, Member};
use relay_proto::links::LinkId;
use relay_proto::roles::{HostAction, HostRefusal, Knocker, MemberRole, Standing, may};
use relay_proto::{Now, ParticipantId};

fn standing(member: &Member) -> Standing {
    Standing { role: member.role, owner: member.owner }
}

impl OriginShard {
    /// A participant wants something done.
    pub(crate) fn host_request(
        &mut self,
        now: Now,
        key: usize,
        link: LinkId,
        (request, from): (u32, ParticipantId),
        action: HostAction,
    ) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        // An edge speaks for its own participants only.
        if meeting.edge_of(link) != Some(from.node()) {
            return;
        }
        let (id, epoch) = (meeting.id, meeting.epoch);
        let refused = self.judge(key, from, action);
        if refused.is_none() {
            self.carry_out(now, key, from, action);
        }
        let answer = Body::HostAnswer { key: request, from, refused };
        let _ = self.relay.say(now, link, id, epoch, answer);
    }

    /// Why it may not be done.
    fn judge(&self, key: usize, from: ParticipantId, action: HostAction) -> Option<HostRefusal> {
        let meeting = self.meetings.get(key)?;
        let Some(actor) = meeting.roster.get(from).map(standing) else {
            return Some(HostRefusal::Gone);
        };
        let target = action.target();
        let present = target.and_then(|id| meeting.roster.get(id)).map(standing);
        if !may(actor, action, present, target == Some(from)) {
            return Some(HostRefusal::NotAllowed);
        }
        let at_door = matches!(action, HostAction::Admit { .. } | HostAction::Deny { .. });
        let there = |id| {
            if at_door { meeting.conduct.knocks(id) } else { meeting.roster.get(id).is_some() }
        };
        target.is_some_and(|id| !there(id)).then_some(HostRefusal::Gone)
    }

    fn carry_out(&mut self, now: Now, key: usize, by: ParticipantId, action: HostAction) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let conduct = &mut meeting.conduct;
        let before = conduct.settings;
        match action {
            HostAction::Remove { target, block } => {
                let identity = meeting.roster.get(target).map_or(0, |m| m.identity);
                if block {
                    conduct.block(identity);
                }
                self.command_edges(now, key, by, action);
            }
            HostAction::Mute { .. } | HostAction::MuteAll { .. } | HostAction::LowerHand { .. } => {
                self.command_edges(now, key, by, action)
            }
            HostAction::SetRole { target, role } => self.set_role(now, key, target, role),
            HostAction::HandOver { target } => {
                self.set_role(now, key, target, MemberRole::Host);
                self.set_role(now, key, by, MemberRole::Panelist);
            }
            HostAction::Reclaim => self.reclaim(now, key, by),
            HostAction::Lock(on) => conduct.settings.locked = on,
            HostAction::WaitingRoom(on) => {
                conduct.settings.waiting_room = on;
                if !on {
                    self.open_door(now, key, by, None);
                }
            }
            HostAction::LockChat(on) => conduct.settings.chat_locked = on,
            HostAction::PinShare { target } => conduct.settings.pinned_share = target,
            HostAction::Admit { target } => self.open_door(now, key, by, target),
            HostAction::Deny { target } => {
                conduct.forget(now.mono, |id| id == target);
                self.command_edges(now, key, by, action);
            }
        }
        let after = self.meetings.get(key).map(|m| m.conduct.settings);
        if let Some(settings) = after.filter(|s| *s != before) {
            self.tell_edges(now, key, &Body::Settings(settings));
        }
    }

    /// Has the edges do it: the one of the target, or all.
    fn command_edges(&mut self, now: Now, key: usize, by: ParticipantId, action: HostAction) {
        let command = Body::Command { by, action };
        let Some(target) = action.target() else {
            return self.tell_edges(now, key, &command);
        };
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let edge = meeting.edges.get(&target.node()).filter(|e| e.gone_at.is_none());
        if let Some(edge) = edge {
            let _ = self.relay.say(now, edge.link, meeting.id, meeting.epoch, command);
        }
    }

    fn set_role(&mut self, now: Now, key: usize, target: ParticipantId, role: MemberRole) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let identity = meeting.roster.get(target).map_or(0, |m| m.identity);
        meeting.conduct.gave(identity, role);
        if let Some(body) = meeting.roster.set_role(target, role) {
            self.tell_edges(now, key, &body);
        }
    }

    /// An owner leads again; who was made host by somebody does not any more.
    fn reclaim(&mut self, now: Now, key: usize, owner: ParticipantId) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let others = meeting.roster.hosts().filter(|m| !m.owner).map(|m| m.id);
        for id in others.collect::<Vec<_>>() {
            self.set_role(now, key, id, MemberRole::Panelist);
        }
        self.set_role(now, key, owner, MemberRole::Host);
    }

    fn open_door(
        &mut self,
        now: Now,
        key: usize,
        by: ParticipantId,
        target: Option<ParticipantId>,
    ) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        for id in meeting.conduct.open_door(now.mono, target) {
            self.command_edges(now, key, by, HostAction::Admit { target: Some(id) });
        }
    }

    /// Somebody waits at an edge's door.
    pub(crate) fn knock(&mut self, now: Now, key: usize, link: LinkId, knocker: Knocker) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let participant = knocker.id;
        if meeting.edge_of(link) != Some(participant.node()) {
            return;
        }
        let (id, epoch) = (meeting.id, meeting.epoch);
        if let Err(barrier) = meeting.conduct.knock(now.mono, knocker) {
            let _ = self.relay.say(now, link, id, epoch, Body::TurnedAway { participant, barrier });
        }
    }

    /// Somebody waits there no more.
    pub(crate) fn knock_ended(&mut self, now: Now, key: usize, link: LinkId, id: ParticipantId) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if meeting.edge_of(link) == Some(id.node()) {
            meeting.conduct.forget(now.mono, |knocks| knocks == id);
        }
    }

    /// Tells the edges, for their hosts, who waits.
    pub(crate) fn tell_knocking(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if meeting.conduct.is_due(now.mono) {
            let body = meeting.conduct.knocking();
            self.tell_edges(now, key, &body);
        }
    }
}
