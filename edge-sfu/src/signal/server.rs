//! What the edge says.

use super::{
    ChatJson, KnockerJson, MemberJson, MemberRoleJson, SlotLine, SlotState, TrackKindJson,
};
use relay_proto::MeetingId;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

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
        /// Own role.
        role: MemberRoleJson,
        /// Whether the own token grants hosting: the role may be taken back at any time.
        owner: bool,
        /// The SDP answer.
        sdp: String,
        /// The receive slots, in m-line order.
        slots: Vec<SlotLine>,
    },
    /// Where to join again when this edge is gone, the nearest first. Sent with each join, after its answer.
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
        /// In a large meeting attendees are not listed: this is how many there are. Ask with `rosterPage` who they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        attendees: Option<u32>,
    },
    /// Answer to `rosterPage`.
    RosterPage {
        /// By id.
        members: Vec<MemberJson>,
        /// Where the next page begins (`after`); none: this was the last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        next: Option<u32>,
    },
    /// The join waits: a host must let this participant in. `joined` or a fatal `error` follows.
    Waiting,
    /// To hosts: who waits to be let in. Replaces what was told before.
    Knocking {
        /// Those who wait longest.
        people: Vec<KnockerJson>,
        /// How many there are in all.
        total: u32,
    },
    /// How the meeting is set. Replaces what was told before.
    Settings {
        /// Nobody else may join.
        locked: bool,
        /// Who joins must be admitted.
        waiting_room: bool,
        /// Only hosts may write.
        chat_locked: bool,
        /// Whose screen stays in the screen slot.
        pinned_share: Option<u32>,
    },
    /// The own role has changed. Who may publish now sends a new offer with their sources; who no longer may stops.
    Role {
        /// It is this now.
        role: MemberRoleJson,
    },
    /// A host has silenced a source of this participant.
    Muted {
        /// Which source.
        kind: TrackKindJson,
        /// Which host.
        by: u32,
    },
    /// Answer to `host`.
    Done {
        /// As sent.
        key: u32,
        /// Why it was not done, in a sentence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[ts(optional)]
        refused: Option<String>,
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
