//! Sender reports: each slot and each flow says every second how its RTP clock stands to this node's wall clock.

use super::port::{Port, PortId};
use super::subs::{Sub, SubKey};
use super::timers::Due;
use super::{Hub, HubIo};
use crate::canonical::ssrc_of;
use crate::clock::LinkSenderReport;
use crate::forwarder::RingKey;
use relay_proto::Now;
use std::time::{Duration, Instant};

/// Browsers expect a sender report about every second for lip sync.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

impl Hub {
    /// A port's reports are due.
    pub(super) fn reports_due(&mut self, port: PortId, now: Now) {
        match self.ports.get(port.0) {
            Some(Port::Link(link)) => self.pending_reports.extend(link.feeds.values()),
            Some(Port::Peer(v)) => {
                let subs = v.audio.iter().chain(&v.video).chain(&v.screen).map(|(_, sub)| *sub);
                self.pending_reports.extend(subs);
            }
            None => return,
        }
        self.timers.arm(Due::Reports(port.0), now.mono + REPORT_INTERVAL);
    }

    /// A feed began: its first report goes out with the next slice.
    pub(super) fn report_feed(&mut self, ring: RingKey, port: PortId, _now: Instant) {
        let key =
            self.ports.get(port.0).and_then(Port::link).and_then(|l| l.feeds.get(&ring).copied());
        self.pending_reports.extend(key);
    }

    pub(super) fn report_sub(&mut self, key: SubKey, now: Now, io: &mut impl HubIo) {
        match self.subs.get(key) {
            Some(Sub::Slot(_)) => self.report_slot(key, now, io),
            Some(Sub::Feed(feed)) => {
                let (Some(port), Some(slot)) =
                    (self.ports.get(feed.port.0), self.table.get(feed.ring))
                else {
                    return;
                };
                if let Some(rtp) = slot.clock.rtp_at(now.wall) {
                    let ssrc = ssrc_of(slot.track, slot.encoding);
                    let report =
                        LinkSenderReport { ssrc, ntp: now.wall, rtp, packets: 0, octets: 0 };
                    io.link_report(now, port.target(), slot.flow, report);
                }
            }
            None => {}
        }
    }

    pub(super) fn report_slot(&mut self, key: SubKey, now: Now, io: &mut impl HubIo) {
        let Some(Sub::Slot(sub)) = self.subs.get(key) else {
            return;
        };
        let Some(port) = self.ports.get(sub.port.0) else {
            return;
        };
        if let Some((ntp, rtp)) = sub.forwarder.report(now, &self.table) {
            io.slot_report(now, port.target(), sub.slot, ntp, rtp);
        }
    }
}
