//! Where a hub's packets go at an edge: into slots of peers, or over links.

use super::peers::Peers;
use crate::peer::SlotIndex;
use relay_proto::control::Codec;
use relay_proto::{FlowId, Net, Now, NtpTime};
use sfu_core::clock::LinkSenderReport;
use sfu_core::hub::HubIo;
use sfu_core::relay::Relay;
use sfu_core::{DropReason, Packet, SlotPacket};

/// Borrows what a hub writes to for the time of one call.
pub(super) struct EdgeIo<'a> {
    pub(super) peers: &'a mut Peers,
    pub(super) relay: &'a mut Relay,
    pub(super) net: &'a mut Net,
}

impl HubIo for EdgeIo<'_> {
    fn is_full(&self) -> bool {
        self.net.is_full()
    }

    fn slot(
        &mut self,
        now: Now,
        target: usize,
        slot: u16,
        packet: &SlotPacket<'_>,
    ) -> Result<(), DropReason> {
        let entry = self.peers.get_mut(target).ok_or(DropReason::NotConnected)?;
        entry.peer.write_rtp(now, SlotIndex(slot), packet, self.net)
    }

    fn link(
        &mut self,
        now: Now,
        target: usize,
        flow: FlowId,
        codec: Codec,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        self.relay.send_media(now, target, flow, codec, packet)
    }

    fn slot_report(
        &mut self,
        now: Now,
        target: usize,
        slot: u16,
        ntp: NtpTime,
        rtp_timestamp: u32,
    ) {
        if let Some(entry) = self.peers.get_mut(target) {
            entry.peer.write_sender_report(now, SlotIndex(slot), ntp, rtp_timestamp, self.net);
        }
    }

    fn link_report(&mut self, now: Now, target: usize, flow: FlowId, report: LinkSenderReport) {
        self.relay.send_report(now, target, flow, &report);
    }
}
