//! One participant's WebRTC peer: packets in from their sources, packets out to their slots, and RTCP both ways.
//!
//! A peer owns its transport, its numbering and nothing of the meeting. Who is heard and seen is the hub's affair: it
//! gets packets through [`PeerSink`] and writes to slots.

mod counters;
mod event;
mod feedback;
mod ingest;
pub mod limits;
mod negotiate;
mod reports;
mod slot;
mod source;

pub use counters::PeerCounters;
pub use event::{PeerEvent, PeerSink, SlotIndex};
pub use negotiate::PeerConfig;
pub use slot::Slot;

use crate::sdp::ExtensionMap;
use crate::transport::{
    LocalIce, Opened, RTP_BYTES_MAX, RemoteIce, SecureTransport, TransportConfig, TransportEvent,
    TransportState,
};
use relay_proto::machine::Net;
use relay_proto::{Now, ParticipantId};
use sfu_core::twcc::TwccRecorder;
use sfu_core::{DropReason, SlotPacket};
use source::Sources;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One participant's transport with its sources and slots.
#[derive(Debug)]
pub struct Peer {
    participant: ParticipantId,
    transport: SecureTransport,
    config: TransportConfig,
    local: LocalIce,
    remote: RemoteIce,
    session_id: u64,
    answers: u64,
    /// M-lines of the newest offer: their number never falls.
    lines: usize,
    may_publish: bool,
    extensions: ExtensionMap,
    slots: Vec<Slot>,
    sources: Sources,
    /// Sender of receiver reports and feedback.
    report_ssrc: u32,
    /// Next transport-wide sequence number.
    transport_seq: u16,
    twcc: TwccRecorder,
    next_report: Option<Instant>,
    round_trip: Option<Duration>,
    counters: PeerCounters,
}

impl Peer {
    /// Whose this is.
    #[must_use]
    pub fn participant(&self) -> ParticipantId {
        self.participant
    }

    /// ICE credentials of the newest answer: the gate knows the peer by their user name fragment. An ICE restart
    /// changes them; the old ones are good until the participant moves.
    #[must_use]
    pub fn local_ice(&self) -> &LocalIce {
        &self.local
    }

    /// All slots that ever were; a stopped one keeps its place. A [`SlotIndex`] is the position in here.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slot of an m-line.
    #[must_use]
    pub fn slot_of(&self, mid: &str) -> Option<SlotIndex> {
        self.slots.iter().position(|s| s.mid == mid).map(|i| SlotIndex(i as u16))
    }

    /// Smoothed round-trip time, from reports about the slots.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Counters since the beginning.
    #[must_use]
    pub fn counters(&self) -> &PeerCounters {
        &self.counters
    }

    /// Where the transport stands.
    #[must_use]
    pub fn state(&self) -> TransportState {
        self.transport.state()
    }

    /// Whether slots may be written now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.transport.is_connected()
    }

    /// The address packets go to.
    #[must_use]
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.transport.remote_addr()
    }

    /// Says goodbye. No event follows.
    pub fn close(&mut self, now: Now, net: &mut Net) {
        self.transport.close(now, net);
    }

    /// Takes one datagram that the gate attributed to this peer.
    pub fn handle_datagram(
        &mut self,
        now: Now,
        from: SocketAddr,
        data: &mut [u8],
        net: &mut Net,
        sink: &mut impl PeerSink,
    ) {
        match self.transport.handle(now, from, data, net) {
            Opened::Rtp(len) => self.handle_rtp(now, data.get(..len).unwrap_or_default(), sink),
            Opened::Rtcp(len) => self.handle_rtcp(now, data.get(..len).unwrap_or_default(), sink),
            Opened::Event(event) => self.handle_transport(now, event, sink),
            Opened::Nothing => {}
            Opened::Dropped(reason) => sink.dropped(reason),
        }
    }

    fn handle_transport(&mut self, now: Now, event: TransportEvent, sink: &mut impl PeerSink) {
        match event {
            TransportEvent::Connected => {
                self.next_report = Some(now.mono + limits::RECEIVER_REPORT_INTERVAL);
                sink.event(PeerEvent::Connected);
            }
            TransportEvent::Closed(reason) => sink.event(PeerEvent::Closed(reason)),
            TransportEvent::AddressChanged { from, to } => {
                sink.event(PeerEvent::AddressChanged { from, to });
            }
        }
    }

    /// Writes one packet to a slot: one copy, no allocation.
    ///
    /// # Errors
    /// Why it was not sent. [`DropReason::NotConnected`]: also a stopped slot, or a codec it was not negotiated for;
    /// [`DropReason::Limit`]: a retransmission where RTX was not negotiated.
    pub fn write_rtp(
        &mut self,
        _now: Now,
        slot: SlotIndex,
        packet: &SlotPacket<'_>,
        net: &mut Net,
    ) -> Result<(), DropReason> {
        let slot = self.slots.get_mut(usize::from(slot.0)).ok_or(DropReason::NotConnected)?;
        let address = slot.address(packet)?;
        let (extensions, sequence) = (&self.extensions, self.transport_seq);
        let room = slot::bytes_max(packet).min(RTP_BYTES_MAX);
        let mut written = 0;
        self.transport.seal_rtp(net, room, |buffer| {
            let len = slot::write(buffer, address, packet, extensions, sequence)?;
            written = len;
            Some(len)
        })?;
        slot.sent_one(address, packet.payload.len());
        self.transport_seq = sequence.wrapping_add(1);
        self.counters.packets_out += 1;
        self.counters.bytes_out += written as u64;
        self.counters.retransmissions_out += u64::from(address.by_rtx);
        Ok(())
    }
}
