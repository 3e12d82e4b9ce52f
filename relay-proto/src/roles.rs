//! Roles, what a host may do, and how a meeting is set.
//!
//! One table says who may do what, [`may`]: an edge asks it early, the origin, which knows the roles, asks it for good.

use crate::ids::{ParticipantId, TrackKind};
use serde::{Deserialize, Serialize};

/// What a participant may do in the meeting, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberRole {
    /// Leads the meeting.
    Host,
    /// Takes part: may speak and show.
    Panelist,
    /// Watches, writes, raises a hand.
    Attendee,
}

impl MemberRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Host, Self::Panelist, Self::Attendee];

    /// Whether they may send microphone, camera and screen.
    #[must_use]
    pub fn publishes(self) -> bool {
        self != Self::Attendee
    }
}

/// How the meeting is set. Its origin keeps it and tells the edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Nobody else may join.
    pub locked: bool,
    /// Who joins must be admitted by a host.
    pub waiting_room: bool,
    /// Only hosts may write.
    pub chat_locked: bool,
    /// Whose screen stays in the screen slot; none: the newest share has it.
    pub pinned_share: Option<ParticipantId>,
}

/// What a host may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostAction {
    /// Silences one source; its owner may start it again.
    Mute {
        /// Whose.
        target: ParticipantId,
        /// Which source.
        kind: TrackKind,
    },
    /// Silences all microphones.
    MuteAll {
        /// Not those of hosts.
        but_hosts: bool,
    },
    /// Lowers one raised hand, or all.
    LowerHand {
        /// Whose.
        target: Option<ParticipantId>,
    },
    /// Sends somebody out.
    Remove {
        /// Whom.
        target: ParticipantId,
        /// They may not come back.
        block: bool,
    },
    /// Gives somebody another role.
    SetRole {
        /// Whom.
        target: ParticipantId,
        /// It.
        role: MemberRole,
    },
    /// Makes somebody else host and oneself a panelist.
    HandOver {
        /// Whom.
        target: ParticipantId,
    },
    /// Takes the role back from those it was handed to: for owners.
    Reclaim,
    /// Nobody else may join, or they may again.
    Lock(bool),
    /// Who joins must be admitted, or need not.
    WaitingRoom(bool),
    /// Only hosts may write, or everybody.
    LockChat(bool),
    /// Keeps one share in the screen slot.
    PinShare {
        /// Whose; none: the newest again.
        target: Option<ParticipantId>,
    },
    /// Lets one of those who wait in, or all.
    Admit {
        /// Whom.
        target: Option<ParticipantId>,
    },
    /// Sends one of those who wait away.
    Deny {
        /// Whom.
        target: ParticipantId,
    },
}

impl HostAction {
    /// Whom it is done to, where that is one participant.
    #[must_use]
    pub fn target(self) -> Option<ParticipantId> {
        match self {
            Self::Mute { target, .. }
            | Self::Remove { target, .. }
            | Self::SetRole { target, .. }
            | Self::HandOver { target }
            | Self::Deny { target } => Some(target),
            Self::LowerHand { target } | Self::PinShare { target } | Self::Admit { target } => {
                target
            }
            Self::MuteAll { .. }
            | Self::Reclaim
            | Self::Lock(_)
            | Self::WaitingRoom(_)
            | Self::LockChat(_) => None,
        }
    }

    /// Whether it takes something from its target that an owner may take from others only: their place or their role.
    #[must_use]
    pub fn unseats(self) -> bool {
        matches!(self, Self::Remove { .. } | Self::SetRole { .. })
    }
}

/// Somebody as far as rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Their role now.
    pub role: MemberRole,
    /// Their token grants hosting.
    pub owner: bool,
}

/// Whether `actor` may do `action` to `target` (`None`: it is done to the meeting, or to somebody who waits).
///
/// | | host | panelist, attendee |
/// |---|---|---|
/// | every action but reclaim | yes | no |
/// | reclaim | who owns the meeting | who owns the meeting |
/// | remove or set the role of an owner | another owner only | no |
/// | remove or set the role of oneself | no | no |
#[must_use]
pub fn may(actor: Standing, action: HostAction, target: Option<Standing>, is_self: bool) -> bool {
    if matches!(action, HostAction::Reclaim) {
        return actor.owner;
    }
    let unseats_owner = action.unseats() && target.is_some_and(|t| t.owner) && !actor.owner;
    actor.role == MemberRole::Host && !unseats_owner && !(action.unseats() && is_self)
}

/// Why a host's wish was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostRefusal {
    /// The role does not allow it.
    NotAllowed,
    /// The target has left, or waits no more.
    Gone,
}

/// Why somebody may not enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Barrier {
    /// The meeting is locked.
    Locked,
    /// A host has removed and blocked them.
    Blocked,
    /// A host must let them in: they have to wait.
    Waits,
    /// The meeting, or its waiting room, is full.
    Full,
}

/// Somebody who waits to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knocker {
    /// Short id, theirs when they are let in.
    pub id: ParticipantId,
    /// Display name.
    pub name: String,
    /// [`crate::control::Member::identity`].
    pub identity: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: ParticipantId = ParticipantId(9);

    /// Every action there is, and whether it unseats.
    const ACTIONS: [(HostAction, bool); 13] = [
        (HostAction::Mute { target: TARGET, kind: TrackKind::Mic }, false),
        (HostAction::MuteAll { but_hosts: true }, false),
        (HostAction::LowerHand { target: None }, false),
        (HostAction::Remove { target: TARGET, block: true }, true),
        (HostAction::SetRole { target: TARGET, role: MemberRole::Host }, true),
        (HostAction::HandOver { target: TARGET }, false),
        (HostAction::Reclaim, false),
        (HostAction::Lock(true), false),
        (HostAction::WaitingRoom(true), false),
        (HostAction::LockChat(true), false),
        (HostAction::PinShare { target: Some(TARGET) }, false),
        (HostAction::Admit { target: None }, false),
        (HostAction::Deny { target: TARGET }, false),
    ];

    #[test]
    fn every_role_and_every_action() {
        for role in MemberRole::ALL {
            for owner in [false, true] {
                let actor = Standing { role, owner };
                for (action, unseats) in ACTIONS {
                    assert_eq!(action.unseats(), unseats);
                    for target_owns in [false, true] {
                        let target = Standing { role: MemberRole::Panelist, owner: target_owns };
                        let expected = match action {
                            HostAction::Reclaim => owner,
                            _ if role != MemberRole::Host => false,
                            _ => !(unseats && target_owns && !owner),
                        };
                        assert_eq!(
                            may(actor, action, Some(target), false),
                            expected,
                            "{actor:?} {action:?} {target:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_unseats_themself() {
        let host = Standing { role: MemberRole::Host, owner: true };
        for (action, unseats) in ACTIONS {
            assert_eq!(may(host, action, Some(host), true), !unseats, "{action:?}");
        }
    }
}
