//! A microphone: Opus with discontinuous transmission, levels of RFC 6464, turns as scheduled.

use super::sdp::{MIC_MID, OPUS, extension};
use super::stamp::{STAMP_BYTES, Stamp};
use crate::random::between;
use crate::talk::Turn;
use crate::time::SimTime;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;
use sfu_core::rtp::{HeaderFields, RtpWriter};
use std::time::Duration;

/// Opus' usual packet.
pub(crate) const PACKET: Duration = Duration::from_millis(20);
/// Opus sends comfort noise so often while nobody speaks.
const COMFORT: Duration = Duration::from_millis(400);
/// Payload of a loud packet: 32 kbit/s for 20 ms is 80 bytes, more or less.
const SPEECH_BYTES: (u64, u64) = (60, 100);
/// Speech varies by so many decibels from packet to packet.
const WAVER_DB: u64 = 6;
/// Level of comfort noise.
const QUIET: u8 = 127;

/// One turn as its speaker spoke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Number of the turn in the schedule.
    pub turn: usize,
    /// Capture of the first loud packet.
    pub onset: SimTime,
    /// Capture of the last one.
    pub last: SimTime,
    /// Loud packets.
    pub packets: u32,
}

/// A microphone.
#[derive(Debug)]
pub(crate) struct Voice {
    who: u16,
    ssrc: u32,
    seq: u16,
    first_timestamp: u32,
    /// When the next packet is captured.
    next: SimTime,
    comfort_at: SimTime,
    turns: Vec<Turn>,
    at: usize,
    rng: ChaCha8Rng,
    pub(crate) spoken: Vec<Spoken>,
    pub(crate) sent: u64,
}

impl Voice {
    /// A microphone that ticks at `phase` and every 20 ms after; `turns` are its owner's, by beginning.
    pub(crate) fn new(who: u16, phase: SimTime, turns: Vec<Turn>, mut rng: ChaCha8Rng) -> Self {
        let (ssrc, first_timestamp, seq) =
            (rng.next_u32() | 1, rng.next_u32(), rng.next_u32() as u16);
        Self {
            who,
            ssrc,
            seq,
            first_timestamp,
            next: phase,
            comfort_at: phase,
            turns,
            at: 0,
            rng,
            spoken: Vec::new(),
            sent: 0,
        }
    }

    /// SSRC with the timestamp of `now`, for sender reports.
    pub(crate) fn report(&self, now: SimTime) -> Option<(u32, u32)> {
        (self.sent > 0).then(|| (self.ssrc, self.timestamp(now)))
    }

    fn timestamp(&self, captured: SimTime) -> u32 {
        // 48 kHz: 48 ticks a millisecond.
        self.first_timestamp.wrapping_add((u128::from(captured.0) * 48 / 1_000_000) as u32)
    }

    /// When [`Self::tick`] wants to be called.
    pub(crate) fn deadline(&self) -> SimTime {
        self.next
    }

    /// Nothing was sent before `now`: the microphone begins.
    pub(crate) fn start(&mut self, now: SimTime) {
        while self.next < now {
            self.next = self.next.plus(PACKET);
        }
        self.comfort_at = self.next;
    }

    fn turn(&mut self) -> Option<Turn> {
        while self.turns.get(self.at).is_some_and(|t| t.end <= self.next) {
            self.at += 1;
        }
        self.turns.get(self.at).copied().filter(|t| t.start <= self.next)
    }

    /// Captures 20 ms; answers the packet's length if there is one to send.
    pub(crate) fn tick(&mut self, transport_seq: &mut u16, buffer: &mut [u8]) -> Option<usize> {
        let turn = self.turn();
        let captured = self.next;
        let packet = if turn.is_some() || captured >= self.comfort_at {
            self.comfort_at = captured.plus(COMFORT);
            self.packet(captured, turn, transport_seq, buffer)
        } else {
            None
        };
        self.next = self.following(captured);
        packet
    }

    /// The tick after `captured` at which there is something to send.
    fn following(&mut self, captured: SimTime) -> SimTime {
        self.next = captured.plus(PACKET);
        if self.turn().is_some() {
            return self.next;
        }
        let next_turn = self.turns.get(self.at).map_or(self.comfort_at, |t| t.start);
        let wanted = next_turn.min(self.comfort_at).since(self.next).as_nanos();
        let ticks = wanted.div_ceil(PACKET.as_nanos()) as u32;
        self.next.plus(PACKET * ticks)
    }

    fn packet(
        &mut self,
        captured: SimTime,
        turn: Option<Turn>,
        seq: &mut u16,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let waver = between(&mut self.rng, 0, WAVER_DB) as u8;
        let size = between(&mut self.rng, SPEECH_BYTES.0, SPEECH_BYTES.1) as usize;
        let (level, size) = turn.map_or((QUIET, STAMP_BYTES), |t| (t.level + waver, size));
        let (number, nth) = turn.map_or((0, 0), |t| self.note(t, captured));
        let timestamp = self.timestamp(captured);
        let fields = HeaderFields {
            marker: turn.is_some() && nth == 0,
            payload_type: OPUS,
            seq: self.seq,
            timestamp,
            ssrc: self.ssrc,
            csrc: None,
        };
        let mut writer = RtpWriter::begin(buffer, &fields)?;
        writer.extension(extension::LEVEL, &[0x80 | level])?;
        writer.extension(extension::TRANSPORT_SEQUENCE, &seq.to_be_bytes())?;
        writer.extension(extension::MID, MIC_MID.as_bytes())?;
        let head = writer.finish()?;
        let payload = buffer.get_mut(head..head + size)?;
        payload.fill(0);
        Stamp { captured, who: self.who, turn: number, nth, ..Stamp::default() }.write(payload)?;
        *seq = seq.wrapping_add(1);
        self.seq = self.seq.wrapping_add(1);
        self.sent += 1;
        Some(head + size)
    }

    /// Keeps the books of a turn; answers what the stamp says of it.
    fn note(&mut self, turn: Turn, captured: SimTime) -> (u16, u32) {
        if self.spoken.last().is_none_or(|s| s.turn != turn.number) {
            self.spoken.push(Spoken {
                turn: turn.number,
                onset: captured,
                last: captured,
                packets: 0,
            });
        }
        let Some(spoken) = self.spoken.last_mut() else { return (0, 0) };
        spoken.last = captured;
        spoken.packets += 1;
        (turn.number as u16 + 1, spoken.packets - 1)
    }
}
