//! The one way in: a packet enters a hub here and nowhere else.

use super::port::{Direction, PortId};
use super::timers::Due;
use super::{Hub, HubEvent};
use crate::canonical::read_link_rtp;
use crate::clock::LinkSenderReport;
use crate::drop_reason::DropReason;
use crate::forwarder::RingKey;
use crate::packet::Packet;
use crate::speakers::Verdict;
use relay_proto::{Encoding, FlowId, Now, NtpTime, PacketFacts, TrackId, TrackKind};
use std::time::Duration;

impl Hub {
    /// Takes a packet of a track that was published at `port`, or came over the link there.
    ///
    /// # Errors
    /// Why it goes no further; counted here.
    pub fn ingest(
        &mut self,
        now: Now,
        port: PortId,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        let result = self.accept(now, port, packet);
        match result {
            Ok(()) => self.ingested += 1,
            Err(reason) => self.drops.count(reason),
        }
        result
    }

    /// Takes one RTP packet of a flow of the link at `port`.
    ///
    /// # Errors
    /// Why it goes no further; counted here.
    pub fn ingest_link(
        &mut self,
        now: Now,
        port: PortId,
        flow: FlowId,
        facts: PacketFacts,
        rtp: &[u8],
    ) -> Result<(), DropReason> {
        let ring = self.flow_ring(port, flow).inspect_err(|r| self.drops.count(*r))?;
        let Some(slot) = self.table.get(ring) else {
            return Err(DropReason::UnknownFlow);
        };
        match read_link_rtp(rtp, slot.track, slot.encoding, facts) {
            Ok(packet) => self.ingest(now, port, &packet),
            Err(reason) => {
                self.drops.count(reason);
                Err(reason)
            }
        }
    }

    fn flow_ring(&self, port: PortId, flow: FlowId) -> Result<RingKey, DropReason> {
        let link = self.ports.get(port.0).and_then(|p| p.link()).ok_or(DropReason::WrongPort)?;
        link.flows_in.get(&flow).copied().ok_or(DropReason::UnknownFlow)
    }

    fn accept(&mut self, now: Now, port: PortId, packet: &Packet<'_>) -> Result<(), DropReason> {
        let track = self.tracks.get_mut(&packet.track).ok_or(DropReason::UnknownSource)?;
        if track.source != port {
            return Err(DropReason::WrongPort);
        }
        if track.muted {
            return Err(DropReason::Muted);
        }
        let ring = track.ring(packet.encoding).ok_or(DropReason::UnknownSource)?;
        if packet.track.kind == TrackKind::Mic {
            return self.accept_voice(now, port, ring, packet);
        }
        let slot = self.table.get_mut(ring).ok_or(DropReason::UnknownSource)?;
        let waited = slot.wanted_key;
        slot.ring.insert(now, packet)?;
        slot.clock.on_packet(now, packet.timestamp);
        if waited && packet.facts.key && packet.facts.frame_start {
            self.key_arrived(ring);
        }
        self.mark(ring);
        self.refresh_cache(now, port, ring);
        Ok(())
    }

    /// A voice: judged by its loudness before anybody is sent it.
    fn accept_voice(
        &mut self,
        now: Now,
        port: PortId,
        ring: RingKey,
        packet: &Packet<'_>,
    ) -> Result<(), DropReason> {
        let voice = packet.track.participant;
        let from_below = !matches!(
            self.ports.get(port.0).and_then(|p| p.link()).map(|l| l.direction),
            Some(Direction::Up)
        );
        let Some(track) = self.tracks.get_mut(&packet.track) else {
            return Err(DropReason::UnknownSource);
        };
        let Some(slot) = self.table.get_mut(ring) else {
            return Err(DropReason::UnknownSource);
        };
        let arrival = slot.ring.insert(now, packet)?;
        slot.clock.on_packet(now, packet.timestamp);
        let loudness = track.loudness.get_or_insert_default();
        let loud = loudness.packet(now, packet.level);
        let value = loudness.value(now);
        if track.hops.is_empty() {
            self.digest.local(now, voice, loudness);
        }
        let push = track.push.poll(now, loudness, false);
        let down = self.gate_down.admit(now, voice, loud, value);
        let up = if from_below {
            self.gate_up.admit(now, voice, loud, value)
        } else {
            Verdict::NotElected
        };
        let new = matches!(down, Verdict::PassNew { .. }) || matches!(up, Verdict::PassNew { .. });
        if new {
            self.sync_voices(now, Some((ring, arrival)));
        }
        if let Some(push) = push {
            self.apply_push(voice, push, now);
        }
        if !down.passes() && !up.passes() {
            return Err(DropReason::NotElected);
        }
        if let Some(at) = earliest(self.gate_down.deadline(), self.gate_up.deadline()) {
            // Every packet moves the deadline on. The timer stays where it is: moving it would rebalance a tree a packet,
            // and when it comes up too early it is armed anew.
            self.timers.arm_by(Due::Voices, at);
        }
        self.mark(ring);
        Ok(())
    }

    /// The publisher's own sender report (`ntp` in the publisher's clock), at its ingress edge.
    pub fn sender_report(
        &mut self,
        now: Now,
        port: PortId,
        source: (TrackId, Encoding),
        ntp: NtpTime,
        rtp: u32,
    ) {
        let Some(viewer) = self.ports.get_mut(port.0).and_then(|p| p.viewer_mut()) else {
            return;
        };
        let offset_us = viewer.clock.on_report(now, ntp);
        let (track, encoding) = source;
        let ring =
            self.tracks.get(&track).filter(|t| t.source == port).and_then(|t| t.ring(encoding));
        if let Some(slot) = ring.and_then(|r| self.table.get_mut(r)) {
            slot.clock.on_report(ntp, rtp, offset_us);
        }
        // One offset for all tracks of a publisher: voice and picture stay together to the sample.
        for (_, track) in self.tracks.iter().filter(|(_, t)| t.source == port) {
            for ring in track.rings.into_iter().flatten() {
                if let Some(slot) = self.table.get_mut(ring) {
                    slot.clock.set_offset(offset_us);
                }
            }
        }
    }

    /// RTCP of a flow of the link at `port`: the neighbour's sender report, in its clock. `offset_us` is what to add
    /// to the neighbour's clock to get ours.
    pub fn link_rtcp(&mut self, port: PortId, flow: FlowId, rtcp: &[u8], offset_us: i64) {
        let Ok(ring) = self.flow_ring(port, flow) else {
            return;
        };
        if let (Some(report), Some(slot)) = (LinkSenderReport::read(rtcp), self.table.get_mut(ring))
        {
            slot.clock.on_report(report.ntp, report.rtp, offset_us);
        }
    }

    /// The viewer at `port` wants the packet again that had this number in its slot.
    pub fn nack(
        &mut self,
        now: Now,
        port: PortId,
        slot: u16,
        seq: u16,
        rtt: Duration,
        io: &mut impl super::HubIo,
    ) {
        let Some(key) = self.slot_sub(port, slot) else {
            return;
        };
        let target = self.ports[port.0].target();
        let Some(super::subs::Sub::Slot(sub)) = self.subs.get_mut(key) else {
            return;
        };
        if let Some(packet) = sub.forwarder.resend(now, rtt, &self.table, seq) {
            match io.slot(now, target, slot, &packet) {
                Ok(()) => self.resent += 1,
                Err(reason) => self.drops.count(reason),
            }
        }
    }

    /// The viewer at `port` cannot decode its slot: asks the source for a key frame.
    pub fn viewer_wants_key(&mut self, now: Now, port: PortId, slot: u16) {
        let Some(key) = self.slot_sub(port, slot) else {
            return;
        };
        let Some(super::subs::Sub::Slot(sub)) = self.subs.get(key) else {
            return;
        };
        if let Some(ring) = sub.forwarder.current().or(sub.forwarder.wanted()).map(|s| s.ring) {
            self.request_key(ring, now.mono);
        }
    }

    /// Somebody waits for a key frame of `ring`: asks for one, and again until it comes.
    pub(super) fn want_key(&mut self, ring: RingKey, now: std::time::Instant) {
        let Some(slot) = self.table.get_mut(ring) else {
            return;
        };
        if std::mem::replace(&mut slot.wanted_key, true) {
            return;
        }
        let flows = slot.ring.keyframe_start(now).is_some();
        let from_link = self.ports.get(slot.source.0).is_some_and(|p| p.link().is_some());
        if from_link && !flows {
            // The demand that goes out with this turn starts a feed there, from its cache: asking now would only
            // cost the publisher a key frame. Ask when nothing came.
            self.timers.arm_by(Due::Key(ring), now + super::KEY_RETRY.max(self.link_rtt));
        } else {
            self.request_key(ring, now);
        }
    }

    /// A key frame was asked for and did not come. After some tries the encoding counts as absent, and viewers
    /// get the next lower one; later it is tried again.
    pub(super) fn key_missing(&mut self, ring: RingKey, now: std::time::Instant) {
        let Some(slot) = self.table.get_mut(ring) else { return };
        if slot.absent {
            (slot.absent, slot.key_tries, slot.wanted_key) = (false, 0, false);
            self.queue_layouts();
            return;
        }
        slot.key_tries += 1;
        if slot.key_tries < super::KEY_TRIES_MAX {
            self.request_key(ring, now);
            return;
        }
        slot.absent = true;
        self.timers.arm(Due::Key(ring), now + super::ABSENT_FOR);
        self.queue_layouts();
    }

    /// Sends a key-frame request toward the source unless one went out a moment ago.
    pub(super) fn request_key(&mut self, ring: RingKey, now: std::time::Instant) {
        let Some(slot) = self.table.get_mut(ring) else {
            return;
        };
        let Some(source) = self.ports.get(slot.source.0) else {
            return;
        };
        let rtt = source.link().map(|_| self.link_rtt).unwrap_or_default();
        if slot.wanted_key {
            self.timers.arm_by(Due::Key(ring), now + super::KEY_RETRY.max(rtt));
        }
        if !slot.arbiter.request(now, rtt) {
            return;
        }
        self.key_requests += 1;
        let (track, encoding, target) = (slot.track, slot.encoding, source.target());
        self.events.push(match source.link() {
            Some(_) => HubEvent::Send {
                link: target,
                body: relay_proto::control::Body::Keyframe { track, encoding },
            },
            None => HubEvent::Keyframe { peer: target, kind: track.kind, encoding },
        });
    }

    /// The key frame that somebody waited for begins.
    fn key_arrived(&mut self, ring: RingKey) {
        if let Some(slot) = self.table.get_mut(ring) {
            (slot.wanted_key, slot.key_tries) = (false, 0);
            if std::mem::take(&mut slot.absent) {
                self.queue_layouts();
            }
        }
        self.timers.disarm(Due::Key(ring));
        self.upgrade(ring);
    }

    /// The made cache: an encoding that crosses a link or has many viewers gets a key frame before its cache overflows.
    fn refresh_cache(&mut self, now: Now, port: PortId, ring: RingKey) {
        if self.ports.get(port.0).is_none_or(|p| p.link().is_some()) {
            return;
        }
        let Some(slot) = self.table.get(ring) else {
            return;
        };
        let shared = slot.feeds > 0 || slot.subs.len() > super::CACHE_VIEWERS_MIN;
        if shared && slot.ring.about_to_overflow(now.mono) {
            self.request_key(ring, now.mono);
        }
    }
}

pub(super) fn earliest(
    a: Option<std::time::Instant>,
    b: Option<std::time::Instant>,
) -> Option<std::time::Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
