//! The way out: envelopes into class queues, class queues into QUIC, QUIC into the outbox.

use super::Links;
use super::link::Link;
use crate::control::Control;
use crate::envelope::{ENVELOPE_BYTES_MAX, SHIM_BYTES, Shim, Wire, write_envelope};
use crate::facts::PacketFacts;
use crate::frame::encode_control;
use crate::ids::FlowId;
use crate::limits::{QUIC_DATAGRAM_BUFFER_BYTES, QUIC_DATAGRAM_RESERVE_BYTES};
use crate::links_api::{LinkDrop, LinkEvent, LinkId};
use crate::machine::{DATAGRAM_BYTES_MAX, Outbox, Progress};
use crate::queue::{Queued, deadline_of};
use crate::time::Now;
use crate::transport::Conn;
use crate::transport::channel::ChannelKind;

/// Memory taken at once for packets: about 50 of them.
const ARENA_BYTES: usize = 64 * 1024;
/// What one packet may take of it.
const PACKET_BYTES_MAX: usize = ENVELOPE_BYTES_MAX + DATAGRAM_BYTES_MAX;
/// What may wait inside quinn, where nothing overtakes and nothing expires: one burst of ten datagrams, which is what
/// one poll can send. When the path is full, a voice waits for at most these: 48 ms at 2 Mbit/s.
const PUMPED_BYTES_MAX: usize = 12 * 1024;
const _: () = assert!(
    PUMPED_BYTES_MAX + PACKET_BYTES_MAX + QUIC_DATAGRAM_RESERVE_BYTES <= QUIC_DATAGRAM_BUFFER_BYTES
);
/// Room that quinn's buffer must have before a packet is taken out of its class queue.
const PUMP_SPACE: usize = QUIC_DATAGRAM_BUFFER_BYTES - PUMPED_BYTES_MAX;

impl Links {
    /// Queues one RTP packet. `write` gets a buffer of [`DATAGRAM_BYTES_MAX`] bytes and returns how many it used.
    ///
    /// # Errors
    /// The reason of the drop; it is counted.
    pub fn send_media(
        &mut self,
        now: Now,
        link: LinkId,
        flow: FlowId,
        facts: &PacketFacts,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), LinkDrop> {
        self.enqueue(now, link, flow, facts, false, write)
    }

    /// As [`Self::send_media`], for a packet that went over this link before: served last, and marked.
    ///
    /// # Errors
    /// The reason of the drop; it is counted.
    pub fn resend_media(
        &mut self,
        now: Now,
        link: LinkId,
        flow: FlowId,
        facts: &PacketFacts,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), LinkDrop> {
        self.enqueue(now, link, flow, facts, true, write)
    }

    /// Queues one RTCP packet, ahead of video.
    ///
    /// # Errors
    /// The reason of the drop; it is counted.
    pub fn send_rtcp(
        &mut self,
        now: Now,
        link: LinkId,
        flow: FlowId,
        rtcp: &[u8],
    ) -> Result<(), LinkDrop> {
        self.enqueue(now, link, flow, &PacketFacts::VOICE, false, |buf| {
            buf.get_mut(..rtcp.len())?.copy_from_slice(rtcp);
            Some(rtcp.len())
        })
    }

    fn enqueue(
        &mut self,
        now: Now,
        id: LinkId,
        flow: FlowId,
        facts: &PacketFacts,
        retransmitted: bool,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<(), LinkDrop> {
        let index = self.index_of(id).ok_or(LinkDrop::UnknownLink)?;
        let link = self.links.get_mut(index as usize).and_then(|(_, l)| l.as_mut());
        let link = link.ok_or(LinkDrop::UnknownLink)?;
        link.counters.packets_in += 1;
        let media = link.active_pair().filter(|_| link.up).and_then(|p| p.key(ChannelKind::Media));
        let Some(media) = media else {
            link.counters.not_up += 1;
            return Err(LinkDrop::NotUp);
        };
        if self.arena.capacity() < PACKET_BYTES_MAX {
            // Packets in the memory that is full may still wait, in the other half they have left long ago.
            std::mem::swap(&mut self.arena, &mut self.arena_before);
            if self.arena.capacity() < PACKET_BYTES_MAX {
                self.arena.reserve(ARENA_BYTES);
            }
        }
        self.arena.resize(PACKET_BYTES_MAX, 0);
        let shim = Shim { facts: *facts, retransmitted, seq: 0, sent: 0 };
        let head = write_envelope(&mut self.arena, Wire::Native, flow, &shim);
        let body = head.and_then(|(head, _)| {
            let len = write(&mut self.arena[head..head + DATAGRAM_BYTES_MAX])?;
            (1..=DATAGRAM_BYTES_MAX).contains(&len).then_some(len)
        });
        let (Some((head, shim_at)), Some(len)) = (head, body) else {
            self.arena.clear();
            return Err(LinkDrop::Empty);
        };
        self.arena.truncate(head + len);
        let packet = Queued {
            bytes: self.arena.split(),
            shim_at,
            deadline: now.mono + deadline_of(facts.class),
        };
        let class = if retransmitted { crate::facts::Class::Repair } else { facts.class };
        let Some(evicted) = link.queue.push(class, packet) else {
            link.counters.queue_full += 1;
            return Err(LinkDrop::Queue);
        };
        link.counters.queue_full += evicted;
        self.transport.touch(now, media);
        Ok(())
    }

    /// Queues one control message. It arrives, in order, or the link goes down.
    ///
    /// # Errors
    /// `NotUp`; `TooLarge` when it passes a limit of its own; `Backlog` when the link had to be closed.
    pub fn send_control(
        &mut self,
        now: Now,
        link: LinkId,
        control: &Control,
    ) -> Result<(), LinkDrop> {
        let index = self.index_of(link).ok_or(LinkDrop::UnknownLink)?;
        let link = self.link_mut(index).ok_or(LinkDrop::UnknownLink)?;
        let Some(side) = link.active.filter(|_| link.up) else { return Err(LinkDrop::NotUp) };
        let bytes = encode_control(control).map_err(|_| LinkDrop::TooLarge)?;
        link.counters.control_sent += 1;
        if self.write_bytes(now, index, side, bytes) { Ok(()) } else { Err(LinkDrop::Backlog) }
    }

    /// One slice of what waits to be sent.
    pub(super) fn transmit(&mut self, now: Now, out: &mut Outbox<LinkEvent>) -> Progress {
        let Self { transport, links, .. } = self;
        transport.transmit(now, &mut out.net, |conn| {
            let Some((index, side)) = conn.tag else { return };
            let Some((_, Some(link))) = links.get_mut(index as usize) else { return };
            if link.up && link.active == Some(side) && conn.is_media() {
                pump(now, link, conn);
            }
        })
    }
}

/// Fills quinn's datagram buffer from the class queue, as far as it takes without waiting.
fn pump(now: Now, link: &mut Link, conn: &mut Conn) {
    while !link.queue.is_empty() && conn.datagram_space() >= PUMP_SPACE {
        let (packet, late) = link.queue.pop(now.mono);
        link.counters.queue_late += late;
        let Some(Queued { mut bytes, shim_at, .. }) = packet else { return };
        if bytes.len() > conn.datagram_max() {
            oversize(link, conn, &bytes, shim_at);
            continue;
        }
        let Some(pair) = link.active_pair_mut() else { return };
        pair.session.stamp(now, &mut bytes[shim_at..shim_at + SHIM_BYTES]);
        if conn.send_datagram(bytes.freeze()) {
            link.counters.datagrams_sent += 1;
        } else {
            link.counters.queue_full += 1;
        }
    }
}

/// What no datagram takes goes by a stream of its own: slower when something is lost, but whole.
fn oversize(link: &mut Link, conn: &mut Conn, bytes: &[u8], shim_at: usize) {
    let (flow, packet) = bytes.split_at(shim_at);
    let flow = crate::varint::read_varint(flow).map_or(FlowId(0), |(flow, _)| FlowId(flow));
    if conn.send_stream(flow, packet) {
        link.counters.oversize_sent += 1;
    } else {
        link.counters.queue_full += 1;
    }
}
