//! Tracks come and go: published at a peer here, or announced by a neighbour.

use super::port::{Port, PortId};
use super::table::{Fan, RingSlot, Track};
use super::timers::Due;
use super::{FlowIds, Hub, HubEvent};
use crate::arbiter::KeyframeArbiter;
use crate::clock::CaptureClock;
use crate::forwarder::RingKey;
use crate::ring::EncodingRing;
use crate::speakers::PushTimer;
use relay_proto::control::{Announce, Body, Codec, EncodingInfo, Refusal};
use relay_proto::limits::HOPS_MAX;
use relay_proto::{Encoding, EncodingSet, NodeId, Now, TrackId, TrackKind};

/// What an encoding is expected to need, by rid: 150 k, 500 k, 1.5 M; a voice 50 k.
const BITRATE_BPS: [u32; Encoding::MAX_PER_TRACK] = [150_000, 500_000, 1_500_000];
const VOICE_BPS: u32 = 50_000;
/// A source without simulcast sends its only picture at full rate.
const SINGLE_BPS: u32 = 1_500_000;

fn expected_bps(kind: TrackKind, encoding: Encoding, encodings: EncodingSet) -> u32 {
    if kind.is_audio() {
        VOICE_BPS
    } else if encodings.iter().count() == 1 {
        SINGLE_BPS
    } else {
        BITRATE_BPS[usize::from(encoding.0).min(2)]
    }
}

impl Hub {
    /// A participant here publishes a track. Publishing it again with other encodings replaces it.
    ///
    /// # Errors
    /// [`Refusal::Full`] when the hub has [`super::limits::TRACKS_MAX`] tracks.
    pub fn publish(
        &mut self,
        now: Now,
        port: PortId,
        track: TrackId,
        codec: Codec,
        encodings: EncodingSet,
        flows: &mut FlowIds,
    ) -> Result<(), Refusal> {
        if let Some(known) = self.tracks.get(&track) {
            if known.source == port && known.codec == codec && known.encodings() == encodings {
                return Ok(());
            }
            self.withdraw(now, track);
        }
        let infos: Vec<(Encoding, u32, Option<relay_proto::FlowId>)> =
            encodings.iter().map(|e| (e, expected_bps(track.kind, e, encodings), None)).collect();
        self.add_track(now, port, track, codec, Vec::new(), &infos, flows)
    }

    /// The neighbour at `port` can send a track.
    pub(super) fn announced(
        &mut self,
        now: Now,
        port: PortId,
        announce: &Announce,
        flows: &mut FlowIds,
    ) -> Result<(), Refusal> {
        if announce.hops.len() > HOPS_MAX || announce.hops.contains(&self.node) {
            return Err(Refusal::Loop);
        }
        if let Some(known) = self.tracks.get(&announce.track) {
            if known.hops.is_empty() {
                return Err(Refusal::Loop);
            }
            self.withdraw(now, announce.track);
        }
        let infos: Vec<_> = announce
            .encodings
            .iter()
            .take(Encoding::MAX_PER_TRACK)
            .filter(|e| usize::from(e.encoding.0) < Encoding::MAX_PER_TRACK)
            .map(|e| (e.encoding, e.bitrate_bps, Some(e.flow)))
            .collect();
        self.add_track(
            now,
            port,
            announce.track,
            announce.codec,
            announce.hops.clone(),
            &infos,
            flows,
        )
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one private constructor for both ways a track appears"
    )]
    fn add_track(
        &mut self,
        now: Now,
        port: PortId,
        id: TrackId,
        codec: Codec,
        hops: Vec<NodeId>,
        encodings: &[(Encoding, u32, Option<relay_proto::FlowId>)],
        flows: &mut FlowIds,
    ) -> Result<(), Refusal> {
        if self.tracks.len() >= super::limits::TRACKS_MAX {
            return Err(Refusal::Full);
        }
        let mut rings = [None; Encoding::MAX_PER_TRACK];
        for (encoding, bitrate_bps, flow_in) in encodings {
            let key = self.add_ring(port, id, codec, *encoding, *bitrate_bps, flows);
            rings[usize::from(encoding.0)] = Some(key);
            let link = self.ports.get_mut(port.0).and_then(Port::link_mut);
            if let (Some(flow), Some(link)) = (flow_in, link) {
                link.flows_in.insert(*flow, key);
                self.events.push(HubEvent::FlowOpened { link: link.target, flow: *flow, port });
            }
        }
        let push = PushTimer::new();
        self.tracks_made += 1;
        let order = self.tracks_made;
        let track =
            Track { codec, source: port, hops, rings, loudness: None, push, order, muted: false };
        self.tracks.insert(id, track);
        self.announce_to_links(id);
        if id.kind == TrackKind::Mic {
            return Ok(());
        }
        self.demands_of_links(now, id);
        self.queue_layouts();
        Ok(())
    }

    fn add_ring(
        &mut self,
        source: PortId,
        track: TrackId,
        codec: Codec,
        encoding: Encoding,
        bitrate_bps: u32,
        flows: &mut FlowIds,
    ) -> RingKey {
        let flow = flows.take();
        self.table.insert(|key| RingSlot {
            key,
            track,
            encoding,
            codec,
            source,
            ring: EncodingRing::new(codec),
            clock: CaptureClock::new(codec.clock_rate()),
            arbiter: KeyframeArbiter::new(),
            flow,
            bitrate_bps,
            subs: Vec::new(),
            fan: Fan::default(),
            feeds: 0,
            wanted_key: false,
            key_tries: 0,
            absent: false,
        })
    }

    /// A track is gone: published no more, or withdrawn by the neighbour it came from.
    pub fn withdraw(&mut self, now: Now, id: TrackId) {
        let Some(track) = self.tracks.remove(&id) else {
            return;
        };
        if id.kind == TrackKind::Mic {
            self.gate_down.remove(id.participant);
            self.gate_up.remove(id.participant);
            self.digest.forget(id.participant);
            self.sync_voices(now, None);
        }
        for ring in track.rings.into_iter().flatten() {
            self.remove_ring(ring);
        }
        if let Some(link) = self.ports.get_mut(track.source.0).and_then(Port::link_mut) {
            let (target, table) = (link.target, &self.table);
            let closed: Vec<_> = link
                .flows_in
                .iter()
                .filter(|(_, r)| table.get(**r).is_none())
                .map(|(f, _)| *f)
                .collect();
            for flow in closed {
                link.flows_in.remove(&flow);
                self.events.push(HubEvent::FlowClosed { link: target, flow });
            }
        }
        for (key, port) in &self.ports {
            if let (Some(link), true) = (port.link(), PortId(key) != track.source) {
                self.events.push(HubEvent::Send { link: link.target, body: Body::Withdraw(id) });
            }
        }
        self.demand_dirty = true;
        self.queue_layouts();
    }

    fn remove_ring(&mut self, ring: RingKey) {
        let Some(slot) = self.table.get(ring) else {
            return;
        };
        for key in slot.subs.clone() {
            match self.subs.get_mut(key) {
                Some(super::subs::Sub::Slot(sub)) => {
                    if sub.desired == Some(ring) {
                        sub.desired = None;
                    }
                    if sub.forwarder.wanted().is_some_and(|s| s.ring == ring)
                        || sub.forwarder.current().is_some_and(|s| s.ring == ring)
                    {
                        sub.forwarder.select(None);
                    }
                    self.relist(key);
                    self.tell_slot(key);
                }
                Some(super::subs::Sub::Feed(_)) => self.drop_sub(key),
                None => {}
            }
        }
        self.timers.disarm(Due::Key(ring));
        self.timers.disarm(Due::Push(ring));
        self.fan.forget(ring);
        self.table.remove(ring);
    }

    /// Tells every link but the track's own about it.
    fn announce_to_links(&mut self, id: TrackId) {
        let links: Vec<usize> =
            self.ports.iter().filter(|(_, p)| p.link().is_some()).map(|(k, _)| k).collect();
        for key in links {
            self.announce_to(PortId(key), id);
        }
    }

    /// Tells one link about a track, unless it came from there or has made its hops.
    pub(super) fn announce_to(&mut self, port: PortId, id: TrackId) {
        let (Some(track), Some(link)) =
            (self.tracks.get(&id), self.ports.get(port.0).and_then(Port::link))
        else {
            return;
        };
        let picture_off = track.muted && !id.kind.is_audio();
        if track.source == port || track.hops.len() >= HOPS_MAX || picture_off {
            return;
        }
        let encodings = track.rings.iter().flatten().filter_map(|r| self.table.get(*r));
        let encodings = encodings
            .map(|s| EncodingInfo {
                encoding: s.encoding,
                flow: s.flow,
                bitrate_bps: s.bitrate_bps,
            })
            .collect();
        let hops = track.hops.iter().copied().chain([self.node]).collect();
        let announce = Announce { track: id, codec: track.codec, encodings, hops };
        self.events.push(HubEvent::Send { link: link.target, body: Body::Announce(announce) });
    }

    /// The owner of a track silenced it, or spoke up again.
    pub fn mute(&mut self, now: Now, id: TrackId, muted: bool) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut track.muted, muted) == muted {
            return;
        }
        if !id.kind.is_audio() {
            self.picture_switched(now, id, muted);
        }
        if muted && id.kind == TrackKind::Mic {
            self.gate_down.remove(id.participant);
            self.gate_up.remove(id.participant);
            self.digest.forget(id.participant);
            self.sync_voices(now, None);
        }
        self.queue_layouts();
    }

    /// A picture went off or came back: neighbours learn it as a track that is withdrawn or announced, so that no last frame
    /// stays on a screen far away.
    fn picture_switched(&mut self, now: Now, id: TrackId, off: bool) {
        if !off {
            self.announce_to_links(id);
            self.demands_of_links(now, id);
            return;
        }
        let Some((source, rings)) = self.tracks.get(&id).map(|t| (t.source, t.rings)) else {
            return;
        };
        let links = self.ports.iter().filter_map(|(k, p)| p.link().map(|l| (PortId(k), l.target)));
        let links: Vec<_> = links.filter(|(port, _)| *port != source).collect();
        for (port, link) in links {
            for ring in rings.into_iter().flatten() {
                self.unfeed(port, ring);
            }
            self.events.push(HubEvent::Send { link, body: Body::Withdraw(id) });
        }
    }
}
