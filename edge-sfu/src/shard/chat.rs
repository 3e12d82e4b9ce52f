//! What people write: asked of the origin until it comes back in its place, then told to those who may read it.

use super::EdgeShard;
use super::command::{EdgeOutput, complaint};
use super::limits::CHAT_PENDING_MAX;
use super::meeting::EdgeMeeting;
use crate::signal::{ChatJson, ErrorCode, ServerMessage};
use relay_proto::control::{Body, ChatMessage, ChatPost};
use relay_proto::limits::CHAT_CHARS_MAX;
use relay_proto::roles::MemberRole;
use relay_proto::{Now, Outbox, ParticipantId};
use sfu_core::chat::ChatLog;
use std::collections::VecDeque;

const CHAT_LOCKED: &str = "only hosts may write just now";

/// Numbers in JSON are exact below this.
const KEY_MAX: u64 = 1 << 53;

/// One meeting's chat at an edge.
#[derive(Debug, Default)]
pub(super) struct Chat {
    log: ChatLog,
    /// What has not come back yet.
    pending: VecDeque<ChatPost>,
}

impl Chat {
    /// What a client that has just joined is told; nothing where nothing was written. Private messages are not for them: an id
    /// is given once.
    pub(super) fn message(&self) -> Option<ServerMessage> {
        let messages: Vec<ChatJson> = self.log.read_by(|_| false).map(ChatJson::from).collect();
        (!messages.is_empty()).then_some(ServerMessage::Chat { messages })
    }

    fn came_back(&mut self, message: &ChatMessage) {
        self.pending.retain(|post| post.key != message.post.key);
    }
}

impl EdgeMeeting {
    /// The origin tells what was written just now.
    pub(super) fn written(&mut self, message: ChatMessage, out: &mut Vec<EdgeOutput>) {
        self.chat.came_back(&message);
        if self.chat.log.keep(message.clone()) {
            self.tell_written(&message, out);
        }
    }

    /// The origin tells what was written before this edge attached; `counted` with the last part.
    pub(super) fn written_before(
        &mut self,
        messages: Vec<ChatMessage>,
        counted: Option<u64>,
        out: &mut Vec<EdgeOutput>,
    ) {
        for message in messages {
            self.chat.came_back(&message);
            if self.chat.log.merge(message.clone()) {
                self.tell_written(&message, out);
            }
        }
        if let Some(seq) = counted {
            self.chat.log.count_from(seq);
        }
    }

    fn is_host(&self, id: ParticipantId) -> bool {
        self.local.get(&id).is_some_and(|m| m.role == MemberRole::Host)
    }

    /// Only hosts may write now: who has written something that has not come back is told that it will not.
    pub(super) fn drop_pending_chat(&mut self, out: &mut Vec<EdgeOutput>) {
        let pending = std::mem::take(&mut self.chat.pending);
        let (kept, dropped) = pending.into_iter().partition(|post| self.is_host(post.from));
        self.chat.pending = kept;
        let dropped: VecDeque<ChatPost> = dropped;
        for socket in dropped.iter().filter_map(|post| self.sockets.get(&post.from)) {
            out.push(complaint(*socket, ErrorCode::Forbidden, CHAT_LOCKED));
        }
    }

    fn tell_written(&self, message: &ChatMessage, out: &mut Vec<EdgeOutput>) {
        let told = ServerMessage::Chat { messages: vec![ChatJson::from(message)] };
        let Some(to) = message.post.to else {
            return self.tell_all(told, out);
        };
        let from = message.post.from;
        let readers = [Some(from), (to != from).then_some(to)];
        for socket in readers.into_iter().flatten().filter_map(|p| self.sockets.get(&p)) {
            out.push(EdgeOutput::Send { socket: *socket, message: Box::new(told.clone()) });
        }
    }
}

impl EdgeShard {
    /// A participant writes something.
    pub(super) fn write(
        &mut self,
        now: Now,
        peer: usize,
        key: u64,
        to: Option<u32>,
        text: String,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(entry) = self.peers.get_mut(peer) else {
            return;
        };
        let (from, socket, meeting_key) = (entry.participant, entry.socket, entry.meeting);
        let Some(meeting) = self.meetings.get_mut(meeting_key) else {
            return;
        };
        let to = to.map(ParticipantId);
        let silent = meeting.settings.chat_locked && !meeting.is_host(from);
        let refused = if !entry.may_chat {
            Some((ErrorCode::Forbidden, "your token does not grant writing"))
        } else if silent {
            Some((ErrorCode::Forbidden, CHAT_LOCKED))
        } else if key >= KEY_MAX
            || text.trim().is_empty()
            || text.chars().take(CHAT_CHARS_MAX + 1).count() > CHAT_CHARS_MAX
        {
            Some((ErrorCode::Malformed, "a message has 1 to 2,000 characters and a key below 2^53"))
        } else if to.is_some_and(|to| !meeting.roster.has(to)) {
            Some((ErrorCode::OutOfOrder, "that participant has left"))
        } else if meeting.chat.pending.len() >= CHAT_PENDING_MAX || !entry.posts.take(now.mono) {
            Some((ErrorCode::TooMany, "too many messages: one a second; send it again in a moment"))
        } else {
            None
        };
        if let Some((code, text)) = refused {
            out.events.push(complaint(socket, code, text));
            return;
        }
        let name = meeting.local.get(&from).map(|m| m.name.clone()).unwrap_or_default();
        let post = ChatPost { key, from, name, to, text };
        meeting.chat.pending.push_back(post.clone());
        self.ask_to_write(now, meeting_key, post);
    }

    /// After attaching: what has not come back is said again. The origin knows each by its key.
    pub(super) fn write_again(&mut self, now: Now, key: usize) {
        let pending: Vec<ChatPost> = self
            .meetings
            .get(key)
            .map(|m| m.chat.pending.iter().cloned().collect())
            .unwrap_or_default();
        for post in pending {
            self.ask_to_write(now, key, post);
        }
    }

    fn ask_to_write(&mut self, now: Now, key: usize, post: ChatPost) {
        self.say_up(now, key, Body::ChatRequest(post));
    }

    /// A participant raises or lowers their hand.
    pub(super) fn raise_hand(&mut self, now: Now, peer: usize, raised: bool) {
        let Some(entry) = self.peers.get(peer) else {
            return;
        };
        let (key, participant) = (entry.meeting, entry.participant);
        self.change_member(now, key, participant, |member| member.hand = u64::from(raised));
    }
}
