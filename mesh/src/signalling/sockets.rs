//! Which socket is whose: the control runtime's table of open WebSockets.

use super::counters::SignalCounters;
use edge_sfu::shard::SocketId;
use edge_sfu::signal::ServerMessage;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Messages that wait for one slow socket: two seconds of a busy meeting at ten a second, and a snapshot. One more and
/// the socket is closed: a control message never silently disappears.
pub(super) const BACKLOG: usize = 64;

/// What is sent to one socket.
#[derive(Debug)]
pub(super) enum Outgoing {
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
    table: Arc<Mutex<HashMap<SocketId, mpsc::Sender<Outgoing>>>>,
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
    pub(super) fn open(&self) -> (SocketId, mpsc::Receiver<Outgoing>) {
        let id = SocketId(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, receiver) = mpsc::channel(BACKLOG);
        self.lock().insert(id, sender);
        (id, receiver)
    }

    /// The socket is gone.
    pub fn close(&self, id: SocketId) {
        self.lock().remove(&id);
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
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
        for id in ids {
            let slow = table
                .get(id)
                .is_some_and(|queue| queue.try_send(Outgoing::Text(text.clone())).is_err());
            if slow {
                self.counters.slow();
                table.remove(id);
            }
        }
    }

    /// Lets a socket close after what was queued.
    pub fn finish(&self, id: SocketId) {
        let mut table = self.lock();
        if let Some(queue) = table.remove(&id) {
            // When the queue is full its end alone closes the socket.
            let _ = queue.try_send(Outgoing::Close);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SocketId, mpsc::Sender<Outgoing>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
