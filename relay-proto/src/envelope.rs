//! How media stands in QUIC datagrams and streams: RTP over QUIC (draft-ietf-avtcore-rtp-over-quic-14) with a shim.
//!
//! Drawn in docs/relay-wire.md; the golden bytes are at the end of this file.

use crate::facts::{Class, PacketFacts};
use crate::ids::FlowId;
use crate::limits::STREAM_PACKET_BYTES_MAX;
use crate::varint::{read_varint, write_varint};
use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the shim.
pub const SHIM_BYTES: usize = 8;
/// Flow, at most, and shim.
pub const ENVELOPE_BYTES_MAX: usize = 8 + SHIM_BYTES;
/// RFC 3550 section 5.1.
const RTP_BYTES_MIN: usize = 12;
/// RFC 3550 section 6.4: header and sender.
const RTCP_BYTES_MIN: usize = 8;

/// What is wrong with media bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WireError {
    /// Ends inside the flow id, the shim, the length or the packet.
    #[error("truncated")]
    Truncated,
    /// Nothing follows the flow id.
    #[error("no packet after the flow id")]
    NoPacket,
    /// RTP version is not 2.
    #[error("neither RTP nor RTCP")]
    NotRtp,
    /// A length of zero, or above the limit.
    #[error("length {0} out of bounds")]
    Length(u64),
}

/// Which encapsulation a connection negotiated by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// `sfu-relay/1`: the shim follows the flow id, flow 0 is link control.
    Native,
    /// `roq-14`: no shim, flow 0 is media as any other.
    Roq,
}

/// The 8 bytes between flow id and packet.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---+-+-+-+-+-+-+-----+-----+---+-------------------------------+
/// |cls|K|S|E|D|R|0|spat |temp |0 0|  link sequence (24) ...       |
/// +---+-+-+-+-+-+-+-----+-----+---+-------------------------------+
/// |  ... seq      |  send time (24): 6.18 fixed-point seconds     |
/// +---------------+-----------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shim {
    /// What the ingress edge learned.
    pub facts: PacketFacts,
    /// Sent again on this link.
    pub retransmitted: bool,
    /// Counts the datagrams of this connection, modulo 2^24.
    pub seq: u32,
    /// [`crate::time::NtpTime::send_time_24`] of the sender.
    pub sent: u32,
}

impl Shim {
    /// Encodes. Spatial and temporal ids above 7 are cut to 7, the largest that fits.
    #[must_use]
    pub fn to_bytes(self) -> [u8; SHIM_BYTES] {
        let facts = self.facts;
        let flag = |on: bool, bit: u8| u8::from(on) << bit;
        let flags = (facts.class as u8) << 6
            | flag(facts.key, 5)
            | flag(facts.frame_start, 4)
            | flag(facts.frame_end, 3)
            | flag(facts.discardable, 2)
            | flag(self.retransmitted, 1);
        let layers = facts.spatial.min(7) << 5 | facts.temporal.min(7) << 2;
        let mut bytes = [flags, layers, 0, 0, 0, 0, 0, 0];
        bytes[2..5].copy_from_slice(&self.seq.to_be_bytes()[1..]);
        bytes[5..8].copy_from_slice(&self.sent.to_be_bytes()[1..]);
        bytes
    }

    /// Decodes. Reserved bits are ignored: a later version may give them a meaning that old nodes need not know.
    #[must_use]
    pub fn from_bytes(bytes: [u8; SHIM_BYTES]) -> Self {
        let [flags, layers, s0, s1, s2, t0, t1, t2] = bytes;
        let flag = |bit: u8| flags >> bit & 1 == 1;
        Self {
            facts: PacketFacts {
                class: Class::from_bits(flags >> 6),
                key: flag(5),
                frame_start: flag(4),
                frame_end: flag(3),
                discardable: flag(2),
                spatial: layers >> 5,
                temporal: layers >> 2 & 7,
            },
            retransmitted: flag(1),
            seq: u32::from_be_bytes([0, s0, s1, s2]),
            sent: u32::from_be_bytes([0, t0, t1, t2]),
        }
    }

    /// Writes link sequence and send time into an encoded shim: they are known only when it leaves.
    pub fn stamp(shim: &mut [u8], seq: u32, sent: u32) {
        if let Some(tail) = shim.get_mut(2..SHIM_BYTES) {
            tail[..3].copy_from_slice(&seq.to_be_bytes()[1..]);
            tail[3..].copy_from_slice(&sent.to_be_bytes()[1..]);
        }
    }
}

/// Whether a packet is RTP or RTCP (RFC 5761 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// Media.
    Rtp,
    /// Reports.
    Rtcp,
}

impl PacketKind {
    /// Looks at the first two bytes and the length.
    ///
    /// # Errors
    /// `NotRtp` or `Truncated`.
    pub fn of(packet: &[u8]) -> Result<Self, WireError> {
        let [first, second, ..] = packet else { return Err(WireError::Truncated) };
        if first >> 6 != 2 {
            return Err(WireError::NotRtp);
        }
        let rtcp = (192..=223).contains(second);
        let (kind, min) =
            if rtcp { (Self::Rtcp, RTCP_BYTES_MIN) } else { (Self::Rtp, RTP_BYTES_MIN) };
        if packet.len() < min { Err(WireError::Truncated) } else { Ok(kind) }
    }
}

/// A media packet taken out of its encapsulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enveloped {
    /// Which flow.
    pub flow: FlowId,
    /// The shim, where there is one.
    pub shim: Option<Shim>,
    /// RTP or RTCP.
    pub kind: PacketKind,
    /// The packet.
    pub packet: Bytes,
}

/// What a datagram holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// Flow 0: link control, see [`crate::heartbeat`].
    Link(Bytes),
    /// A media packet.
    Packet(Enveloped),
}

/// Takes a datagram apart.
///
/// # Errors
/// What is wrong with it.
pub fn decode_datagram(wire: Wire, mut bytes: Bytes) -> Result<Datagram, WireError> {
    let (flow, len) = read_varint(&bytes).ok_or(WireError::Truncated)?;
    bytes.advance(len);
    if bytes.is_empty() {
        return Err(WireError::NoPacket);
    }
    if wire == Wire::Native && flow == 0 {
        return Ok(Datagram::Link(bytes));
    }
    decode_packet(wire, FlowId(flow), bytes).map(Datagram::Packet)
}

/// Takes the part after the flow id (and the length, in a stream) apart.
///
/// # Errors
/// What is wrong with it.
pub fn decode_packet(wire: Wire, flow: FlowId, mut bytes: Bytes) -> Result<Enveloped, WireError> {
    let shim = match wire {
        Wire::Roq => None,
        Wire::Native => {
            let shim = bytes.first_chunk::<SHIM_BYTES>().copied().ok_or(WireError::Truncated)?;
            bytes.advance(SHIM_BYTES);
            Some(Shim::from_bytes(shim))
        }
    };
    let kind = PacketKind::of(&bytes)?;
    Ok(Enveloped { flow, shim, kind, packet: bytes })
}

/// Writes flow id and shim to the start of `buf`: their length and where the shim starts. `None` when the flow id is
/// over 62 bits, or 0 (link control), or `buf` is too short.
pub fn write_envelope(
    buf: &mut [u8],
    wire: Wire,
    flow: FlowId,
    shim: &Shim,
) -> Option<(usize, usize)> {
    if wire == Wire::Native && flow.0 == 0 {
        return None;
    }
    let at = write_varint(buf, flow.0)?;
    if wire == Wire::Roq {
        return Some((at, at));
    }
    buf.get_mut(at..at + SHIM_BYTES)?.copy_from_slice(&shim.to_bytes());
    Some((at + SHIM_BYTES, at))
}

/// Writes the start of a unidirectional stream that carries one packet of `len` bytes (shim included). `None` when it
/// does not fit.
pub fn write_stream_head(buf: &mut [u8], flow: FlowId, len: usize) -> Option<usize> {
    let at = write_varint(buf, flow.0)?;
    Some(at + write_varint(buf.get_mut(at..)?, len as u64)?)
}

/// Takes one unidirectional stream apart: `flow(varint) { len(varint) packet }*`.
///
/// Holds at most one packet, [`STREAM_PACKET_BYTES_MAX`], and only bytes that came: a length allocates nothing.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    flow: Option<FlowId>,
    packets: usize,
    buf: BytesMut,
}

impl StreamDecoder {
    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole packet with its flow, if it has come.
    ///
    /// # Errors
    /// A length of zero or above the limit: the stream cannot be read on.
    pub fn next_packet(&mut self) -> Result<Option<(FlowId, Bytes)>, WireError> {
        let flow = match self.flow {
            Some(flow) => flow,
            None => {
                let Some((flow, len)) = read_varint(&self.buf) else { return Ok(None) };
                self.buf.advance(len);
                *self.flow.insert(FlowId(flow))
            }
        };
        let Some((len, head)) = read_varint(&self.buf) else { return Ok(None) };
        if len == 0 || len > STREAM_PACKET_BYTES_MAX as u64 {
            return Err(WireError::Length(len));
        }
        let len = len as usize;
        if self.buf.len() < head + len {
            return Ok(None);
        }
        self.buf.advance(head);
        self.packets += 1;
        Ok(Some((flow, self.buf.split_to(len).freeze())))
    }

    /// What the end of the stream means here.
    ///
    /// # Errors
    /// `Truncated` inside a flow id, length or packet; `NoPacket` when none came.
    pub fn finish(&self) -> Result<(), WireError> {
        if self.flow.is_none() || !self.buf.is_empty() {
            return Err(WireError::Truncated);
        }
        if self.packets == 0 { Err(WireError::NoPacket) } else { Ok(()) }
    }
}
