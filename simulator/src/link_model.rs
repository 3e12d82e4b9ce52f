//! One direction of a network path: rate, tail-drop queue, loss, delay, bounded jitter.
//!
//! The same model delays datagrams in the virtual world and, in real time, between real processes (`mesh dev`). It is
//! told the time, draws from its own seeded generator and computes in whole nanoseconds, so equal seeds give equal
//! verdicts on every machine. Every offer draws three numbers whatever it meets: changing one parameter leaves the
//! luck of the others as it was.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Parameters of one direction. The default is a perfect path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkParams {
    /// Propagation delay, one way.
    pub delay_us: u64,
    /// Extra delay, uniform from 0 to this; packets stay in order, so close packets wait for a delayed one.
    pub jitter_us: u64,
    /// Which packets the path loses.
    pub loss: Loss,
    /// Bottleneck rate; 0 is unlimited.
    pub rate_bps: u64,
    /// How much may wait for the bottleneck.
    pub queue: Queue,
    /// A path that is down delivers nothing.
    pub down: bool,
}

impl LinkParams {
    /// A path that only delays.
    #[must_use]
    pub fn delay(delay: Duration) -> Self {
        Self { delay_us: delay.as_micros() as u64, ..Self::default() }
    }
}

/// How a path loses packets. Probabilities are from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Not at all.
    #[default]
    None,
    /// Independently of each other.
    Random {
        /// Share of the packets that are lost.
        p: f64,
    },
    /// In bursts: a two-state chain that steps once a packet (Gilbert 1960, Elliott 1963).
    GilbertElliott {
        /// Chance of turning bad at a packet, while good.
        to_bad: f64,
        /// Chance of turning good at a packet, while bad: the mean burst is `1 / to_good` packets.
        to_good: f64,
        /// Share lost while good.
        loss_good: f64,
        /// Share lost while bad.
        loss_bad: f64,
    },
}

impl Loss {
    /// The share of packets lost in the long run.
    #[must_use]
    pub fn mean(self) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Random { p } => p,
            Self::GilbertElliott { to_bad, to_good, .. } if to_bad + to_good == 0.0 => 0.0,
            Self::GilbertElliott { to_bad, to_good, loss_good, loss_bad } => {
                (to_good * loss_good + to_bad * loss_bad) / (to_bad + to_good)
            }
        }
    }
}

/// The limit of what waits for the bottleneck; a packet that would exceed it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// So many bytes, the packet in transmission included.
    Bytes(u64),
    /// As much as the bottleneck sends in this time.
    Ms(u64),
}

impl Default for Queue {
    /// A moderately bloated router.
    fn default() -> Self {
        Self::Ms(200)
    }
}

/// Why a packet was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkDrop {
    /// The path lost it.
    Loss,
    /// The queue was full.
    Queue,
    /// The path is down.
    Down,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrives at this time.
    Deliver(Duration),
    /// It does not arrive.
    Drop(LinkDrop),
}

/// What a link has done. `offered = delivered + lost + queue_dropped + down_dropped`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkCounters {
    /// Packets offered.
    pub offered: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Packets that arrive.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets the path lost.
    pub lost: u64,
    /// Packets the queue had no room for.
    pub queue_dropped: u64,
    /// Packets that met a path that was down.
    pub down_dropped: u64,
}

impl LinkCounters {
    /// Whether every packet is accounted for.
    #[must_use]
    pub fn conserved(&self) -> bool {
        self.offered == self.delivered + self.lost + self.queue_dropped + self.down_dropped
    }
}

/// One direction of a path.
#[derive(Clone, Debug)]
pub struct LinkModel {
    params: LinkParams,
    chances: Chances,
    rng: ChaCha8Rng,
    /// The chain's state.
    bad: bool,
    /// When the bottleneck has sent everything it took, in nanoseconds, and the fraction of one it owes (1/rate).
    busy_until: u64,
    owed: u128,
    last_delivery: u64,
    counters: LinkCounters,
}

impl LinkModel {
    /// A path with its own luck.
    #[must_use]
    pub fn new(params: LinkParams, seed: u64) -> Self {
        Self {
            params,
            chances: Chances::of(params.loss),
            rng: ChaCha8Rng::seed_from_u64(seed),
            bad: false,
            busy_until: 0,
            owed: 0,
            last_delivery: 0,
            counters: LinkCounters::default(),
        }
    }

    /// The parameters in force.
    #[must_use]
    pub fn params(&self) -> LinkParams {
        self.params
    }

    /// Changes the path from now on; what is under way stays so, and nothing overtakes it.
    pub fn set_params(&mut self, params: LinkParams) {
        self.params = params;
        self.chances = Chances::of(params.loss);
        self.owed = 0;
    }

    /// What the path has done.
    #[must_use]
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// Offers a packet at `now` (time since any fixed start; it never goes back).
    pub fn offer(&mut self, now: Duration, bytes: usize) -> Verdict {
        let draws = [self.rng.next_u32(), self.rng.next_u32(), self.rng.next_u32()];
        self.counters.offered += 1;
        self.counters.offered_bytes += bytes as u64;
        let verdict = self.judge(nanos(now), bytes as u64, draws);
        match verdict {
            Verdict::Deliver(_) => {
                self.counters.delivered += 1;
                self.counters.delivered_bytes += bytes as u64;
            }
            Verdict::Drop(LinkDrop::Loss) => self.counters.lost += 1,
            Verdict::Drop(LinkDrop::Queue) => self.counters.queue_dropped += 1,
            Verdict::Drop(LinkDrop::Down) => self.counters.down_dropped += 1,
        }
        verdict
    }

    fn judge(&mut self, now: u64, bytes: u64, draws: [u32; 3]) -> Verdict {
        if self.params.down {
            return Verdict::Drop(LinkDrop::Down);
        }
        let Some(sent) = self.transmit(now, bytes) else {
            return Verdict::Drop(LinkDrop::Queue);
        };
        // Lost behind the bottleneck: a lost packet has used its share of the rate.
        if self.loses(draws[0], draws[1]) {
            return Verdict::Drop(LinkDrop::Loss);
        }
        let spread = u128::from(self.params.jitter_us) * 1_000 + 1;
        let jitter = ((u128::from(draws[2]) * spread) >> 32) as u64;
        let arrival =
            sent.saturating_add(self.params.delay_us.saturating_mul(1_000)).saturating_add(jitter);
        self.last_delivery = self.last_delivery.max(arrival);
        Verdict::Deliver(Duration::from_nanos(self.last_delivery))
    }

    /// When the bottleneck has sent the packet; `None` when the queue has no room for it.
    fn transmit(&mut self, now: u64, bytes: u64) -> Option<u64> {
        if self.params.rate_bps == 0 {
            return Some(now);
        }
        let rate = u128::from(self.params.rate_bps);
        let backlog_ns = self.busy_until.saturating_sub(now);
        let full = match self.params.queue {
            Queue::Ms(limit) => backlog_ns > limit.saturating_mul(1_000_000),
            Queue::Bytes(limit) => {
                u128::from(backlog_ns) * rate / BITS_NS + u128::from(bytes) > u128::from(limit)
            }
        };
        if full {
            return None;
        }
        if backlog_ns == 0 {
            (self.busy_until, self.owed) = (now, 0);
        }
        let work = u128::from(bytes) * BITS_NS + self.owed;
        self.busy_until = self.busy_until.saturating_add((work / rate) as u64);
        self.owed = work % rate;
        Some(self.busy_until)
    }

    fn loses(&mut self, step: u32, loss: u32) -> bool {
        let turn = if self.bad { self.chances.to_good } else { self.chances.to_bad };
        self.bad ^= u64::from(step) < turn;
        let limit = if self.bad { self.chances.loss_bad } else { self.chances.loss_good };
        u64::from(loss) < limit
    }
}

/// Bits times nanoseconds a second, for one byte: `8 * 10^9`.
const BITS_NS: u128 = 8_000_000_000;

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Probabilities as thresholds that a uniform 32-bit number stays below.
#[derive(Clone, Copy, Debug)]
struct Chances {
    to_bad: u64,
    to_good: u64,
    loss_good: u64,
    loss_bad: u64,
}

impl Chances {
    fn of(loss: Loss) -> Self {
        let [to_bad, to_good, loss_good, loss_bad] = match loss {
            Loss::None => [0.0, 1.0, 0.0, 0.0],
            Loss::Random { p } => [0.0, 1.0, p, p],
            Loss::GilbertElliott { to_bad, to_good, loss_good, loss_bad } => {
                [to_bad, to_good, loss_good, loss_bad]
            }
        }
        .map(|p| (p.clamp(0.0, 1.0) * (1_u64 << 32) as f64) as u64);
        Self { to_bad, to_good, loss_good, loss_bad }
    }
}

#[cfg(test)]
mod tests;
