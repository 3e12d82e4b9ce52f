//! The receiving half of a participant: slots, what came in them, when it came first.

use super::continuity::{Continuity, Step};
use super::directory::Directory;
use super::record::Record;
use super::sdp::AnswerSlot;
use super::stamp::Stamp;
use super::totals::Totals;
use super::vp8;

/// A picture that follows a turn by more than this was not switched to because of it.
const SWITCH_MAX_US: u64 = 10_000_000;

/// After another picture has come into a slot, its packets come from a cache for at most this long: their delay is no path's.
const REPLAY_US: u64 = 3_000_000;

/// An opened packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened<'a> {
    pub(super) arrived_us: u64,
    pub(super) seq: u16,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) csrc: Option<u32>,
    pub(super) payload: &'a [u8],
}

/// The last sender report of a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderReport {
    /// Middle 32 bits of its NTP timestamp.
    pub(super) middle: u32,
    pub(super) arrived_us: u64,
}

/// One receive slot.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) audio: bool,
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    pub(super) numbers: Continuity,
    pub(super) report: Option<SenderReport>,
    /// A key frame is wanted, since then.
    pub(super) pli_us: Option<u64>,
    /// RFC 3550 section 6.4.1, in units of 1/16 of the timestamp's.
    jitter: u32,
    transit: Option<u32>,
    main: bool,
    /// Who is shown: number and picture id of the last packet.
    shown: Option<(u32, u16)>,
    timestamp: u32,
    holes: bool,
    encoding: u8,
    /// When another picture came.
    changed_us: u64,
}

impl Slot {
    /// The RTP clock's rate.
    fn rate(&self) -> u64 {
        if self.audio { 48_000 } else { 90_000 }
    }

    /// The jitter as a report says it.
    pub(super) fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    fn arrival(&mut self, arrived_us: u64, timestamp: u32) {
        let arrival = (arrived_us * self.rate() / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            let change = (transit.wrapping_sub(last) as i32).unsigned_abs();
            self.jitter = self.jitter.wrapping_add(change).wrapping_sub((self.jitter + 8) >> 4);
        }
    }
}

/// When a participant got how far, on [`super::clock`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Milestones {
    /// The socket was opened.
    pub(super) asked_us: u64,
    /// The answer came.
    pub(super) answered_us: Option<u64>,
    /// ICE and DTLS were done.
    pub(super) connected_us: Option<u64>,
    /// The first packet of a slot.
    pub(super) packet_us: Option<u64>,
    /// The first voice packet.
    pub(super) voice_us: Option<u64>,
    /// The first whole frame.
    pub(super) frame_us: Option<u64>,
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) number: u32,
    pub(super) slots: Vec<Slot>,
    pub(super) record: Record,
    pub(super) times: Milestones,
}

impl Viewer {
    /// With the slots of the answer.
    pub(super) fn new(number: u32, slots: &[AnswerSlot], times: Milestones) -> Self {
        let main = slots.iter().position(|s| !s.audio);
        let slot = |(i, s): (usize, &AnswerSlot)| Slot {
            audio: s.audio,
            ssrc: s.ssrc,
            rtx_ssrc: s.rtx_ssrc,
            numbers: Continuity::default(),
            report: None,
            pli_us: None,
            jitter: 0,
            transit: None,
            main: Some(i) == main,
            shown: None,
            timestamp: 0,
            holes: false,
            encoding: 0,
            changed_us: 0,
        };
        let slots = slots.iter().enumerate().map(slot).collect();
        Self { number, slots, record: Record::default(), times }
    }

    /// The slot of an SSRC, and whether the SSRC is that of its retransmissions.
    pub(super) fn slot(&self, ssrc: u32) -> Option<(usize, bool)> {
        self.slots.iter().enumerate().find_map(|(i, s)| {
            let again = s.rtx_ssrc == Some(ssrc);
            (again || s.ssrc == ssrc).then_some((i, again))
        })
    }

    /// Measures from now on.
    pub(super) fn begin(&mut self, now_us: u64) {
        self.record.begin(now_us);
        self.slots.iter_mut().for_each(|s| s.numbers.begin());
    }

    /// Takes a packet of a slot.
    pub(super) fn take(
        &mut self,
        slot: usize,
        packet: &Opened<'_>,
        directory: &Directory,
        totals: &mut Totals,
    ) {
        let Self { number, slots, record, times } = self;
        let Some(slot) = slots.get_mut(slot) else { return };
        let step = slot.numbers.take(packet.seq, packet.arrived_us);
        if step == Step::Known {
            return;
        }
        record.bytes += packet.payload.len() as u64;
        times.packet_us.get_or_insert(packet.arrived_us);
        let (Some(stamp), Some(csrc)) = (Stamp::read(packet.payload), packet.csrc) else {
            record.strangers += 1;
            return;
        };
        if !directory.is(stamp.source, csrc) {
            record.mislabelled += 1;
        }
        let measured = record.from_us.is_some_and(|from| stamp.sent_us >= from);
        let delay = packet.arrived_us.saturating_sub(stamp.sent_us);
        let way = directory.way(stamp.source, *number) as usize;
        if step != Step::Filled {
            slot.arrival(packet.arrived_us, packet.timestamp);
        }
        if slot.audio {
            times.voice_us.get_or_insert(packet.arrived_us);
            if let Some(gap) = record.voice(packet.arrived_us, &stamp) {
                totals.gap.add(gap);
            }
            if measured {
                totals.voice_delay[way].add(delay);
            }
            return;
        }
        record.picture();
        if let Some(first) = picture(slot, packet, &stamp, step, record) {
            let onset = directory.onset_us(stamp.source);
            let took = packet.arrived_us.saturating_sub(onset);
            if first && record.from_us.is_some_and(|from| onset >= from) && took < SWITCH_MAX_US {
                totals.switch.add(took);
            }
        }
        let live = packet.arrived_us > slot.changed_us + REPLAY_US;
        if measured && live && step != Step::Filled {
            totals.picture_delay[way].add(delay);
        }
        if packet.marker && step != Step::Filled {
            let whole = !slot.holes || slot.numbers.is_whole();
            record.frame(slot.main, slot.encoding, whole);
            slot.holes = false;
            if whole {
                times.frame_us.get_or_insert(packet.arrived_us);
            }
        }
    }
}

/// A packet of a picture; `Some(true)` when somebody else is shown from now on, in the main slot.
fn picture(
    slot: &mut Slot,
    packet: &Opened<'_>,
    stamp: &Stamp,
    step: Step,
    record: &mut Record,
) -> Option<bool> {
    let (start, id) = vp8::read(packet.payload)?;
    slot.holes |= step == Step::Jump;
    if step == Step::Filled {
        return None;
    }
    let before = slot.shown.replace((stamp.source, id));
    let same_frame = before.is_some() && packet.timestamp == slot.timestamp;
    slot.timestamp = packet.timestamp;
    let switched = before.is_some_and(|(who, _)| who != stamp.source);
    let other_encoding = slot.encoding != stamp.encoding;
    slot.encoding = stamp.encoding;
    if same_frame && !switched {
        return None;
    }
    let begins = before.is_none() || switched || other_encoding;
    if begins {
        slot.changed_us = packet.arrived_us;
    }
    let follows = before.is_none_or(|(_, last)| {
        id == last.wrapping_add(1) & vp8::PICTURE_ID_MASK || (id == last && same_frame)
    });
    if step == Step::Next && (!start || !follows || (begins && !stamp.key)) {
        record.bad_starts += 1;
    }
    (switched && slot.main).then_some(true)
}

#[cfg(test)]
#[path = "viewer_tests.rs"]
mod tests;
