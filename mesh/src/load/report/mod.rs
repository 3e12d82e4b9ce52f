//! What a run has shown: figures, a verdict, and three ways to read them.

mod build;
mod html;
mod judge;
mod table;

pub(super) use build::{Inputs, build};
pub(super) use html::html;
pub(super) use judge::judge;
pub(super) use table::table;

use super::histogram::Histogram;
use serde::Serialize;

/// A distribution, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
}

impl Quantiles {
    /// Of a histogram.
    pub(super) fn of(h: &Histogram) -> Self {
        Self {
            count: h.count(),
            p50_ms: h.quantile_ms(0.5),
            p95_ms: h.quantile_ms(0.95),
            p99_ms: h.quantile_ms(0.99),
            max_ms: h.max_ms(),
        }
    }
}

/// A spread over participants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// Of some values.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |i: usize| values.get(i).copied().unwrap_or_default();
        Self { min: at(0), median: at(values.len() / 2), max: at(values.len().saturating_sub(1)) }
    }
}

/// The whole.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// Why the figures say nothing about the servers; empty: they do.
    pub(super) void: Vec<String>,
    /// What was not as it must be; empty: the mesh carried it.
    pub(super) failures: Vec<String>,
    /// What is the first thing to give way, if something failed.
    pub(super) limit: Option<String>,
    pub(super) run: Run,
    pub(super) joins: Joins,
    /// Thin participants.
    pub(super) thin: Group,
    /// Participants on the async `webrtc` crate.
    pub(super) full: Option<Group>,
    pub(super) delays: Vec<Delay>,
    /// From the onset of a voice to the speaker's picture in the main slot.
    pub(super) switches: Quantiles,
    /// Times between two packets of a talk spurt.
    pub(super) gaps: Quantiles,
    /// The longest such time of each viewer and voice.
    pub(super) longest_gaps: Quantiles,
    pub(super) publishers: Publishers,
    pub(super) servers: Servers,
    pub(super) signalling: Signalling,
    pub(super) generator: Generator,
    pub(super) errors: Vec<String>,
}

/// What was run.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    pub(super) participants: u32,
    pub(super) publishers: u32,
    pub(super) full: u32,
    pub(super) meetings: u32,
    pub(super) edges: Vec<String>,
    pub(super) regions: usize,
    pub(super) voices: usize,
    pub(super) pictures: usize,
    pub(super) measured_s: f64,
    /// The part of it in which somebody spoke.
    pub(super) spoken_s: f64,
}

/// How joining went.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Joins {
    pub(super) wanted: u32,
    pub(super) connected: u64,
    pub(super) failed: u64,
    /// Refused as busy, and tried again.
    pub(super) busy: u64,
    /// From the first attempt to the last connection.
    pub(super) seconds: f64,
    pub(super) per_second: f64,
    /// From opening the socket to the answer, the connection, the first packet, the first frame.
    pub(super) answer: Quantiles,
    pub(super) connection: Quantiles,
    pub(super) first_packet: Quantiles,
    pub(super) first_frame: Quantiles,
}

/// What a group of viewers received.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) viewers: usize,
    pub(super) packets_per_second: f64,
    pub(super) mbit_per_second: f64,
    /// Packets of speech a second of speech of others, each viewer.
    pub(super) voice_pps: Spread,
    /// Whole frames a second in the main slot, each viewer.
    pub(super) main_fps: Spread,
    /// Whole frames by encoding, in the main slot.
    pub(super) main_frames: [u64; 3],
    /// Viewers with a full voice throughout, and with a picture of at least 15 frames a second.
    pub(super) full_voice: usize,
    pub(super) full_picture: usize,
    /// Packets of slots that never came: voices, pictures.
    pub(super) lost: [u64; 2],
    /// Packets that came late or were sent again.
    pub(super) filled: u64,
    pub(super) asked: u64,
    /// Packets of speech missing at beginnings of spurts, and within them.
    pub(super) clipped: u64,
    pub(super) missing: u64,
    /// Times of more than 60 ms between packets of a spurt.
    pub(super) gaps: u64,
    pub(super) broken_frames: u64,
    pub(super) bad_starts: u64,
    pub(super) mislabelled: u64,
    pub(super) strangers: u64,
    pub(super) unopened: u64,
}

/// One-way delay.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Delay {
    pub(super) what: &'static str,
    pub(super) way: &'static str,
    #[serde(flatten)]
    pub(super) delay: Quantiles,
}

/// What publishers sent.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Publishers {
    pub(super) packets_per_second: f64,
    /// Lost on the way to the edge, as it reported.
    pub(super) lost: u64,
    pub(super) key_requests: u64,
    pub(super) resent: u64,
    /// How late packets left.
    pub(super) late: Quantiles,
    pub(super) late_permille: f64,
}

/// The nodes.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Servers {
    pub(super) nodes: Vec<NodeRow>,
    /// Cores that all nodes used.
    pub(super) cores: f64,
    /// ... of which outside the media shards.
    pub(super) control_cores: f64,
    /// CPU time of all edges and origins for a packet to a viewer.
    pub(super) us_per_packet: f64,
    /// Packets lost between nodes: on links, and in their queues.
    pub(super) link_lost: u64,
    pub(super) link_queue: u64,
    /// How busy this machine's processors were, percent.
    pub(super) machine_percent: Option<f64>,
    /// CPU time outside the shards while everybody joined, and bytes of the nodes' memory after it.
    pub(super) joining_control_cpu_s: f64,
    pub(super) joining_cpu_s: f64,
}

/// One node.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeRow {
    pub(super) name: String,
    /// Percent of a core: the process, and its media shard.
    pub(super) cpu_percent: f64,
    pub(super) shard_percent: f64,
    pub(super) memory_mb: f64,
    pub(super) ingested_pps: f64,
    pub(super) forwarded_pps: f64,
    pub(super) relayed_pps: f64,
    /// CPU time of the process for a packet that it took in or sent on.
    pub(super) us_per_packet: f64,
    pub(super) resent: u64,
    pub(super) key_requests: u64,
    pub(super) kernel_drops: u64,
    pub(super) send_drops: u64,
    pub(super) drops: Vec<(String, u64)>,
}

/// What the WebSockets carried.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Signalling {
    pub(super) bytes: u64,
    pub(super) roster_bytes: u64,
    /// The most that one participant received.
    pub(super) most_bytes: u64,
    pub(super) closed: u64,
}

/// The load generator itself.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Generator {
    /// Percent of a core, of the thread that owns the thin participants.
    pub(super) cpu_percent: f64,
    /// ... and of the whole process: sockets and full participants as well.
    pub(super) process_percent: f64,
    pub(super) longest_turn_ms: f64,
    /// Datagrams that the kernel dropped because they were not read in time.
    pub(super) dropped: u64,
    /// From a datagram's arrival to its being read.
    pub(super) read_late: Quantiles,
}
