//! Raft's state machine: the topology's `apply`, the feed of watchers, and snapshots.

use super::disk::{Disk, Shelf};
use super::records::damaged;
use super::snapshot::{Content, Meta, decode, encode};
use super::types::{Entry, LogId, Member, Outcome, Proposal, StoredMembership, Types};
use crate::model::Change;
use crate::protocol::FrameError;
use crate::service::core::Subscription;
use crate::service::feed::Feed;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::{EntryPayload, OptionalSend};
use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A snapshot's bytes, as [`super::snapshot`] draws them.
pub(crate) type SnapshotData = Cursor<Vec<u8>>;
pub(crate) type Snapshot = SnapshotOf<Types, SnapshotData>;
type SnapshotMeta = SnapshotMetaOf<Types>;

/// What has been applied.
struct Applied {
    meta: Meta,
    content: Content,
    feed: Feed,
    changes: Vec<Change>,
}

/// The state machine. Clones share one state.
#[derive(Clone)]
pub(crate) struct Machine {
    applied: Arc<Mutex<Applied>>,
    shelf: Arc<dyn Shelf>,
    /// Last index of the snapshot on the shelf: one that was being built must not replace a newer one that was installed.
    shelved: Arc<Mutex<Option<u64>>>,
    disk: Disk,
}

impl Machine {
    /// Reads the last snapshot. Blocks.
    ///
    /// # Errors
    /// The disk's, or what is damaged.
    pub(super) fn open(shelf: Arc<dyn Shelf>, disk: Disk) -> io::Result<Self> {
        let (meta, content) = match shelf.read()? {
            Some(bytes) => decode(&bytes)?,
            None => Default::default(),
        };
        let feed = Feed::new(content.cluster);
        let shelved = Arc::new(Mutex::new(meta.last.map(|last| last.index)));
        let applied = Applied { meta, content, feed, changes: Vec::new() };
        Ok(Self { applied: Arc::new(Mutex::new(applied)), shelf, shelved, disk })
    }

    /// Entries up to `purged` are not in the log any more: the snapshot must have them.
    ///
    /// # Errors
    /// It has not.
    pub(super) fn check_reaches(&self, purged: Option<LogId>) -> io::Result<()> {
        let last = self.applied().meta.last;
        if last < purged {
            return Err(damaged("the snapshot is older than what the log has given up"));
        }
        Ok(())
    }

    /// Writes a snapshot, unless a newer one is there. Off the async threads.
    async fn shelve(&self, meta: Meta, bytes: Vec<u8>) -> io::Result<Snapshot> {
        let (shelf, shelved) = (self.shelf.clone(), self.shelved.clone());
        let write = move || {
            let mut shelved = shelved.lock().unwrap_or_else(PoisonError::into_inner);
            let last = meta.last.map(|last| last.index);
            if last >= *shelved {
                shelf.write(&bytes)?;
                *shelved = last;
            }
            Ok(snapshot(meta, bytes))
        };
        self.disk.run(write).await?
    }

    fn applied(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the state. Nothing is applied meanwhile, so be short.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Content) -> T) -> T {
        look(&self.applied().content)
    }

    /// The members, by id, as far as this one has applied the log.
    pub(super) fn members(&self) -> BTreeMap<u64, Member> {
        let applied = self.applied();
        applied.meta.membership.membership().nodes().map(|(id, n)| (*id, n.clone())).collect()
    }

    /// A watcher's place; none before the cluster was founded.
    pub(super) fn subscribe(&self) -> Option<Result<Subscription, FrameError>> {
        let applied = &mut *self.applied();
        (applied.content.cluster != 0).then(|| applied.feed.subscribe(&applied.content.state))
    }

    /// Does not keep what no watcher asks for any more.
    pub(super) fn forget_old_snapshot(&self) {
        let applied = &mut *self.applied();
        applied.feed.forget_old_snapshot(&applied.content.state);
    }
}

impl Applied {
    fn apply(&mut self, entry: Entry) -> Outcome {
        let outcome = match entry.payload {
            EntryPayload::Blank => Outcome::Nothing,
            EntryPayload::Normal(Proposal::Found { cluster }) => {
                if self.content.cluster == 0 {
                    self.content.cluster = cluster;
                    self.feed = Feed::new(cluster);
                }
                Outcome::Nothing
            }
            EntryPayload::Normal(Proposal::Command(command)) => {
                Outcome::Answer(self.content.state.apply(&command, &mut self.changes))
            }
            EntryPayload::Membership(membership) => {
                let next = StoredMembership::new(Some(entry.log_id), membership);
                let before = std::mem::replace(&mut self.meta.membership, next);
                let now = self.meta.membership.membership();
                let gone = before.membership().nodes().map(|(id, _)| *id);
                let gone: Vec<u64> = gone.filter(|id| now.get_node(id).is_none()).collect();
                self.content.retired.extend(gone);
                Outcome::Nothing
            }
        };
        self.meta.last = Some(entry.log_id);
        outcome
    }

    fn publish(&mut self) -> Result<(), FrameError> {
        self.feed.publish(&self.content.state, &mut self.changes)
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let applied = self.applied();
        Ok((applied.meta.last, applied.meta.membership.clone()))
    }

    /// Watchers are told before whoever asked is answered, so that nobody acts on what he could not have seen.
    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        let mut outcome = Ok(());
        loop {
            match entries.try_next().await {
                Ok(Some((entry, responder))) => {
                    let reply = self.applied().apply(entry);
                    answers.extend(responder.map(|responder| (responder, reply)));
                }
                Ok(None) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.applied().publish().map_err(io::Error::other)?;
        for (responder, reply) in answers {
            responder.send(reply);
        }
        outcome
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let bytes = snapshot.into_inner();
        let read = move || decode(&bytes).map(|(meta, content)| (meta, content, bytes));
        let (meta, content, bytes) = self.disk.run(read).await??;
        self.shelve(meta.clone(), bytes).await?;
        let mut applied = self.applied();
        // Watchers of the feed before notice that it has ended, and get a new snapshot of theirs.
        applied.feed = Feed::new(content.cluster);
        (applied.meta, applied.content) = (meta, content);
        applied.changes.clear();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let shelf = self.shelf.clone();
        let read = move || match shelf.read()? {
            Some(bytes) => decode(&bytes).map(|(meta, _)| Some((meta, bytes))),
            None => Ok(None),
        };
        let found = self.disk.run(read).await??;
        Ok(found.map(|(meta, bytes)| snapshot(meta, bytes)))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (meta, content) = {
            let applied = self.applied();
            (applied.meta.clone(), applied.content.clone())
        };
        let build = move || encode(&meta, &content).map(|bytes| (meta, bytes));
        let (meta, bytes) = self.disk.run(build).await??;
        self.shelve(meta, bytes).await
    }
}

/// Raft's view of a snapshot.
pub(super) fn snapshot(meta: Meta, bytes: Vec<u8>) -> Snapshot {
    let Meta { last, membership } = meta;
    let meta = SnapshotMeta { last_log_id: last, last_membership: membership };
    Snapshot { meta, snapshot: Cursor::new(bytes) }
}

