//! The peers of one shard, and when each wants to be woken.

use super::command::{Join, SocketId};
use super::limits::{BURST, CHAT_EVERY, PAGE_EVERY};
use crate::peer::Peer;
use relay_proto::ParticipantId;
use sfu_core::alarms::Alarms;
use sfu_core::hub::PortId;
use slab::Slab;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One participant's peer with what the shard knows of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) peer: Peer,
    pub(super) meeting: usize,
    pub(super) port: PortId,
    pub(super) participant: ParticipantId,
    pub(super) socket: SocketId,
    pub(super) may_publish: bool,
    pub(super) may_chat: bool,
    pub(super) connected: bool,
    pub(super) posts: Pace,
    pub(super) pages: Pace,
}

/// How often a participant may do something: once in `every`, and [`BURST`] times at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    every: Duration,
    /// When the last would have been due at this pace.
    due: Option<Instant>,
}

impl Pace {
    fn new(every: Duration) -> Self {
        Self { every, due: None }
    }

    /// Whether it may be done now; then it counts as done.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let due = self.due.map_or(now, |due| due.max(now));
        let allowed = due < now + self.every * BURST;
        if allowed {
            self.due = Some(due + self.every);
        }
        allowed
    }
}

impl Entry {
    pub(super) fn new(
        peer: Peer,
        meeting: usize,
        port: PortId,
        participant: ParticipantId,
        join: &Join,
    ) -> Self {
        Self {
            peer,
            meeting,
            port,
            participant,
            socket: join.socket,
            may_publish: join.role().publishes(),
            may_chat: join.may_chat,
            connected: false,
            posts: Pace::new(CHAT_EVERY),
            pages: Pace::new(PAGE_EVERY),
        }
    }
}

/// All peers of a shard, by the key that the gate and the hubs know them by.
#[derive(Debug, Default)]
pub(super) struct Peers {
    slab: Slab<Entry>,
    by_socket: BTreeMap<SocketId, usize>,
    alarms: Alarms,
}

impl Peers {
    pub(super) fn next_key(&self) -> usize {
        self.slab.vacant_key()
    }

    pub(super) fn insert(&mut self, entry: Entry) -> usize {
        let socket = entry.socket;
        let key = self.slab.insert(entry);
        self.by_socket.insert(socket, key);
        self.rearm(key);
        key
    }

    pub(super) fn remove(&mut self, key: usize) -> Option<Entry> {
        let entry = self.slab.try_remove(key)?;
        if self.by_socket.get(&entry.socket) == Some(&key) {
            self.by_socket.remove(&entry.socket);
        }
        Some(entry)
    }

    pub(super) fn get(&self, key: usize) -> Option<&Entry> {
        self.slab.get(key)
    }

    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut Entry> {
        self.slab.get_mut(key)
    }

    pub(super) fn of_socket(&self, socket: SocketId) -> Option<usize> {
        self.by_socket.get(&socket).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Notes the peer's deadline after it was touched.
    pub(super) fn rearm(&mut self, key: usize) {
        let at = self.slab.get(key).and_then(|e| e.peer.deadline());
        self.alarms.arm(key, at);
    }

    /// Takes one peer whose deadline has passed.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        while let Some(key) = self.alarms.pop_due(now) {
            if self.slab.get(key).and_then(|e| e.peer.deadline()).is_some_and(|due| due <= now) {
                return Some(key);
            }
            self.rearm(key);
        }
        None
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.alarms.deadline()
    }
}
