//! From an offer to a peer, and from a new offer to a changed peer.

use super::source::{Source, Sources, Target};
use super::{Peer, PeerCounters, Slot};
use crate::sdp::answer::{AnswerParts, LocalTransport, write_answer};
use crate::sdp::offer::Offer;
use crate::sdp::plan::{LinePlan, plan};
use crate::sdp::{Answer, OfferError, SourceLine};
use crate::signal::{PublishLine, SlotLine, SlotRole};
use crate::transport::{LocalIce, SecureTransport, TransportConfig};
use arrayvec::ArrayVec;
use rand::RngCore;
use relay_proto::{Encoding, Now, ParticipantId, TrackKind};
use sfu_core::twcc::TwccRecorder;

/// What all peers of a shard share.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Certificate and candidates.
    pub transport: TransportConfig,
}

impl Peer {
    /// Answers a participant's first offer. `rng` must be a cryptographic generator in nodes: ICE passwords come
    /// from it.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub fn accept(
        now: Now,
        config: &PeerConfig,
        participant: ParticipantId,
        offer: &str,
        publish: &[PublishLine],
        may_publish: bool,
        rng: &mut impl RngCore,
    ) -> Result<(Self, Answer), OfferError> {
        let offer = Offer::parse(offer)?;
        let plans = plan(&offer, publish, may_publish, |_| None)?;
        let local = LocalIce::generate(rng);
        let remote = offer.transport.clone();
        let transport = SecureTransport::server(now, &config.transport, &local, &remote);
        let mut peer = Self {
            participant,
            transport,
            config: config.transport.clone(),
            local,
            remote,
            session_id: rng.next_u64(),
            answers: 0,
            lines: 0,
            may_publish,
            extensions: offer.extensions,
            slots: Vec::new(),
            sources: Sources::default(),
            report_ssrc: 0,
            // Small first numbers, so that the wrap of a short-lived peer is never met before its handshake.
            transport_seq: 0,
            twcc: TwccRecorder::new(now.mono),
            next_report: None,
            round_trip: None,
            counters: PeerCounters::default(),
        };
        peer.report_ssrc = peer.fresh_ssrc(&offer, rng);
        let answer = peer.apply(&offer, &plans, may_publish, rng);
        Ok((peer, answer))
    }

    /// Answers a new offer on the same transport: more slots, sources added or removed, or an ICE restart (then
    /// [`Peer::local_ice`] changes and the gate must learn it). After an error nothing has changed.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub fn renegotiate(
        &mut self,
        _now: Now,
        offer: &str,
        publish: &[PublishLine],
        may_publish: bool,
        rng: &mut impl RngCore,
    ) -> Result<Answer, OfferError> {
        let offer = Offer::parse(offer)?;
        if offer.lines.len() < self.lines {
            return Err(OfferError::LinesRemoved { lines: offer.lines.len(), before: self.lines });
        }
        if offer.transport.fingerprint != self.remote.fingerprint {
            return Err(OfferError::TransportChanged { what: "certificate" });
        }
        let known = |mid: &str| self.slots.iter().find(|s| s.mid == mid).map(|s| s.role);
        let plans = plan(&offer, publish, may_publish, known)?;
        if offer.transport.ufrag != self.remote.ufrag || offer.transport.pwd != self.remote.pwd {
            let local = LocalIce::generate(rng);
            // The handshake is not repeated, so its roles stay, whatever the new offer says.
            let mut remote = offer.transport.clone();
            remote.setup = self.remote.setup;
            self.transport
                .restart(&local, &remote)
                .map_err(|_| OfferError::TransportChanged { what: "certificate" })?;
            (self.local, self.remote) = (local, remote);
        }
        Ok(self.apply(&offer, &plans, may_publish, rng))
    }

    /// Makes the peer what the plans say, and writes the answer.
    fn apply(
        &mut self,
        offer: &Offer,
        plans: &[LinePlan],
        may_publish: bool,
        rng: &mut impl RngCore,
    ) -> Answer {
        self.lines = offer.lines.len();
        self.may_publish = may_publish;
        self.extensions = offer.extensions;
        self.apply_slots(offer, plans, rng);
        self.apply_sources(offer, plans);
        self.answers += 1;
        let parts = AnswerParts {
            offer,
            plans,
            transport: LocalTransport {
                ice: &self.local,
                fingerprint: &self.config.fingerprint(),
                role: self.remote.setup,
                candidates: &self.config.local_candidates,
            },
            session_id: self.session_id,
            version: self.answers,
        };
        let slot = |mid: &str| self.slots.iter().find(|s| s.mid == mid);
        let sdp = write_answer(&parts, |mid| {
            slot(mid).map(|s| (s.ssrc, s.has_rtx().then_some(s.rtx_ssrc)))
        });
        let active = self.slots.iter().filter(|s| s.active);
        let sources = self.sources.lines().iter().map(|s| SourceLine {
            kind: s.plan.kind,
            codec: s.plan.codec.codec,
            encodings: s.plan.encodings(),
        });
        Answer {
            sdp,
            slots: active.map(|s| SlotLine { mid: s.mid.clone(), role: s.role }).collect(),
            sources: sources.collect(),
        }
    }

    fn apply_slots(&mut self, offer: &Offer, plans: &[LinePlan], rng: &mut impl RngCore) {
        for slot in &mut self.slots {
            slot.negotiated(&[]);
        }
        for (line, line_plan) in offer.lines.iter().zip(plans) {
            let LinePlan::Slot { role, codecs } = line_plan else {
                continue;
            };
            let known = self.slots.iter().position(|s| s.mid == line.mid);
            let place = known.unwrap_or_else(|| {
                self.add_slot(&line.mid, *role, offer, rng);
                self.slots.len() - 1
            });
            if let Some(slot) = self.slots.get_mut(place) {
                slot.negotiated(codecs);
            }
        }
    }

    fn add_slot(&mut self, mid: &str, role: SlotRole, offer: &Offer, rng: &mut impl RngCore) {
        let ssrc = self.fresh_ssrc(offer, rng);
        let mut rtx = self.fresh_ssrc(offer, rng);
        while rtx == ssrc {
            rtx = self.fresh_ssrc(offer, rng);
        }
        // RFC 3550 section 5.1: a random first number; below 2^15, so that early losses are not taken for a wrap.
        let first = rng.next_u32() as u16 >> 1;
        self.slots.push(Slot::new(mid.to_owned(), role, [ssrc, rtx], first));
    }

    /// An SSRC that neither side uses in this session.
    fn fresh_ssrc(&self, offer: &Offer, rng: &mut impl RngCore) -> u32 {
        loop {
            let ssrc = rng.next_u32();
            let ours = ssrc == self.report_ssrc
                || self.slots.iter().any(|s| s.ssrc == ssrc || s.rtx_ssrc == ssrc);
            let announced = offer.lines.iter().flat_map(|l| &l.ssrcs);
            let theirs = announced.into_iter().any(|(s, rtx)| *s == ssrc || *rtx == Some(ssrc));
            if ssrc != 0 && !ours && !theirs && self.sources.bound(ssrc).is_none() {
                return ssrc;
            }
        }
    }

    fn apply_sources(&mut self, offer: &Offer, plans: &[LinePlan]) {
        let mut lines = ArrayVec::<Source, { TrackKind::ALL.len() }>::new();
        let mut announced = Vec::new();
        for (line, line_plan) in offer.lines.iter().zip(plans) {
            let LinePlan::Source(source) = line_plan else {
                continue;
            };
            // With simulcast SSRCs say nothing about encodings; RIDs do.
            if let (true, Some((ssrc, rtx))) = (source.rids.is_empty(), line.ssrcs.first()) {
                let target = Target { kind: source.kind, encoding: Encoding(0), rtx: false };
                announced.push((*ssrc, target));
                announced.extend(rtx.map(|rtx| (rtx, Target { rtx: true, ..target })));
            }
            // `plan` has checked that each kind is published once, so there is room.
            let _ = lines.try_push(Source { mid: line.mid.clone(), plan: source.clone() });
        }
        self.sources.negotiated(lines, &announced);
    }
}
