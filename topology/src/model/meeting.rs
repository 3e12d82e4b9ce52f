//! What the topology knows about a meeting.

use super::node::check_len;
use super::{ApplyError, Region};
use crate::limits::{
    ALLOWED_REGIONS_MAX, CREATOR_BYTES_MAX, NAME_BYTES_MAX, PARTICIPANTS_MAX,
    PASSWORD_HASH_BYTES_MAX,
};
use relay_proto::{Epoch, MeetingId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Who may publish by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeetingKind {
    /// Everybody.
    #[default]
    Meeting,
    /// Panelists; attendees watch, chat and raise hands.
    Webinar,
}

/// A salted hash of a meeting's password, as a PHC string. Never shown in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// What somebody wants when creating a meeting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingSpec {
    /// A name for people.
    pub name: String,
    /// The origin must stand here.
    pub origin_region: Option<Region>,
    /// Most participants are expected here; ignored when `origin_region` is given.
    pub hint_region: Option<Region>,
    /// Origin and standby stay in these regions; empty means anywhere.
    pub allowed_regions: BTreeSet<Region>,
    /// Participants at one time; 0 means [`PARTICIPANTS_MAX`].
    pub participants_max: u32,
    /// Who may publish by default.
    pub kind: MeetingKind,
    /// Participants wait until a host admits them.
    pub waiting_room: bool,
    /// What a join has to prove knowledge of.
    pub password: Option<PasswordHash>,
    /// Who created it, as the issuer of API tokens knows them; empty for an operator's command line.
    pub creator: String,
}

impl MeetingSpec {
    /// # Errors
    /// What is too long, or contradicts itself.
    pub(super) fn check(&self) -> Result<(), ApplyError> {
        check_len("meeting name", self.name.len(), NAME_BYTES_MAX)?;
        check_len("allowed regions", self.allowed_regions.len(), ALLOWED_REGIONS_MAX)?;
        check_len("participants limit", self.participants_max as usize, PARTICIPANTS_MAX as usize)?;
        check_len("creator", self.creator.len(), CREATOR_BYTES_MAX)?;
        let hash = self.password.as_ref().map_or(0, |hash| hash.0.len());
        check_len("password hash", hash, PASSWORD_HASH_BYTES_MAX)?;
        match &self.origin_region {
            Some(r) if !self.allowed_regions.is_empty() && !self.allowed_regions.contains(r) => {
                Err(ApplyError::RegionNotAllowed(r.clone()))
            }
            _ => Ok(()),
        }
    }
}

/// A meeting and where it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meeting {
    /// Its number.
    pub id: MeetingId,
    /// A name for people.
    pub name: String,
    /// The node that orders and elects for it.
    pub origin: NodeId,
    /// The node that may act as `epoch + 1` when the origin is lost. Never the origin.
    pub standby: Option<NodeId>,
    /// Fences everything said about the meeting. Even; every change of origin, standby or their process adds 2.
    pub epoch: Epoch,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: u64,
    /// Where its participants were expected.
    pub hint_region: Option<Region>,
    /// Origin and standby stay in these regions; empty means anywhere.
    pub allowed_regions: BTreeSet<Region>,
    /// Participants at one time.
    pub participants_max: u32,
    /// It is over; nobody may join.
    pub ended: bool,
    /// Who may publish by default.
    pub kind: MeetingKind,
    /// Participants wait until a host admits them.
    pub waiting_room: bool,
    /// A join needs a password.
    pub has_password: bool,
    /// Its hash, for those who asked for this meeting; those who watch all meetings are not told it.
    pub password: Option<PasswordHash>,
    /// Who created it; empty for an operator's command line.
    pub creator: String,
}

impl Meeting {
    /// The first epoch that is granted; 0 is nobody's.
    pub const FIRST_EPOCH: Epoch = Epoch(2);

    /// The epoch under which the standby acts alone.
    #[must_use]
    pub fn standby_epoch(&self) -> Epoch {
        Epoch(self.epoch.0 + 1)
    }

    /// The next epoch that is granted.
    #[must_use]
    pub fn next_epoch(&self) -> Epoch {
        Epoch(self.epoch.0 + 2)
    }

    /// As watchers are told of it: without the password's hash.
    #[must_use]
    pub fn for_watchers(&self) -> Self {
        Self { password: None, ..self.clone() }
    }

    /// Whether `node` is its origin or its standby.
    #[must_use]
    pub fn names(&self, node: NodeId) -> bool {
        self.origin == node || self.standby == Some(node)
    }
}

/// What one node carries of a meeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupancy {
    /// Its participants of the meeting; 0 forgets the entry.
    pub participants: u32,
    /// Share of the last two minutes in which one of them had the floor, in thousandths.
    pub talk_permille: u16,
}

/// One line of an occupancy report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OccupancyReport {
    /// Which meeting.
    pub meeting: MeetingId,
    /// What the reporting node carries of it.
    pub occupancy: Occupancy,
}
