//! What time alone brings: dials, heartbeats, suspicion, death.

use super::Links;
use crate::limits::{HANDSHAKE_MAX, HEARTBEAT_EVERY};
use crate::links_api::{DownReason, LinkEvent};
use crate::session::Liveness;
use crate::time::Now;
use crate::transport::channel::ChannelKind;
use crate::transport::{CloseCode, Side};
use bytes::Bytes;

impl Links {
    /// Does what is due.
    pub(super) fn tick(&mut self, now: Now) {
        for index in 0..self.links.len() as u32 {
            let Some(link) = self.link_mut(index) else { continue };
            if link.dial_at.is_some_and(|at| at <= now.mono) {
                link.dial_at = None;
                if link.is_idle() {
                    self.dial(now, index);
                } else if link.active.is_none() {
                    // A pair is being made (by the peer, or still by us): look again later.
                    link.dial_at = Some(now.mono + HEARTBEAT_EVERY);
                }
            }
            let Some(link) = self.link_mut(index) else { continue };
            if let Some(at) = link.beat_at.filter(|at| *at <= now.mono) {
                // Keeps its phase, but never runs after lost time.
                let next = at + HEARTBEAT_EVERY;
                link.beat_at =
                    Some(if next > now.mono { next } else { now.mono + HEARTBEAT_EVERY });
                self.watch(now, index);
            }
        }
    }

    fn watch(&mut self, now: Now, index: u32) {
        for side in Side::BOTH {
            self.watch_pair(now, index, side);
            for kind in [ChannelKind::Media, ChannelKind::Control] {
                self.beat(now, index, side, kind);
            }
        }
    }

    fn watch_pair(&mut self, now: Now, index: u32, side: Side) {
        let id = self.id_of(index);
        let Some(link) = self.link_mut(index) else { return };
        let (node, lane) = (link.node, link.lane);
        let up = link.up && link.active == Some(side);
        let Some(pair) = link.pair(side) else { return };
        if !up {
            if now.mono.saturating_duration_since(pair.born) >= HANDSHAKE_MAX {
                let reason = DownReason::Transport("handshake timed out".into());
                self.fail_pair(now, index, side, CloseCode::Timeout, reason);
            }
            return;
        }
        match pair.session.liveness(now) {
            Liveness::Alive => {}
            Liveness::Suspect if link.suspect => {}
            Liveness::Suspect => {
                link.suspect = true;
                self.pending.push(LinkEvent::Suspect { link: id, node, lane });
            }
            Liveness::Dead => {
                self.fail_pair(now, index, side, CloseCode::Silent, DownReason::Silent);
            }
        }
    }

    /// Sends a heartbeat on one connection. It passes the class queue, whose reserve in quinn's buffer is kept for it.
    pub(super) fn beat(&mut self, now: Now, index: u32, side: Side, kind: ChannelKind) {
        let Some(link) = self.link_mut(index) else { return };
        let Some(pair) = link.pair_mut(side) else { return };
        let Some(key) = pair.key(kind).filter(|_| pair.is_ready(kind)) else { return };
        let beat = pair.session.beat(now, kind);
        if let Some(conn) = self.transport.get_mut(key) {
            conn.send_datagram(Bytes::copy_from_slice(&beat));
        }
        self.transport.touch(now, key);
    }
}
