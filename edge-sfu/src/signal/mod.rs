//! What a client and its edge say to each other: JSON text frames over one WebSocket, `/v1/signal`.
//!
//! The TypeScript types of the SDK are generated from here (`web/sdk/src/generated/`), so the two cannot drift apart.

mod client;
mod host;
mod people;
mod server;

pub use client::{ClientMessage, PublishLine};
pub use host::{HostActionJson, MemberRoleJson};
pub use people::{ChatJson, KnockerJson, MemberJson};
pub use server::{ErrorCode, ServerMessage};

use relay_proto::{ParticipantId, TrackKind};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Version of this protocol. A client says which it speaks; another one is refused with [`ErrorCode::Version`].
pub const SIGNAL_VERSION: u32 = 1;

/// Longest text frame, and with it the longest SDP: the SDK's offer is 27 KB, an unrestricted one 84 KB.
pub const SIGNAL_BYTES_MAX: usize = 128 * 1024;

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

/// A participant id as JSON writes it.
#[must_use]
pub fn id_json(id: ParticipantId) -> u32 {
    id.0
}
