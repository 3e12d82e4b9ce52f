//! Who waits at the door: their join is kept until a host lets them in.

use super::command::{EdgeOutput, Join, refusal};
use super::host::barred;
use super::limits::LOBBY_MAX;
use super::{EdgeShard, SocketId};
use crate::signal::{ErrorCode, ServerMessage};
use relay_proto::control::Body;
use relay_proto::roles::{Barrier, Knocker};
use relay_proto::{Now, Outbox, ParticipantId};

impl EdgeShard {
    /// A join whose meeting has a place: in, to the door, or away.
    pub(super) fn enter(&mut self, now: Now, key: usize, join: Join, out: &mut Outbox<EdgeOutput>) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let settings = meeting.settings;
        if join.owner {
            let id = self.next_participant();
            return self.admit(now, key, id, join, out);
        }
        if settings.locked {
            return self.turn_down(now, key, &join, Barrier::Locked, out);
        }
        if !(join.wait || settings.waiting_room) {
            let id = self.next_participant();
            return self.admit(now, key, id, join, out);
        }
        if meeting.lobby.len() >= LOBBY_MAX {
            return self.turn_down(now, key, &join, Barrier::Full, out);
        }
        let id = self.next_participant();
        let message = Box::new(ServerMessage::Waiting);
        out.events.push(EdgeOutput::Send { socket: join.socket, message });
        if let Some(meeting) = self.meetings.get_mut(key) {
            meeting.lobby.insert(id, join);
        }
        self.say_knock(now, key, id);
    }

    /// Lets in who waited for the placement, or for the origin to say how the meeting is set.
    pub(super) fn enter_all(&mut self, now: Now, key: usize, out: &mut Outbox<EdgeOutput>) {
        let Some(meeting) = self.meetings.get_mut(key).filter(|m| m.is_open(now.mono)) else {
            return;
        };
        for join in std::mem::take(&mut meeting.waiting) {
            self.enter(now, key, join, out);
        }
    }

    fn turn_down(
        &mut self,
        now: Now,
        key: usize,
        join: &Join,
        barrier: Barrier,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let (code, text) = barred(barrier);
        out.events.extend(refusal(join.socket, code, text));
        self.forget_if_empty(now, key);
    }

    fn say_knock(&mut self, now: Now, key: usize, id: ParticipantId) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let Some(join) = meeting.lobby.get(&id) else {
            return;
        };
        let name = super::join::display_name(&join.name);
        let knock = Body::Knock(Knocker { id, name, identity: join.identity });
        self.say_up(now, key, knock);
    }

    /// After attaching: the origin is told who waits here.
    pub(super) fn knock_again(&mut self, now: Now, key: usize) {
        let Some(meeting) = self.meetings.get(key) else {
            return;
        };
        let waiting: Vec<ParticipantId> = meeting.lobby.keys().copied().collect();
        for id in waiting {
            self.say_knock(now, key, id);
        }
    }

    /// A host lets somebody in.
    pub(super) fn let_in(
        &mut self,
        now: Now,
        key: usize,
        id: ParticipantId,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let join = self.meetings.get_mut(key).and_then(|m| m.lobby.remove(&id));
        if let Some(join) = join {
            self.admit(now, key, id, join, out);
        }
    }

    /// Somebody who waits is not let in.
    pub(super) fn send_away(
        &mut self,
        now: Now,
        key: usize,
        id: ParticipantId,
        code: ErrorCode,
        text: &str,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let join = self.meetings.get_mut(key).and_then(|m| m.lobby.remove(&id));
        if let Some(join) = join {
            out.events.extend(refusal(join.socket, code, text));
            self.forget_if_empty(now, key);
        }
    }

    /// Whether this socket's join waits somewhere: for a placement, or at the door.
    pub(super) fn waits(&self, socket: SocketId) -> bool {
        self.meetings.iter().any(|m| {
            m.waiting.iter().any(|j| j.socket == socket)
                || m.lobby.values().any(|j| j.socket == socket)
        })
    }

    /// A socket is gone whose join has not been answered.
    pub(super) fn stop_waiting(&mut self, now: Now, socket: SocketId) {
        for key in self.meetings.keys() {
            let Some(meeting) = self.meetings.get_mut(key) else {
                continue;
            };
            let known = meeting.waiting.len();
            meeting.waiting.retain(|join| join.socket != socket);
            let at_door = meeting.lobby.iter().find(|(_, join)| join.socket == socket);
            let at_door = at_door.map(|(id, _)| *id);
            if let Some(id) = at_door {
                meeting.lobby.remove(&id);
                self.say_up(now, key, Body::KnockEnded(id));
            } else if meeting.waiting.len() == known {
                continue;
            }
            return self.forget_if_empty(now, key);
        }
    }
}
