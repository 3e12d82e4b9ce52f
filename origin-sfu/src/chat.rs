//! What people write, in the one order that everybody sees.

use crate::shard::OriginShard;
use relay_proto::control::{Body, ChatMessage, ChatPost};
use relay_proto::limits::CHAT_HISTORY_MAX;
use relay_proto::links::LinkId;
use relay_proto::roles::MemberRole;
use relay_proto::{NodeId, Now};
use sfu_core::chat::ChatLog;

impl OriginShard {
    /// Gives a message its number and tells the edges whose participants may read it.
    pub(crate) fn chat(&mut self, now: Now, key: usize, link: LinkId, post: ChatPost) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        // An edge speaks for its own participants only.
        if meeting.edge_of(link) != Some(post.from.node()) {
            return;
        }
        let role = meeting.roster.get(post.from).map(|m| m.role);
        if meeting.conduct.settings.chat_locked && role != Some(MemberRole::Host) {
            return;
        }
        let Some(message) = meeting.chat.post(now.wall.unix_ms(), post).cloned() else {
            return;
        };
        let readers = [Some(message.post.from.node()), message.post.to.map(|to| to.node())];
        let (id, epoch) = (meeting.id, meeting.epoch);
        let reads = |node: &NodeId| message.post.to.is_none() || readers.contains(&Some(*node));
        let present = meeting.edges.iter().filter(|(_, e)| e.gone_at.is_none());
        let links: Vec<LinkId> = present.filter(|(n, _)| reads(n)).map(|(_, e)| e.link).collect();
        for link in links {
            // A backlog closes the link; the edge attaches anew and is told the history.
            let _ = self.relay.say(now, link, id, epoch, Body::Chat(message.clone()));
        }
    }
}

/// What an edge that attached is told of what was written.
pub(crate) fn history(chat: &ChatLog, edge: NodeId) -> Vec<Body> {
    let messages: Vec<ChatMessage> = chat.read_by(|p| p.node() == edge).cloned().collect();
    let parts: Vec<&[ChatMessage]> =
        if messages.is_empty() { vec![&[]] } else { messages.chunks(CHAT_HISTORY_MAX).collect() };
    let last = parts.len() - 1;
    let part = |(i, part): (usize, &&[ChatMessage])| Body::ChatHistory {
        seq: chat.seq(),
        messages: part.to_vec(),
        last: i == last,
    };
    parts.iter().enumerate().map(part).collect()
}
