//! A meeting that this edge carries, as its clients are told of it.

use edge_sfu::signal::{MemberJson, MemberRoleJson, ServerMessage};
use std::collections::BTreeMap;

/// How many sockets are in it, and the roster they were told.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Sockets that asked to enter.
    pub(super) sockets: usize,
    /// By short id; nothing before the first snapshot. What is told comes from one shard in order, so a copy that follows
    /// it is what each client has.
    members: Option<BTreeMap<u32, MemberJson>>,
    /// Attendees, where clients are told how many there are instead of who.
    attendees: Option<u32>,
}

/// Everybody in a meeting, as clients are told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Those with names, by short id.
    pub members: Vec<MemberJson>,
    /// How many there are in all.
    pub total: u32,
}

impl Carried {
    /// Clients are told this.
    pub(super) fn told(&mut self, message: &ServerMessage) {
        let ServerMessage::Roster { snapshot, put, removed, attendees, .. } = message else {
            return;
        };
        self.attendees = *attendees;
        if *snapshot {
            self.members = Some(BTreeMap::new());
        }
        let Some(members) = &mut self.members else { return };
        members.extend(put.iter().map(|member| (member.id, member.clone())));
        removed.iter().for_each(|id| drop(members.remove(id)));
    }

    /// Everybody; nothing while no roster has been told.
    pub(super) fn roster(&self) -> Option<Told> {
        let members: Vec<MemberJson> = self.members.as_ref()?.values().cloned().collect();
        let named = |m: &&MemberJson| m.role != MemberRoleJson::Attendee;
        let total = match self.attendees {
            Some(attendees) => members.iter().filter(named).count() as u32 + attendees,
            None => members.len() as u32,
        };
        Some(Told { members, total })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SignalCounters, Sockets};
    use super::*;
    use node_io::metrics::Metrics;
    use relay_proto::MeetingId;

    fn member(id: u32) -> MemberJson {
        let name = format!("member {id}");
        let role = MemberRoleJson::Panelist;
        MemberJson { id, name, edge: 1, mic_muted: false, camera_off: false, role, hand: None }
    }

    fn roster(snapshot: bool, put: &[u32], removed: &[u32]) -> ServerMessage {
        let put = put.iter().map(|id| member(*id)).collect();
        let removed = removed.to_vec();
        ServerMessage::Roster { seq: 1, snapshot, put, removed, attendees: None }
    }

    fn ids(sockets: &Sockets, meeting: MeetingId) -> Option<Vec<u32>> {
        Some(sockets.roster(meeting)?.members.iter().map(|m| m.id).collect())
    }

    #[test]
    fn the_roster_of_a_meeting_is_what_its_sockets_were_told_until_the_last_has_gone() {
        let sockets = Sockets::new(SignalCounters::new(&Metrics::new(&[]).unwrap()).unwrap());
        let ((one, _a), (two, _b), (other, _c)) = (sockets.open(), sockets.open(), sockets.open());
        let (here, there) = (MeetingId(1), MeetingId(2));
        sockets.joins(one, here, "ada".into());
        sockets.joins(two, here, "bob".into());
        sockets.joins(other, there, "ada".into());
        assert_eq!(ids(&sockets, here), None, "nothing was told yet");
        sockets.send(&[one], &roster(true, &[1, 2], &[]));
        sockets.send(&[one, two], &roster(false, &[3], &[1]));
        sockets.send(&[other], &roster(true, &[9], &[]));
        assert_eq!(ids(&sockets, here), Some(vec![2, 3]));
        sockets.send(&[two], &roster(true, &[4], &[]));
        assert_eq!(ids(&sockets, here), Some(vec![4]));
        assert_eq!(sockets.leave(here, "ada"), 1);
        assert_eq!(ids(&sockets, here), Some(vec![4]), "one is left");
        assert_eq!((sockets.leave(here, "ada"), sockets.leave(here, "bob")), (0, 1));
        assert_eq!(ids(&sockets, here), None);
        assert_eq!(ids(&sockets, there), Some(vec![9]));
    }
}
