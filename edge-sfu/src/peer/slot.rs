//! One receive slot of the participant: its fixed SSRCs, and how its packets are written.

use super::limits::HEADER_BYTES_MAX;
use crate::sdp::plan::Chosen;
use crate::sdp::{Extension, ExtensionMap};
use crate::signal::SlotRole;
use arrayvec::ArrayVec;
use relay_proto::control::Codec;
use sfu_core::rtp::{HeaderFields, RtpWriter};
use sfu_core::{DropReason, SlotPacket, rtx};

/// Codecs a slot may be offered: the five of [`Codec`] less Opus.
const CODECS_MAX: usize = 4;

/// Payload types of one codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PayloadTypes {
    codec: Codec,
    media: u8,
    rtx: Option<u8>,
}

/// One receive slot.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its m-line.
    pub mid: String,
    /// What it is for.
    pub role: SlotRole,
    /// Whether the participant wants packets in it now.
    pub active: bool,
    /// SSRC, for life.
    pub ssrc: u32,
    /// SSRC of its retransmissions, for life.
    pub rtx_ssrc: u32,
    payload_types: ArrayVec<PayloadTypes, CODECS_MAX>,
    rtx_seq: u16,
    /// For sender reports: packets and payload bytes so far (RFC 3550 section 6.4.1).
    packets: u32,
    octets: u32,
}

/// Where a packet goes: media or RTX stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    payload_type: u8,
    ssrc: u32,
    seq: u16,
    pub(super) by_rtx: bool,
}

impl Slot {
    pub(super) fn new(mid: String, role: SlotRole, ssrcs: [u32; 2], rtx_seq: u16) -> Self {
        Self {
            mid,
            role,
            active: false,
            ssrc: ssrcs[0],
            rtx_ssrc: ssrcs[1],
            payload_types: ArrayVec::new(),
            rtx_seq,
            packets: 0,
            octets: 0,
        }
    }

    /// Takes over what the newest offer says.
    pub(super) fn negotiated(&mut self, codecs: &[Chosen]) {
        self.active = !codecs.is_empty();
        self.payload_types = codecs
            .iter()
            .take(CODECS_MAX)
            .map(|c| PayloadTypes { codec: c.codec, media: c.pt, rtx: c.rtx })
            .collect();
    }

    /// Whether this slot can carry `codec`.
    #[must_use]
    pub fn accepts(&self, codec: Codec) -> bool {
        self.payload_types.iter().any(|p| p.codec == codec)
    }

    /// Whether retransmissions are possible.
    #[must_use]
    pub fn has_rtx(&self) -> bool {
        self.payload_types.iter().any(|p| p.rtx.is_some())
    }

    /// Sender-report counters: packets and payload bytes.
    #[must_use]
    pub fn sent(&self) -> (u32, u32) {
        (self.packets, self.octets)
    }

    /// Where `packet` goes. A retransmission without RTX is refused: under AES-GCM the same sequence number must
    /// never be sealed twice (RFC 7714 section 8.4), and the transport-wide sequence would differ.
    pub(super) fn address(&self, packet: &SlotPacket<'_>) -> Result<Address, DropReason> {
        let types = self.payload_types.iter().find(|p| p.codec == packet.codec && self.active);
        let types = types.ok_or(DropReason::NotConnected)?;
        if !packet.retransmission {
            let (payload_type, ssrc) = (types.media, self.ssrc);
            return Ok(Address { payload_type, ssrc, seq: packet.seq, by_rtx: false });
        }
        let payload_type = types.rtx.ok_or(DropReason::Limit)?;
        Ok(Address { payload_type, ssrc: self.rtx_ssrc, seq: self.rtx_seq, by_rtx: true })
    }

    /// Counts a packet that was sent.
    pub(super) fn sent_one(&mut self, address: Address, payload: usize) {
        if address.by_rtx {
            self.rtx_seq = self.rtx_seq.wrapping_add(1);
        } else {
            self.packets = self.packets.wrapping_add(1);
            self.octets = self.octets.wrapping_add(payload as u32);
        }
    }
}

/// Room to reserve for a packet.
pub(super) fn bytes_max(packet: &SlotPacket<'_>) -> usize {
    HEADER_BYTES_MAX + packet.payload.len()
}

/// Writes header and payload into `buffer`; answers the length.
pub(super) fn write(
    buffer: &mut [u8],
    address: Address,
    packet: &SlotPacket<'_>,
    extensions: &ExtensionMap,
    transport_seq: u16,
) -> Option<usize> {
    let fields = HeaderFields {
        marker: packet.marker,
        payload_type: address.payload_type,
        seq: address.seq,
        timestamp: packet.timestamp,
        ssrc: address.ssrc,
        csrc: Some(packet.csrc),
    };
    let mut writer = RtpWriter::begin(buffer, &fields)?;
    if let Some(id) = extensions.id(Extension::TransportSequence) {
        writer.extension(id, &transport_seq.to_be_bytes())?;
    }
    if let (Some(level), Some(id)) = (packet.level, extensions.id(Extension::AudioLevel)) {
        writer.extension(id, &[level & 0x7f])?;
    }
    if let (Some(capture), Some(id)) = (packet.capture, extensions.id(Extension::CaptureTime)) {
        writer.extension(id, &capture.0.to_be_bytes())?;
    }
    let mut at = writer.finish()?;
    if address.by_rtx {
        at += rtx::write_osn(buffer.get_mut(at..)?, packet.seq)?;
    }
    let payload = buffer.get_mut(at..at + packet.payload.len())?;
    payload.copy_from_slice(packet.payload);
    if let Some(patch) = packet.vp8 {
        patch.apply(payload);
    }
    Some(at + packet.payload.len())
}
