//! The receiving side of a participant: slots by SSRC, what came through them, reports back.

use super::heard::Heard;
use super::picture::{Picture, PictureCounters};
use super::sdp::{Slot, extension};
use super::stamp::Stamp;
use crate::histogram::Delays;
use crate::time::SimTime;
use edge_sfu::rtcp::{Packets, Rtcp, Writer};
use edge_sfu::signal::SlotRole;
use relay_proto::{Now, NtpTime, ParticipantId};
use sfu_core::receive::{ReceiveStats, ReportBlock};
use sfu_core::rtp::RtpView;
use std::time::Duration;

/// SSRC of the participant's reports.
const REPORTER: u32 = 1;
const VIDEO_RATE: u32 = 90_000;
const AUDIO_RATE: u32 = 48_000;

#[derive(Debug)]
struct Receiving {
    ssrc: u32,
    role: SlotRole,
    stats: ReceiveStats,
    packets: u64,
    picture: Picture,
}

/// The receiving side of a participant.
#[derive(Debug)]
pub(crate) struct Viewer {
    me: u16,
    slots: Vec<Receiving>,
    pub(crate) heard: Heard,
    pub(crate) pictures: PictureCounters,
    /// Sender reports received.
    pub(crate) reports: u64,
    /// By how much abs-capture-time was wrong, once the clocks had been compared.
    pub(crate) capture_error: Delays,
    /// Packets of no slot.
    pub(crate) unknown: u64,
}

/// A moment, as the participant, the world and the participant's edge tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Now,
    pub(crate) time: SimTime,
    pub(crate) edge_wall: NtpTime,
}

/// The participants' ids by their places in the world.
pub(crate) type Speakers<'a> = &'a [Option<ParticipantId>];

impl Viewer {
    pub(crate) fn new(me: u16) -> Self {
        Self {
            me,
            slots: Vec::new(),
            heard: Heard::default(),
            pictures: PictureCounters::default(),
            reports: 0,
            capture_error: Delays::default(),
            unknown: 0,
        }
    }

    pub(crate) fn joined(&mut self, slots: &[Slot]) {
        let rate = |role| if role == SlotRole::Audio { AUDIO_RATE } else { VIDEO_RATE };
        self.slots = slots
            .iter()
            .map(|s| Receiving {
                ssrc: s.ssrc,
                role: s.role,
                stats: ReceiveStats::new(rate(s.role)),
                packets: 0,
                picture: Picture::default(),
            })
            .collect();
    }

    /// A packet of a slot. `ids` are the participants' ids by their places in the world. Answers the SSRC of a slot whose
    /// decoder needs a key frame.
    pub(crate) fn packet(
        &mut self,
        at: Moment,
        view: &RtpView<'_>,
        ids: Speakers<'_>,
    ) -> Option<u32> {
        let Some(slot) = self.slots.iter_mut().find(|s| s.ssrc == view.ssrc) else {
            self.unknown += 1;
            return None;
        };
        slot.stats.on_packet(at.now.mono, view.seq, view.timestamp);
        slot.packets += 1;
        let csrc = view.csrcs().next();
        let mut request = None;
        let stamp = if slot.role == SlotRole::Audio {
            let stamp = Stamp::read(view.payload)?;
            let speaker = ids.get(usize::from(stamp.who)).copied().flatten();
            self.heard.packet(at.time, &stamp, self.me, (csrc, speaker));
            stamp
        } else {
            let stamp = slot.picture.packet(at.time, view, &mut self.pictures)?;
            let sender = ids.get(usize::from(stamp.who)).copied().flatten();
            self.pictures.own += u64::from(stamp.who == self.me);
            self.pictures.mislabelled += u64::from(csrc != sender.map(|p| p.0));
            request = slot.picture.wants_key(at.time, &mut self.pictures).then_some(slot.ssrc);
            stamp
        };
        self.note_capture(at, view, &stamp);
        request
    }

    /// abs-capture-time is in the edge's clock, which is `wall_us` ahead of the world's.
    fn note_capture(&mut self, at: Moment, view: &RtpView<'_>, stamp: &Stamp) {
        let content = view.extension(extension::CAPTURE).and_then(|c| c.get(..8));
        let Some(bytes) = content.and_then(|c| <[u8; 8]>::try_from(c).ok()) else { return };
        let said = NtpTime(u64::from_be_bytes(bytes));
        let age_us = at.edge_wall.micros_since(said);
        let truth_us = at.time.since(stamp.captured).as_micros() as i64;
        self.capture_error.add(Duration::from_micros(age_us.abs_diff(truth_us)));
    }

    /// RTCP from the edge, as far as it is about slots.
    pub(crate) fn rtcp(&mut self, now: Now, packet: &Rtcp<'_>) {
        if let Rtcp::SenderReport { ssrc, ntp, .. } = packet
            && let Some(slot) = self.slots.iter_mut().find(|s| s.ssrc == *ssrc)
        {
            slot.stats.on_sender_report(now.mono, *ntp);
            self.reports += 1;
        }
    }

    /// A receiver report about every slot in use.
    pub(crate) fn report(&mut self, now: Now, buffer: &mut [u8]) -> Option<usize> {
        let used = self.slots.iter_mut().filter(|s| s.packets > 0);
        let blocks: Vec<(u32, ReportBlock)> = used.map(|s| (s.ssrc, s.stats.report(now))).collect();
        let mut writer = Writer::new(buffer);
        writer.receiver_report(REPORTER, &blocks);
        writer.finish()
    }
}

/// A request for a key frame of a slot.
pub(crate) fn key_request(ssrc: u32, buffer: &mut [u8]) -> Option<usize> {
    let mut writer = Writer::new(buffer);
    writer.pli(REPORTER, ssrc);
    writer.finish()
}

/// The packets of an RTCP datagram that can be read.
pub(crate) fn readable(data: &[u8]) -> impl Iterator<Item = Rtcp<'_>> {
    Packets::new(data).filter_map(Result::ok)
}
