//! The meeting's roster, in the one order that everybody sees.

use relay_proto::control::{Body, Member, RosterChange};
use relay_proto::limits::SNAPSHOT_MEMBERS_MAX;
use relay_proto::roles::MemberRole;
use relay_proto::{NodeId, ParticipantId};
use std::collections::BTreeMap;

/// Members of one meeting: 1,000 participants, and as many attendees again.
pub(crate) const MEMBERS_MAX: usize = 2_000;

/// Everybody, and the number of the last change.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    seq: u64,
    members: BTreeMap<ParticipantId, Member>,
}

impl Roster {
    /// Whether nobody else has a place.
    pub(crate) fn is_full(&self) -> bool {
        self.members.len() >= MEMBERS_MAX
    }

    /// Somebody who is here.
    pub(crate) fn get(&self, id: ParticipantId) -> Option<&Member> {
        self.members.get(&id)
    }

    /// Who leads the meeting.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|m| m.role == MemberRole::Host)
    }

    /// Puts a change in order. `None`: it changes nothing. A member's role is what it was: [`Self::set_role`] changes it.
    pub(crate) fn apply(&mut self, mut change: RosterChange) -> Option<Body> {
        match &mut change {
            RosterChange::Put(member) => {
                let known = self.members.get(&member.id);
                member.role = known.map_or(member.role, |m| m.role);
                if member.hand != 0 {
                    // A hand that is up keeps its turn; one that goes up has the number of this change.
                    let turn = known.map_or(0, |m| m.hand);
                    member.hand = if turn == 0 { self.seq + 1 } else { turn };
                }
                if known == Some(member) {
                    return None;
                }
                self.members.insert(member.id, member.clone());
            }
            RosterChange::Remove(id) => {
                self.members.remove(id)?;
            }
        }
        self.seq += 1;
        Some(Body::Roster { seq: self.seq, change })
    }

    /// Gives somebody a role. `None`: they have it, or are not here.
    pub(crate) fn set_role(&mut self, id: ParticipantId, role: MemberRole) -> Option<Body> {
        let member = self.members.get_mut(&id).filter(|m| m.role != role)?;
        member.role = role;
        let change = RosterChange::Put(member.clone());
        self.seq += 1;
        Some(Body::Roster { seq: self.seq, change })
    }

    /// The messages of a snapshot.
    pub(crate) fn snapshot(&self) -> Vec<Body> {
        let members: Vec<Member> = self.members.values().cloned().collect();
        let chunks: Vec<&[Member]> = if members.is_empty() {
            vec![&[]]
        } else {
            members.chunks(SNAPSHOT_MEMBERS_MAX).collect()
        };
        let last = chunks.len() - 1;
        let message = |(i, chunk): (usize, &&[Member])| Body::RosterSnapshot {
            seq: self.seq,
            members: chunk.to_vec(),
            first: i == 0,
            last: i == last,
        };
        chunks.iter().enumerate().map(message).collect()
    }

    /// Everybody who entered at `edge`.
    pub(crate) fn of_edge(&self, edge: NodeId) -> Vec<ParticipantId> {
        self.members.values().filter(|m| m.edge == edge).map(|m| m.id).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u32) -> Member {
        Member {
            id: ParticipantId(id),
            name: String::new(),
            edge: NodeId(id % 2 + 1),
            mic_muted: false,
            camera_off: false,
            role: MemberRole::Panelist,
            owner: false,
            identity: 0,
            hand: 0,
        }
    }

    #[test]
    fn each_change_gets_the_next_number_and_a_repetition_none() {
        let mut roster = Roster::default();
        assert!(matches!(
            roster.apply(RosterChange::Put(member(1))),
            Some(Body::Roster { seq: 1, .. })
        ));
        assert_eq!(roster.apply(RosterChange::Put(member(1))), None);
        assert!(matches!(
            roster.apply(RosterChange::Remove(ParticipantId(1))),
            Some(Body::Roster { seq: 2, .. })
        ));
        assert_eq!(roster.apply(RosterChange::Remove(ParticipantId(1))), None);
    }

    #[test]
    fn hands_are_numbered_as_they_go_up_and_keep_their_turn() {
        let mut roster = Roster::default();
        let mut hand = |id: u32, hand: u64, muted: bool| {
            let change = RosterChange::Put(Member { hand, mic_muted: muted, ..member(id) });
            match roster.apply(change) {
                Some(Body::Roster { change: RosterChange::Put(member), .. }) => Some(member.hand),
                _ => None,
            }
        };
        assert_eq!(hand(1, 1, false), Some(1));
        assert_eq!(hand(2, 1, false), Some(2));
        assert_eq!(hand(1, 1, false), None, "nothing new");
        assert_eq!(hand(1, 1, true), Some(1), "muting does not cost the turn");
        assert_eq!(hand(1, 0, true), Some(0));
        assert_eq!(hand(1, 1, true), Some(5), "behind the other now");
    }

    #[test]
    fn a_large_roster_is_told_in_parts() {
        let mut roster = Roster::default();
        for id in 0..450 {
            roster.apply(RosterChange::Put(member(id)));
        }
        let ends: Vec<(bool, bool)> = roster
            .snapshot()
            .iter()
            .map(|body| match body {
                Body::RosterSnapshot { first, last, .. } => (*first, *last),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ends, [(true, false), (false, false), (false, true)]);
    }
}
