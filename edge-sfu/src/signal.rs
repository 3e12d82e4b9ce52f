//! What a client and its edge say to each other: JSON text frames over one WebSocket, `/v1/signal`.
//!
//! The TypeScript types of the SDK are generated from here (`web/sdk/src/generated/`), so the two cannot drift apart.

use relay_proto::{MeetingId, ParticipantId, TrackKind};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Version of this protocol. A client says which it speaks; another one is refused with [`ErrorCode::Version`].
pub const SIGNAL_VERSION: u32 = 1;

/// Longest text frame, and with it the longest SDP: the SDK's offer is 27 KB, an unrestricted one 84 KB.
pub const SIGNAL_BYTES_MAX: usize = 128 * 1024;

/// What the client says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
#[ts(export)]
pub enum ClientMessage {
    /// First message: enter a meeting.
    Join {
        /// [`SIGNAL_VERSION`].
        version: u32,
        /// A join token (JWT); it names the meeting and the grants.
        token: String,
        /// Display name; the token's name wins where it has one.
        #[serde(default)]
        #[ts(optional)]
        name: Option<String>,
        /// The SDP offer: own microphone, camera and screen first, then receive-only slots.
        sdp: String,
        /// What the own tracks are, by m-line.
        #[serde(default)]
        publish: Vec<PublishLine>,
    },
    /// A new offer on the same peer: more slots, a screen share, a promotion, or an ICE restart.
    Renegotiate {
        /// The SDP offer.
        sdp: String,
        /// What the own tracks are, by m-line.
        #[serde(default)]
        publish: Vec<PublishLine>,
    },
    /// Own microphone muted or camera off.
    Mute {
        /// Which source.
        kind: TrackKindJson,
        /// Whether it is silent now.
        muted: bool,
    },
    /// What to show. Replaces the layout asked for before.
    Layout {
        /// Keep this participant in the main picture, whoever speaks.
        #[serde(default)]
        #[ts(optional)]
        pin: Option<u32>,
        /// How many strip pictures to fill, at most the number of slots.
        #[serde(default)]
        #[ts(optional)]
        strip: Option<u32>,
        /// Rate the client wants to receive at most, bit/s.
        #[serde(default)]
        #[ts(optional)]
        max_bitrate_bps: Option<u32>,
    },
    /// Writes to everybody, or to one participant. Comes back with `chat`; what has not is to be said again with the same key.
    Chat {
        /// Chosen at random, below 2^53.
        #[ts(type = "number")]
        key: u64,
        /// To whom alone.
        #[serde(default)]
        #[ts(optional)]
        to: Option<u32>,
        /// At most 2,000 characters.
        text: String,
    },
    /// Raises or lowers the own hand.
    Hand {
        /// Whether it is up.
        raised: bool,
    },
    /// Goodbye.
    Leave,
    /// Answered with `pong`.
    Ping {
        /// Comes back.
        id: u32,
    },
}

/// What a published m-line carries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PublishLine {
    /// The m-line's mid.
    pub mid: String,
    /// What it is.
    pub kind: TrackKindJson,
}

/// [`TrackKind`] as JSON writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum TrackKindJson {
    /// Microphone.
    Mic,
    /// Camera.
    Camera,
    /// Shared screen.
    Screen,
}

impl From<TrackKindJson> for TrackKind {
    fn from(kind: TrackKindJson) -> Self {
        match kind {
            TrackKindJson::Mic => Self::Mic,
            TrackKindJson::Camera => Self::Camera,
            TrackKindJson::Screen => Self::Screen,
        }
    }
}

impl From<TrackKind> for TrackKindJson {
    fn from(kind: TrackKind) -> Self {
        match kind {
            TrackKind::Mic => Self::Mic,
            TrackKind::Camera => Self::Camera,
            TrackKind::Screen => Self::Screen,
        }
    }
}

/// What a receive slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, TS)]
#[serde(rename_all = "lowercase")]
#[ts(export)]
pub enum SlotRole {
    /// A voice.
    Audio,
    /// The main picture: the first video slot.
    Main,
    /// A small picture.
    Strip,
    /// The shared screen.
    Screen,
}

/// One receive-only m-line. Its SSRC stays for life; participants move through it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct SlotLine {
    /// The m-line's mid.
    pub mid: String,
    /// What it is for.
    pub role: SlotRole,
}

/// Who is in a slot now. The CSRC of each packet says the same; this is for the layout.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct SlotState {
    /// The m-line's mid.
    pub mid: String,
    /// Who is shown or heard; none: the slot is empty.
    pub participant: Option<u32>,
    /// The rid of the encoding that is shown, for video.
    #[ts(optional)]
    pub rid: Option<String>,
}

/// A participant in the roster.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct MemberJson {
    /// Short id: the CSRC of their packets.
    pub id: u32,
    /// Display name.
    pub name: String,
    /// Region of their edge is not told; the edge node's number is.
    pub edge: u32,
    /// Whether the microphone is muted.
    pub mic_muted: bool,
    /// Whether the camera is off.
    pub camera_off: bool,
    /// Whether they may publish.
    pub publisher: bool,
    /// A raised hand; of two the lower number was raised first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub hand: Option<u64>,
}

/// Something that was written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct ChatJson {
    /// The writer's key: one's own message is known by it, and one that is told twice.
    #[ts(type = "number")]
    pub key: u64,
    /// When the meeting's origin had it, ms since the Unix epoch.
    #[ts(type = "number")]
    pub at_ms: u64,
    /// Who wrote it.
    pub from: u32,
    /// Their name then.
    pub name: String,
    /// To whom alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub to: Option<u32>,
    /// What.
    pub text: String,
}

impl From<&relay_proto::control::ChatMessage> for ChatJson {
    fn from(m: &relay_proto::control::ChatMessage) -> Self {
        Self {
            key: m.post.key,
            at_ms: m.at_ms,
            from: m.post.from.0,
            name: m.post.name.clone(),
            to: m.post.to.map(|to| to.0),
            text: m.post.text.clone(),
        }
    }
}

impl From<&relay_proto::control::Member> for MemberJson {
    fn from(m: &relay_proto::control::Member) -> Self {
        Self {
            id: m.id.0,
            name: m.name.clone(),
            edge: m.edge.0,
            mic_muted: m.mic_muted,
            camera_off: m.camera_off,
            publisher: m.publisher,
            hand: Some(m.hand).filter(|hand| *hand != 0),
        }
    }
}

/// What the edge says.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum ServerMessage {
    /// Answer to `join`.
    Joined {
        /// [`SIGNAL_VERSION`].
        version: u32,
        /// The meeting.
        #[ts(type = "string")]
        meeting: MeetingId,
        /// Own short id.
        participant: u32,
        /// Region of this edge.
        region: String,
        /// Name of this edge.
        node: String,
        /// The SDP answer.
        sdp: String,
        /// The receive slots, in m-line order.
        slots: Vec<SlotLine>,
    },
    /// Where to join again when this edge is gone, the nearest first. Sent with each join, before its answer.
    Edges {
        /// `http(s)://host:port` each.
        edges: Vec<String>,
    },
    /// Answer to `renegotiate`.
    Renegotiated {
        /// The SDP answer.
        sdp: String,
        /// The receive slots, in m-line order.
        slots: Vec<SlotLine>,
    },
    /// The roster: first a snapshot, then changes.
    Roster {
        /// Number of the last change contained.
        seq: u32,
        /// Whether `put` is everybody: forget what was known.
        snapshot: bool,
        /// Joined, or changed.
        put: Vec<MemberJson>,
        /// Left.
        removed: Vec<u32>,
    },
    /// Who has the floor.
    Floor {
        /// Holder of the main picture.
        main: Option<u32>,
        /// Most recent speakers, newest first.
        recent: Vec<u32>,
    },
    /// Who is in which slot; only the slots that changed.
    Slots {
        /// The changed ones.
        slots: Vec<SlotState>,
    },
    /// What was written: after a join the last of it, then each as it comes.
    Chat {
        /// Oldest first.
        messages: Vec<ChatJson>,
    },
    /// Something was refused. After `fatal` the socket is closed.
    Error {
        /// What kind.
        code: ErrorCode,
        /// What to do about it, in a sentence.
        message: String,
        /// Whether the socket is closed now.
        fatal: bool,
        /// When to try again.
        #[ts(optional)]
        retry_after_ms: Option<u32>,
        /// Other edges that may take the join: `http(s)://host:port`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        edges: Vec<String>,
    },
    /// The meeting is over, or this participant was removed.
    Ended {
        /// Why, in a sentence.
        reason: String,
    },
    /// Answer to `ping`.
    Pong {
        /// As sent.
        id: u32,
    },
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub enum ErrorCode {
    /// Not JSON, an unknown type, a missing field, or too long.
    Malformed,
    /// Not allowed now, such as `mute` before `join`.
    OutOfOrder,
    /// Another protocol version is needed.
    Version,
    /// The token is wrong, expired, or for another audience.
    Token,
    /// The token does not grant this.
    Forbidden,
    /// No such meeting.
    NoMeeting,
    /// The SDP cannot be answered.
    Sdp,
    /// This edge or the meeting is full; other edges may be named.
    Busy,
    /// The edge cannot reach the rest of the mesh just now.
    Unavailable,
    /// Too many messages.
    TooMany,
}

/// A participant id as JSON writes it.
#[must_use]
pub fn id_json(id: ParticipantId) -> u32 {
    id.0
}
