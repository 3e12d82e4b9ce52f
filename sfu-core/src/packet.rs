//! One RTP packet as the hub sees it: the fields that matter, and the payload, wherever it came from.

use relay_proto::{Encoding, PacketFacts, TrackId};

/// A packet of one encoding, in its source's own numbering.
///
/// The ingress edge makes it from SRTP, a link from its envelope. The header is not kept: whoever sends the packet on
/// writes a new one (canonical on links, the peer's own on the last hop).
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Whose.
    pub track: TrackId,
    /// Which encoding of it.
    pub encoding: Encoding,
    /// RTP sequence number of the source.
    pub seq: u16,
    /// RTP timestamp of the source.
    pub timestamp: u32,
    /// RTP marker bit of the source.
    pub marker: bool,
    /// What the ingress edge learned from the payload.
    pub facts: PacketFacts,
    /// RFC 6464 audio level in -dBov (0 loudest ..= 127 silence) of a voice packet that carries one.
    pub level: Option<u8>,
    /// The payload, after padding was removed.
    pub payload: &'a [u8],
}
