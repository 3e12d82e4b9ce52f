//! What a participant was told over the signalling socket: how much, and the roster as they know it.

use edge_sfu::signal::{MemberJson, ServerMessage};
use std::collections::BTreeMap;

/// One participant's side of the signalling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signalled {
    /// Messages that were sent to them.
    pub messages: u64,
    /// And their length as JSON, bytes.
    pub bytes: u64,
    /// Who is in the meeting, by id.
    pub roster: BTreeMap<u32, MemberJson>,
    /// Attendees, where they are told as a number.
    pub attendees: Option<u32>,
}

impl Signalled {
    /// A message has come.
    pub(super) fn told(&mut self, message: &ServerMessage) {
        let ServerMessage::Roster { snapshot, put, removed, attendees, .. } = message else {
            return;
        };
        if *snapshot {
            self.roster.clear();
        }
        self.roster.extend(put.iter().map(|m| (m.id, m.clone())));
        for id in removed {
            self.roster.remove(id);
        }
        self.attendees = *attendees;
    }
}
