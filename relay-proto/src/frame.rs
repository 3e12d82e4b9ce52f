//! Frames of the control stream: a fixed header, then a bincode body.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +---------------------------------------------------------------+
//! |  length of the body (32), at most CONTROL_BYTES_MAX           |
//! +-------------------------------+-------------------------------+
//! |  version of the body (16)     |  kind (16)                    |
//! +-------------------------------+-------------------------------+
//! |  body: bincode 2, standard configuration ...                  |
//! ```

use crate::control::{Announce, ChatPost, Member, RosterChange};
use crate::control::{Body, Control, Hello};
use crate::ids::Encoding;
use crate::limits::{
    CHAT_CHARS_MAX, CHAT_HISTORY_MAX, CONTROL_BYTES_MAX, DIGEST_MAX, FLOOR_RECENT_MAX,
    HOPS_DECODED_MAX, KNOCKERS_TOLD_MAX, NAME_CHARS_MAX, REGION_BYTES_MAX, SNAPSHOT_MEMBERS_MAX,
    WANTS_MAX,
};
use bytes::{Buf, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Length, version, kind.
pub const FRAME_HEADER_BYTES: usize = 4 + 2 + 2;
/// Version of the bodies this code writes and reads.
pub const FRAME_VERSION: u16 = 1;

const KIND_HELLO: u16 = 1;
const KIND_HELLO_ACK: u16 = 2;
const KIND_CONTROL: u16 = 3;

/// The answer to a [`Hello`] that was accepted. Its sender uses these connections; both ends now know the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAck {
    /// Highest version that both speak.
    pub version: u16,
    /// Features that both have.
    pub features: u64,
    /// `instance` of the hello that is answered.
    pub instance: u64,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// First of each side.
    Hello(Hello),
    /// Accepts a hello.
    HelloAck(HelloAck),
    /// Everything after that.
    Control(Control),
}

/// What is wrong with a frame. The connection cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Length over [`CONTROL_BYTES_MAX`].
    #[error("frame of {0} bytes")]
    TooLong(u64),
    /// The body is not what its kind says.
    #[error("body of kind {kind}: {what}")]
    Body {
        /// Kind of the frame.
        kind: u16,
        /// What is wrong.
        what: String,
    },
    /// A body of a version that was not negotiated.
    #[error("body of version {0}")]
    Version(u16),
    /// Something of ours passes a limit.
    #[error("message passes a limit: {0}")]
    Limit(&'static str),
}

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<CONTROL_BYTES_MAX>,
> = bincode::config::standard().with_limit::<CONTROL_BYTES_MAX>();

impl Frame {
    /// Encodes, header included.
    ///
    /// # Errors
    /// When a count or the whole passes its limit.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        match self {
            Self::Hello(hello) => encode_body(KIND_HELLO, hello),
            Self::HelloAck(ack) => encode_body(KIND_HELLO_ACK, ack),
            Self::Control(control) => encode_control(control),
        }
    }

    fn decode(version: u16, kind: u16, body: &[u8]) -> Result<Option<Self>, FrameError> {
        // A hello is read whatever its version: it is frozen, so that a mismatch can be told clearly.
        let frame = match kind {
            KIND_HELLO => Self::Hello(check_hello(decode_body(kind, body)?)?),
            KIND_HELLO_ACK => Self::HelloAck(decode_body(kind, body)?),
            KIND_CONTROL if version == FRAME_VERSION => {
                let control: Control = decode_body(kind, body)?;
                check_control(&control).map_err(|what| body_error(kind, what))?;
                Self::Control(control)
            }
            KIND_CONTROL => return Err(FrameError::Version(version)),
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }
}

/// Encodes a control message without taking it.
///
/// # Errors
/// When a count or the whole passes its limit.
pub fn encode_control(control: &Control) -> Result<Vec<u8>, FrameError> {
    check_control(control).map_err(FrameError::Limit)?;
    encode_body(KIND_CONTROL, control)
}

fn body_error(kind: u16, what: impl ToString) -> FrameError {
    FrameError::Body { kind, what: what.to_string() }
}

fn encode_body(kind: u16, body: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; FRAME_HEADER_BYTES];
    let written = bincode::serde::encode_into_std_write(body, &mut bytes, CONFIG)
        .map_err(|error| body_error(kind, error))?;
    if written > CONTROL_BYTES_MAX {
        return Err(FrameError::TooLong(written as u64));
    }
    bytes[..4].copy_from_slice(&(written as u32).to_be_bytes());
    bytes[4..6].copy_from_slice(&FRAME_VERSION.to_be_bytes());
    bytes[6..8].copy_from_slice(&kind.to_be_bytes());
    Ok(bytes)
}

fn decode_body<T: DeserializeOwned>(kind: u16, body: &[u8]) -> Result<T, FrameError> {
    let (value, used) =
        bincode::serde::decode_from_slice(body, CONFIG).map_err(|error| body_error(kind, error))?;
    if used == body.len() { Ok(value) } else { Err(body_error(kind, "bytes left over")) }
}

fn check_hello(hello: Hello) -> Result<Hello, FrameError> {
    if hello.region.len() > REGION_BYTES_MAX {
        return Err(body_error(KIND_HELLO, "region too long"));
    }
    if hello.version_min > hello.version {
        return Err(body_error(KIND_HELLO, "version range is empty"));
    }
    Ok(hello)
}

fn check_control(control: &Control) -> Result<(), &'static str> {
    let ok = |fits: bool, what: &'static str| if fits { Ok(()) } else { Err(what) };
    match &control.body {
        Body::Attach { region } => ok(region.len() <= REGION_BYTES_MAX, "region"),
        Body::Announce(announce) => check_announce(announce),
        Body::Demand { wants, .. } => {
            ok(wants.len() <= WANTS_MAX, "wants")?;
            ok(
                wants.iter().all(|w| usize::from(w.encodings.0) < 1 << Encoding::MAX_PER_TRACK),
                "encoding",
            )
        }
        Body::Keyframe { encoding, .. } => ok(is_encoding(*encoding), "encoding"),
        Body::Digest(levels) => {
            ok(levels.len() <= DIGEST_MAX, "digest")?;
            ok(levels.iter().all(|l| l.loudness <= 127), "loudness")
        }
        Body::Floor(floor) => ok(floor.recent.len() <= FLOOR_RECENT_MAX, "recent speakers"),
        Body::RosterRequest(RosterChange::Put(member))
        | Body::Roster { change: RosterChange::Put(member), .. } => ok(is_member(member), "name"),
        Body::RosterSnapshot { members, .. } => {
            ok(members.len() <= SNAPSHOT_MEMBERS_MAX, "members")?;
            ok(members.iter().all(is_member), "name")
        }
        Body::ChatRequest(post) => ok(is_post(post), "chat"),
        Body::Chat(message) => ok(is_post(&message.post), "chat"),
        Body::ChatHistory { messages, .. } => {
            ok(messages.len() <= CHAT_HISTORY_MAX, "chat history")?;
            ok(messages.iter().all(|m| is_post(&m.post)), "chat")
        }
        Body::Knock(knocker) => ok(is_name(&knocker.name), "name"),
        Body::Knocking { people, .. } => {
            ok(people.len() <= KNOCKERS_TOLD_MAX, "people who wait")?;
            ok(people.iter().all(|k| is_name(&k.name)), "name")
        }
        _ => Ok(()),
    }
}

fn check_announce(announce: &Announce) -> Result<(), &'static str> {
    if announce.encodings.len() > Encoding::MAX_PER_TRACK {
        return Err("encodings");
    }
    if !announce.encodings.iter().all(|e| is_encoding(e.encoding) && e.flow.0 != 0) {
        return Err("encoding");
    }
    // A list over HOPS_MAX is refused by the hub, with a reason; this only bounds what is read.
    if announce.hops.len() > HOPS_DECODED_MAX { Err("hops") } else { Ok(()) }
}

fn is_encoding(encoding: Encoding) -> bool {
    usize::from(encoding.0) < Encoding::MAX_PER_TRACK
}

fn is_post(post: &ChatPost) -> bool {
    post.text.chars().take(CHAT_CHARS_MAX + 1).count() <= CHAT_CHARS_MAX && is_name(&post.name)
}

fn is_member(member: &Member) -> bool {
    is_name(&member.name)
}

fn is_name(name: &str) -> bool {
    name.chars().take(NAME_CHARS_MAX + 1).count() <= NAME_CHARS_MAX
}

/// Takes the control stream apart. Holds at most one frame, and allocates only for bytes that came.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buf: BytesMut,
    unknown: u64,
}

impl FrameDecoder {
    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole frame, if it has come. Unknown kinds are skipped and counted.
    ///
    /// # Errors
    /// Close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let Some(header) = self.buf.first_chunk::<FRAME_HEADER_BYTES>() else {
                return Ok(None);
            };
            let [l0, l1, l2, l3, v0, v1, k0, k1] = *header;
            let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
            if len > CONTROL_BYTES_MAX {
                return Err(FrameError::TooLong(len as u64));
            }
            if self.buf.len() < FRAME_HEADER_BYTES + len {
                return Ok(None);
            }
            self.buf.advance(FRAME_HEADER_BYTES);
            let body = self.buf.split_to(len);
            let (version, kind) = (u16::from_be_bytes([v0, v1]), u16::from_be_bytes([k0, k1]));
            match Frame::decode(version, kind, &body)? {
                Some(frame) => return Ok(Some(frame)),
                None => self.unknown += 1,
            }
        }
    }

    /// How many frames of an unknown kind were skipped.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Bytes held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buf.len()
    }
}
