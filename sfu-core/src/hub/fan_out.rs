//! The fan-out: resumable, voices first, one visit a viewer and slice.
//!
//! A ring that has something new calls on its subscribers in turn; whoever is called on takes all that waits for it, from
//! whatever ring: one burst a viewer, whose keys and addresses are touched once, and which leaves in as few sends as can be.

use super::port::{Port, PortId};
use super::subs::{Sub, SubKey};
use super::timers::Due;
use super::{Hub, HubEvent, HubIo};
use crate::DropReason;
use crate::forwarder::Pulled;
use crate::forwarder::{RingKey, SlotKind};
use crate::packet::Packet;
use relay_proto::{Now, Progress};
use std::collections::VecDeque;
use std::time::Instant;

/// Rings that have something to send.
#[derive(Debug, Default)]
pub(super) struct FanOut {
    voice: VecDeque<RingKey>,
    video: VecDeque<RingKey>,
    /// How often a ring of each kind was marked: what a viewer's [`Swept`] is compared with.
    marks: Swept,
}

/// For each kind of slot, the marks so far when a viewer's slots of that kind were last emptied: while there are no more, a
/// visit finds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Swept {
    audio: u64,
    video: u64,
}

impl Swept {
    fn of(&mut self, kind: SlotKind) -> &mut u64 {
        match kind {
            SlotKind::Audio => &mut self.audio,
            SlotKind::Video => &mut self.video,
        }
    }
}

impl FanOut {
    /// A ring is gone: its key may soon be another's.
    pub(super) fn forget(&mut self, ring: RingKey) {
        self.voice.retain(|r| *r != ring);
        self.video.retain(|r| *r != ring);
    }
}

/// How a visit ended.
enum Visit {
    Done,
    /// The slice is full; the same subscription goes on in the next one.
    Full,
}

impl Hub {
    /// Notes that `ring` has something for its subscribers.
    pub(super) fn mark(&mut self, ring: RingKey) {
        let Some(slot) = self.table.get_mut(ring) else {
            return;
        };
        if slot.subs.is_empty() {
            return;
        }
        let is_audio = slot.track.kind.is_audio();
        *self.fan.marks.of(if is_audio { SlotKind::Audio } else { SlotKind::Video }) += 1;
        if slot.fan.queued {
            slot.fan.again = true;
            return;
        }
        slot.fan = super::table::Fan { queued: true, next: 0, again: false };
        if is_audio {
            self.fan.voice.push_back(ring);
        } else {
            self.fan.video.push_back(ring);
        }
    }

    pub(super) fn fan_out_voices(&mut self, now: Now, io: &mut impl HubIo) -> Progress {
        while let Some(ring) = self.fan.voice.front().copied() {
            if self.round(ring, now, io) == Progress::More {
                return Progress::More;
            }
            self.fan.voice.pop_front();
        }
        Progress::Done
    }

    /// Sends one slice: all voices before any picture.
    pub(super) fn fan_out(&mut self, now: Now, io: &mut impl HubIo) -> Progress {
        if self.fan_out_voices(now, io) == Progress::More {
            return Progress::More;
        }
        while let Some(ring) = self.fan.video.front().copied() {
            if self.round(ring, now, io) == Progress::More {
                return Progress::More;
            }
            self.fan.video.pop_front();
        }
        Progress::Done
    }

    /// Visits the subscribers of one ring from where the last slice stopped.
    fn round(&mut self, ring: RingKey, now: Now, io: &mut impl HubIo) -> Progress {
        loop {
            let Some(slot) = self.table.get_mut(ring) else {
                return Progress::Done;
            };
            let Some(key) = slot.subs.get(slot.fan.next).copied() else {
                if slot.fan.again && !slot.subs.is_empty() {
                    slot.fan.next = 0;
                    slot.fan.again = false;
                    continue;
                }
                slot.fan.queued = false;
                return Progress::Done;
            };
            if let Visit::Full = self.visit(key, now, io) {
                return Progress::More;
            }
            if let Some(slot) = self.table.get_mut(ring) {
                slot.fan.next += 1;
            }
        }
    }

    fn visit(&mut self, key: SubKey, now: Now, io: &mut impl HubIo) -> Visit {
        match self.subs.get(key) {
            Some(Sub::Slot(sub)) => {
                let (port, kind) = (sub.port, sub.forwarder.kind());
                self.visit_viewer(port, kind, now, io)
            }
            Some(Sub::Feed(_)) => self.visit_feed(key, now, io),
            None => Visit::Done,
        }
    }

    /// Empties all slots of one kind of a viewer.
    fn visit_viewer(
        &mut self,
        port: PortId,
        kind: SlotKind,
        now: Now,
        io: &mut impl HubIo,
    ) -> Visit {
        let marks = *self.fan.marks.of(kind);
        let mut nth = 0;
        while let Some(viewer) = self.ports.get_mut(port.0).and_then(Port::viewer_mut) {
            if *viewer.swept.of(kind) == marks {
                break;
            }
            let Some(key) = viewer.nth_slot(kind, nth) else {
                *viewer.swept.of(kind) = marks;
                break;
            };
            if let Visit::Full = self.visit_slot(key, now, io) {
                return Visit::Full;
            }
            nth += 1;
        }
        Visit::Done
    }

    fn visit_slot(&mut self, key: SubKey, now: Now, io: &mut impl HubIo) -> Visit {
        let Self { subs, ports, table, drops, forwarded, .. } = self;
        let Some(Sub::Slot(sub)) = subs.get_mut(key) else {
            return Visit::Done;
        };
        let Some(port) = ports.get(sub.port.0) else {
            return Visit::Done;
        };
        if sub.forwarder.is_idle(table) {
            return Visit::Done;
        }
        let (target, slot) = (port.target(), sub.slot);
        let before = sub.forwarder.current().map(|s| s.ring);
        let pulled = sub.forwarder.pull(now, table, &mut |packet| {
            if io.is_full() {
                return false;
            }
            match io.slot(now, target, slot, packet) {
                Ok(()) => *forwarded += 1,
                Err(reason) => drops.count(reason),
            }
            true
        });
        let after = sub.forwarder.current().map(|s| s.ring);
        drops.count_many(DropReason::RingOverrun, sub.forwarder.take_overruns());
        drops.count_many(DropReason::TooOld, sub.forwarder.take_late());
        let waits = sub.forwarder.is_waiting_for_key();
        let wanted = sub.forwarder.wanted().filter(|_| waits).map(|s| s.ring);
        if before != after {
            self.slot_switched(key, now, io);
        }
        if let Some(ring) = wanted {
            self.want_key(ring, now.mono);
        }
        match pulled {
            Pulled::Full => return Visit::Full,
            Pulled::Idle | Pulled::WaitingForKey => {}
            Pulled::Paced(at) => self.timers.arm(Due::Replay(key), at),
        }
        Visit::Done
    }

    /// After a switch: the subscription leaves the old ring, the client is told, a sender report goes out at once.
    fn slot_switched(&mut self, key: SubKey, now: Now, io: &mut impl HubIo) {
        self.relist(key);
        self.tell_slot(key);
        self.report_slot(key, now, io);
    }

    fn visit_feed(&mut self, key: SubKey, now: Now, io: &mut impl HubIo) -> Visit {
        let Self { subs, ports, table, drops, timers, relayed, .. } = self;
        let Some(Sub::Feed(feed)) = subs.get_mut(key) else {
            return Visit::Done;
        };
        let (Some(port), Some(slot)) = (ports.get(feed.port.0), table.get(feed.ring)) else {
            return Visit::Done;
        };
        let head = slot.ring.head();
        feed.cursor = feed.cursor.max(slot.ring.tail());
        while feed.cursor < head {
            if io.is_full() {
                return Visit::Full;
            }
            let Some((meta, payload)) = slot.ring.get(feed.cursor) else {
                feed.cursor += 1;
                continue;
            };
            if let Some(at) = replay_due(feed.replay, meta.arrived).filter(|at| *at > now.mono) {
                timers.arm(Due::Replay(key), at);
                return Visit::Done;
            }
            let packet = Packet {
                track: slot.track,
                encoding: slot.encoding,
                seq: meta.seq as u16,
                timestamp: meta.timestamp,
                marker: meta.marker,
                facts: meta.facts,
                level: meta.level,
                payload,
            };
            match io.link(now, port.target(), slot.flow, slot.codec, &packet) {
                Ok(()) => {
                    *relayed += 1;
                    feed.packets += 1;
                }
                Err(reason) => drops.count(reason),
            }
            feed.cursor += 1;
        }
        feed.replay = None;
        Visit::Done
    }

    /// Goes on with a paced replay.
    pub(super) fn replay_due(&mut self, key: SubKey) {
        let ring = match self.subs.get(key) {
            Some(Sub::Slot(slot)) => slot.forwarder.current().map(|s| s.ring).or(slot.listed[0]),
            Some(Sub::Feed(feed)) => Some(feed.ring),
            None => None,
        };
        if let Some(ring) = ring {
            self.mark(ring);
        }
    }

    /// Tells the owner when what a slot shows is another participant or encoding than its client knows.
    pub(super) fn tell_slot(&mut self, key: SubKey) {
        let Some(Sub::Slot(sub)) = self.subs.get_mut(key) else {
            return;
        };
        let shown = sub.forwarder.current().map(|s| (s.track.participant, s.encoding));
        if sub.told == shown {
            return;
        }
        sub.told = shown;
        let (port, slot) = (sub.port, sub.slot);
        if let Some(PortId(p)) = self.ports.contains(port.0).then_some(port) {
            let target = self.ports[p].target();
            self.events.push(HubEvent::Slot { target, slot, shown });
        }
    }
}

/// When a packet that arrived at `arrived` is due in a replay at twice the rate it came at.
fn replay_due(replay: Option<(Instant, Instant)>, arrived: Instant) -> Option<Instant> {
    let (began, first) = replay?;
    Some(began + arrived.saturating_duration_since(first) / 2)
}
