//! Demand: what somebody downstream watches is asked of whoever has it, and nothing else crosses a link.

use super::port::{Port, PortId};
use super::subs::Sub;
use super::{FlowIds, Hub, HubEvent};
use relay_proto::control::{Body, Refusal, Want};
use relay_proto::limits::WANTS_MAX;
use relay_proto::{Encoding, EncodingSet, Now, TrackId};
use std::collections::BTreeMap;

impl Hub {
    /// Obeys what the neighbour at `port` says about this meeting's media. Other bodies are the role's.
    ///
    /// # Errors
    /// Why it was not obeyed; the caller answers with [`Body::Refused`].
    pub fn handle_link(
        &mut self,
        now: Now,
        port: PortId,
        body: &Body,
        flows: &mut FlowIds,
    ) -> Result<(), Refusal> {
        match body {
            Body::Announce(announce) => self.announced(now, port, announce, flows),
            Body::Withdraw(track) => {
                if self.tracks.get(track).is_some_and(|t| t.source == port) {
                    self.withdraw(now, *track);
                }
                Ok(())
            }
            Body::Demand { seq, wants, voices } => self.demanded(now, port, *seq, wants, *voices),
            Body::Keyframe { track, encoding } => {
                let ring = self
                    .tracks
                    .get(track)
                    .filter(|t| t.source != port)
                    .and_then(|t| t.ring(*encoding));
                if let Some(ring) = ring {
                    self.request_key(ring, now.mono);
                }
                Ok(())
            }
            _ => Err(Refusal::NotMine),
        }
    }

    fn demanded(
        &mut self,
        now: Now,
        port: PortId,
        seq: u64,
        wants: &[Want],
        voices: bool,
    ) -> Result<(), Refusal> {
        if wants.len() > WANTS_MAX {
            return Err(Refusal::Full);
        }
        let Some(link) = self.ports.get_mut(port.0).and_then(Port::link_mut) else {
            return Err(Refusal::NotMine);
        };
        if seq <= link.demand_seen {
            return Ok(());
        }
        link.demand_seen = seq;
        let new: BTreeMap<TrackId, EncodingSet> =
            wants.iter().map(|w| (w.track, w.encodings)).collect();
        let old = std::mem::replace(&mut link.wants, new.clone());
        let voices_changed = std::mem::replace(&mut link.voices, voices) != voices;
        for track in old.keys().chain(new.keys()) {
            self.sync_feeds(now, port, *track);
        }
        if voices_changed {
            self.sync_voices(now, None);
            self.demand_dirty = true;
        }
        Ok(())
    }

    /// A track appeared: links may have asked for it before.
    pub(super) fn demands_of_links(&mut self, now: Now, track: TrackId) {
        let links: Vec<usize> = self
            .ports
            .iter()
            .filter(|(_, p)| p.link().is_some_and(|l| l.wants.contains_key(&track)))
            .map(|(k, _)| k)
            .collect();
        for key in links {
            self.sync_feeds(now, PortId(key), track);
        }
    }

    /// Makes the feeds of one track on one link follow what that link wants.
    fn sync_feeds(&mut self, now: Now, port: PortId, id: TrackId) {
        let Some(track) = self.tracks.get(&id).filter(|t| t.source != port && !id.kind.is_audio())
        else {
            return;
        };
        let rings = track.rings;
        let wanted =
            self.ports[port.0].link().and_then(|l| l.wants.get(&id)).copied().unwrap_or_default();
        for (i, ring) in rings.iter().enumerate() {
            let Some(ring) = *ring else { continue };
            if wanted.has(Encoding(i as u8)) {
                self.feed(port, ring, None, false, now.mono);
            } else {
                self.unfeed(port, ring);
            }
        }
    }

    /// Tells each link what is wanted of it, where that changed. At most one message a link and turn.
    pub(super) fn settle_demand(&mut self) {
        if !std::mem::take(&mut self.demand_dirty) {
            return;
        }
        let listeners = self.ports.iter().any(|(_, p)| p.viewer().is_some());
        let links: Vec<(usize, bool)> =
            self.ports.iter().filter_map(|(k, p)| p.link().map(|l| (k, l.voices))).collect();
        for (key, _) in &links {
            let others = links.iter().any(|(k, voices)| k != key && *voices);
            let wants = self.wants_of(PortId(*key));
            let Some(link) = self.ports.get_mut(*key).and_then(Port::link_mut) else {
                continue;
            };
            let asked = (wants, listeners || others);
            if link.asked == asked && link.demand_seq > 0 {
                continue;
            }
            link.asked = asked.clone();
            // One sequence for all ports of the hub: a port that replaces another after a new attachment goes on above it.
            self.demands += 1;
            link.demand_seq = self.demands;
            let body = Body::Demand { seq: link.demand_seq, wants: asked.0, voices: asked.1 };
            self.events.push(HubEvent::Send { link: link.target, body });
        }
    }

    /// What is watched here of the tracks that come from `port`: by slots, or by feeds somebody asked for.
    fn wants_of(&self, port: PortId) -> Vec<Want> {
        let mut wants = Vec::new();
        for (id, track) in &self.tracks {
            if track.source != port || id.kind.is_audio() || wants.len() == WANTS_MAX {
                continue;
            }
            let mut set = EncodingSet::NONE;
            for ring in track.rings.iter().flatten() {
                if let Some(slot) = self.table.get(*ring).filter(|s| self.is_watched(&s.subs)) {
                    set = set.with(slot.encoding);
                }
            }
            if !set.is_empty() {
                wants.push(Want { track: *id, encodings: set });
            }
        }
        wants
    }

    fn is_watched(&self, subs: &[usize]) -> bool {
        subs.iter().any(|key| match self.subs.get(*key) {
            Some(Sub::Slot(_)) => true,
            Some(Sub::Feed(feed)) => !feed.pushed,
            None => false,
        })
    }
}
