//! Participants and what they write, as JSON writes them.

use super::MemberRoleJson;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

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
    /// What they may do. Everybody but an attendee may publish.
    pub role: MemberRoleJson,
    /// A raised hand; of two the lower number was raised first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub hand: Option<u64>,
}

/// Somebody who waits to be let in.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct KnockerJson {
    /// Their short id.
    pub id: u32,
    /// Display name.
    pub name: String,
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
            role: m.role.into(),
            hand: Some(m.hand).filter(|hand| *hand != 0),
        }
    }
}
