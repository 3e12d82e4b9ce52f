//! An edge's copy of the meeting's roster: ordered by the origin, told to clients in coalesced changes.

use super::limits::{LISTED_AGAIN, LISTED_MAX, ROSTER_PAGE};
use crate::signal::{MemberJson, ServerMessage};
use relay_proto::ParticipantId;
use relay_proto::control::{Member, RosterChange};
use relay_proto::limits::NAME_CHARS_MAX;
use relay_proto::roles::MemberRole;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
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
    /// Attendees are told as a number.
    crowd: bool,
    /// Who clients may have been told of by name.
    listed: BTreeSet<ParticipantId>,
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

    /// Somebody in the meeting.
    #[must_use]
    pub(super) fn get(&self, id: ParticipantId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// The members after `after`, and whose name contains `search`: so many as a page has, and where the next one begins.
    pub(super) fn page(
        &self,
        after: Option<ParticipantId>,
        search: Option<&str>,
    ) -> (Vec<&Member>, Option<ParticipantId>) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let search = search.map(|text| text.chars().take(NAME_CHARS_MAX).collect::<String>());
        let search = search.map(|text| text.to_lowercase());
        let fits =
            |m: &&Member| search.as_deref().is_none_or(|text| m.name.to_lowercase().contains(text));
        let members = self.members.range((from, Bound::Unbounded)).map(|(_, m)| m).filter(fits);
        let mut page: Vec<&Member> = members.take(ROSTER_PAGE + 1).collect();
        if page.len() <= ROSTER_PAGE {
            return (page, None);
        }
        page.pop();
        let last = page.last().map(|m| m.id);
        (page, last)
    }

    /// Whether clients are told of a member by name. In a crowd those who only watch are a number, but for raised hands.
    fn lists(&self, member: &Member) -> bool {
        !self.crowd || member.role != MemberRole::Attendee || member.hand != 0
    }

    fn attendees(&self) -> Option<u32> {
        let attendees = self.members.values().filter(|m| m.role == MemberRole::Attendee);
        self.crowd.then(|| attendees.count() as u32)
    }

    /// Whether there are so many that attendees are a number; with some hysteresis.
    fn is_crowd(&self) -> bool {
        let limit = if self.crowd { LISTED_AGAIN } else { LISTED_MAX };
        self.members.len() > limit
    }

    /// Everybody, as a client that has just joined is told.
    #[must_use]
    pub(super) fn message(&mut self) -> ServerMessage {
        let listed: Vec<&Member> = self.members.values().filter(|m| self.lists(m)).collect();
        let put = listed.iter().copied().map(MemberJson::from).collect();
        let ids: Vec<ParticipantId> = listed.iter().map(|m| m.id).collect();
        self.listed.extend(ids);
        let (seq, attendees) = (self.seq as u32, self.attendees());
        ServerMessage::Roster { seq, snapshot: true, put, removed: Vec::new(), attendees }
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
        let crowd = self.is_crowd();
        let turned = std::mem::replace(&mut self.crowd, crowd) != crowd;
        if std::mem::take(&mut self.whole) || turned {
            self.listed.clear();
            return Some(self.message());
        }
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for id in changed {
            match self.members.get(&id).filter(|m| self.lists(m)) {
                Some(member) => {
                    put.push(MemberJson::from(member));
                    self.listed.insert(id);
                }
                None if self.listed.remove(&id) => removed.push(id.0),
                None => {}
            }
        }
        let (seq, attendees) = (self.seq as u32, self.attendees());
        Some(ServerMessage::Roster { seq, snapshot: false, put, removed, attendees })
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
            role: MemberRole::Panelist,
            owner: false,
            identity: 0,
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
        let Some(ServerMessage::Roster { put, removed, snapshot: false, seq: 2, .. }) =
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
