//! What a peer tells its shard.

use crate::transport::CloseReason;
use relay_proto::{Encoding, Now, NtpTime, TrackKind};
use sfu_core::{DropReason, Packet};
use std::net::SocketAddr;
use std::time::Duration;

/// A slot of one peer: its position in [`super::Peer::slots`]. Stays valid for the peer's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotIndex(pub u16);

/// What happened on a peer. Borrows the receive buffer.
#[derive(Clone, Copy, Debug)]
pub enum PeerEvent<'a> {
    /// ICE and DTLS are done: slots may be written.
    Connected,
    /// The transport is gone: remove the peer from the gate and the hub.
    Closed(CloseReason),
    /// The participant moved to another address; sending has moved already, the gate wants to know.
    AddressChanged {
        /// The old one.
        from: SocketAddr,
        /// The new one.
        to: SocketAddr,
    },
    /// An encoding was bound to a (new) SSRC: its sequence numbers and timestamps start anew.
    SourceActive {
        /// Which track.
        kind: TrackKind,
        /// Which encoding.
        encoding: Encoding,
        /// Its SSRC.
        ssrc: u32,
    },
    /// A publisher's sender report.
    SenderReport {
        /// Which track.
        kind: TrackKind,
        /// Which encoding.
        encoding: Encoding,
        /// The publisher's clock.
        ntp: NtpTime,
        /// The RTP timestamp at that time.
        rtp: u32,
        /// When it came.
        arrived: Now,
    },
    /// The viewer misses these packets of a slot: at most [`super::limits::NACKS_PER_EVENT`] an event.
    Nack {
        /// Which slot.
        slot: SlotIndex,
        /// Sequence numbers as written to the slot.
        seqs: &'a [u16],
    },
    /// The viewer needs a key frame (PLI or FIR).
    KeyframeRequest {
        /// In which slot.
        slot: SlotIndex,
    },
    /// The viewer's receiver-side estimate.
    Remb {
        /// Bits a second.
        bps: u64,
    },
    /// A receiver report about a slot.
    ReceiverReport {
        /// Which slot.
        slot: SlotIndex,
        /// Share of packets lost since the last report, 0 ..= 255 for 0 ..= 1 (RFC 3550 section 6.4.1).
        fraction_lost: u8,
        /// Interarrival jitter in timestamp units.
        jitter: u32,
        /// Round-trip time, once a sender report was answered.
        round_trip: Option<Duration>,
    },
    /// Transport-wide feedback: everything after the media SSRC (draft-holmer-rmcat-transport-wide-cc-extensions-01
    /// section 3.1, from the base sequence number).
    TwccFeedback(&'a [u8]),
}

/// Takes what a peer found in a datagram.
pub trait PeerSink {
    /// A packet of a published source, its header read and its padding removed.
    fn packet(&mut self, packet: Packet<'_>);
    /// Something else that happened.
    fn event(&mut self, event: PeerEvent<'_>);
    /// A packet that was dropped.
    fn dropped(&mut self, reason: DropReason);
}
