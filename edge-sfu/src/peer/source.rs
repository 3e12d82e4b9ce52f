//! What the participant publishes: which SSRC is which encoding, and the state of each.

use super::limits::SSRCS_MAX;
use crate::sdp::plan::SourcePlan;
use crate::sdp::{Extension, ExtensionMap};
use arrayvec::ArrayVec;
use relay_proto::control::Codec;
use relay_proto::{Encoding, TrackKind};
use sfu_core::DropReason;
use sfu_core::nack::NackGenerator;
use sfu_core::receive::ReceiveStats;
use sfu_core::rtp::RtpView;
use sfu_core::vp8::Vp8FactsReader;
use std::time::Instant;

/// Encodings of all kinds.
const STREAMS: usize = TrackKind::ALL.len() * Encoding::MAX_PER_TRACK;

/// One published m-line.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) mid: String,
    pub(super) plan: SourcePlan,
}

/// What an SSRC stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: TrackKind,
    pub(super) encoding: Encoding,
    /// Retransmissions of it.
    pub(super) rtx: bool,
}

/// Receiving state of one encoding.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    pub(super) codec: Codec,
    /// Whether a packet came yet.
    pub(super) seen: bool,
    pub(super) stats: ReceiveStats,
    /// Video only: a late voice packet is worth less than the bytes of asking for it.
    pub(super) nack: Option<NackGenerator>,
    pub(super) vp8: Vp8FactsReader,
    pub(super) keyframe_asked: Option<Instant>,
}

impl Stream {
    fn new(ssrc: u32, codec: Codec) -> Self {
        Self {
            ssrc,
            codec,
            seen: false,
            stats: ReceiveStats::new(codec.clock_rate()),
            nack: (codec != Codec::Opus).then(NackGenerator::new),
            vp8: Vp8FactsReader::new(),
            keyframe_asked: None,
        }
    }
}

/// All sources of one participant.
#[derive(Debug, Default)]
pub(super) struct Sources {
    lines: ArrayVec<Source, { TrackKind::ALL.len() }>,
    /// Few enough that a scan beats a map.
    bindings: ArrayVec<(u32, Target), SSRCS_MAX>,
    streams: [Option<Box<Stream>>; STREAMS],
}

fn index(kind: TrackKind, encoding: Encoding) -> usize {
    kind as usize * Encoding::MAX_PER_TRACK + usize::from(encoding.0)
}

impl Sources {
    /// Takes over what the newest offer publishes, with the SSRCs it announces. State of what goes on is kept.
    pub(super) fn negotiated(
        &mut self,
        lines: ArrayVec<Source, { TrackKind::ALL.len() }>,
        announced: &[(u32, Target)],
    ) {
        self.lines = lines;
        let plans = &self.lines;
        let goes_on = |t: &Target| {
            plans.iter().any(|l| l.plan.kind == t.kind && l.plan.encodings().has(t.encoding))
        };
        self.bindings.retain(|(_, target)| goes_on(target));
        for kind in TrackKind::ALL {
            for encoding in (0..Encoding::MAX_PER_TRACK as u8).map(Encoding) {
                let i = index(kind, encoding);
                if !goes_on(&Target { kind, encoding, rtx: false }) {
                    self.streams[i] = None;
                }
            }
        }
        for (ssrc, target) in announced {
            if !self.bindings.iter().any(|(known, t)| known == ssrc && t == target) {
                let _ = self.bind(*ssrc, *target);
            }
        }
    }

    pub(super) fn lines(&self) -> &[Source] {
        &self.lines
    }

    fn line(&self, kind: TrackKind) -> Option<&Source> {
        self.lines.iter().find(|l| l.plan.kind == kind)
    }

    pub(super) fn stream(&mut self, kind: TrackKind, encoding: Encoding) -> Option<&mut Stream> {
        self.streams.get_mut(index(kind, encoding))?.as_deref_mut()
    }

    /// Streams from which packets came, with what they are.
    pub(super) fn seen(&mut self) -> impl Iterator<Item = (TrackKind, Encoding, &mut Stream)> {
        let ids = TrackKind::ALL
            .into_iter()
            .flat_map(|k| (0..Encoding::MAX_PER_TRACK as u8).map(move |e| (k, Encoding(e))));
        let streams = ids.zip(self.streams.iter_mut());
        streams.filter_map(|((k, e), s)| Some((k, e, s.as_deref_mut().filter(|s| s.seen)?)))
    }

    pub(super) fn nack_deadline(&self) -> Option<Instant> {
        let generators = self.streams.iter().flatten().filter_map(|s| s.nack.as_ref());
        generators.filter_map(NackGenerator::deadline).min()
    }

    /// What a known SSRC stands for.
    pub(super) fn bound(&self, ssrc: u32) -> Option<Target> {
        self.bindings.iter().find(|(known, _)| *known == ssrc).map(|(_, target)| *target)
    }

    /// What a packet belongs to: by SSRC once that is bound, else by MID and RID, which binds it.
    pub(super) fn target(
        &mut self,
        packet: &RtpView<'_>,
        map: &ExtensionMap,
    ) -> Result<Target, DropReason> {
        let target = match self.bound(packet.ssrc) {
            Some(target) => target,
            None => {
                let target = self.identify(packet, map).ok_or(DropReason::UnknownSource)?;
                self.check_payload_type(packet, target)?;
                self.bind(packet.ssrc, target)?;
                target
            }
        };
        self.check_payload_type(packet, target).map(|()| target)
    }

    fn check_payload_type(&self, packet: &RtpView<'_>, target: Target) -> Result<(), DropReason> {
        let codec = &self.line(target.kind).ok_or(DropReason::UnknownSource)?.plan.codec;
        let expected = if target.rtx { codec.rtx } else { Some(codec.pt) };
        if expected == Some(packet.payload_type) { Ok(()) } else { Err(DropReason::UnknownSource) }
    }

    /// RFC 9143 section 9.2 and RFC 8852. A missing MID is forgiven when the RID says it all.
    fn identify(&self, packet: &RtpView<'_>, map: &ExtensionMap) -> Option<Target> {
        let text = |e: Extension| {
            let bytes = packet.extension(map.id(e)?)?;
            std::str::from_utf8(bytes).ok()
        };
        let rid = text(Extension::Rid);
        let repaired = text(Extension::RepairedRid);
        let mid = text(Extension::Mid);
        let mut lines = self.lines.iter().filter(|l| match mid {
            Some(mid) => l.mid == mid,
            None => rid.or(repaired).is_some() && !l.plan.rids.is_empty(),
        });
        let plan = &lines.next().filter(|_| lines.next().is_none())?.plan;
        let rtx = plan.codec.rtx == Some(packet.payload_type);
        let kind = plan.kind;
        if plan.rids.is_empty() {
            return Some(Target { kind, encoding: Encoding(0), rtx });
        }
        let rid = if rtx { repaired } else { rid }?;
        let (_, encoding) = plan.rids.iter().find(|(r, _)| r == rid)?;
        Some(Target { kind, encoding: *encoding, rtx })
    }

    /// Binds an SSRC, in place of the one that stood for the same before.
    fn bind(&mut self, ssrc: u32, target: Target) -> Result<(), DropReason> {
        self.bindings.retain(|(known, t)| *t != target && *known != ssrc);
        self.bindings.try_push((ssrc, target)).map_err(|_| DropReason::TooManySources)?;
        if !target.rtx {
            let codec = self.line(target.kind).map_or(Codec::Vp8, |l| l.plan.codec.codec);
            if let Some(place) = self.streams.get_mut(index(target.kind, target.encoding)) {
                *place = Some(Box::new(Stream::new(ssrc, codec)));
            }
        }
        Ok(())
    }
}
