//! What people write in a meeting: the last of it, in the order the origin gave it.

use relay_proto::ParticipantId;
use relay_proto::control::{ChatMessage, ChatPost};
use relay_proto::limits::CHAT_CHARS_MAX;
use std::collections::VecDeque;

/// Messages that are kept for those who come later.
pub const CHAT_KEPT_MAX: usize = 200;
/// And the bytes of their texts: what a client that joins is told fits into half a signalling frame.
pub const CHAT_KEPT_BYTES_MAX: usize = 64 * 1024;

/// The last messages of one meeting: at its origin all of them, at an edge those that concern its participants.
#[derive(Debug, Default)]
pub struct ChatLog {
    /// Number of the last message.
    seq: u64,
    bytes: usize,
    messages: VecDeque<ChatMessage>,
}

impl ChatLog {
    /// At the origin: gives a message its place. `None`: it has one already, or is empty or too long.
    pub fn post(&mut self, at_ms: u64, post: ChatPost) -> Option<&ChatMessage> {
        let text = post.text.trim();
        let fits =
            !text.is_empty() && text.chars().take(CHAT_CHARS_MAX + 1).count() <= CHAT_CHARS_MAX;
        if !fits || self.knows(post.key) {
            return None;
        }
        self.seq += 1;
        self.push(ChatMessage { seq: self.seq, at_ms, post });
        self.messages.back()
    }

    /// At an edge: keeps a message; whether it is new.
    pub fn keep(&mut self, message: ChatMessage) -> bool {
        if message.seq <= self.seq {
            return false;
        }
        self.seq = message.seq;
        self.merge(message)
    }

    /// At an edge that attached anew: keeps a message of the origin's history; whether it is new. Another origin than before
    /// counts anew, so the key alone tells.
    pub fn merge(&mut self, message: ChatMessage) -> bool {
        let is_new = !self.knows(message.post.key);
        if is_new {
            self.push(message);
        }
        is_new
    }

    /// After the history: the origin has counted so far.
    pub fn count_from(&mut self, seq: u64) {
        self.seq = seq;
    }

    /// Number of the last message.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Whether a message with this key is kept.
    #[must_use]
    pub fn knows(&self, key: u64) -> bool {
        self.messages.iter().any(|m| m.post.key == key)
    }

    /// What may be read by those for whom `reads` is true, oldest first.
    pub fn read_by(
        &self,
        reads: impl Fn(ParticipantId) -> bool,
    ) -> impl Iterator<Item = &ChatMessage> {
        self.messages.iter().filter(move |m| match m.post.to {
            None => true,
            Some(to) => reads(to) || reads(m.post.from),
        })
    }

    fn push(&mut self, message: ChatMessage) {
        self.bytes += message.post.text.len();
        self.messages.push_back(message);
        while self.messages.len() > CHAT_KEPT_MAX || self.bytes > CHAT_KEPT_BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= oldest.post.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(key: u64, to: Option<u32>, text: &str) -> ChatPost {
        ChatPost {
            key,
            from: ParticipantId(1),
            name: "Ada".into(),
            to: to.map(ParticipantId),
            text: text.into(),
        }
    }

    #[test]
    fn each_message_gets_one_number_however_often_it_is_said() {
        let mut log = ChatLog::default();
        assert_eq!(log.post(5, post(1, None, "a")).map(|m| (m.seq, m.at_ms)), Some((1, 5)));
        assert_eq!(log.post(6, post(1, None, "a")), None);
        assert_eq!(log.post(6, post(2, None, "a")).map(|m| m.seq), Some(2));
        for bad in ["", " \n", &"x".repeat(CHAT_CHARS_MAX + 1)] {
            assert_eq!(log.post(7, post(3, None, bad)), None);
        }
        assert!(log.post(7, post(3, None, &"\u{1F600}".repeat(CHAT_CHARS_MAX))).is_some());
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_bytes() {
        let mut log = ChatLog::default();
        (0..300).for_each(|key| assert!(log.post(0, post(key, None, "x")).is_some()));
        assert_eq!(log.read_by(|_| false).count(), CHAT_KEPT_MAX);
        let long = "x".repeat(CHAT_CHARS_MAX);
        (300..400).for_each(|key| assert!(log.post(0, post(key, None, &long)).is_some()));
        let bytes: usize = log.read_by(|_| false).map(|m| m.post.text.len()).sum();
        assert!(bytes <= CHAT_KEPT_BYTES_MAX && bytes > CHAT_KEPT_BYTES_MAX - CHAT_CHARS_MAX);
        assert_eq!(log.seq(), 400);
    }

    #[test]
    fn a_private_message_is_for_two() {
        let mut log = ChatLog::default();
        log.post(0, post(1, Some(9), "psst"));
        log.post(0, post(2, None, "hi"));
        let keys = |who: u32| -> Vec<u64> {
            log.read_by(|p| p == ParticipantId(who)).map(|m| m.post.key).collect()
        };
        assert_eq!([keys(1), keys(9), keys(5)], [vec![1, 2], vec![1, 2], vec![2]]);
    }

    #[test]
    fn an_edge_keeps_each_once_and_follows_a_new_origin() {
        let (mut origin, mut edge) = (ChatLog::default(), ChatLog::default());
        let first = origin.post(0, post(1, None, "a")).cloned().unwrap();
        assert!(edge.keep(first.clone()));
        assert!(!edge.keep(first.clone()), "again after attaching anew");
        let mut other = ChatLog::default();
        let second = other.post(0, post(2, None, "b")).cloned().unwrap();
        assert!(!edge.merge(first), "known by its key, whatever its number");
        assert!(
            edge.merge(second.clone()),
            "the same number as the first has with the origin before"
        );
        edge.count_from(other.seq());
        assert!(!edge.keep(second));
        assert!(edge.keep(other.post(0, post(3, None, "c")).cloned().unwrap()));
        assert_eq!(edge.read_by(|_| false).count(), 3);
    }
}
