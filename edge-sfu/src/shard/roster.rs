//! An edge's copy of the meeting's roster: ordered by the origin, told to clients in coalesced changes.

use crate::signal::{MemberJson, ServerMessage};
use relay_proto::ParticipantId;
use relay_proto::control::{Member, RosterChange};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Changes are told to clients at most this often (ARCHITECTURE section 5).
pub(super) const COALESCE: Duration = Duration::from_millis(200);

/// All edges have told a new origin of their participants by then: the longest round trip is 400 ms.
const REPORTED_WITHIN: Duration = Duration::from_millis(600);

/// What came of a change from the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It was the next one.
    Yes,
    /// It was known already.
    Old,
    /// One in between is missing: attach again, to be sent a snapshot.
    Gap,
}

/// Everybody in the meeting.
#[derive(Debug, Default)]
pub(super) struct Roster {
    seq: u64,
    members: BTreeMap<ParticipantId, Member>,
    /// Changed since clients were last told.
    changed: BTreeSet<ParticipantId>,
    /// When clients are to be told.
    due: Option<Instant>,
    /// Clients are to be told everything.
    whole: bool,
    /// A snapshot being received.
    incoming: Option<BTreeMap<ParticipantId, Member>>,
}

impl Roster {
    /// Change number `seq` of the meeting.
    pub(super) fn apply(&mut self, now: Instant, seq: u64, change: RosterChange) -> Applied {
        if seq <= self.seq {
            return Applied::Old;
        }
        if seq != self.seq + 1 {
            return Applied::Gap;
        }
        self.seq = seq;
        match change {
            RosterChange::Put(member) => {
                self.touch(now, member.id);
                self.members.insert(member.id, member);
            }
            RosterChange::Remove(id) => {
                self.members.remove(&id);
                self.touch(now, id);
            }
        }
        Applied::Yes
    }

    /// A part of a snapshot as of change number `seq`.
    pub(super) fn snapshot(
        &mut self,
        now: Instant,
        seq: u64,
        members: Vec<Member>,
        first: bool,
        last: bool,
    ) {
        if first {
            self.incoming = Some(BTreeMap::new());
        }
        let Some(incoming) = &mut self.incoming else {
            return;
        };
        incoming.extend(members.into_iter().map(|m| (m.id, m)));
        if !last {
            return;
        }
        let new = self.incoming.take().unwrap_or_default();
        let ids: BTreeSet<ParticipantId> = self.members.keys().chain(new.keys()).copied().collect();
        for id in ids {
            if self.members.get(&id) != new.get(&id) {
                self.touch(now, id);
            }
        }
        self.members = new;
        self.seq = seq;
    }

    fn touch(&mut self, now: Instant, id: ParticipantId) {
        self.changed.insert(id);
        self.due.get_or_insert(now + COALESCE);
    }

    /// Clients are told everything once more, when everybody has had the time to be reported to a new origin.
    pub(super) fn tell_anew(&mut self, now: Instant) {
        self.whole = true;
        self.due = Some(now + REPORTED_WITHIN);
    }

    /// Whether somebody is in the meeting, as far as is known here.
    #[must_use]
    pub(super) fn has(&self, id: ParticipantId) -> bool {
        self.members.contains_key(&id)
    }

    /// Everybody, as a client that has just joined is told.
    #[must_use]
    pub(super) fn message(&self) -> ServerMessage {
        ServerMessage::Roster {
            seq: self.seq as u32,
            snapshot: true,
            put: self.members.values().map(MemberJson::from).collect(),
            removed: Vec::new(),
        }
    }

    /// When [`Self::poll`] has something to tell.
    #[must_use]
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// The changes since the last call, when they are due.
    pub(super) fn poll(&mut self, now: Instant) -> Option<ServerMessage> {
        self.due.filter(|due| *due <= now)?;
        self.due = None;
        let changed = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.whole) {
            return Some(self.message());
        }
        let (put, removed): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|id| self.members.contains_key(id));
        Some(ServerMessage::Roster {
            seq: self.seq as u32,
            snapshot: false,
            put: put.iter().filter_map(|id| self.members.get(id)).map(MemberJson::from).collect(),
            removed: removed.into_iter().map(|id| id.0).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_proto::NodeId;

    fn member(id: u32) -> Member {
        Member {
            id: ParticipantId(id),
            name: format!("p{id}"),
            edge: NodeId(1),
            mic_muted: false,
            camera_off: false,
            publisher: true,
            hand: 0,
        }
    }

    #[test]
    fn changes_are_applied_in_order_and_told_together() {
        let t = Instant::now();
        let mut roster = Roster::default();
        assert_eq!(roster.apply(t, 1, RosterChange::Put(member(7))), Applied::Yes);
        assert_eq!(roster.apply(t, 1, RosterChange::Put(member(7))), Applied::Old);
        assert_eq!(roster.apply(t, 3, RosterChange::Put(member(9))), Applied::Gap);
        assert_eq!(roster.apply(t, 2, RosterChange::Put(member(8))), Applied::Yes);
        assert_eq!(roster.poll(t), None, "not before the changes were coalesced");
        let Some(ServerMessage::Roster { put, removed, snapshot: false, seq: 2 }) =
            roster.poll(t + COALESCE)
        else {
            panic!("one message with both");
        };
        assert_eq!((put.len(), removed.len()), (2, 0));
        assert_eq!(roster.deadline(), None);
    }

    #[test]
    fn everything_is_told_anew_in_one_snapshot() {
        let t = Instant::now();
        let mut roster = Roster::default();
        roster.apply(t, 1, RosterChange::Put(member(1)));
        roster.poll(t + COALESCE);
        roster.tell_anew(t);
        roster.apply(t, 2, RosterChange::Put(member(2)));
        assert_eq!(roster.poll(t + COALESCE), None);
        let told = roster.poll(t + REPORTED_WITHIN);
        assert!(
            matches!(told, Some(ServerMessage::Roster { snapshot: true, put, .. }) if put.len() == 2)
        );
        assert_eq!(roster.deadline(), None);
    }

    #[test]
    fn a_snapshot_replaces_everybody_and_tells_the_difference() {
        let t = Instant::now();
        let mut roster = Roster::default();
        roster.apply(t, 1, RosterChange::Put(member(1)));
        roster.poll(t + COALESCE);
        roster.snapshot(t, 9, vec![member(2)], true, false);
        assert!(roster.members.contains_key(&ParticipantId(1)), "not before the last part");
        roster.snapshot(t, 9, vec![member(3)], false, true);
        let Some(ServerMessage::Roster { put, removed, .. }) = roster.poll(t + COALESCE) else {
            panic!()
        };
        assert_eq!(put.iter().map(|m| m.id).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(removed, [1]);
        assert_eq!(roster.seq, 9);
    }
}
