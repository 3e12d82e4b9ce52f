//! The peers of one shard, and when each wants to be woken.

use super::command::{Join, SocketId};
use crate::peer::Peer;
use relay_proto::ParticipantId;
use sfu_core::alarms::Alarms;
use sfu_core::hub::PortId;
use slab::Slab;
use std::collections::BTreeMap;
use std::time::Instant;

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
    /// When, at one message a second, this participant's last message would have been due.
    pub(super) chat_due: Option<Instant>,
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
            may_publish: join.may_publish,
            may_chat: join.may_chat,
            connected: false,
            chat_due: None,
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
