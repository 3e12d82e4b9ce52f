//! The sending half of a participant: microphone, camera, what the edge says about them.

use super::camera::Camera;
use super::clock;
use super::directory::Directory;
use super::limits::{LATE_US, REPORT_EVERY_US};
use super::mic::Mic;
use rtc::rtcp::Packet;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use std::collections::BTreeMap;

/// What the edge said it received.
#[derive(Clone, Debug, Default)]
pub(super) struct Uplink {
    /// Lost packets by SSRC, in all.
    lost: BTreeMap<u32, u32>,
}

/// The sending half.
#[derive(Debug)]
pub(super) struct Publisher {
    number: u32,
    mic: Option<Mic>,
    camera: Option<Camera>,
    transport_seq: u16,
    report_us: u64,
    uplink: Uplink,
    /// Packets sent, and how many of them late.
    pub(super) sent: u64,
    pub(super) late: u64,
}

impl Publisher {
    pub(super) fn new(number: u32, mic: Option<Mic>, camera: Option<Camera>) -> Self {
        Self {
            number,
            mic,
            camera,
            transport_seq: 0,
            report_us: 0,
            uplink: Uplink::default(),
            sent: 0,
            late: 0,
        }
    }

    /// When something is due.
    pub(super) fn due_us(&self) -> Option<u64> {
        let mic = self.mic.as_ref().map(Mic::due_us);
        let camera = self.camera.as_ref().map(Camera::due_us);
        [mic, camera].into_iter().flatten().min()
    }

    /// Adds the packets that are due; how late they are, one value a source.
    pub(super) fn poll(
        &mut self,
        now_us: u64,
        directory: &Directory,
        out: &mut Vec<Vec<u8>>,
    ) -> [Option<u64>; 2] {
        let before = out.len();
        let mut lates = [None; 2];
        if let Some(mic) = &mut self.mic {
            let onset = mic.onset_us;
            while let Some((packet, late)) = mic.poll(now_us, &mut self.transport_seq) {
                lates[0] = lates[0].max(Some(late));
                out.push(packet);
            }
            if mic.onset_us != onset {
                directory.speaks(self.number, mic.onset_us);
            }
        }
        if let Some(camera) = &mut self.camera {
            lates[1] = camera.poll(now_us, &mut self.transport_seq, out);
        }
        let packets = (out.len() - before) as u64;
        self.sent += packets;
        if lates.iter().flatten().any(|late| *late > LATE_US) {
            self.late += packets;
        }
        lates
    }

    /// Takes what the edge says; packets to send again.
    pub(super) fn feedback(&mut self, packets: &[Box<dyn Packet>], out: &mut Vec<Vec<u8>>) {
        for packet in packets {
            let any = packet.as_any();
            if let Some(report) = any.downcast_ref::<ReceiverReport>() {
                for block in &report.reports {
                    self.uplink.lost.insert(block.ssrc, block.total_lost);
                }
            }
            let Some(camera) = &mut self.camera else { continue };
            if let Some(pli) = any.downcast_ref::<PictureLossIndication>() {
                camera.requested(pli.media_ssrc);
            } else if let Some(fir) = any.downcast_ref::<FullIntraRequest>() {
                fir.fir.iter().for_each(|entry| camera.requested(entry.ssrc));
            } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
                for seq in nack.nacks.iter().flat_map(|pair| pair.packet_list()) {
                    out.extend(camera.again(nack.media_ssrc, seq, &mut self.transport_seq));
                }
            }
        }
    }

    /// Sender reports that are due.
    pub(super) fn reports(&mut self, now_us: u64) -> Vec<SenderReport> {
        if now_us < self.report_us {
            return Vec::new();
        }
        self.report_us = now_us + REPORT_EVERY_US;
        let report = |ssrc, rtp_time, (packet_count, octet_count): (u32, u32)| SenderReport {
            ssrc,
            ntp_time: clock::ntp(now_us),
            rtp_time,
            packet_count,
            octet_count,
            ..SenderReport::default()
        };
        let mic = self.mic.iter().map(|m| report(m.ssrc(), Mic::timestamp(now_us), m.sent));
        let camera = self.camera.iter().flat_map(Camera::sent);
        let camera = camera.map(|(ssrc, sent)| report(ssrc, Camera::timestamp(now_us), sent));
        mic.chain(camera).filter(|r| r.packet_count > 0).collect()
    }

    /// Packets that the edge missed for good, as it reported last.
    pub(super) fn lost(&self) -> u64 {
        self.uplink.lost.values().map(|l| u64::from(*l)).sum()
    }

    /// Key frames asked for, packets sent again.
    pub(super) fn asked(&self) -> (u64, u64) {
        self.camera.as_ref().map_or((0, 0), |c| (c.requests, c.resent))
    }
}

#[cfg(test)]
mod tests {
    use super::super::mic::Wire;
    use super::super::rtp::Header;
    use super::*;
    use rtc::rtcp::transport_feedbacks::transport_layer_nack::NackPair;

    #[test]
    fn a_key_frame_and_a_packet_once_more_when_they_are_asked_for() {
        let wire = Wire { pt: 96, rtx_pt: 97, mid: "1".to_owned() };
        let camera = Camera::new(0, |i| (10 + i as u32, 20 + i as u32), 20, wire, 0);
        let mut publisher = Publisher::new(0, None, Some(camera));
        let (directory, mut out) = (Directory::default(), Vec::new());
        publisher.poll(0, &directory, &mut out);
        let first = out.len();
        let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: 10 };
        let nacks = vec![NackPair { packet_id: 101, lost_packets: 1 }];
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: 10, nacks };
        out.clear();
        publisher.feedback(&[Box::new(pli), Box::new(nack)], &mut out);
        assert_eq!(out.len(), 2, "101 and 102");
        assert!(out.iter().all(|p| Header::read(p).unwrap().ssrc == 20));
        out.clear();
        publisher.poll(50_000, &directory, &mut out);
        assert!(out.len() > 11 && out.len() < first, "q is a key frame, h and f are not");
        assert_eq!((publisher.asked(), publisher.late), ((1, 2), 0));
        assert_eq!(publisher.reports(1_000_000).len(), 3);
        assert!(publisher.reports(1_500_000).is_empty());
    }
}
