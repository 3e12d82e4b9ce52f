//! What connections tell: handshakes done, frames and datagrams, ends.

use super::Links;
use super::link::{Half, Link, Pair};
use crate::control::{Body, Control};
use crate::frame::{Frame, encode_control};
use crate::links_api::{DownReason, LinkEvent, LinkId};
use crate::session::{LinkSession, Received, SessionEvent};
use crate::time::Now;
use crate::transport::channel::{Channel, ChannelKind};
use crate::transport::identity::NodeName;
use crate::transport::{CloseCode, ConnEvent, ConnKey, Side};
use rand::Rng;

impl Links {
    /// Works through what the transport has to tell.
    pub(super) fn process(&mut self, now: Now) {
        while let Some((key, event)) = self.transport.next_event() {
            let tag = self.transport.get(key).and_then(|c| c.tag);
            match (event, tag) {
                (ConnEvent::Connected { channel, name }, tag) => {
                    self.connected(now, key, tag, channel, name)
                }
                (ConnEvent::Datagrams, Some((index, side))) => {
                    self.read_datagrams(now, index, side, key)
                }
                (ConnEvent::Frames, Some((index, side))) => self.read_frames(now, index, side),
                (ConnEvent::Packets, Some((index, side))) => self.read_packets(now, index, side),
                (ConnEvent::Violation(what), Some((index, side))) => {
                    let reason = DownReason::Malformed(what.to_owned());
                    self.fail_pair(now, index, side, CloseCode::StreamCreation, reason);
                }
                (ConnEvent::Lost(tagged, reason), _) => {
                    if let Some((index, side)) = tagged {
                        self.fail_pair(now, index, side, CloseCode::Replaced, reason);
                    }
                }
                (ConnEvent::Violation(what), None) => {
                    self.refuse(now, key, CloseCode::Malformed, what)
                }
                // Connections that no link owns are on their way out.
                (ConnEvent::Datagrams | ConnEvent::Frames | ConnEvent::Packets, None) => {}
            }
        }
    }

    fn refuse(&mut self, now: Now, key: ConnKey, code: CloseCode, why: &str) {
        self.stats.refused += 1;
        self.transport.close(now, key, code, why);
    }

    fn connected(
        &mut self,
        now: Now,
        key: ConnKey,
        tag: Option<(u32, Side)>,
        channel: Result<Channel, String>,
        name: Result<NodeName, String>,
    ) {
        let checked = name.and_then(|name| {
            if name.trust_domain != self.trust_domain {
                return Err(format!("{name} is of another trust domain"));
            }
            if name.node == self.local.node {
                return Err(format!("{name} is this node itself"));
            }
            Ok(name)
        });
        match (tag, checked, channel) {
            (Some((index, side)), Err(why), _) => {
                self.fail_pair(now, index, side, CloseCode::Identity, DownReason::Identity(why));
            }
            (None, Err(why), _) => self.refuse(now, key, CloseCode::Identity, &why),
            (Some((index, side)), Ok(_), Err(why)) => {
                self.fail_pair(now, index, side, CloseCode::Malformed, DownReason::Malformed(why));
            }
            (None, Ok(_), Err(why)) => self.refuse(now, key, CloseCode::Malformed, &why),
            (Some((index, side)), Ok(name), Ok(channel)) => {
                let expected = self.link(index).map(|l| l.node);
                if expected == Some(name.node) {
                    self.half_ready(now, index, side, channel.kind, name);
                } else {
                    let why = format!("dialled another node, found {name}");
                    self.fail_pair(
                        now,
                        index,
                        side,
                        CloseCode::Identity,
                        DownReason::Identity(why),
                    );
                }
            }
            (None, Ok(name), Ok(channel)) => self.adopt_inbound(now, key, channel, name),
        }
    }

    /// An inbound connection of a proven node: joins its pair, or begins a new one in place of an older.
    fn adopt_inbound(&mut self, now: Now, key: ConnKey, channel: Channel, name: NodeName) {
        let Some(index) = self.find_or_create(name.node, channel.lane) else {
            self.refuse(now, key, CloseCode::Backlog, "too many links");
            return;
        };
        let side = Side::Accepted;
        let current = self
            .link(index)
            .and_then(|l| l.pair(side))
            .map(|p| (p.number, p.key(channel.kind).is_some()));
        match current {
            Some((number, true)) if number == channel.pair => {
                self.refuse(now, key, CloseCode::Malformed, "second connection of one kind");
                return;
            }
            // The peer dials only when it has given up what it dialled before.
            Some((number, _)) if number != channel.pair => {
                self.fail_pair(now, index, side, CloseCode::Replaced, DownReason::Replaced);
            }
            _ => {}
        }
        // The link may have been removed with its last pair.
        let Some(index) = self.find_or_create(name.node, channel.lane) else { return };
        let session = LinkSession::new(self.local.clone(), channel.lane);
        let Some(link) = self.link_mut(index) else { return };
        let pair =
            link.pairs[side as usize].get_or_insert_with(|| Pair::new(now, channel.pair, session));
        pair.halves[channel.kind as usize] = Some(Half { key, ready: false });
        if let Some(conn) = self.transport.get_mut(key) {
            conn.tag = Some((index, side));
        }
        self.half_ready(now, index, side, channel.kind, name);
    }

    /// A connection of a pair stands: greet on control, beat on both.
    fn half_ready(&mut self, now: Now, index: u32, side: Side, kind: ChannelKind, name: NodeName) {
        let Some(link) = self.link_mut(index) else { return };
        link.beat_at.get_or_insert(now.mono);
        let Some(pair) = link.pair_mut(side) else { return };
        if pair.halves.iter().flatten().any(|h| h.ready) && pair.region != name.region {
            let why = "the two connections name different regions".to_owned();
            self.fail_pair(now, index, side, CloseCode::Identity, DownReason::Identity(why));
            return;
        }
        pair.region = name.region;
        pair.session.connected(now, kind);
        let Some(half) = &mut pair.halves[kind as usize] else { return };
        half.ready = true;
        let key = half.key;
        if kind == ChannelKind::Control && side == Side::Dialled {
            let hello = pair.session.greet(now);
            if let Some(conn) = self.transport.get_mut(key) {
                conn.open_control();
            }
            self.write_frame(now, index, side, &hello);
        }
        self.beat(now, index, side, kind);
        self.try_up(now, index);
        if kind == ChannelKind::Control {
            self.read_frames(now, index, side);
        }
    }

    /// Writes a frame to a pair's control connection.
    pub(super) fn write_frame(&mut self, now: Now, index: u32, side: Side, frame: &Frame) {
        match frame.encode() {
            Ok(bytes) => {
                self.write_bytes(now, index, side, bytes);
            }
            Err(error) => {
                let reason = DownReason::Malformed(error.to_string());
                self.fail_pair(now, index, side, CloseCode::Malformed, reason);
            }
        }
    }

    /// Writes an encoded frame. False when the link had to be closed.
    pub(super) fn write_bytes(&mut self, now: Now, index: u32, side: Side, bytes: Vec<u8>) -> bool {
        let Some(key) = self.link(index).and_then(|l| l.pair(side)?.key(ChannelKind::Control))
        else {
            return false;
        };
        let fits = self.transport.get_mut(key).is_some_and(|conn| conn.write_frame(bytes));
        self.transport.touch(now, key);
        if !fits {
            self.fail_pair(now, index, side, CloseCode::Backlog, DownReason::Backlog);
        }
        fits
    }

    /// Reads frames: hellos at once, everything after them once the link is up.
    pub(super) fn read_frames(&mut self, now: Now, index: u32, side: Side) {
        loop {
            let Some(link) = self.link_mut(index) else { return };
            let (up, active) = (link.up, link.active);
            let Some(pair) = link.pair(side) else { return };
            if !pair.is_ready(ChannelKind::Control) || active == Some(side) && !up {
                return;
            }
            let Some(key) = pair.key(ChannelKind::Control) else { return };
            let Some(conn) = self.transport.get_mut(key) else { return };
            let frame = conn.read_frame();
            self.transport.touch(now, key);
            match frame {
                Ok(Some(frame)) => self.take_frame(now, index, side, frame),
                Ok(None) => return,
                Err(error) => {
                    if let Some(link) = self.link_mut(index) {
                        link.counters.malformed += 1;
                    }
                    let reason = DownReason::Malformed(error.to_string());
                    self.fail_pair(now, index, side, CloseCode::Malformed, reason);
                    return;
                }
            }
        }
    }

    fn take_frame(&mut self, now: Now, index: u32, side: Side, frame: Frame) {
        let Some(link) = self.link_mut(index) else { return };
        let node = link.node;
        let Some(pair) = link.pair_mut(side) else { return };
        let region = pair.region.clone();
        match pair.session.handle_frame(node, &region, frame) {
            Ok(SessionEvent::Greeted) => {
                if side == Side::Accepted {
                    let hello = pair.session.greet(now);
                    self.write_frame(now, index, side, &hello);
                }
                if self.local.node < node {
                    self.choose(now, index, side);
                }
            }
            Ok(SessionEvent::Accepted) if self.local.node < node => {
                let reason = DownReason::Malformed("the higher node acknowledged".into());
                self.fail_pair(now, index, side, CloseCode::Malformed, reason);
            }
            Ok(SessionEvent::Accepted) => self.activate(now, index, side),
            Ok(SessionEvent::Control(control)) => self.take_control(now, index, side, control),
            Err(reason) => {
                let code = match reason {
                    DownReason::Version(_) => CloseCode::Version,
                    DownReason::Identity(_) => CloseCode::Identity,
                    _ => CloseCode::Malformed,
                };
                self.fail_pair(now, index, side, code, reason);
            }
        }
    }

    /// The lower node, greeted on a pair: takes it, or keeps the one it has.
    fn choose(&mut self, now: Now, index: u32, side: Side) {
        let Some(link) = self.link(index) else { return };
        let instance = |s: Side| link.pair(s).and_then(|p| p.session.peer()).map(|h| h.instance);
        if link.active == Some(side.other()) && instance(side) == instance(side.other()) {
            self.fail_pair(now, index, side, CloseCode::Duplicate, DownReason::Duplicate);
            return;
        }
        let ack = link.pair(side).and_then(|p| p.session.accept());
        if let Some(ack) = ack {
            self.write_frame(now, index, side, &ack);
            self.activate(now, index, side);
        }
    }

    /// Both ends agree on this pair; the other one, if any, goes.
    fn activate(&mut self, now: Now, index: u32, side: Side) {
        let Some(link) = self.link(index) else { return };
        if link.pair(side).is_none() {
            return;
        }
        let (code, reason) = match link.active {
            Some(active) if active != side => (CloseCode::Replaced, DownReason::Replaced),
            _ => (CloseCode::Duplicate, DownReason::Duplicate),
        };
        self.fail_pair(now, index, side.other(), code, reason);
        if let Some(link) = self.link_mut(index) {
            link.active = Some(side);
            link.dial_at = None;
        }
        self.try_up(now, index);
    }

    /// Announces the link once both connections stand and the pair is agreed on, then reads what waited for that.
    fn try_up(&mut self, now: Now, index: u32) {
        let id = self.id_of(index);
        let Some(link) = self.link_mut(index) else { return };
        let (Some(side), false) = (link.active, link.up) else { return };
        let Some(pair) = link.pair(side) else { return };
        if !pair.is_ready(ChannelKind::Media) || !pair.is_ready(ChannelKind::Control) {
            return;
        }
        let region = pair.region.clone();
        let keys = [pair.key(ChannelKind::Media), pair.key(ChannelKind::Control)];
        link.up = true;
        link.up_at = Some(now.mono);
        link.suspect = false;
        link.region.clone_from(&region);
        link.counters.ups += 1;
        let (node, lane) = (link.node, link.lane);
        self.pending.push(LinkEvent::Up { link: id, node, lane, region });
        // quinn tells of datagrams only when there were none before: what waited must be taken now.
        for key in keys.into_iter().flatten() {
            self.read_datagrams(now, index, side, key);
        }
        self.read_packets(now, index, side);
        self.read_frames(now, index, side);
    }

    fn take_control(&mut self, now: Now, index: u32, side: Side, control: Control) {
        let id = self.id_of(index);
        let verdict = self.fence.admit(now.mono, &control);
        let Some(link) = self.link_mut(index) else { return };
        link.counters.control_received += 1;
        match verdict {
            Ok(()) => self.pending.push(LinkEvent::Control { link: id, control }),
            Err(refusal) => {
                link.counters.control_stale += 1;
                let epoch = self.fence.epoch(control.meeting).unwrap_or(control.epoch);
                let answer =
                    Control { meeting: control.meeting, epoch, body: Body::Refused(refusal) };
                if let Ok(bytes) = encode_control(&answer) {
                    self.write_bytes(now, index, side, bytes);
                }
            }
        }
    }

    /// Reads datagrams of the agreed pair once it is up. Until then they wait in quinn, bounded.
    fn read_datagrams(&mut self, now: Now, index: u32, side: Side, key: ConnKey) {
        let Some(slot) = self.links.get_mut(index as usize) else { return };
        let id = LinkId { index, generation: slot.0 };
        let Some(link) = &mut slot.1 else { return };
        if !link.up || link.active != Some(side) {
            return;
        }
        let Some(conn) = self.transport.get_mut(key) else { return };
        let kind = if conn.is_media() { ChannelKind::Media } else { ChannelKind::Control };
        while let Some(bytes) = conn.read_datagram() {
            let Some(pair) = link.pairs[side as usize].as_mut() else { return };
            let received = pair.session.handle_datagram(now, kind, bytes);
            self.pending.extend(count(link, id, received));
        }
        if link.suspect {
            link.suspect = false;
            self.pending.push(LinkEvent::Recovered { link: id, node: link.node, lane: link.lane });
        }
    }

    fn read_packets(&mut self, _now: Now, index: u32, side: Side) {
        let Some(slot) = self.links.get_mut(index as usize) else { return };
        let id = LinkId { index, generation: slot.0 };
        let Some(link) = &mut slot.1 else { return };
        if !link.up || link.active != Some(side) {
            return;
        }
        let Some(key) = link.pair(side).and_then(|p| p.key(ChannelKind::Media)) else { return };
        let Some(conn) = self.transport.get_mut(key) else { return };
        loop {
            let received = match conn.read_packet() {
                Ok(Some((flow, bytes))) => match link.pairs[side as usize].as_mut() {
                    Some(pair) => pair.session.handle_packet(flow, bytes),
                    None => return,
                },
                Ok(None) => return,
                Err(_) => Received::Malformed,
            };
            self.pending.extend(count(link, id, received));
        }
    }

    /// Ends a pair. If it was the agreed one and up, the link is down; redials if wanted, is removed if not.
    pub(super) fn fail_pair(
        &mut self,
        now: Now,
        index: u32,
        side: Side,
        code: CloseCode,
        reason: DownReason,
    ) {
        let id = self.id_of(index);
        let Some(link) = self.links.get_mut(index as usize).and_then(|(_, l)| l.as_mut()) else {
            return;
        };
        let Some(pair) = link.pairs[side as usize].take() else { return };
        for half in pair.halves.iter().flatten() {
            self.transport.close(now, half.key, code, &reason.to_string());
        }
        link.settle(&pair);
        let (node, lane) = (link.node, link.lane);
        let was_active = link.active == Some(side);
        if was_active {
            link.active = None;
            link.suspect = false;
            link.counters.not_up += link.queue.clear();
        }
        if was_active && std::mem::replace(&mut link.up, false) {
            self.pending.push(LinkEvent::Down { link: id, node, lane, reason });
        } else if side == Side::Dialled && link.wanted && reason != DownReason::Duplicate {
            self.pending.push(LinkEvent::DialFailed { link: id, node, lane, reason });
        }
        if link.active.is_none() && link.dial_at.is_none() {
            link.schedule_dial(now, &mut self.rng);
        }
        if link.is_idle() {
            link.beat_at = None;
        }
        self.remove_if_unused(index);
    }

    /// Dials both connections of a pair.
    pub(super) fn dial(&mut self, now: Now, index: u32) {
        let Some(link) = self.link(index) else { return };
        let (Some(addr), lane) = (link.addr, link.lane) else { return };
        let number = self.rng.random();
        let mut pair = Pair::new(now, number, LinkSession::new(self.local.clone(), lane));
        let mut failed = None;
        for kind in [ChannelKind::Control, ChannelKind::Media] {
            let channel = Channel { kind, lane, pair: number };
            match self.transport.dial(now, addr, channel, self.rng.random()) {
                Ok(key) => {
                    pair.halves[kind as usize] = Some(Half { key, ready: false });
                    if let Some(conn) = self.transport.get_mut(key) {
                        conn.tag = Some((index, Side::Dialled));
                    }
                }
                Err(why) => failed = Some(why),
            }
        }
        if let Some(link) = self.link_mut(index) {
            link.pairs[Side::Dialled as usize] = Some(pair);
            link.beat_at.get_or_insert(now.mono);
        }
        if let Some(why) = failed {
            self.fail_pair(now, index, Side::Dialled, CloseCode::None, DownReason::Transport(why));
        }
    }
}

/// Counts what came, and makes the event of it.
fn count(link: &mut Link, id: LinkId, received: Received) -> Option<LinkEvent> {
    match received {
        Received::Rtp { flow, facts, retransmitted, sent, rtp } => {
            link.counters.packets_received += 1;
            Some(LinkEvent::Media { link: id, flow, facts, retransmitted, sent, rtp })
        }
        Received::Rtcp { flow, rtcp } => {
            link.counters.packets_received += 1;
            Some(LinkEvent::Rtcp { link: id, flow, rtcp })
        }
        Received::Duplicate => {
            link.counters.duplicates += 1;
            None
        }
        Received::Malformed => {
            link.counters.malformed += 1;
            None
        }
        Received::Heartbeat | Received::Unknown => None,
    }
}
