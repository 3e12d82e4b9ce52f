//! How packets arrive.

use super::publisher::Publisher;
use relay_proto::Encoding;
use std::time::Duration;

/// Payload of a packet of f; what SRTP and headers add comes on top.
pub(super) const F_BYTES: usize = 1_100;
pub(super) const F_PACKETS: usize = 5;
const VOICES: usize = 3;
const STRIP: usize = 12;
/// Datagrams a second that the server is to send at most: below what one core of a small machine can do.
const OFFERED: usize = 40_000;
/// Loud, in -dBov.
const LOUD: u8 = 30;

/// Payload of a packet of one of the q: 150 kbit/s are 625 bytes 30 times a second, and no two frames are alike. So segmentation offload,
/// which takes equal datagrams only, cannot join what real encoders send either.
fn q_bytes(nth: usize) -> usize {
    490 + 20 * nth
}

/// Arrival patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// A frame of five packets spread over 5 ms, as Chromium's pacer does.
    Paced,
    /// A frame of five packets at once.
    Burst,
    /// The default layout: three voices, one f, twelve q to every viewer.
    Default,
}

impl Pattern {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Paced => "paced, 5 ms",
            Self::Burst => "burst of 5",
            Self::Default => "3 voices, f, 12 q",
        }
    }

    pub(super) fn publishers(self) -> usize {
        if self == Self::Default { 1 + STRIP } else { 1 }
    }

    /// Payloads of one round to one viewer, in the order in which they are sent.
    pub(super) fn payloads(self) -> Vec<usize> {
        match self {
            Self::Paced | Self::Burst => vec![F_BYTES; F_PACKETS],
            Self::Default => {
                let small = (0..STRIP).map(q_bytes).collect();
                [vec![80; VOICES], vec![F_BYTES; F_PACKETS], small].concat()
            }
        }
    }

    /// Time between two rounds: 30 a second, less where that would be more than [`OFFERED`].
    pub(super) fn interval(self, viewers: usize) -> Duration {
        let per_round = self.payloads().len() * viewers;
        Duration::from_secs_f64((per_round as f64 / OFFERED as f64).max(1.0 / 30.0))
    }

    /// Whether packets are sent with pauses between them.
    pub(super) fn pause(self) -> Option<Duration> {
        (self == Self::Paced).then_some(Duration::from_millis(5) / F_PACKETS as u32)
    }

    /// The publishers send one round.
    pub(super) fn round(self, publishers: &mut [Publisher]) {
        publishers.iter_mut().for_each(Publisher::listen);
        let frame = publishers[0].media.frame(Encoding::F, F_PACKETS, F_BYTES);
        if self != Self::Default {
            return publishers[0].send(&frame, self.pause());
        }
        for publisher in &mut publishers[..VOICES] {
            let voice = publisher.media.voice(LOUD);
            publisher.send(&[voice], None);
        }
        publishers[0].send(&frame, None);
        for (nth, publisher) in publishers[1..].iter_mut().enumerate() {
            let small = publisher.media.frame(Encoding::Q, 1, q_bytes(nth));
            publisher.send(&small, None);
        }
    }
}
