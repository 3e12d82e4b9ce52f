//! Placing anew what lost its origin or standby.
//!
//! A node that goes down, restarts or drains only *marks* its meetings; [`super::CommandKind::Repair`] places a bounded
//! number of them, so that no command is long and a large node's death is worked off in several.

use super::meetings::candidate;
use super::placement::place_standby;
use super::{Candidate, Change, Meeting, Node, NodeState, Reply, Role, State, place};
use crate::limits::{MOVES_PER_COMMAND, REPAIRS_PER_COMMAND};
use relay_proto::{MeetingId, NodeId};
use serde::{Deserialize, Serialize};

/// What a meeting lost through a restart. (That a node is down is seen from its state.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    /// The origin's process is another one now and knows nothing.
    origin: bool,
    /// Likewise the standby's; it could act under the same epoch a second time.
    standby: bool,
}

impl Lost {
    fn or(self, other: Self) -> Self {
        Self { origin: self.origin | other.origin, standby: self.standby | other.standby }
    }
}

impl State {
    /// Meetings of a node whose process was replaced.
    pub(super) fn mark_lost(&mut self, node: NodeId) {
        for meeting in self.meetings.values().filter(|m| !m.ended && m.names(node)) {
            let lost = self.broken.entry(meeting.id).or_default();
            lost.origin |= meeting.origin == node;
            lost.standby |= meeting.standby == Some(node);
            self.leaving.remove(&meeting.id);
        }
    }

    /// Meetings of a node that is down.
    pub(super) fn mark_gone(&mut self, node: NodeId) {
        for meeting in self.meetings.values().filter(|m| !m.ended && m.names(node)) {
            self.broken.entry(meeting.id).or_default();
            self.leaving.remove(&meeting.id);
        }
    }

    /// Meetings of a node that drains.
    pub(super) fn mark_leaving(&mut self, node: NodeId) {
        for meeting in self.meetings.values().filter(|m| !m.ended && m.names(node)) {
            if !self.broken.contains_key(&meeting.id) {
                self.leaving.insert(meeting.id);
            }
        }
    }

    /// Somebody may have room for those that found none.
    pub(super) fn room_appeared(&mut self) {
        for (id, lost) in std::mem::take(&mut self.unplaced) {
            let entry = self.broken.entry(id).or_default();
            *entry = entry.or(lost);
        }
    }

    pub(super) fn repair(&mut self, changes: &mut Vec<Change>) -> Reply {
        let before = changes.len();
        for _ in 0..REPAIRS_PER_COMMAND {
            let Some((id, lost)) = self.broken.pop_first() else {
                break;
            };
            self.repair_one(id, lost, changes);
        }
        for _ in 0..MOVES_PER_COMMAND {
            let Some(id) = self.leaving.pop_first() else {
                break;
            };
            self.repair_one(id, Lost::default(), changes);
        }
        let placed = (changes.len() - before) as u32;
        Reply::Repaired { placed, waiting: self.repairs_waiting() as u32 }
    }

    fn repair_one(&mut self, id: MeetingId, lost: Lost, changes: &mut Vec<Change>) {
        let lost = lost.or(self.unplaced.remove(&id).unwrap_or_default());
        let Some(meeting) = self.meetings.get(&id).filter(|m| !m.ended) else {
            return;
        };
        let origin_stays = !lost.origin && self.holds(meeting.origin);
        let standby_stays = !lost.standby && meeting.standby.is_some_and(|s| self.holds(s));
        if origin_stays && standby_stays {
            return;
        }
        let (origin, standby) = if origin_stays {
            self.keep_origin(meeting)
        } else {
            self.move_origin(meeting, lost, standby_stays)
        };
        let Some(origin) = origin else {
            self.unplaced.insert(id, lost);
            return;
        };
        let renewed = lost.origin || (lost.standby && standby == meeting.standby);
        if origin == meeting.origin && standby == meeting.standby && !renewed {
            // Nobody better; wait for room.
            self.unplaced.insert(id, lost);
            return;
        }
        self.grant(id, origin, standby, changes);
    }

    /// Only the standby is chosen anew.
    fn keep_origin(&self, meeting: &Meeting) -> (Option<NodeId>, Option<NodeId>) {
        let demand = self.demand(meeting);
        let candidates = self.candidates(&meeting.allowed_regions);
        let origin = self.nodes.get(&meeting.origin).map(candidate);
        let standby =
            origin.and_then(|o| place_standby(meeting.id, &demand, &o, &candidates, &self.rtt));
        // A draining standby is better than none.
        let standby = standby.or_else(|| meeting.standby.filter(|s| self.alive(*s)));
        (Some(meeting.origin), standby)
    }

    /// The standby takes over where it can: it has the meeting's state already.
    fn move_origin(
        &self,
        meeting: &Meeting,
        lost: Lost,
        standby_stays: bool,
    ) -> (Option<NodeId>, Option<NodeId>) {
        let demand = self.demand(meeting);
        let candidates = self.candidates(&meeting.allowed_regions);
        let warm = meeting
            .standby
            .filter(|_| standby_stays)
            .and_then(|s| self.nodes.get(&s))
            .map(candidate);
        if let Some(heir) = warm {
            let standby = place_standby(meeting.id, &demand, &heir, &candidates, &self.rtt);
            return (Some(heir.node), standby);
        }
        // A restarted origin may be chosen again, a draining one only when nobody else can.
        let others: Vec<Candidate<'_>> = candidates
            .iter()
            .filter(|c| lost.origin || c.node != meeting.origin)
            .copied()
            .collect();
        match place(meeting.id, &demand, &others, &candidates, &self.rtt) {
            Some(p) => (Some(p.origin), p.standby),
            None if self.alive(meeting.origin) => {
                let standby = meeting.standby.filter(|s| self.alive(*s));
                (Some(meeting.origin), standby)
            }
            None => (None, None),
        }
    }

    /// Whether a node may keep what it has.
    fn holds(&self, id: NodeId) -> bool {
        let keeps = |s: NodeState| matches!(s, NodeState::Online | NodeState::Suspect);
        let keeps = |n: &Node| keeps(n.state) && !n.draining && n.record.role == Role::Origin;
        self.nodes.get(&id).is_some_and(keeps)
    }

    /// Whether a node is there at all, and an origin.
    fn alive(&self, id: NodeId) -> bool {
        self.nodes.get(&id).is_some_and(Self::alive_origin)
    }
}
