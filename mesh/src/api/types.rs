//! What is sent and answered. The OpenAPI document is made of these types.

use super::edges::EdgeChoice;
use super::ice::IceServer;
use super::limits::{NAME_CHARS_MAX, PAGE_DEFAULT, PASSWORD_CHARS_MAX};
use super::problem::{Kind, Refused};
use crate::token::InviteRole;
use edge_sfu::signal::{MemberJson, MemberRoleJson};
use serde::{Deserialize, Serialize};
use topology::limits::PARTICIPANTS_MAX;
use topology::model::{Meeting, MeetingKind, MeetingSpec, PasswordHash, Region};
use utoipa::{IntoParams, ToSchema};

/// Who may publish by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KindOfMeeting {
    /// Everybody.
    #[default]
    Meeting,
    /// Panelists; attendees watch, chat and raise hands.
    Webinar,
}

impl From<KindOfMeeting> for MeetingKind {
    fn from(kind: KindOfMeeting) -> Self {
        match kind {
            KindOfMeeting::Meeting => Self::Meeting,
            KindOfMeeting::Webinar => Self::Webinar,
        }
    }
}

impl From<MeetingKind> for KindOfMeeting {
    fn from(kind: MeetingKind) -> Self {
        match kind {
            MeetingKind::Meeting => Self::Meeting,
            MeetingKind::Webinar => Self::Webinar,
        }
    }
}

/// A meeting that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMeeting {
    /// A name for people; control characters are left out.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub name: Option<String>,
    /// Who may publish by default.
    #[serde(default)]
    #[schema(inline)]
    pub kind: KindOfMeeting,
    /// Participants at one time; as many as there can be when it is not said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1048576)]
    pub max_participants: Option<u32>,
    /// The origin must stand in this region.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    pub origin_region: Option<String>,
    /// Most participants are expected in this region.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    pub hint_region: Option<String>,
    /// Whoever is not host has to say it when joining.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128)]
    pub password: Option<String>,
    /// Whoever is not host waits until a host admits them.
    #[serde(default)]
    pub waiting_room: bool,
}

impl NewMeeting {
    /// What the topology is asked for; `password` is the hash.
    pub(super) fn spec(
        &self,
        creator: &str,
        password: Option<PasswordHash>,
    ) -> Result<MeetingSpec, Refused> {
        let max = self.max_participants;
        if max.is_some_and(|max| !(1..=PARTICIPANTS_MAX).contains(&max)) {
            return Err(invalid(format!("maxParticipants: choose 1 to {PARTICIPANTS_MAX}")));
        }
        Ok(MeetingSpec {
            name: clean_name("name", self.name.as_deref())?.unwrap_or_default(),
            origin_region: region("originRegion", self.origin_region.as_deref())?,
            hint_region: region("hintRegion", self.hint_region.as_deref())?,
            participants_max: max.unwrap_or_default(),
            kind: self.kind.into(),
            waiting_room: self.waiting_room,
            password,
            creator: creator.to_owned(),
            ..MeetingSpec::default()
        })
    }

    /// The password, if one is wanted.
    pub(super) fn password(&self) -> Result<Option<&str>, Refused> {
        match &self.password {
            Some(password) if !(1..=PASSWORD_CHARS_MAX).contains(&password.chars().count()) => Err(
                invalid(format!("password: choose one of 1 to {PASSWORD_CHARS_MAX} characters")),
            ),
            password => Ok(password.as_deref()),
        }
    }
}

fn invalid(detail: String) -> Refused {
    Refused::new(Kind::Invalid, detail)
}

/// A region's name, if one is given.
pub(super) fn region(what: &str, text: Option<&str>) -> Result<Option<Region>, Refused> {
    text.map(|text| Region::new(text).map_err(|e| invalid(format!("{what}: {e}")))).transpose()
}

/// A name without control characters; nothing when nothing is left.
pub(super) fn clean_name(what: &str, name: Option<&str>) -> Result<Option<String>, Refused> {
    let Some(name) = name else { return Ok(None) };
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(invalid(format!("{what}: at most {NAME_CHARS_MAX} characters")));
    }
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    let clean = clean.trim();
    Ok((!clean.is_empty()).then(|| clean.to_owned()))
}

/// A meeting as those may see it who may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeetingInfo {
    /// Its id.
    #[schema(pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$")]
    pub id: String,
    /// A name for people.
    pub name: String,
    /// Who may publish by default.
    #[schema(inline)]
    pub kind: KindOfMeeting,
    /// Participants at one time.
    pub max_participants: u32,
    /// Where most participants are expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint_region: Option<String>,
    /// A join has to say a password.
    pub password_required: bool,
    /// Participants wait until a host admits them.
    pub waiting_room: bool,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// It is over.
    pub ended: bool,
}

impl From<&Meeting> for MeetingInfo {
    fn from(m: &Meeting) -> Self {
        Self {
            id: m.id.to_string(),
            name: m.name.clone(),
            kind: m.kind.into(),
            max_participants: m.participants_max,
            hint_region: m.hint_region.as_ref().map(ToString::to_string),
            password_required: m.has_password,
            waiting_room: m.waiting_room,
            created_ms: m.created_ms,
            ended: m.ended,
        }
    }
}

/// An invitation: whoever has it may join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// As what.
    #[schema(inline)]
    pub role: InviteRole,
    /// To be sent as `Authorization: Bearer` with a join.
    pub token: String,
    /// Seconds since 1970.
    pub expires_at: u64,
}

/// A meeting that was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// The meeting.
    pub meeting: MeetingInfo,
    /// One for each role; the first is for those who create, the last for those who are invited without a word about it.
    pub invitations: Vec<Invitation>,
}

/// An invitation that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvitation {
    /// As what.
    #[schema(inline)]
    pub role: InviteRole,
    /// For this one person: they join under this name, and always as the same participant.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub name: Option<String>,
}

/// A join that is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewJoin {
    /// Display name; that of a personal invitation wins.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub name: Option<String>,
    /// The meeting's password.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub password: Option<String>,
    /// Where the joiner is; edges near to it come first. When it is not said: where this edge is.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9-]{1,32}$")]
    pub region: Option<String>,
}

/// Everything a client needs to join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Joining {
    /// The meeting.
    pub meeting: MeetingInfo,
    /// Edges that take the join, the nearest region first.
    pub edges: Vec<EdgeChoice>,
    /// For `RTCPeerConnection`; edges themselves need none.
    pub ice_servers: Vec<IceServer>,
    /// The join token, for `join` on an edge's WebSocket; also renews itself here.
    pub token: String,
    /// When token and TURN credentials end, seconds since 1970.
    pub expires_at: u64,
    /// Who the joiner is from now on; to be told apart from others, not to be shown.
    pub sub: String,
    /// As what they join.
    #[schema(inline)]
    pub role: InviteRole,
    /// They will wait until a host admits them.
    pub waits: bool,
    /// What the edges allow.
    #[schema(inline)]
    pub limits: JoinLimits,
}

/// What the edges allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinLimits {
    /// Participants of the meeting at one time.
    pub max_participants: u32,
    /// Longest message, and with it SDP, on the WebSocket.
    pub signal_bytes: u32,
    /// Messages a second on the WebSocket.
    pub signal_messages_per_second: u32,
}

/// A participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Short id: the CSRC of their packets.
    pub id: u32,
    /// Display name.
    pub name: String,
    /// Number of the edge they are connected to.
    pub edge: u32,
    /// Their microphone is muted.
    pub mic_muted: bool,
    /// Their camera is off.
    pub camera_off: bool,
    /// They may publish.
    pub publisher: bool,
}

impl From<MemberJson> for Participant {
    fn from(m: MemberJson) -> Self {
        let MemberJson { id, name, edge, mic_muted, camera_off, role, .. } = m;
        let publisher = role != MemberRoleJson::Attendee;
        Self { id, name, edge, mic_muted, camera_off, publisher }
    }
}

/// A page of participants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Participants {
    /// By id.
    pub participants: Vec<Participant>,
    /// Of all pages together.
    pub total: u32,
    /// `after` of the next page; none: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// A page of meetings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Meetings {
    /// By id.
    pub meetings: Vec<MeetingInfo>,
    /// `after` of the next page; none: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

fn page_default() -> u32 {
    PAGE_DEFAULT
}

/// Which of the own meetings.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MeetingsQuery {
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: u32,
    /// Those after this id.
    #[serde(default)]
    #[param(pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$", nullable = false)]
    pub(super) after: Option<String>,
    /// Ended ones, too.
    #[serde(default)]
    #[param(default = false)]
    pub(super) ended: bool,
}

/// Which of the participants.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ParticipantsQuery {
    /// At most so many.
    #[serde(default = "page_default")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub(super) limit: u32,
    /// Those after this id.
    #[serde(default)]
    #[param(nullable = false)]
    pub(super) after: Option<u32>,
}
