//! Voices: who is heard, and the pictures that are pushed with them.

use super::Hub;
use super::port::{Direction, Port, PortId};
use super::subs::Sub;
use super::timers::Due;
use crate::forwarder::RingKey;
use crate::speakers::voices::VOICES_PER_PEER;
use crate::speakers::{Push, pick_for_listener};
use arrayvec::ArrayVec;
use relay_proto::limits::VOICES_DOWN_MAX;
use relay_proto::{Encoding, Now, ParticipantId, TrackId, TrackKind};
use std::time::Instant;

impl Hub {
    /// Makes feeds and audio slots follow the voices that pass. `fresh` is a voice that has just been let in, with
    /// the arrival of its first loud packet, so that this packet is sent too.
    pub(super) fn sync_voices(&mut self, now: Now, fresh: Option<(RingKey, u64)>) {
        let heard: ArrayVec<ParticipantId, VOICES_DOWN_MAX> = self.gate_down.members().collect();
        let upward: ArrayVec<ParticipantId, VOICES_DOWN_MAX> = self.gate_up.members().collect();
        let ports: Vec<usize> = self.ports.iter().map(|(k, _)| k).collect();
        for key in ports {
            match &self.ports[key] {
                Port::Peer(_) => self.sync_listener(now, PortId(key), &heard, fresh),
                Port::Link(link) => {
                    let voices = if link.direction == Direction::Up { &upward } else { &heard };
                    let voices = if link.voices { voices.clone() } else { ArrayVec::new() };
                    self.sync_link_voices(now.mono, PortId(key), &voices, fresh);
                }
            }
        }
    }

    fn mic_ring(&self, voice: ParticipantId) -> Option<(RingKey, PortId)> {
        let track = self.tracks.get(&TrackId { participant: voice, kind: TrackKind::Mic })?;
        Some((track.ring(Encoding::Q)?, track.source))
    }

    fn sync_link_voices(
        &mut self,
        now: Instant,
        port: PortId,
        voices: &[ParticipantId],
        fresh: Option<(RingKey, u64)>,
    ) {
        let wanted: Vec<RingKey> = voices
            .iter()
            .filter_map(|v| self.mic_ring(*v))
            .filter(|(_, source)| *source != port)
            .map(|(ring, _)| ring)
            .collect();
        let Some(link) = self.ports.get(port.0).and_then(|p| p.link()) else {
            return;
        };
        let is_voice =
            |ring: &RingKey| self.table.get(*ring).is_some_and(|s| s.track.kind.is_audio());
        let gone: Vec<RingKey> =
            link.feeds.keys().filter(|r| is_voice(r) && !wanted.contains(r)).copied().collect();
        for ring in gone {
            self.unfeed(port, ring);
        }
        for ring in wanted {
            let head = self.table.get(ring).map_or(0, |s| s.ring.head());
            let from = fresh.filter(|(r, _)| *r == ring).map_or(head, |(_, arrival)| arrival);
            self.feed(port, ring, Some(from), false, now);
        }
    }

    /// Gives one participant's audio slots to the voices they should hear.
    pub(super) fn sync_listener(
        &mut self,
        now: Now,
        port: PortId,
        heard: &[ParticipantId],
        fresh: Option<(RingKey, u64)>,
    ) {
        let Some(viewer) = self.ports.get_mut(port.0).and_then(|p| p.viewer_mut()) else {
            return;
        };
        if !viewer.connected {
            return;
        }
        let before = viewer.voices;
        // A client with fewer slots hears the loudest of the voices: the first of the list.
        let slots = viewer.audio.len().min(VOICES_PER_PEER);
        if !pick_for_listener(heard, viewer.participant, &mut viewer.voices[..slots]) {
            return;
        }
        let after = viewer.voices;
        for i in 0..VOICES_PER_PEER {
            if before[i] == after[i] {
                continue;
            }
            let viewer = self.ports.get(port.0).and_then(|p| p.viewer());
            let Some((_, sub)) = viewer.and_then(|v| v.audio.get(i).copied()) else {
                continue;
            };
            let ring = after[i].and_then(|voice| self.mic_ring(voice)).map(|(ring, _)| ring);
            self.seat(now, sub, ring, fresh);
        }
    }

    /// Puts the voice of `ring` into an audio slot, from its first loud packet where that is known.
    fn seat(&mut self, now: Now, sub: usize, ring: Option<RingKey>, fresh: Option<(RingKey, u64)>) {
        let source = ring.and_then(|r| self.source_ref(r));
        let head = ring.and_then(|r| self.table.get(r)).map_or(0, |s| s.ring.head());
        let from = fresh.filter(|(r, _)| Some(*r) == ring).map_or(head, |(_, arrival)| arrival);
        let Some(Sub::Slot(slot)) = self.subs.get_mut(sub) else {
            return;
        };
        slot.desired = ring;
        match source {
            Some(source) => slot.forwarder.select_from(source, from),
            None => slot.forwarder.select(None),
        }
        self.relist(sub);
        self.tell_slot(sub);
        self.pending_reports.push(sub);
        let _ = now;
    }

    /// Frees the places of voices that have fallen silent.
    pub(super) fn expire_voices(&mut self, now: Now) {
        let freed = !self.gate_down.expire(now).is_empty() | !self.gate_up.expire(now).is_empty();
        if freed {
            self.sync_voices(now, None);
        }
        if let Some(at) =
            super::ingest::earliest(self.gate_down.deadline(), self.gate_up.deadline())
        {
            self.timers.arm(Due::Voices, at);
        }
    }

    /// Somebody has spoken long enough that their picture may be wanted in a moment: sends it ahead on every link
    /// that listens, or withdraws it.
    pub(super) fn apply_push(&mut self, voice: ParticipantId, push: Push, now: Now) {
        let camera = TrackId { participant: voice, kind: TrackKind::Camera };
        let Some(track) = self.tracks.get(&camera).filter(|t| !t.muted) else {
            return;
        };
        let (Some(ring), source) = (track.ring(Encoding::Q), track.source) else {
            return;
        };
        let ports: Vec<(usize, bool)> = self
            .ports
            .iter()
            .filter(|(key, _)| PortId(*key) != source)
            .filter_map(|(key, p)| p.link().map(|l| (key, l.voices)))
            .collect();
        for (key, listens) in ports {
            match push {
                Push::Start if listens => self.feed(PortId(key), ring, None, true, now.mono),
                Push::Start => {}
                Push::Stop => self.withdraw_push(PortId(key), ring),
            }
        }
        if push == Push::Start {
            self.timers.arm(Due::Push(ring), now.mono + crate::speakers::push::PUSH_FOR);
        }
    }

    /// Ends a pushed feed that nobody has asked for.
    fn withdraw_push(&mut self, port: PortId, ring: RingKey) {
        let Some(link) = self.ports.get(port.0).and_then(|p| p.link()) else {
            return;
        };
        let Some(key) = link.feeds.get(&ring).copied() else {
            return;
        };
        if matches!(self.subs.get(key), Some(Sub::Feed(feed)) if feed.pushed) {
            self.drop_sub(key);
        }
    }

    /// The time of a push is over on all links.
    pub(super) fn push_over(&mut self, ring: RingKey) {
        let links: Vec<usize> =
            self.ports.iter().filter(|(_, p)| p.link().is_some()).map(|(key, _)| key).collect();
        for key in links {
            self.withdraw_push(PortId(key), ring);
        }
    }
}
