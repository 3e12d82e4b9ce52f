//! Which socket is whose: the control runtime's table of open WebSockets.

use super::carried::{Carried, Told};
use super::counters::SignalCounters;
use edge_sfu::shard::SocketId;
use edge_sfu::signal::ServerMessage;
use relay_proto::MeetingId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Messages that wait for one slow socket: two seconds of a busy meeting at ten a second, and a snapshot. One more and
/// the socket is closed: a control message never silently disappears.
pub(super) const BACKLOG: usize = 64;

/// What is sent to one socket.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// This text.
    Text(Arc<str>),
    /// Close after what was sent before.
    Close,
}

/// All open sockets of a node.
#[derive(Clone, Debug)]
pub struct Sockets {
    counters: SignalCounters,
    next: Arc<AtomicU64>,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    sockets: HashMap<SocketId, Entry>,
    /// Meetings that some socket has asked to enter.
    meetings: HashMap<MeetingId, Carried>,
}

#[derive(Debug)]
struct Entry {
    queue: mpsc::Sender<Outgoing>,
    /// The meeting and the `sub` of the token it joined with.
    whose: Option<(MeetingId, String)>,
}

impl Table {
    fn remove(&mut self, id: SocketId) -> Option<Entry> {
        let entry = self.sockets.remove(&id)?;
        if let Some((meeting, _)) = &entry.whose
            && let Some(carried) = self.meetings.get_mut(meeting)
        {
            carried.sockets -= 1;
            if carried.sockets == 0 {
                self.meetings.remove(meeting);
            }
        }
        Some(entry)
    }

    /// Keeps the copy of the roster that is told.
    fn observe(&mut self, ids: &[SocketId], message: &ServerMessage) {
        if !matches!(message, ServerMessage::Roster { .. }) {
            return;
        }
        let whose = |id| self.sockets.get(id).and_then(|entry| entry.whose.as_ref());
        let meeting = ids.iter().find_map(whose).map(|(meeting, _)| *meeting);
        if let Some(carried) = meeting.and_then(|meeting| self.meetings.get_mut(&meeting)) {
            carried.told(message);
        }
    }
}

impl Sockets {
    /// None yet.
    #[must_use]
    pub fn new(counters: SignalCounters) -> Self {
        Self { counters, next: Arc::default(), table: Arc::default() }
    }

    /// What was counted of them.
    pub(super) fn counters(&self) -> &SignalCounters {
        &self.counters
    }

    /// A number and a queue for a socket that has just opened.
    #[must_use]
    pub(crate) fn open(&self) -> (SocketId, mpsc::Receiver<Outgoing>) {
        let id = SocketId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, receiver) = mpsc::channel(BACKLOG);
        self.lock().sockets.insert(id, Entry { queue: sender, whose: None });
        (id, receiver)
    }

    /// A socket asks to enter a meeting with the token of `sub`.
    pub(crate) fn joins(&self, id: SocketId, meeting: MeetingId, sub: String) {
        let mut table = self.lock();
        let Some(entry) = table.sockets.get_mut(&id) else { return };
        if entry.whose.replace((meeting, sub)).is_none() {
            table.meetings.entry(meeting).or_default().sockets += 1;
        }
    }

    /// Everybody in a meeting, as the sockets here were told; nothing when no socket here is in it.
    #[must_use]
    pub fn roster(&self, meeting: MeetingId) -> Option<Told> {
        self.lock().meetings.get(&meeting).and_then(Carried::roster)
    }

    /// Lets every socket close that joined `meeting` as `sub`; how many there were.
    #[must_use]
    pub fn leave(&self, meeting: MeetingId, sub: &str) -> usize {
        let own =
            |entry: &Entry| entry.whose.as_ref().is_some_and(|(m, s)| *m == meeting && s == sub);
        let ids: Vec<SocketId> =
            self.lock().sockets.iter().filter(|(_, e)| own(e)).map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| self.finish(*id));
        ids.len()
    }

    /// The socket is gone.
    pub fn close(&self, id: SocketId) {
        self.lock().remove(id);
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().sockets.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Queues a message for some sockets; it is encoded once. A socket that is too slow loses its place: its queue ends,
    /// and with it the socket.
    pub fn send(&self, ids: &[SocketId], message: &ServerMessage) {
        if let ServerMessage::Error { code, .. } = message {
            ids.iter().for_each(|_| self.counters.error(*code));
        }
        let Ok(text) = serde_json::to_string(message) else { return };
        let text: Arc<str> = text.into();
        let mut table = self.lock();
        table.observe(ids, message);
        for id in ids {
            let slow = table
                .sockets
                .get(id)
                .is_some_and(|e| e.queue.try_send(Outgoing::Text(text.clone())).is_err());
            if slow {
                self.counters.slow();
                table.remove(*id);
            }
        }
    }

    /// Lets a socket close after what was queued.
    pub fn finish(&self, id: SocketId) {
        let entry = self.lock().remove(id);
        if let Some(entry) = entry {
            // When the queue is full its end alone closes the socket.
            let _ = entry.queue.try_send(Outgoing::Close);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
