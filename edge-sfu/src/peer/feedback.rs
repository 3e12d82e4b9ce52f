//! RTCP to the participant: transport-wide feedback, NACK, reports, key-frame requests.

use super::limits::{
    FEEDBACKS_MAX, KEYFRAME_REQUEST_INTERVAL, NACK_SEQS_MAX, RECEIVER_REPORT_INTERVAL,
    ROUND_TRIP_DEFAULT, RTCP_BYTES_MAX,
};
use super::{Peer, PeerSink, SlotIndex};
use crate::rtcp::Writer;
use crate::transport::SecureTransport;
use arrayvec::ArrayVec;
use relay_proto::machine::Net;
use relay_proto::{Encoding, Now, NtpTime, TrackKind};
use sfu_core::receive::ReportBlock;
use std::time::Instant;

/// Encodings of all kinds.
const STREAMS: usize = TrackKind::ALL.len() * Encoding::MAX_PER_TRACK;

impl Peer {
    /// When [`Peer::on_deadline`] next wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let transport = self.transport.deadline();
        if !self.transport.is_connected() {
            return transport;
        }
        let own = [transport, self.twcc.deadline(), self.sources.nack_deadline(), self.next_report];
        own.into_iter().flatten().min()
    }

    /// Does what was due.
    pub fn on_deadline(&mut self, now: Now, net: &mut Net, sink: &mut impl PeerSink) {
        if self.transport.deadline().is_some_and(|at| at <= now.mono)
            && let Some(event) = self.transport.on_deadline(now, net)
        {
            self.handle_transport(now, event, sink);
        }
        if !self.transport.is_connected() {
            return;
        }
        if self.twcc.deadline().is_some_and(|at| at <= now.mono) {
            self.send_feedback(now, net);
        }
        if self.sources.nack_deadline().is_some_and(|at| at <= now.mono) {
            self.send_nacks(now, net);
        }
        if self.next_report.is_some_and(|at| at <= now.mono) {
            self.next_report = Some(now.mono + RECEIVER_REPORT_INTERVAL);
            self.send_receiver_report(now, net);
        }
    }

    /// A sender report of a slot: `rtp_timestamp` in the slot's numbering belongs to `ntp` in this node's clock.
    pub fn write_sender_report(
        &mut self,
        _now: Now,
        slot: SlotIndex,
        ntp: NtpTime,
        rtp_timestamp: u32,
        net: &mut Net,
    ) {
        let Some(slot) = self.slots.get(usize::from(slot.0)).filter(|s| s.active) else {
            return;
        };
        let (ssrc, (packets, octets)) = (slot.ssrc, slot.sent());
        send(&mut self.transport, net, |w| {
            w.sender_report(ssrc, ntp, rtp_timestamp, packets, octets)
        });
    }

    /// Asks the publisher for a key frame; at most one per [`KEYFRAME_REQUEST_INTERVAL`] and encoding.
    pub fn request_keyframe(
        &mut self,
        now: Now,
        kind: TrackKind,
        encoding: Encoding,
        net: &mut Net,
    ) {
        let sender = self.report_ssrc;
        let Some(stream) = self.sources.stream(kind, encoding) else {
            return;
        };
        let recent = |at: Instant| now.mono < at + KEYFRAME_REQUEST_INTERVAL;
        if kind.is_audio() || stream.keyframe_asked.is_some_and(recent) {
            return;
        }
        let media = stream.ssrc;
        if send(&mut self.transport, net, |w| w.pli(sender, media)) {
            self.counters.keyframe_requests_out += 1;
            if let Some(stream) = self.sources.stream(kind, encoding) {
                stream.keyframe_asked = Some(now.mono);
            }
        }
    }

    fn send_feedback(&mut self, now: Now, net: &mut Net) {
        let sender = self.report_ssrc;
        let media = self.sources.seen().next().map_or(0, |(_, _, s)| s.ssrc);
        for _ in 0..FEEDBACKS_MAX {
            let Self { transport, twcc, .. } = self;
            let sealed = transport.seal_rtcp(net, RTCP_BYTES_MAX, |buffer| {
                twcc.write(now.mono, sender, media, buffer)
            });
            if sealed.is_err() {
                break;
            }
            self.counters.feedbacks_out += 1;
            if self.twcc.deadline().is_none_or(|at| at > now.mono) {
                break;
            }
        }
    }

    fn send_nacks(&mut self, now: Now, net: &mut Net) {
        let (sender, round_trip) =
            (self.report_ssrc, self.round_trip.unwrap_or(ROUND_TRIP_DEFAULT));
        let mut incomplete = ArrayVec::<(TrackKind, Encoding), STREAMS>::new();
        let Self { sources, transport, counters, .. } = self;
        for (kind, encoding, stream) in sources.seen() {
            let Some(nack) = &mut stream.nack else {
                continue;
            };
            let mut seqs = ArrayVec::<u16, NACK_SEQS_MAX>::new();
            nack.poll(now.mono, round_trip, &mut |seq| {
                let _ = seqs.try_push(seq);
            });
            if nack.take_lost() > 0 {
                incomplete.push((kind, encoding));
            }
            if !seqs.is_empty() && send(transport, net, |w| w.nack(sender, stream.ssrc, &seqs)) {
                counters.nacks_out += seqs.len() as u64;
            }
        }
        for (kind, encoding) in incomplete {
            self.request_keyframe(now, kind, encoding, net);
        }
    }

    fn send_receiver_report(&mut self, now: Now, net: &mut Net) {
        let blocks: ArrayVec<(u32, ReportBlock), STREAMS> =
            self.sources.seen().map(|(_, _, s)| (s.ssrc, s.stats.report(now))).collect();
        if blocks.is_empty() {
            return;
        }
        let sender = self.report_ssrc;
        send(&mut self.transport, net, |w| {
            w.receiver_report(sender, &blocks);
            w.cname(sender);
        });
    }
}

/// RTCP is best effort: what cannot be sent now is said again in the next report.
fn send(
    transport: &mut SecureTransport,
    net: &mut Net,
    write: impl FnOnce(&mut Writer<'_>),
) -> bool {
    let sealed = transport.seal_rtcp(net, RTCP_BYTES_MAX, |buffer| {
        let mut writer = Writer::new(buffer);
        write(&mut writer);
        writer.finish()
    });
    sealed.is_ok()
}
