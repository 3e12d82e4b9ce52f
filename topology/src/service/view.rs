//! What a client knows of the topology: a cache that outlives the service.

use crate::model::{Meeting, Node, NodeState, Region, Role};
use crate::protocol::{Entry, WatchItem};
use relay_proto::{MeetingId, NodeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes and meetings as last heard. Not emptied when the service is lost: media survives the loss of topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyView {
    /// The service is connected and this is up to date.
    pub live: bool,
    /// The state's history; 0 before the first snapshot.
    pub cluster: u64,
    /// The state's revision.
    pub revision: u64,
    /// By number.
    pub nodes: BTreeMap<NodeId, Arc<Node>>,
    /// By number; ended ones stay for a while.
    pub meetings: BTreeMap<MeetingId, Arc<Meeting>>,
}

impl TopologyView {
    /// One node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(&id)
    }

    /// One meeting. One that was created a moment ago may not be here yet: ask the service.
    #[must_use]
    pub fn meeting(&self, id: MeetingId) -> Option<&Arc<Meeting>> {
        self.meetings.get(&id)
    }

    /// Online edges of a region, by number.
    pub fn edges_in<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = &'a Arc<Node>> {
        self.nodes.values().filter(move |n| {
            n.record.role == Role::Edge
                && n.record.region == *region
                && n.state == NodeState::Online
        })
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Node(node) => {
                self.nodes.insert(node.id(), Arc::from(node));
            }
            Entry::NodeGone(id) => {
                self.nodes.remove(&id);
            }
            Entry::Meeting(meeting) => {
                self.meetings.insert(meeting.id, Arc::from(meeting));
            }
            Entry::MeetingGone(id) => {
                self.meetings.remove(&id);
            }
        }
    }
}

/// What is wrong with a watch stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WatchError {
    #[error("an item outside of its order")]
    OutOfOrder,
}

/// Puts a watch stream together.
#[derive(Debug, Default)]
pub(super) struct ViewBuilder {
    /// The snapshot that is arriving.
    arriving: Option<TopologyView>,
    synced: bool,
}

impl ViewBuilder {
    /// Take `item` into `view`; whether `view` changed.
    pub(super) fn take(
        &mut self,
        item: WatchItem,
        view: &mut Arc<TopologyView>,
    ) -> Result<bool, WatchError> {
        match item {
            WatchItem::SnapshotBegin { cluster, revision } => {
                self.arriving =
                    Some(TopologyView { live: true, cluster, revision, ..TopologyView::default() });
                Ok(false)
            }
            WatchItem::SnapshotPart(entries) => {
                let arriving = self.arriving.as_mut().ok_or(WatchError::OutOfOrder)?;
                entries.into_iter().for_each(|e| arriving.apply(e));
                Ok(false)
            }
            WatchItem::SnapshotEnd { revision } => {
                let arrived = self.arriving.take().ok_or(WatchError::OutOfOrder)?;
                if arrived.revision != revision {
                    return Err(WatchError::OutOfOrder);
                }
                *view = Arc::new(arrived);
                self.synced = true;
                Ok(true)
            }
            WatchItem::Update { revision, entries } => {
                if !self.synced || self.arriving.is_some() {
                    return Err(WatchError::OutOfOrder);
                }
                // In place when no reader holds the view, else a copy of its tables (of Arcs).
                let view = Arc::make_mut(view);
                entries.into_iter().for_each(|e| view.apply(e));
                view.revision = revision;
                Ok(true)
            }
            WatchItem::KeepAlive { .. } => Ok(false),
        }
    }
}
