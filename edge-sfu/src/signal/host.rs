//! Roles, and what hosts may do, as JSON writes them.

use super::TrackKindJson;
use relay_proto::ParticipantId;
use relay_proto::roles::{HostAction, MemberRole};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What a participant may do in the meeting, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum MemberRoleJson {
    /// Leads the meeting.
    Host,
    /// Takes part: may speak and show.
    Panelist,
    /// Watches, writes, raises a hand.
    Attendee,
}

impl From<MemberRole> for MemberRoleJson {
    fn from(role: MemberRole) -> Self {
        match role {
            MemberRole::Host => Self::Host,
            MemberRole::Panelist => Self::Panelist,
            MemberRole::Attendee => Self::Attendee,
        }
    }
}

impl From<MemberRoleJson> for MemberRole {
    fn from(role: MemberRoleJson) -> Self {
        match role {
            MemberRoleJson::Host => Self::Host,
            MemberRoleJson::Panelist => Self::Panelist,
            MemberRoleJson::Attendee => Self::Attendee,
        }
    }
}

/// What a host may do. `target` is a participant's short id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, TS)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[ts(export)]
pub enum HostActionJson {
    /// Silences one source of somebody: their microphone, camera or shared screen. They may start it again.
    Mute {
        /// Whose.
        target: u32,
        /// Which source.
        kind: TrackKindJson,
    },
    /// Silences all microphones.
    MuteAll {
        /// Not those of hosts.
        but_hosts: bool,
    },
    /// Lowers one raised hand, or all.
    LowerHand {
        /// Whose; none: all.
        #[serde(default)]
        #[ts(optional)]
        target: Option<u32>,
    },
    /// Sends somebody out.
    Remove {
        /// Whom.
        target: u32,
        /// They may not come back.
        block: bool,
    },
    /// Promotes, demotes, or makes another one host too.
    SetRole {
        /// Whom.
        target: u32,
        /// Their new role.
        role: MemberRoleJson,
    },
    /// Makes somebody else host and oneself a panelist.
    HandOver {
        /// Whom.
        target: u32,
    },
    /// Takes the host's role back: for those whose token grants it.
    Reclaim,
    /// Nobody else may join, or they may again.
    Lock {
        /// Whether it is locked now.
        on: bool,
    },
    /// Who joins must be admitted, or need not.
    WaitingRoom {
        /// Whether they wait.
        on: bool,
    },
    /// Only hosts may write, or everybody may.
    LockChat {
        /// Whether it is locked now.
        on: bool,
    },
    /// Keeps one shared screen in the screen slot, whatever is shared later; none: the newest again.
    PinShare {
        /// Whose.
        #[serde(default)]
        #[ts(optional)]
        target: Option<u32>,
    },
    /// Lets one of those who wait in, or all.
    Admit {
        /// Whom; none: all.
        #[serde(default)]
        #[ts(optional)]
        target: Option<u32>,
    },
    /// Sends one of those who wait away.
    Deny {
        /// Whom.
        target: u32,
    },
}

impl From<HostActionJson> for HostAction {
    fn from(action: HostActionJson) -> Self {
        use HostActionJson as J;
        let id = ParticipantId;
        match action {
            J::Mute { target, kind } => Self::Mute { target: id(target), kind: kind.into() },
            J::MuteAll { but_hosts } => Self::MuteAll { but_hosts },
            J::LowerHand { target } => Self::LowerHand { target: target.map(id) },
            J::Remove { target, block } => Self::Remove { target: id(target), block },
            J::SetRole { target, role } => Self::SetRole { target: id(target), role: role.into() },
            J::HandOver { target } => Self::HandOver { target: id(target) },
            J::Reclaim => Self::Reclaim,
            J::Lock { on } => Self::Lock(on),
            J::WaitingRoom { on } => Self::WaitingRoom(on),
            J::LockChat { on } => Self::LockChat(on),
            J::PinShare { target } => Self::PinShare { target: target.map(id) },
            J::Admit { target } => Self::Admit { target: target.map(id) },
            J::Deny { target } => Self::Deny { target: id(target) },
        }
    }
}
