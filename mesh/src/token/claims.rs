//! What the tokens say: three kinds of one issuer, told apart by their audience.

use relay_proto::MeetingId;
use serde::{Deserialize, Serialize};
use topology::model::MeetingKind;

/// Audience of join tokens: an edge takes them on its WebSocket.
pub const AUDIENCE: &str = "mesh-join";
/// Audience of API tokens: a person, known to the operator, who creates meetings.
pub const API_AUDIENCE: &str = "mesh-api";
/// Audience of invitations: whoever holds one may join a meeting.
pub const INVITE_AUDIENCE: &str = "mesh-invite";

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// May send microphone, camera and screen.
    #[serde(default)]
    pub publish: bool,
    /// May receive.
    #[serde(default)]
    pub subscribe: bool,
    /// May chat.
    #[serde(default)]
    pub chat: bool,
    /// May act as host.
    #[serde(default)]
    pub host: bool,
}

impl Grants {
    /// A participant like any other.
    pub const PARTICIPANT: Self = Self { publish: true, subscribe: true, chat: true, host: false };
    /// An attendee of a webinar.
    pub const ATTENDEE: Self = Self { publish: false, subscribe: true, chat: true, host: false };
    /// A host.
    pub const HOST: Self = Self { publish: true, subscribe: true, chat: true, host: true };
}

/// What a join token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom the token is: [`AUDIENCE`].
    pub aud: String,
    /// The meeting.
    pub meeting: MeetingId,
    /// Who, as the issuer knows them; each joiner has an own one, so that they can be removed and blocked.
    #[serde(default)]
    pub sub: String,
    /// Display name; wins over what the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it allows.
    pub grants: Grants,
    /// The holder waits until a host admits them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
    /// Seconds since 1970 at which it ends.
    pub exp: u64,
}

/// What an API token allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiGrants {
    /// May create meetings, and is host of those.
    #[serde(default)]
    pub create: bool,
    /// May see, join and end everybody's meetings.
    #[serde(default)]
    pub admin: bool,
}

/// What an API token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiClaims {
    /// [`API_AUDIENCE`].
    pub aud: String,
    /// The person.
    pub sub: String,
    /// Their display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it allows.
    pub grants: ApiGrants,
    /// Seconds since 1970 at which it ends.
    pub exp: u64,
}

/// As what somebody is invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InviteRole {
    /// Acts as host; neither password nor waiting room keeps them out.
    Host,
    /// Publishes; in a webinar, a panelist.
    Participant,
    /// Watches and chats.
    Attendee,
}

impl InviteRole {
    /// What the role grants.
    #[must_use]
    pub fn grants(self) -> Grants {
        match self {
            Self::Host => Grants::HOST,
            Self::Participant => Grants::PARTICIPANT,
            Self::Attendee => Grants::ATTENDEE,
        }
    }

    /// The role of those who are invited to a meeting without a word about it.
    #[must_use]
    pub fn usual(kind: MeetingKind) -> Self {
        match kind {
            MeetingKind::Meeting => Self::Participant,
            MeetingKind::Webinar => Self::Attendee,
        }
    }
}

/// What an invitation says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteClaims {
    /// [`INVITE_AUDIENCE`].
    pub aud: String,
    /// The meeting.
    pub meeting: MeetingId,
    /// As what.
    pub role: InviteRole,
    /// A personal invitation: the one who joins with it. None: many may use it, and each gets a `sub` of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Display name; wins over what the joiner says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seconds since 1970 at which it ends.
    pub exp: u64,
}

/// A verified token of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A person known to the operator.
    Api(ApiClaims),
    /// Somebody invited.
    Invite(InviteClaims),
    /// Somebody who has joined, or may at once.
    Join(Claims),
}
