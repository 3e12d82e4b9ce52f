//! Which nodes have gone silent.

use crate::limits::{DOWN_AFTER, HEARTBEAT, STALL, SUSPECT_AFTER, TICK};
use crate::model::{Node, NodeState};
use relay_proto::NodeId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Last heartbeats. Told the time, so that it is tested without waiting.
#[derive(Debug, Default)]
pub(super) struct Detector {
    heard: BTreeMap<NodeId, Instant>,
    last_tick: Option<Instant>,
}

impl Detector {
    /// A node spoke.
    pub(super) fn heard(&mut self, node: NodeId, now: Instant) {
        self.heard.insert(node, now);
    }

    /// What to think of each of `nodes` now. A node never heard of gets its full time from now on: after a restart of the
    /// service everybody does.
    pub(super) fn verdicts<'a>(
        &mut self,
        nodes: impl Iterator<Item = &'a Node>,
        now: Instant,
    ) -> Vec<(NodeId, u64, NodeState)> {
        self.excuse_own_stall(now);
        let mut verdicts = Vec::new();
        for node in nodes.filter(|n| n.state != NodeState::Down) {
            let heard = *self.heard.entry(node.id()).or_insert(now);
            let silent = now.saturating_duration_since(heard);
            let state = if silent >= DOWN_AFTER {
                NodeState::Down
            } else if silent >= SUSPECT_AFTER {
                NodeState::Suspect
            } else {
                continue;
            };
            if node.state != state {
                verdicts.push((node.id(), node.record.instance, state));
            }
        }
        verdicts
    }

    /// A service that was stopped or starved must not take its own silence for the nodes'.
    fn excuse_own_stall(&mut self, now: Instant) {
        let late =
            self.last_tick.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last_tick = Some(now);
        if late > TICK + STALL {
            self.heard.values_mut().for_each(|heard| *heard = now);
        }
    }
}

/// A node's load is written down anew this often while meetings are placed on it: until then they count as pending.
const PENDING_SETTLES: Duration = Duration::from_secs(5);

/// Says when pending loads are due.
#[derive(Debug)]
pub(super) struct Settling {
    last: Instant,
    due: bool,
}

impl Settling {
    /// Nothing is due at `now`.
    pub(super) fn from(now: Instant) -> Self {
        Self { last: now, due: false }
    }

    /// One beat of every node in five seconds finds it due.
    pub(super) fn tick(&mut self, now: Instant) {
        let past = now.saturating_duration_since(self.last);
        self.due = past >= PENDING_SETTLES;
        if past >= PENDING_SETTLES + HEARTBEAT {
            self.last = now;
        }
    }

    pub(super) fn due(&self) -> bool {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Load, NodeRecord, Region, Role};

    fn node(state: NodeState) -> Node {
        let record = NodeRecord {
            id: NodeId(1),
            name: String::new(),
            role: Role::Origin,
            region: Region::new("a").unwrap(),
            http_url: String::new(),
            signal_url: String::new(),
            media: "127.0.0.1:1".parse().unwrap(),
            relay: vec![],
            instance: 9,
            capacity: 1,
        };
        Node {
            record,
            state,
            draining: false,
            load: Load::default(),
            placed_since_report: 0,
            registered_ms: 0,
        }
    }

    /// Ticks until `until` after the last heartbeat, and what was said last.
    fn silence(node: &Node, until: Duration) -> Option<NodeState> {
        let start = Instant::now();
        let mut detector = Detector::default();
        detector.heard(node.id(), start);
        let mut last = None;
        let mut at = Duration::ZERO;
        while at <= until {
            if let [(_, _, state)] = detector.verdicts(std::iter::once(node), start + at)[..] {
                last = Some(state);
            }
            at += TICK;
        }
        last
    }

    #[test]
    fn a_silent_node_is_suspected_then_given_up() {
        let online = node(NodeState::Online);
        assert_eq!(silence(&online, Duration::from_millis(1_999)), None);
        assert_eq!(silence(&online, Duration::from_millis(2_000)), Some(NodeState::Suspect));
        assert_eq!(silence(&online, Duration::from_millis(5_000)), Some(NodeState::Down));
        assert_eq!(silence(&node(NodeState::Down), Duration::from_millis(9_000)), None);
    }

    #[test]
    fn a_service_that_stood_still_blames_nobody() {
        let (node, start) = (node(NodeState::Online), Instant::now());
        let mut detector = Detector::default();
        detector.heard(node.id(), start);
        assert!(detector.verdicts(std::iter::once(&node), start).is_empty());
        let later = start + Duration::from_secs(60);
        assert!(detector.verdicts(std::iter::once(&node), later).is_empty());
    }
}
