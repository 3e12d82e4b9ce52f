//! What a viewer tells its edge: receiver reports, transport-wide feedback, what is missing, key-frame requests.

use super::limits::{FEEDBACK_EVERY_US, PLI_AGAIN_US, REPORT_EVERY_US};
use super::twcc::Arrivals;
use super::viewer::{SenderReport, Slot, Viewer};
use rtc::rtcp::Packet;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};

/// The feedback of one viewer.
#[derive(Debug)]
pub(super) struct Feedback {
    ssrc: u32,
    pub(super) arrivals: Arrivals,
    feedback_us: u64,
    report_us: u64,
    repair_us: Option<u64>,
    /// Packets asked for, key frames asked for.
    pub(super) asked: (u64, u64),
}

impl Feedback {
    /// Says everything as `ssrc`. Many viewers do not speak all at once: `phase_us`.
    pub(super) fn new(ssrc: u32, now_us: u64, phase_us: u64) -> Self {
        Self {
            ssrc,
            arrivals: Arrivals::default(),
            feedback_us: now_us + phase_us % FEEDBACK_EVERY_US,
            report_us: now_us + phase_us % REPORT_EVERY_US,
            repair_us: None,
            asked: (0, 0),
        }
    }

    /// A slot misses something: there will be something to ask for.
    pub(super) fn missing(&mut self, slots: &[Slot]) {
        let slots = slots.iter().filter(|s| !s.numbers.is_whole());
        self.repair_us = slots.filter_map(|s| s.numbers.due_us()).min();
    }

    /// When there is something to say.
    pub(super) fn due_us(&self) -> u64 {
        self.feedback_us.min(self.report_us).min(self.repair_us.unwrap_or(u64::MAX))
    }

    /// What is to be said now.
    pub(super) fn poll(&mut self, now_us: u64, viewer: &mut Viewer) -> Vec<Box<dyn Packet>> {
        let mut out: Vec<Box<dyn Packet>> = Vec::new();
        if self.repair_us.is_some_and(|at| at <= now_us) {
            self.repair(now_us, viewer, &mut out);
        }
        if self.report_us <= now_us {
            self.report_us = now_us + REPORT_EVERY_US;
            let reports = viewer.slots.iter_mut().filter_map(|s| report(s, now_us)).collect();
            out.push(Box::new(ReceiverReport { ssrc: self.ssrc, reports, ..Default::default() }));
        }
        if self.feedback_us <= now_us {
            self.feedback_us = now_us + FEEDBACK_EVERY_US;
            let media = viewer.slots.first().map_or(0, |s| s.ssrc);
            if let Some(feedback) = self.arrivals.take(self.ssrc, media) {
                out.push(Box::new(feedback));
            }
        }
        out
    }

    fn repair(&mut self, now_us: u64, viewer: &mut Viewer, out: &mut Vec<Box<dyn Packet>>) {
        for slot in &mut viewer.slots {
            let gave_up = slot.numbers.expire(now_us);
            // A voice packet is worth nothing by the time it would come again.
            if slot.audio {
                continue;
            }
            let seqs = slot.numbers.ask(now_us);
            if !seqs.is_empty() {
                self.asked.0 += seqs.len() as u64;
                let nacks = nack_pairs_from_sequence_numbers(&seqs);
                let (sender_ssrc, media_ssrc) = (self.ssrc, slot.ssrc);
                out.push(Box::new(TransportLayerNack { sender_ssrc, media_ssrc, nacks }));
            }
            let recently = slot.pli_us.is_some_and(|at| now_us < at + PLI_AGAIN_US);
            if gave_up && !recently {
                slot.pli_us = Some(now_us);
                self.asked.1 += 1;
                let (sender_ssrc, media_ssrc) = (self.ssrc, slot.ssrc);
                out.push(Box::new(PictureLossIndication { sender_ssrc, media_ssrc }));
            }
        }
        self.missing(&viewer.slots);
    }
}

fn report(slot: &mut Slot, now_us: u64) -> Option<ReceptionReport> {
    let (fraction_lost, total_lost, last_sequence_number) = slot.numbers.report()?;
    let (last_sender_report, delay) =
        slot.report.map_or((0, 0), |SenderReport { middle, arrived_us }| {
            // In units of 1/65536 s.
            (middle, ((now_us.saturating_sub(arrived_us) << 16) / 1_000_000) as u32)
        });
    Some(ReceptionReport {
        ssrc: slot.ssrc,
        fraction_lost,
        total_lost,
        last_sequence_number,
        jitter: slot.jitter(),
        last_sender_report,
        delay,
    })
}
