//! A participant as thin as can be: handshake by libraries, then packets in and out without a media stack.

use super::directory::Directory;
use super::feedback::Feedback;
use super::publisher::Publisher;
use super::rtp::Header;
use super::secure::Transport;
use super::socket::{Place, Pool};
use super::totals::Totals;
use super::viewer::{Opened, SenderReport as Remembered, Viewer};
use super::{clock, mic::ids};
use rtc::rtcp::Packet;
use rtc::rtcp::sender_report::SenderReport;
use rtc::shared::marshal::Marshal;
use std::net::SocketAddrV4;

/// What participants of a thread share.
pub(super) struct Around<'a> {
    pub(super) pool: &'a Pool,
    pub(super) directory: &'a Directory,
    pub(super) totals: &'a mut Totals,
}

/// One participant.
pub(super) struct Thin {
    pub(super) viewer: Viewer,
    pub(super) publisher: Option<Publisher>,
    pub(super) feedback: Feedback,
    pub(super) transport: Transport,
    place: Place,
    remote: SocketAddrV4,
}

impl Thin {
    /// A participant whose answer has come.
    pub(super) fn new(
        viewer: Viewer,
        publisher: Option<Publisher>,
        feedback: Feedback,
        transport: Transport,
        place: Place,
        remote: SocketAddrV4,
    ) -> Self {
        Self { viewer, publisher, feedback, transport, place, remote }
    }

    /// Its edge.
    pub(super) fn remote(&self) -> SocketAddrV4 {
        self.remote
    }

    /// A datagram for it has arrived.
    pub(super) fn datagram(
        &mut self,
        now_us: u64,
        arrived_us: u64,
        data: &[u8],
        around: &mut Around<'_>,
    ) {
        match (data.first(), data.get(1)) {
            (Some(128..=191), Some(192..=223)) => self.control(now_us, data, around),
            (Some(128..=191), Some(_)) => self.media(arrived_us, data, around),
            _ => {
                let (place, remote) = (self.place, self.remote);
                let mut send = |data: &[u8]| {
                    around.pool.send(&place, data, remote);
                };
                self.transport.handle(clock::instant(now_us), data, &mut send);
                if self.transport.is_connected() {
                    self.viewer.times.connected_us.get_or_insert(now_us);
                }
            }
        }
    }

    fn media(&mut self, arrived_us: u64, data: &[u8], around: &mut Around<'_>) {
        let Some(header) = Header::read(data) else { return };
        let transport_seq = header.extension(ids::TRANSPORT_SEQ).and_then(|v| v.try_into().ok());
        if let Some(seq) = transport_seq {
            self.feedback.arrivals.add(u16::from_be_bytes(seq), arrived_us);
        }
        let Some((slot, again)) = self.viewer.slot(header.ssrc) else {
            self.viewer.record.strangers += 1;
            return;
        };
        let Some(plain) = self.transport.open_rtp(data) else {
            self.viewer.record.unopened += 1;
            return;
        };
        let mut payload = plain.get(header.len..).unwrap_or_default();
        let mut seq = header.seq;
        if again {
            // RFC 4588 section 4: the original number in front of the payload. Empty ones are probes.
            let [high, low, rest @ ..] = payload else { return };
            (seq, payload) = (u16::from_be_bytes([*high, *low]), rest);
        }
        if payload.is_empty() {
            return;
        }
        let packet = Opened {
            arrived_us,
            seq,
            timestamp: header.timestamp,
            marker: header.marker,
            csrc: header.csrc,
            payload,
        };
        self.viewer.take(slot, &packet, around.directory, around.totals);
        if self.viewer.slots.get(slot).is_some_and(|s| !s.numbers.is_whole()) {
            self.feedback.missing(&self.viewer.slots);
        }
    }

    fn control(&mut self, now_us: u64, data: &[u8], around: &mut Around<'_>) {
        let Some(mut plain) = self.transport.open_rtcp(data) else {
            self.viewer.record.unopened += 1;
            return;
        };
        let Ok(packets) = rtc::rtcp::packet::unmarshal(&mut plain) else { return };
        for report in packets.iter().filter_map(|p| p.as_any().downcast_ref::<SenderReport>()) {
            if let Some(slot) = self.viewer.slots.iter_mut().find(|s| s.ssrc == report.ssrc) {
                let middle = (report.ntp_time >> 16) as u32;
                slot.report = Some(Remembered { middle, arrived_us: now_us });
            }
        }
        if let Some(publisher) = &mut self.publisher {
            let mut out = Vec::new();
            publisher.feedback(&packets, &mut out);
            self.send_all(&out, around);
        }
    }

    fn send_all(&mut self, packets: &[Vec<u8>], around: &Around<'_>) {
        for packet in packets {
            if let Some(sealed) = self.transport.seal_rtp(packet) {
                around.pool.send(&self.place, &sealed, self.remote);
            }
        }
    }

    fn say<P: Packet + Marshal + ?Sized>(&mut self, packet: &P, around: &Around<'_>) {
        let sealed = packet.marshal().ok().and_then(|plain| self.transport.seal_rtcp(&plain));
        if let Some(sealed) = sealed {
            around.pool.send(&self.place, &sealed, self.remote);
        }
    }

    /// Does what is due.
    pub(super) fn work(&mut self, now_us: u64, around: &mut Around<'_>) {
        let now = clock::instant(now_us);
        if self.transport.deadline().is_some_and(|at| at <= now) {
            let (place, remote) = (self.place, self.remote);
            let mut send = |data: &[u8]| {
                around.pool.send(&place, data, remote);
            };
            self.transport.on_deadline(now, &mut send);
        }
        if !self.transport.is_connected() {
            return;
        }
        if let Some(publisher) = &mut self.publisher {
            let mut out = Vec::new();
            let lates = publisher.poll(now_us, around.directory, &mut out);
            lates.iter().flatten().for_each(|late| around.totals.late.add(*late));
            let reports = publisher.reports(now_us);
            self.send_all(&out, around);
            reports.iter().for_each(|r| self.say(r, around));
        }
        if self.feedback.due_us() <= now_us {
            for packet in self.feedback.poll(now_us, &mut self.viewer) {
                self.say(packet.as_ref(), around);
            }
        }
    }

    /// When something is due.
    pub(super) fn due_us(&mut self) -> u64 {
        let transport = self.transport.deadline().map_or(u64::MAX, |at| {
            at.saturating_duration_since(clock::instant(0)).as_micros() as u64
        });
        if !self.transport.is_connected() {
            return transport;
        }
        let media = self.publisher.as_ref().and_then(Publisher::due_us).unwrap_or(u64::MAX);
        transport.min(media).min(self.feedback.due_us())
    }
}
