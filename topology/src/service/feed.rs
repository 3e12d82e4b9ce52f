//! What watchers are told: snapshots and updates, encoded once for all of them.

use super::core::Subscription;
use crate::limits::{SNAPSHOT_PART_ENTRIES, UPDATE_ENTRIES_MAX, WATCH_BACKLOG};
use crate::model::{Change, State};
use crate::protocol::{Entry, FrameError, WatchItem, encode};
use std::sync::Arc;
use tokio::sync::broadcast;

/// Frames, ready to be written.
pub(super) type Frames = Arc<Vec<Vec<u8>>>;

/// One step of the state, in as many frames as it takes.
#[derive(Clone, Debug)]
pub(super) struct Update {
    pub(super) revision: u64,
    pub(super) frames: Frames,
}

/// The source all watchers drink from.
#[derive(Debug)]
pub(super) struct Feed {
    cluster: u64,
    updates: broadcast::Sender<Update>,
    /// The last snapshot: after a restart everybody asks for the same one.
    snapshot: Option<(u64, Frames)>,
}

impl Feed {
    pub(super) fn new(cluster: u64) -> Self {
        Self { cluster, updates: broadcast::Sender::new(WATCH_BACKLOG), snapshot: None }
    }

    /// Tell everybody what `changes` led to. The same thing changed twice is told once, as it stands now.
    pub(super) fn publish(
        &mut self,
        state: &State,
        changes: &mut Vec<Change>,
    ) -> Result<(), FrameError> {
        changes.sort_unstable();
        changes.dedup();
        let entries: Vec<Entry> = changes.drain(..).filter_map(|c| entry(state, c)).collect();
        if entries.is_empty() || self.updates.receiver_count() == 0 {
            return Ok(());
        }
        let revision = state.revision();
        let frame =
            |part: &[Entry]| encode(&WatchItem::Update { revision, entries: part.to_vec() });
        let frames: Result<Vec<_>, _> = entries.chunks(UPDATE_ENTRIES_MAX).map(frame).collect();
        // An error only says that the last watcher left meanwhile.
        let _ = self.updates.send(Update { revision, frames: Arc::new(frames?) });
        Ok(())
    }

    /// Everything as it stands now, and every update from now on.
    pub(super) fn subscribe(&mut self, state: &State) -> Result<Subscription, FrameError> {
        let revision = state.revision();
        let snapshot = match &self.snapshot {
            Some((at, frames)) if *at == revision => frames.clone(),
            _ => Arc::new(snapshot_frames(self.cluster, state)?),
        };
        self.snapshot = Some((revision, snapshot.clone()));
        Ok(Subscription { revision, snapshot, updates: self.updates.subscribe() })
    }

    /// Do not keep what nobody asks for any more.
    pub(super) fn forget_old_snapshot(&mut self, state: &State) {
        self.snapshot.take_if(|(at, _)| *at != state.revision());
    }
}

fn entry(state: &State, change: Change) -> Option<Entry> {
    match change {
        Change::Node(id) => state.node(id).map(|n| Entry::Node(Box::new(n.clone()))),
        Change::NodeGone(id) => Some(Entry::NodeGone(id)),
        Change::Meeting(id) => {
            state.meeting(id).map(|m| Entry::Meeting(Box::new(m.for_watchers())))
        }
        Change::MeetingGone(id) => Some(Entry::MeetingGone(id)),
    }
}

fn snapshot_frames(cluster: u64, state: &State) -> Result<Vec<Vec<u8>>, FrameError> {
    let revision = state.revision();
    let nodes = state.nodes().map(|n| Entry::Node(Box::new(n.clone())));
    let meetings = state.meetings().map(|m| Entry::Meeting(Box::new(m.for_watchers())));
    let mut frames = vec![encode(&WatchItem::SnapshotBegin { cluster, revision })?];
    let mut part = Vec::with_capacity(SNAPSHOT_PART_ENTRIES);
    for entry in nodes.chain(meetings) {
        part.push(entry);
        if part.len() == SNAPSHOT_PART_ENTRIES {
            frames.push(encode(&WatchItem::SnapshotPart(std::mem::take(&mut part)))?);
        }
    }
    if !part.is_empty() {
        frames.push(encode(&WatchItem::SnapshotPart(part))?);
    }
    frames.push(encode(&WatchItem::SnapshotEnd { revision })?);
    Ok(frames)
}
