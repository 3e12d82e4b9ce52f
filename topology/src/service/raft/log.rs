//! Raft's log store: all of the log in memory, and a task that writes it down.
//!
//! The writer takes all changes that wait and commits them together: one commit, however many entries and votes arrived
//! during the last. Whoever needs to know is told afterwards.

use super::disk::Disk;
use super::log_file::{Change, Content, LogFile};
use super::records::seal;
use super::types::{Entry, LogId, Runtime, Types, Vote};
use crate::limits::GROUP_COMMIT_MAX;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{AsyncRuntime, OptionalSend};
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// What the writer is asked for, and who waits for it.
enum Order {
    Write(Change, Done),
    /// Close the file.
    Close(oneshot::Sender<()>),
}

/// Who waits for a change.
enum Done {
    Nobody,
    Caller(oneshot::Sender<io::Result<()>>),
    Raft(IOFlushed<Types>),
}

impl Done {
    fn tell(self, result: io::Result<()>) {
        match self {
            Self::Nobody => {}
            Self::Caller(waiting) => {
                let _ = waiting.send(result);
            }
            Self::Raft(flushed) => flushed.io_completed(result),
        }
    }
}

/// The log store. Clones share one log; they are its readers.
#[derive(Clone)]
pub(crate) struct LogStore {
    content: Arc<Mutex<Content>>,
    /// Not bounded: what waits here are entries of requests in flight, and those are bounded.
    writer: mpsc::UnboundedSender<Order>,
}

impl LogStore {
    /// Starts the writer of an open file. Needs a scope of [`Runtime`].
    pub(super) fn start(file: LogFile, content: Content, disk: Disk) -> Self {
        let (writer, orders) = mpsc::unbounded_channel();
        drop(Runtime::spawn(write(file, orders, disk)));
        Self { content: Arc::new(Mutex::new(content)), writer }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, change: Change, done: Done) -> io::Result<()> {
        let gone = |_| io::Error::other("the log is closed");
        self.writer.send(Order::Write(change, done)).map_err(gone)
    }

    /// Closes the file after all that was ordered; nothing can be written any more.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.writer.send(Order::Close(done)).is_ok() {
            // The writer has ended already: then it is closed.
            let _ = closed.await;
        }
    }

    /// Whether this member has ever taken part in anything.
    pub(super) fn is_empty(&self) -> bool {
        let content = self.content();
        content.vote.is_none() && content.purged.is_none() && content.entries.is_empty()
    }
}

/// Writes until nobody orders any more, or it shall close. When the disk fails, every order from then on does.
async fn write(file: LogFile, mut orders: mpsc::UnboundedReceiver<Order>, disk: Disk) {
    let file = Arc::new(file);
    let mut batch = Vec::with_capacity(GROUP_COMMIT_MAX);
    let mut failed: Option<String> = None;
    let mut closing = None;
    while closing.is_none() && orders.recv_many(&mut batch, GROUP_COMMIT_MAX).await > 0 {
        let (mut changes, mut waiting) = (Vec::new(), Vec::new());
        for order in batch.drain(..) {
            match order {
                Order::Write(change, done) => {
                    changes.push(change);
                    waiting.push(done);
                }
                Order::Close(done) => closing = Some(done),
            }
        }
        if failed.is_none() && !changes.is_empty() {
            let file = file.clone();
            let written = disk.run(move || file.commit(&changes)).await.and_then(|result| result);
            if let Err(error) = written {
                tracing::error!(%error, "the log cannot be written");
                failed = Some(error.to_string());
            }
        }
        for done in waiting {
            done.tell(failed.as_ref().map_or(Ok(()), |why| Err(io::Error::other(why.clone()))));
        }
    }
    drop(file);
    if let Some(closed) = closing {
        let _ = closed.send(());
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        Ok(self.content().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.content().vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let content = self.content();
        let last = content.entries.values().next_back().map(RaftEntry::log_id);
        Ok(LogState {
            last_purged_log_id: content.purged,
            last_log_id: last.or(content.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.order(Change::Vote(*vote), Done::Caller(done))?;
        written.await.map_err(io::Error::other)??;
        self.content().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.content().committed = committed;
        self.order(Change::Committed(committed), Done::Nobody)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.content().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut content = self.content();
            for entry in entries {
                records.push((entry.index(), seal(&entry)?));
                content.entries.insert(entry.index(), entry);
            }
        }
        self.order(Change::Append(records), Done::Raft(callback))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        drop(self.content().entries.split_off(&from));
        self.order(Change::Truncate { from }, Done::Nobody)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        {
            let mut content = self.content();
            let kept = content.entries.split_off(&(upto.index + 1));
            content.entries = kept;
            content.purged = Some(upto);
        }
        self.order(Change::Purge(upto), Done::Nobody)
    }
}
