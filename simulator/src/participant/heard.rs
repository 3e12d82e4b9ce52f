//! What one participant heard: by speaker's turn, packet by packet.

use super::stamp::Stamp;
use super::voice::PACKET;
use crate::histogram::Delays;
use crate::time::SimTime;
use relay_proto::ParticipantId;
use std::collections::BTreeMap;
use std::time::Duration;

/// One turn as one listener heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardTurn {
    /// The number of the first packet heard; 0 is the turn's first loud packet.
    pub first: u32,
    /// The number of the last one heard.
    pub last: u32,
    /// Packets heard.
    pub packets: u32,
    /// Arrival of the first.
    pub from: SimTime,
    /// Longest run of packets missing between two heard, as sound.
    pub longest_gap: Duration,
    /// Packets missing between the first and the last heard.
    pub missing: u32,
    /// Longest time from capture to arrival.
    pub delay_max: Duration,
}

/// The voices a participant heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// By speaker's place in the world and number of the turn.
    pub(crate) turns: BTreeMap<(usize, usize), HeardTurn>,
    pub(crate) packets: u64,
    pub(crate) comfort: u64,
    /// Packets of the own voice.
    pub(crate) own: u64,
    /// Packets that came twice, or late.
    pub(crate) repeated: u64,
    /// Packets whose CSRC is not their speaker's.
    pub(crate) mislabelled: u64,
    pub(crate) delays: Delays,
}

impl Heard {
    pub(crate) fn packet(
        &mut self,
        now: SimTime,
        stamp: &Stamp,
        me: u16,
        label: (Option<u32>, Option<ParticipantId>),
    ) {
        self.packets += 1;
        self.own += u64::from(stamp.who == me);
        let (csrc, speaker) = label;
        self.mislabelled += u64::from(csrc != speaker.map(|p| p.0));
        let delay = now.since(stamp.captured);
        self.delays.add(delay);
        let Some(turn) = stamp.turn.checked_sub(1) else {
            self.comfort += 1;
            return;
        };
        let heard =
            self.turns.entry((stamp.who.into(), turn.into())).or_insert_with(|| HeardTurn {
                first: stamp.nth,
                last: stamp.nth,
                packets: 0,
                from: now,
                longest_gap: Duration::ZERO,
                missing: 0,
                delay_max: Duration::ZERO,
            });
        heard.packets += 1;
        heard.delay_max = heard.delay_max.max(delay);
        if heard.packets == 1 {
            return;
        }
        match stamp.nth.checked_sub(heard.last + 1) {
            None => {
                self.repeated += 1;
                heard.packets -= 1;
            }
            Some(missing) => {
                heard.missing += missing;
                heard.longest_gap = heard.longest_gap.max(PACKET * missing);
                heard.last = stamp.nth;
            }
        }
    }
}
