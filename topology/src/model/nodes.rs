//! Commands about nodes.

use super::{ApplyError, Change, Load, Node, NodeRecord, NodeState, Reply, Role, State};
use crate::limits::NODES_MAX;
use relay_proto::NodeId;

impl State {
    pub(super) fn register_node(
        &mut self,
        record: &NodeRecord,
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        record.check()?;
        let id = if record.id == NodeId::NONE { self.free_node_id()? } else { record.id };
        let mut node = Node {
            record: NodeRecord { id, ..record.clone() },
            state: NodeState::Online,
            draining: false,
            load: Load::default(),
            placed_since_report: 0,
            registered_ms: now_ms,
        };
        match self.nodes.get(&id) {
            Some(old) if old.record.instance == record.instance => {
                node.draining = old.draining;
                node.load = old.load;
                node.placed_since_report = old.placed_since_report;
                node.registered_ms = old.registered_ms;
                if node.draining {
                    node.state = NodeState::Draining;
                }
                if node.record.role != Role::Origin && old.record.role == Role::Origin {
                    self.mark_lost(id);
                }
            }
            Some(_) => {
                self.mark_lost(id);
                self.forget_occupancy(id);
            }
            None => {}
        }
        if self.nodes.get(&id) != Some(&node) {
            changes.push(Change::Node(id));
            self.nodes.insert(id, node.clone());
            self.room_appeared();
        }
        Ok(Reply::Node(Box::new(node)))
    }

    fn free_node_id(&self) -> Result<NodeId, ApplyError> {
        let mut free = (1..=NODES_MAX as u32).map(NodeId).filter(|id| !self.nodes.contains_key(id));
        free.next().ok_or(ApplyError::NodesFull)
    }

    /// The node, when `instance` is the process that holds its number.
    fn process(&mut self, id: NodeId, instance: u64) -> Result<&mut Node, ApplyError> {
        let node = self.nodes.get_mut(&id).ok_or(ApplyError::UnknownNode(id))?;
        if node.record.instance == instance {
            Ok(node)
        } else {
            Err(ApplyError::InstanceReplaced { node: id })
        }
    }

    pub(super) fn node_heartbeat(
        &mut self,
        id: NodeId,
        instance: u64,
        load: Load,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        let node = self.process(id, instance)?;
        let before = node.predicted_permille();
        node.load = load.quantised(node.record.capacity);
        node.placed_since_report = 0;
        let lighter = node.predicted_permille() < before && Self::takes_meetings(node);
        changes.push(Change::Node(id));
        if lighter {
            self.room_appeared();
        }
        Ok(Reply::Done)
    }

    pub(super) fn set_node_state(
        &mut self,
        id: NodeId,
        instance: u64,
        state: NodeState,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        if state == NodeState::Draining {
            return Err(ApplyError::UseDrain);
        }
        let node = self.process(id, instance)?;
        let state =
            if state == NodeState::Online && node.draining { NodeState::Draining } else { state };
        if node.state != state {
            node.state = state;
            changes.push(Change::Node(id));
        }
        match state {
            NodeState::Down => {
                self.mark_gone(id);
                self.forget_occupancy(id);
            }
            NodeState::Online => self.room_appeared(),
            NodeState::Suspect | NodeState::Draining => {}
        }
        Ok(Reply::Done)
    }

    pub(super) fn drain(
        &mut self,
        id: NodeId,
        on: bool,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        let node = self.nodes.get_mut(&id).ok_or(ApplyError::UnknownNode(id))?;
        node.draining = on;
        node.state = match (node.state, on) {
            (NodeState::Online, true) => NodeState::Draining,
            (NodeState::Draining, false) => NodeState::Online,
            (other, _) => other,
        };
        changes.push(Change::Node(id));
        if on {
            self.mark_leaving(id);
        } else {
            self.room_appeared();
        }
        Ok(Reply::Done)
    }

    pub(super) fn forget(
        &mut self,
        id: NodeId,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        let node = self.nodes.get(&id).ok_or(ApplyError::UnknownNode(id))?;
        if node.state != NodeState::Down {
            return Err(ApplyError::NotDown(id));
        }
        if self.meetings.values().any(|m| !m.ended && m.names(id)) {
            return Err(ApplyError::StillNamed(id));
        }
        self.nodes.remove(&id);
        self.forget_occupancy(id);
        changes.push(Change::NodeGone(id));
        Ok(Reply::Done)
    }

    /// A process that is gone carries nobody.
    fn forget_occupancy(&mut self, id: NodeId) {
        self.occupancy.retain(|_, nodes| {
            nodes.remove(&id);
            !nodes.is_empty()
        });
    }
}
