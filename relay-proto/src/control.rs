//! What two nodes tell each other about meetings, on the control stream of a link.
//!
//! Bodies are bincode inside the versioned, length-limited frame of [`crate::frame`]. Every message about a meeting carries
//! the epoch under which its sender acts; a receiver that knows a newer one answers [`Control::Refused`].

use crate::ids::{Encoding, EncodingSet, Epoch, FlowId, MeetingId, NodeId, ParticipantId, TrackId};
use crate::roles::{Barrier, HostAction, HostRefusal, Knocker, MemberRole, Settings};
use crate::time::NtpTime;
use serde::{Deserialize, Serialize};

/// A codec, as far as nodes care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// Opus, 48 kHz.
    Opus,
    /// VP8.
    Vp8,
    /// VP9: passes as opaque.
    Vp9,
    /// H.264: passes as opaque.
    H264,
    /// AV1: passes as opaque.
    Av1,
}

impl Codec {
    /// RTP clock rate in Hz.
    #[must_use]
    pub fn clock_rate(self) -> u32 {
        if matches!(self, Self::Opus) { 48_000 } else { 90_000 }
    }
}

/// One encoding of an announced track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodingInfo {
    /// Which one.
    pub encoding: Encoding,
    /// The address under which the announcing node will send it.
    pub flow: FlowId,
    /// What it is expected to need, bit/s.
    pub bitrate_bps: u32,
}

/// A track that the announcing node can send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// Which track.
    pub track: TrackId,
    /// Its codec.
    pub codec: Codec,
    /// Its encodings, lowest first; at most [`Encoding::MAX_PER_TRACK`].
    pub encodings: Vec<EncodingInfo>,
    /// The nodes it came through, the ingress edge first; the announcing node is last. At most
    /// [`crate::limits::HOPS_MAX`]; a node that finds itself in it refuses the announcement.
    pub hops: Vec<NodeId>,
}

/// What an edge wants of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Which track.
    pub track: TrackId,
    /// Which of its encodings; the set that is watched downstream.
    pub encodings: EncodingSet,
}

/// One participant, as the roster shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Short id, also the CSRC of their packets.
    pub id: ParticipantId,
    /// Display name.
    pub name: String,
    /// The edge they are connected to.
    pub edge: NodeId,
    /// Whether the microphone is muted.
    pub mic_muted: bool,
    /// Whether the camera is off.
    pub camera_off: bool,
    /// What they may do. The origin decides it once they have entered.
    pub role: MemberRole,
    /// Whether their token grants hosting.
    pub owner: bool,
    /// Tells one person from another without naming them: a hash of the token's subject; 0 where it names nobody.
    pub identity: u64,
    /// A raised hand: 0 is none, and of two the one with the lower number was raised first. An edge asks with any number, the
    /// origin gives the real one.
    pub hand: u64,
}

/// A change of the roster. The origin gives each change the next number of the meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RosterChange {
    /// Somebody joined, or everything about them was said anew.
    Put(Member),
    /// Somebody left.
    Remove(ParticipantId),
}

/// What somebody writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatPost {
    /// Chosen at random by who writes, so that what is said again is known again.
    pub key: u64,
    /// Who writes.
    pub from: ParticipantId,
    /// Their display name, for those who come when they have left.
    pub name: String,
    /// To whom alone; `None`: to everybody.
    pub to: Option<ParticipantId>,
    /// The text; at most [`crate::limits::CHAT_CHARS_MAX`] characters.
    pub text: String,
}

/// What was written, in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Its number in the meeting; an edge is not told of private ones between others, and so not of every number.
    pub seq: u64,
    /// When the origin had it, by its wall clock; ms since the Unix epoch.
    pub at_ms: u64,
    /// What.
    pub post: ChatPost,
}

/// One speaker's standing at an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeakerLevel {
    /// Who.
    pub participant: ParticipantId,
    /// Loudness over the last 300 ms: 0 (silence) ..= 127 (loudest), 127 minus the RFC 6464 level in -dBov.
    pub loudness: u8,
    /// How long they have been silent, ms; 0 while they speak.
    pub silent_ms: u16,
    /// How long they have been speaking without a pause over 300 ms, ms.
    pub speaking_ms: u32,
}

/// The elected speakers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// Counts elections of this epoch; a receiver ignores older ones.
    pub seq: u64,
    /// Who holds the main picture.
    pub main: Option<ParticipantId>,
    /// The most recent speakers, newest first, `main` included; at most [`crate::limits::FLOOR_RECENT_MAX`].
    pub recent: Vec<ParticipantId>,
}

/// The part an edge plays in its region for one meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// First edge of the region: attaches to the origin, the others attach to it.
    Head,
    /// Attach to this edge instead; keep the link to the origin idle.
    Child {
        /// The head of the region.
        head: NodeId,
    },
}

/// Why a message about a meeting was not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The sender's epoch is older than the one in force, which stands here.
    StaleEpoch(Epoch),
    /// The receiver is not the meeting's origin (nor its head for that region).
    NotMine,
    /// A limit of `limits.rs` would be passed.
    Full,
    /// The hop list has the receiver in it, or is too long.
    Loop,
}

/// The body of a control message about a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Edge to origin, or child to head: here I am, for this meeting, in this region.
    Attach {
        /// Region of the sender.
        region: String,
    },
    /// The answer: the sender's part.
    Attached {
        /// Head or child.
        role: Role,
    },
    /// No participant is left here.
    Detach,
    /// I can send this track.
    Announce(Announce),
    /// This track is gone.
    Withdraw(TrackId),
    /// All that the sender wants of the receiver, replacing what it wanted before.
    Demand {
        /// Counts the demands on this link and meeting; an older one is ignored.
        seq: u64,
        /// Video tracks and the encodings of each. At most [`crate::limits::WANTS_MAX`].
        wants: Vec<Want>,
        /// Whether voices are wanted: somebody outside the receiver listens.
        voices: bool,
    },
    /// Make a key frame of this encoding.
    Keyframe {
        /// The track.
        track: TrackId,
        /// The encoding.
        encoding: Encoding,
    },
    /// Edge to origin: the loudest here. At most [`crate::limits::DIGEST_MAX`].
    Digest(Vec<SpeakerLevel>),
    /// Origin to edges: who has the floor.
    Floor(Floor),
    /// Edge to origin: put this change into the roster; answered by its coming back with a number.
    RosterRequest(RosterChange),
    /// Origin to edges: change number `seq`. A receiver that misses one asks for a snapshot by attaching again.
    Roster {
        /// Number of this change in the meeting.
        seq: u64,
        /// The change.
        change: RosterChange,
    },
    /// Origin to an edge that attached: the whole roster, as of change number `seq`.
    RosterSnapshot {
        /// Number of the last change it contains.
        seq: u64,
        /// Everybody, in the order of joining; at most [`crate::limits::SNAPSHOT_MEMBERS_MAX`] a message.
        members: Vec<Member>,
        /// Whether this message is the first of its snapshot (forget what was known).
        first: bool,
        /// Whether it is the last.
        last: bool,
    },
    /// The message was not obeyed.
    Refused(Refusal),
    /// The meeting is over.
    Ended,
    /// Edge to origin: one of its participants writes this; answered by its coming back with a number. Said again after
    /// attaching, until it has come back.
    ChatRequest(ChatPost),
    /// Origin to edges: this was written. Private messages go to the edges of the two.
    Chat(ChatMessage),
    /// Origin to an edge that attached: what was written last, oldest first.
    ChatHistory {
        /// Number of the last message of the meeting.
        seq: u64,
        /// Some of it; at most [`crate::limits::CHAT_HISTORY_MAX`].
        messages: Vec<ChatMessage>,
        /// Whether this is the last part.
        last: bool,
    },
    /// Origin to edges: how the meeting is set. Replaces what was said before.
    Settings(Settings),
    /// Edge to origin: a participant of the sender's wants this done.
    HostRequest {
        /// Names the request; comes back.
        key: u32,
        /// Who.
        from: ParticipantId,
        /// What.
        action: HostAction,
    },
    /// The answer.
    HostAnswer {
        /// Of the request.
        key: u32,
        /// Who had asked.
        from: ParticipantId,
        /// Why it was not done; none: it was.
        refused: Option<HostRefusal>,
    },
    /// Origin to the edges concerned: carry this out on your participants.
    Command {
        /// The host who wanted it.
        by: ParticipantId,
        /// What.
        action: HostAction,
    },
    /// Edge to origin: somebody waits here to be let in. Said again after attaching.
    Knock(Knocker),
    /// Edge to origin: they wait no more.
    KnockEnded(ParticipantId),
    /// Origin to edges, for hosts: who waits. Replaces what was said before.
    Knocking {
        /// Those who wait longest; at most [`crate::limits::KNOCKERS_TOLD_MAX`].
        people: Vec<Knocker>,
        /// How many there are in all.
        total: u32,
    },
    /// Origin to an edge: this participant of yours may not enter.
    TurnedAway {
        /// Who.
        participant: ParticipantId,
        /// Why.
        barrier: Barrier,
    },
}

/// A control message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The meeting it is about.
    pub meeting: MeetingId,
    /// The epoch under which the sender acts.
    pub epoch: Epoch,
    /// What it says.
    pub body: Body,
}

/// First message of each control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Highest version of the relay protocol the sender speaks.
    pub version: u16,
    /// Lowest version the sender still speaks.
    pub version_min: u16,
    /// Bits of `features` ([`crate::limits`] has none yet beyond `FEATURE_SHIM`).
    pub features: u64,
    /// Who is speaking; must equal the identity in its certificate.
    pub node: NodeId,
    /// Lane of this connection.
    pub lane: crate::ids::Lane,
    /// Region of the sender.
    pub region: String,
    /// Distinguishes two runs of one node.
    pub instance: u64,
    /// Sender's wall clock.
    pub sent_at: NtpTime,
}
