//! A packet of the participant: which source, which facts, on to the hub.

use super::source::Target;
use super::{Peer, PeerEvent, PeerSink};
use crate::sdp::Extension;
use relay_proto::control::Codec;
use relay_proto::{Class, Now, PacketFacts, TrackId};
use sfu_core::rtp::RtpView;
use sfu_core::{DropReason, Packet, rtx};

/// Bit V of RFC 6464 stands above the level.
const LEVEL_MASK: u8 = 0x7f;

impl Peer {
    pub(super) fn handle_rtp(&mut self, now: Now, data: &[u8], sink: &mut impl PeerSink) {
        if let Err(reason) = self.ingest(now, data, sink) {
            sink.dropped(reason);
        }
    }

    fn ingest(
        &mut self,
        now: Now,
        data: &[u8],
        sink: &mut impl PeerSink,
    ) -> Result<(), DropReason> {
        let view = RtpView::parse(data).ok_or(DropReason::Malformed)?;
        self.counters.packets_in += 1;
        self.counters.bytes_in += data.len() as u64;
        // Before anything else: the publisher's estimate must learn of every packet that came.
        if let Some(seq) = self.transport_sequence(&view) {
            self.twcc.on_packet(now.mono, seq);
        }
        let target = self.sources.target(&view, &self.extensions).map_err(|reason| {
            let refused = reason == DropReason::UnknownSource && !self.may_publish;
            if refused { DropReason::NotGranted } else { reason }
        })?;
        if target.rtx {
            self.repair(now, &view, target, sink)
        } else {
            self.media(now, &view, target, sink)
        }
    }

    fn transport_sequence(&self, view: &RtpView<'_>) -> Option<u16> {
        let id = self.extensions.id(Extension::TransportSequence)?;
        view.extension(id)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn media(
        &mut self,
        now: Now,
        view: &RtpView<'_>,
        target: Target,
        sink: &mut impl PeerSink,
    ) -> Result<(), DropReason> {
        let Target { kind, encoding, .. } = target;
        let stream = self.sources.stream(kind, encoding).ok_or(DropReason::UnknownSource)?;
        if !std::mem::replace(&mut stream.seen, true) {
            sink.event(PeerEvent::SourceActive { kind, encoding, ssrc: stream.ssrc });
        }
        stream.stats.on_packet(now.mono, view.seq, view.timestamp);
        if let Some(nack) = &mut stream.nack {
            nack.on_packet(now.mono, view.seq);
        }
        if view.payload.is_empty() {
            self.counters.padding_in += 1;
            return Ok(());
        }
        self.deliver(view, target, view.seq, view.payload, sink)
    }

    /// A retransmission: what is inside goes on as if it had come the first time.
    fn repair(
        &mut self,
        now: Now,
        view: &RtpView<'_>,
        target: Target,
        sink: &mut impl PeerSink,
    ) -> Result<(), DropReason> {
        let Some((seq, payload)) = rtx::decapsulate(view.payload) else {
            self.counters.padding_in += 1;
            return Ok(());
        };
        let stream = self.sources.stream(target.kind, target.encoding);
        let stream = stream.filter(|s| s.seen).ok_or(DropReason::UnknownSource)?;
        // Publishers also probe with packets that were never missing.
        if !stream.nack.as_mut().is_some_and(|nack| nack.on_packet(now.mono, seq)) {
            return Err(DropReason::Replay);
        }
        self.counters.repaired_in += 1;
        self.deliver(view, target, seq, payload, sink)
    }

    fn deliver(
        &mut self,
        view: &RtpView<'_>,
        target: Target,
        seq: u16,
        payload: &[u8],
        sink: &mut impl PeerSink,
    ) -> Result<(), DropReason> {
        let Target { kind, encoding, .. } = target;
        let stream = self.sources.stream(kind, encoding).ok_or(DropReason::UnknownSource)?;
        let facts = match stream.codec {
            Codec::Opus => PacketFacts::VOICE,
            Codec::Vp8 => stream.vp8.read(view.timestamp, view.marker, payload)?,
            Codec::Vp9 | Codec::H264 | Codec::Av1 => opaque(stream.codec, view.marker, payload),
        };
        let level = self.extensions.id(Extension::AudioLevel).filter(|_| kind.is_audio());
        let level = level.and_then(|id| view.extension(id)?.first().copied());
        sink.packet(Packet {
            track: TrackId { participant: self.participant, kind },
            encoding,
            seq,
            timestamp: view.timestamp,
            marker: view.marker,
            facts,
            level: level.map(|byte| byte & LEVEL_MASK),
            payload,
        });
        Ok(())
    }
}

/// Facts of a codec that is not read further than to find where a viewer may begin: everything is base layer.
fn opaque(codec: Codec, marker: bool, payload: &[u8]) -> PacketFacts {
    let (frame_start, key) = match (codec, payload) {
        // draft-ietf-payload-vp9-16 section 4.2: I P L F B E V Z; B begins a frame, P refers to an earlier one.
        (Codec::Vp9, [first, ..]) => (first & 0x08 != 0, first & 0x48 == 0x08),
        // RFC 6184 section 5.2: a sequence parameter set, alone or first in an aggregate, opens a key frame.
        (Codec::H264, [first, ..]) if first & 0x1f == 7 => (true, true),
        (Codec::H264, [first, _, _, inner, ..]) if first & 0x1f == 24 => {
            (inner & 0x1f == 7, inner & 0x1f == 7)
        }
        // AV1 RTP section 4.4: Z Y W W N; N begins a coded video sequence.
        (Codec::Av1, [first, ..]) => (first & 0x80 == 0, first & 0x08 != 0),
        _ => (false, false),
    };
    PacketFacts {
        class: Class::Base,
        key,
        frame_start,
        frame_end: marker,
        discardable: false,
        spatial: 0,
        temporal: 0,
    }
}
