//! A microphone: Opus packets with their level, in turns.

use super::limits::BEHIND_MAX_US;
use super::rtp::{Fields, write};
use super::stamp::Stamp;
use super::turns::Voice;

/// An Opus packet's length in time.
const VOICE_US: u64 = 20_000;
/// Comfort noise while nothing is said, as discontinuous transmission does it.
const COMFORT_US: u64 = 400_000;
/// A voice packet at 32 kbit/s.
const VOICE_BYTES: usize = 80;
/// A comfort-noise packet, with its stamp.
const COMFORT_BYTES: usize = Stamp::BYTES + 2;
/// RFC 6716 section 3.1: hybrid, full band, 20 ms, mono, one frame; any bytes after it are a frame.
const OPUS_TOC: u8 = 0x78;
/// Silence (RFC 6464); its top bit says "no voice".
const SILENCE: u8 = 127;
const SPEECH_BIT: u8 = 0x80;
/// A voice is not always equally loud.
const WOBBLE_DB: u8 = 5;

/// What a source must know of the negotiation.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire {
    /// Payload type.
    pub(super) pt: u8,
    /// Payload type of retransmissions.
    pub(super) rtx_pt: u8,
    /// The m-line.
    pub(super) mid: String,
}

/// A microphone.
#[derive(Debug)]
pub(super) struct Mic {
    voice: Voice,
    wire: Wire,
    ssrc: u32,
    source: u32,
    seq: u16,
    counter: u32,
    in_spurt: u16,
    due_us: u64,
    last_us: Option<u64>,
    /// Beginning of the newest turn.
    pub(super) onset_us: u64,
    /// Packets and payload bytes sent, for sender reports.
    pub(super) sent: (u32, u32),
}

/// Ids of header extensions, as offered (`super::sdp`).
pub(super) mod ids {
    pub(in crate::load) const LEVEL: u8 = 1;
    pub(in crate::load) const TRANSPORT_SEQ: u8 = 3;
    pub(in crate::load) const MID: u8 = 4;
    pub(in crate::load) const RID: u8 = 10;
    pub(in crate::load) const REPAIRED_RID: u8 = 11;
}

impl Mic {
    /// A microphone; its packets begin at `first_us`.
    pub(super) fn new(source: u32, ssrc: u32, voice: Voice, wire: Wire, first_us: u64) -> Self {
        Self {
            voice,
            wire,
            ssrc,
            source,
            seq: 1_000,
            counter: 0,
            in_spurt: 0,
            due_us: first_us,
            last_us: None,
            onset_us: 0,
            sent: (0, 0),
        }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// When the next packet may be due.
    pub(super) fn due_us(&self) -> u64 {
        self.due_us
    }

    /// The RTP timestamp of a moment.
    pub(super) fn timestamp(us: u64) -> u32 {
        (us * 48 / 1_000) as u32
    }

    /// The packet that is due, if one is: and by how much it is late.
    pub(super) fn poll(&mut self, now_us: u64, transport_seq: &mut u16) -> Option<(Vec<u8>, u64)> {
        loop {
            if now_us < self.due_us {
                return None;
            }
            if now_us - self.due_us > BEHIND_MAX_US {
                self.due_us = now_us - BEHIND_MAX_US;
            }
            let at = self.due_us;
            self.due_us += VOICE_US;
            let turn = self.voice.at(at);
            let level = turn.map(|t| SPEECH_BIT | (t.level + self.counter as u8 % WOBBLE_DB));
            if let Some(turn) = turn
                && turn.from_us != self.onset_us
            {
                (self.onset_us, self.in_spurt) = (turn.from_us, 0);
            }
            let quiet_for = self.last_us.map_or(COMFORT_US, |last| at.saturating_sub(last));
            if level.is_some() || quiet_for >= COMFORT_US {
                let packet = self.packet(now_us, at, level, transport_seq);
                return Some((packet, now_us - at));
            }
        }
    }

    fn packet(
        &mut self,
        now_us: u64,
        at: u64,
        level: Option<u8>,
        transport_seq: &mut u16,
    ) -> Vec<u8> {
        self.seq = self.seq.wrapping_add(1);
        self.counter += 1;
        let speech = level.is_some();
        let stamp = Stamp {
            source: self.source,
            counter: self.counter,
            speech,
            in_spurt: self.in_spurt,
            sent_us: now_us,
            ..Stamp::default()
        };
        self.in_spurt = self.in_spurt.saturating_add(u16::from(speech));
        let mut payload = vec![OPUS_TOC; if speech { VOICE_BYTES } else { COMFORT_BYTES }];
        let body = payload.len() - Stamp::BYTES;
        payload[body..].copy_from_slice(&stamp.bytes());
        *transport_seq = transport_seq.wrapping_add(1);
        let extensions: [(u8, &[u8]); 3] = [
            (ids::LEVEL, &[level.unwrap_or(SILENCE)]),
            (ids::TRANSPORT_SEQ, &transport_seq.to_be_bytes()),
            (ids::MID, self.wire.mid.as_bytes()),
        ];
        let after_pause = self.last_us.is_none_or(|last| at - last > VOICE_US);
        self.last_us = Some(at);
        self.sent = (self.sent.0.wrapping_add(1), self.sent.1.wrapping_add(payload.len() as u32));
        let fields = Fields {
            marker: speech && after_pause,
            payload_type: self.wire.pt,
            seq: self.seq,
            timestamp: Self::timestamp(at),
            ssrc: self.ssrc,
        };
        write(&fields, &extensions, &payload)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rtp::Header;
    use super::super::turns::Schedule;
    use super::*;

    #[test]
    fn a_speaker_sends_every_20_ms_and_a_silent_one_comfort_noise() {
        let always = Schedule::lanes(1, 1, 1, (5_000, 5_000)).voice(0);
        for (voice, expected) in [(always, 50), (Voice::silent(), 3)] {
            let mut mic = Mic::new(9, 1, voice, Wire::default(), 0);
            let (mut transport, mut packets) = (0, Vec::new());
            for ms in 0..1_000 {
                packets.extend(mic.poll(ms * 1_000, &mut transport).map(|(p, _)| p));
            }
            assert_eq!((packets.len(), transport), (expected, expected as u16));
            let last = packets.last().unwrap();
            let header = Header::read(last).unwrap();
            let stamp = Stamp::read(last).unwrap();
            assert_eq!((stamp.source, stamp.counter), (9, expected as u32));
            assert_eq!(last[header.len], OPUS_TOC);
            let level = header.extension(ids::LEVEL).unwrap()[0];
            assert_eq!(stamp.speech, level & SPEECH_BIT != 0);
            assert_eq!(stamp.speech, expected == 50);
        }
    }
}
