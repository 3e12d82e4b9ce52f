//! What a peer says while one datagram of its own is being handled.

use crate::peer::{PeerEvent, PeerSink, SlotIndex};
use crate::transport::CloseReason;
use relay_proto::{Now, ParticipantId, TrackId};
use sfu_core::hub::{Hub, PortId};
use sfu_core::{DropReason, Drops, Packet};

/// Something to be done once the peer is no longer borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note {
    Connected,
    Closed(CloseReason),
    Nack(SlotIndex, u16),
    Key(SlotIndex),
    Estimate(u64),
}

/// Feeds packets into the hub at once, and keeps what must wait.
pub(super) struct Sink<'a> {
    pub(super) now: Now,
    pub(super) hub: &'a mut Hub,
    pub(super) port: PortId,
    pub(super) participant: ParticipantId,
    pub(super) notes: &'a mut Vec<Note>,
    pub(super) drops: &'a mut Drops,
}

impl PeerSink for Sink<'_> {
    fn packet(&mut self, packet: Packet<'_>) {
        // A refused packet is counted by the hub.
        let _ = self.hub.ingest(self.now, self.port, &packet);
    }

    fn event(&mut self, event: PeerEvent<'_>) {
        match event {
            PeerEvent::Connected => self.notes.push(Note::Connected),
            PeerEvent::Closed(reason) => self.notes.push(Note::Closed(reason)),
            PeerEvent::SenderReport { kind, encoding, ntp, rtp, .. } => {
                let track = TrackId { participant: self.participant, kind };
                self.hub.sender_report(self.now, self.port, (track, encoding), ntp, rtp);
            }
            PeerEvent::Nack { slot, seqs } => {
                self.notes.extend(seqs.iter().map(|seq| Note::Nack(slot, *seq)))
            }
            PeerEvent::KeyframeRequest { slot } => self.notes.push(Note::Key(slot)),
            PeerEvent::Remb { bps } => self.notes.push(Note::Estimate(bps)),
            PeerEvent::SourceActive { .. }
            | PeerEvent::ReceiverReport { .. }
            | PeerEvent::TwccFeedback(_)
            | PeerEvent::AddressChanged { .. } => {}
        }
    }

    fn dropped(&mut self, reason: DropReason) {
        self.drops.count(reason);
    }
}
