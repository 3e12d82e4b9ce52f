//! A participant as a viewer: which picture stands in which slot.

use super::limits::{LAYOUTS_PER_TURN, VIDEO_SLOTS_MAX};
use super::port::{Port, PortId, Viewer};
use super::subs::{SlotSub, Sub, SubKey};
use super::timers::Due;
use super::{Hub, reports};
use crate::allocation::{Layout, LayoutInput, Publisher, Rates, Shown};
use crate::clock::PublisherClock;
use crate::forwarder::{Forwarder, RingKey, SlotKind};
use crate::speakers::voices::VOICES_PER_PEER;
use relay_proto::{Encoding, Now, ParticipantId, TrackId, TrackKind};

/// What a slot of a peer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewerSlot {
    /// A voice.
    Audio,
    /// A picture: the first such slot is the main one, the others are the strip.
    Video,
    /// The shared screen.
    Screen,
}

/// Downlink assumed until the client says otherwise: the default layout with a screen is about 6 Mbit/s.
const DOWNLINK_DEFAULT_BPS: u64 = 6_000_000;

/// What a viewer asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    pin: Option<ParticipantId>,
    strip: usize,
    /// What the client wants to receive at most.
    max_bps: u64,
    /// What the estimate says it can receive.
    estimate_bps: u64,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            pin: None,
            strip: crate::allocation::layout::STRIP_DEFAULT,
            max_bps: u64::MAX,
            estimate_bps: DOWNLINK_DEFAULT_BPS,
        }
    }
}

impl Hub {
    /// Adds the peer with the owner's key `target`. Slot numbers are positions in `slots`.
    pub fn add_peer(
        &mut self,
        now: Now,
        target: usize,
        participant: ParticipantId,
        slots: &[ViewerSlot],
    ) -> PortId {
        let viewer = Viewer {
            target,
            participant,
            audio: Vec::new(),
            voices: [None; VOICES_PER_PEER],
            video: Vec::new(),
            screen: None,
            wishes: Wishes::default(),
            clock: PublisherClock::new(),
            layout: Layout::new(0),
            layout_queued: false,
            connected: false,
            swept: Default::default(),
        };
        let port = PortId(self.ports.insert(Port::Peer(viewer)));
        self.demand_dirty = true;
        self.timers.arm(Due::Reports(port.0), now.mono + reports::REPORT_INTERVAL);
        self.set_slots(now, port, slots);
        port
    }

    /// The peer has these slots now; the first ones are those it had (a slot is for life).
    pub fn set_slots(&mut self, now: Now, port: PortId, slots: &[ViewerSlot]) {
        let Some(viewer) = self.ports.get(port.0).and_then(Port::viewer) else {
            return;
        };
        let known = viewer.audio.len() + viewer.video.len() + usize::from(viewer.screen.is_some());
        for (i, kind) in slots.iter().enumerate().skip(known) {
            let media = if *kind == ViewerSlot::Audio { SlotKind::Audio } else { SlotKind::Video };
            let numbers = self.draw();
            let sub = self.subs.insert(Sub::Slot(SlotSub {
                port,
                slot: i as u16,
                forwarder: Forwarder::new(media, numbers as u16, (numbers >> 16) as u32),
                desired: None,
                listed: [None; 3],
                told: None,
            }));
            let Some(viewer) = self.ports.get_mut(port.0).and_then(Port::viewer_mut) else {
                return;
            };
            let entry = (i as u16, sub);
            match kind {
                ViewerSlot::Audio if viewer.audio.len() < VOICES_PER_PEER => {
                    viewer.audio.push(entry)
                }
                ViewerSlot::Video if viewer.video.len() < VIDEO_SLOTS_MAX => {
                    viewer.video.push(entry)
                }
                ViewerSlot::Screen if viewer.screen.is_none() => viewer.screen = Some(entry),
                _ => {
                    self.subs.try_remove(sub);
                }
            }
        }
        if let Some(viewer) = self.ports.get_mut(port.0).and_then(Port::viewer_mut) {
            viewer.layout.set_strip_slots(viewer.video.len().saturating_sub(1));
        }
        self.sync_slots(now, port);
    }

    /// The viewer's transport stands: from now on it is sent voices and pictures.
    pub fn peer_connected(&mut self, now: Now, port: PortId) {
        if let Some(viewer) = self.ports.get_mut(port.0).and_then(Port::viewer_mut) {
            viewer.connected = true;
        }
        self.sync_slots(now, port);
    }

    fn sync_slots(&mut self, now: Now, port: PortId) {
        let heard: arrayvec::ArrayVec<_, { relay_proto::limits::VOICES_DOWN_MAX }> =
            self.gate_down.members().collect();
        self.sync_listener(now, port, &heard, None);
        self.queue_layout(port);
    }

    /// The viewer wants this participant in the main picture, that many strip pictures, and at most that rate.
    pub fn set_wishes(
        &mut self,
        port: PortId,
        pin: Option<ParticipantId>,
        strip: Option<usize>,
        max_bps: Option<u64>,
    ) {
        if let Some(viewer) = self.ports.get_mut(port.0).and_then(Port::viewer_mut) {
            viewer.wishes.pin = pin;
            viewer.wishes.strip = strip.unwrap_or(crate::allocation::layout::STRIP_DEFAULT);
            viewer.wishes.max_bps = max_bps.unwrap_or(u64::MAX);
            self.queue_layout(port);
        }
    }

    /// What the viewer can receive, bit/s, as estimated.
    pub fn set_estimate(&mut self, port: PortId, bps: u64) {
        if let Some(viewer) = self.ports.get_mut(port.0).and_then(Port::viewer_mut) {
            viewer.wishes.estimate_bps = bps;
            self.queue_layout(port);
        }
    }

    /// Everybody's layout may have to change.
    pub(super) fn queue_layouts(&mut self) {
        self.publishers_dirty = true;
        let peers: Vec<usize> =
            self.ports.iter().filter(|(_, p)| p.viewer().is_some()).map(|(k, _)| k).collect();
        for key in peers {
            self.queue_layout(PortId(key));
        }
    }

    fn queue_layout(&mut self, port: PortId) {
        if let Some(viewer) = self.ports.get_mut(port.0).and_then(Port::viewer_mut)
            && !std::mem::replace(&mut viewer.layout_queued, true)
        {
            self.layouts.push_back(port);
        }
    }

    /// A layout may get better by time alone.
    pub(super) fn layout_due(&mut self, port: PortId) {
        self.queue_layout(port);
    }

    /// Computes the layouts that wait, as many as a turn allows.
    pub(super) fn settle_layouts(&mut self, now: Now) {
        if self.layouts.is_empty() {
            return;
        }
        if std::mem::take(&mut self.publishers_dirty) {
            self.publishers = self.list_publishers();
        }
        for _ in 0..LAYOUTS_PER_TURN {
            let Some(port) = self.layouts.pop_front() else {
                return;
            };
            self.apply_layout(now, port);
        }
    }

    /// Everybody with a picture, in the order in which their first track appeared.
    fn list_publishers(&self) -> Vec<Publisher> {
        let mut list: Vec<(u64, Publisher)> = Vec::new();
        for (id, track) in self.tracks.iter().filter(|(id, _)| !id.kind.is_audio()) {
            let rates = if track.muted { Rates::NONE } else { self.rates(track.rings) };
            let at = list.iter().position(|(_, p)| p.participant == id.participant);
            let at = at.unwrap_or_else(|| {
                let (camera, screen) = (Rates::NONE, Rates::NONE);
                list.push((
                    track.order,
                    Publisher { participant: id.participant, camera, screen, screen_order: 0 },
                ));
                list.len() - 1
            });
            let (order, publisher) = &mut list[at];
            *order = track.order.min(*order);
            if id.kind == TrackKind::Screen {
                publisher.screen = rates;
                publisher.screen_order = track.order;
            } else {
                publisher.camera = rates;
            }
        }
        list.sort_by_key(|(order, _)| *order);
        list.into_iter().map(|(_, p)| p).collect()
    }

    fn rates(&self, rings: [Option<RingKey>; Encoding::MAX_PER_TRACK]) -> Rates {
        let slots =
            rings.into_iter().flatten().filter_map(|r| self.table.get(r)).filter(|s| !s.absent);
        slots.fold(Rates::NONE, |rates, s| rates.with(s.encoding, s.bitrate_bps))
    }

    fn apply_layout(&mut self, now: Now, port: PortId) {
        let Self { ports, publishers, floor, timers, pinned_share, .. } = self;
        let Some(viewer) = ports.get_mut(port.0).and_then(Port::viewer_mut) else {
            return;
        };
        viewer.layout_queued = false;
        if !viewer.connected {
            return;
        }
        let input = LayoutInput {
            own: viewer.participant,
            floor,
            pin: viewer.wishes.pin,
            screen_pin: *pinned_share,
            publishers,
            strip: viewer.wishes.strip,
            rate_bps: viewer.wishes.max_bps.min(viewer.wishes.estimate_bps),
        };
        viewer.layout.update(now, &input);
        if let Some(at) = viewer.layout.deadline() {
            timers.arm(Due::Layout(port.0), at);
        }
        let view = viewer.layout.view().clone();
        let video: Vec<(SubKey, Option<Shown>)> = viewer
            .video
            .iter()
            .map(|(_, sub)| *sub)
            .zip(std::iter::once(view.main).chain(view.strip.iter().copied()))
            .collect();
        let screen = viewer.screen.map(|(_, sub)| sub);
        for (sub, shown) in video {
            self.show(now, sub, shown, TrackKind::Camera);
        }
        if let Some(sub) = screen {
            self.show(now, sub, view.screen, TrackKind::Screen);
        }
    }

    /// Puts a picture into a slot: at once where a key frame of it is at hand, else as soon as one comes. Meanwhile
    /// another encoding of the same source stands in, if that one has a key frame.
    fn show(&mut self, now: Now, key: SubKey, shown: Option<Shown>, kind: TrackKind) {
        let track = shown.and_then(|s| {
            let id = TrackId { participant: s.participant, kind };
            let track = self.tracks.get(&id)?;
            Some((id, track.ring(s.encoding?)?, track.rings))
        });
        let Some(Sub::Slot(sub)) = self.subs.get(key) else {
            return;
        };
        let desired = track.map(|(_, ring, _)| ring);
        if sub.desired == desired {
            return;
        }
        let showing = sub.forwarder.current().map(|s| s.track);
        let ready = |ring: RingKey| {
            self.table.get(ring).is_some_and(|s| s.ring.keyframe_start(now.mono).is_some())
        };
        let target = match track {
            None => None,
            Some((_, ring, _)) if ready(ring) => Some(ring),
            Some((id, _, _)) if showing == Some(id) => sub.forwarder.current().map(|s| s.ring),
            Some((_, ring, rings)) => {
                Some(rings.into_iter().flatten().rev().find(|r| ready(*r)).unwrap_or(ring))
            }
        };
        let source = target.and_then(|r| self.source_ref(r));
        let waits = desired.filter(|r| !ready(*r));
        if let Some(Sub::Slot(sub)) = self.subs.get_mut(key) {
            sub.desired = desired;
            sub.forwarder.select(source);
        }
        self.relist(key);
        self.tell_slot(key);
        if let Some(ring) = waits {
            self.want_key(ring, now.mono);
        }
        if let Some(ring) = target {
            self.mark(ring);
        }
    }

    /// A key frame of `ring` begins: the slots that wait for it switch.
    pub(super) fn upgrade(&mut self, ring: RingKey) {
        let (Some(source), Some(slot)) = (self.source_ref(ring), self.table.get(ring)) else {
            return;
        };
        for key in slot.subs.clone() {
            let Some(Sub::Slot(sub)) = self.subs.get_mut(key) else {
                continue;
            };
            let elsewhere = sub.forwarder.wanted().is_none_or(|s| s.ring != ring);
            if sub.desired == Some(ring) && elsewhere {
                sub.forwarder.select(Some(source));
                self.relist(key);
            }
        }
    }

    /// The subscription behind a slot of a peer.
    pub(super) fn slot_sub(&self, port: PortId, slot: u16) -> Option<SubKey> {
        let viewer = self.ports.get(port.0).and_then(Port::viewer)?;
        let mut all = viewer.audio.iter().chain(&viewer.video).chain(&viewer.screen);
        all.find(|(s, _)| *s == slot).map(|(_, sub)| *sub)
    }
}
