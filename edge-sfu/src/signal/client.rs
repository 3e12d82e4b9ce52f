//! What the client says.

use super::{HostActionJson, TrackKindJson};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

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
    /// A host acts on the meeting or on somebody in it. Answered with `done`.
    Host {
        /// Comes back with the answer.
        key: u32,
        /// What is to be done.
        action: HostActionJson,
    },
    /// Asks for a part of the roster, where attendees are told as a number only. Answered with `rosterPage`.
    RosterPage {
        /// After this participant, by id; from the beginning where there is none.
        #[serde(default)]
        #[ts(optional)]
        after: Option<u32>,
        /// Only names that contain this, whatever the case.
        #[serde(default)]
        #[ts(optional)]
        search: Option<String>,
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
