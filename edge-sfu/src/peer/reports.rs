//! RTCP of the participant: reports and feedback about slots, sender reports of sources.

use super::limits::{NACKS_PER_DATAGRAM, NACKS_PER_EVENT, ROUND_TRIP_MAX};
use super::{Peer, PeerEvent, PeerSink, SlotIndex};
use crate::rtcp::{Block, Packets, Rtcp};
use arrayvec::ArrayVec;
use relay_proto::{Now, NtpTime};
use sfu_core::DropReason;
use sfu_core::nack::nack_pair_seqs;
use std::time::Duration;

impl Peer {
    pub(super) fn handle_rtcp(&mut self, now: Now, data: &[u8], sink: &mut impl PeerSink) {
        let mut nacks_left = NACKS_PER_DATAGRAM;
        for packet in Packets::new(data) {
            match packet {
                Ok(Rtcp::SenderReport { ssrc, ntp, rtp, blocks }) => {
                    self.handle_sender_report(now, ssrc, ntp, rtp, sink);
                    blocks.for_each(|b| self.handle_block(now, &b, sink));
                }
                Ok(Rtcp::ReceiverReport { blocks }) => {
                    blocks.for_each(|b| self.handle_block(now, &b, sink));
                }
                Ok(Rtcp::Nack { media, pairs }) => {
                    self.handle_nack(media, pairs, &mut nacks_left, sink);
                }
                Ok(Rtcp::Pli { media }) => self.handle_keyframe_request(media, sink),
                Ok(Rtcp::Fir { entries }) => {
                    entries.for_each(|(media, _)| self.handle_keyframe_request(media, sink));
                }
                Ok(Rtcp::Remb { bps }) => sink.event(PeerEvent::Remb { bps }),
                Ok(Rtcp::Twcc(feedback)) => sink.event(PeerEvent::TwccFeedback(feedback)),
                Ok(Rtcp::Other) => {}
                Err(reason) => sink.dropped(reason),
            }
        }
    }

    fn slot_by_ssrc(&self, ssrc: u32) -> Option<SlotIndex> {
        self.slots.iter().position(|s| s.ssrc == ssrc).map(|i| SlotIndex(i as u16))
    }

    fn handle_sender_report(
        &mut self,
        now: Now,
        ssrc: u32,
        ntp: NtpTime,
        rtp: u32,
        sink: &mut impl PeerSink,
    ) {
        let Some(target) = self.sources.bound(ssrc).filter(|t| !t.rtx) else {
            return;
        };
        let Some(stream) = self.sources.stream(target.kind, target.encoding) else {
            return;
        };
        stream.stats.on_sender_report(now.mono, ntp);
        let (kind, encoding) = (target.kind, target.encoding);
        sink.event(PeerEvent::SenderReport { kind, encoding, ntp, rtp, arrived: now });
    }

    fn handle_block(&mut self, now: Now, block: &Block, sink: &mut impl PeerSink) {
        let Some(slot) = self.slot_by_ssrc(block.ssrc) else {
            return;
        };
        let sample = round_trip(now, block);
        if let Some(sample) = sample {
            // RFC 6298 section 2.3: a gain of 1/8.
            self.round_trip = Some(self.round_trip.map_or(sample, |old| (old * 7 + sample) / 8));
        }
        sink.event(PeerEvent::ReceiverReport {
            slot,
            fraction_lost: block.fraction_lost,
            jitter: block.jitter,
            round_trip: sample,
        });
    }

    fn handle_nack(
        &mut self,
        media: u32,
        pairs: impl Iterator<Item = (u16, u16)>,
        left: &mut usize,
        sink: &mut impl PeerSink,
    ) {
        let Some(slot) = self.slot_by_ssrc(media) else {
            return;
        };
        let mut seqs = ArrayVec::<u16, NACKS_PER_EVENT>::new();
        for seq in pairs.flat_map(|(pid, blp)| nack_pair_seqs(pid, blp)) {
            if *left == 0 {
                sink.dropped(DropReason::Limit);
                break;
            }
            *left -= 1;
            seqs.push(seq);
            if seqs.is_full() {
                sink.event(PeerEvent::Nack { slot, seqs: &seqs });
                seqs.clear();
            }
        }
        if !seqs.is_empty() {
            sink.event(PeerEvent::Nack { slot, seqs: &seqs });
        }
    }

    fn handle_keyframe_request(&mut self, media: u32, sink: &mut impl PeerSink) {
        if let Some(slot) = self.slot_by_ssrc(media) {
            sink.event(PeerEvent::KeyframeRequest { slot });
        }
    }
}

/// RFC 3550 section 6.4.1: arrival less the last sender report less the delay, all in 1/65536 s.
fn round_trip(now: Now, block: &Block) -> Option<Duration> {
    if block.last_sender_report == 0 {
        return None;
    }
    let units =
        now.wall.middle_32().wrapping_sub(block.last_sender_report).wrapping_sub(block.delay);
    let time = Duration::from_micros((u64::from(units) * 1_000_000) >> 16);
    // A wall clock that stepped back gives a number close to 2^16 s.
    (time <= ROUND_TRIP_MAX).then_some(time)
}
