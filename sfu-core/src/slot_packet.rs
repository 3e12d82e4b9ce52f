//! What a forwarder hands to the peer that owns the slot: everything the peer needs to write one RTP packet.

use crate::vp8::Vp8Patch;
use relay_proto::control::Codec;
use relay_proto::{NtpTime, PacketFacts, ParticipantId};

/// One packet of a slot, in the slot's own numbering.
///
/// The peer adds what is its own: SSRC, payload type, header-extension ids, the transport-wide sequence.
#[derive(Clone, Copy, Debug)]
pub struct SlotPacket<'a> {
    /// RTP marker bit.
    pub marker: bool,
    /// RTP sequence number of the slot. A retransmission carries the number the packet had the first time.
    pub seq: u16,
    /// RTP timestamp of the slot.
    pub timestamp: u32,
    /// Whose picture or voice this is: the packet's one CSRC.
    pub csrc: ParticipantId,
    /// Which of the peer's payload types to use.
    pub codec: Codec,
    /// What the ingress edge learned from the payload.
    pub facts: PacketFacts,
    /// What to rewrite in the VP8 payload descriptor after the payload was copied.
    pub vp8: Option<Vp8Patch>,
    /// When the sample was captured, in this node's wall clock (abs-capture-time).
    pub capture: Option<NtpTime>,
    /// RFC 6464 audio level in -dBov, of a voice packet that carries one.
    pub level: Option<u8>,
    /// The answer to a NACK: goes by RTX where the peer negotiated it.
    pub retransmission: bool,
    /// The payload as the source sent it.
    pub payload: &'a [u8],
}
