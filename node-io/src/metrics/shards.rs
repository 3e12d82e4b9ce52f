//! The counters of the shards, read when Prometheus asks.

use super::families::{counter, desc, family, label};
use super::kernel_drops::kernel_drops;
use super::{MetricsError, Shards};
use crate::stats::{ShardStats, SocketStats};
use prometheus::core::{Collector, Desc};
use prometheus::proto;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

/// A counter of each socket: name, help, where it stands.
type SocketCounter = (&'static str, &'static str, fn(&SocketStats) -> &AtomicU64);

const SOCKET_COUNTERS: [SocketCounter; 11] = [
    ("mesh_udp_datagrams_in_total", "Datagrams received.", |s| &s.datagrams_in),
    ("mesh_udp_bytes_in_total", "Bytes received in datagrams.", |s| &s.bytes_in),
    ("mesh_udp_recv_calls_total", "Receive calls that brought something.", |s| &s.recv_calls),
    ("mesh_udp_recv_errors_total", "Receive calls that failed.", |s| &s.recv_errors),
    ("mesh_udp_datagrams_out_total", "Datagrams sent.", |s| &s.datagrams_out),
    ("mesh_udp_bytes_out_total", "Bytes sent in datagrams.", |s| &s.bytes_out),
    ("mesh_udp_send_calls_total", "Send calls.", |s| &s.send_calls),
    ("mesh_udp_send_errors_total", "Datagrams dropped: the kernel refused them.", |s| {
        &s.send_errors
    }),
    ("mesh_udp_send_full_total", "Datagrams dropped: the send buffer stayed full.", |s| {
        &s.send_full
    }),
    ("mesh_udp_send_waits_total", "Slices that waited for the send buffer.", |s| &s.send_waits),
    ("mesh_udp_gso_fallbacks_total", "Times segmentation offload was given up.", |s| {
        &s.gso_fallbacks
    }),
];

/// A counter of a shard: name, help, its value.
type ShardCounter = (&'static str, &'static str, fn(&ShardStats) -> f64);

const SHARD_COUNTERS: [ShardCounter; 8] = [
    ("mesh_shard_cpu_seconds_total", "CPU time of the shard.", |s| {
        s.cpu_ns.load(Relaxed) as f64 / 1e9
    }),
    ("mesh_shard_slices_total", "Slices flushed.", |s| s.slices.load(Relaxed) as f64),
    ("mesh_shard_deadlines_total", "Deadlines met.", |s| s.deadlines.load(Relaxed) as f64),
    ("mesh_shard_deadline_late_seconds_total", "Lateness of the deadlines, summed.", |s| {
        s.deadline_late_ns.load(Relaxed) as f64 / 1e9
    }),
    ("mesh_shard_commands_total", "Commands taken.", |s| s.commands.load(Relaxed) as f64),
    ("mesh_shard_outputs_total", "Outputs for the control runtime.", |s| {
        s.outputs.load(Relaxed) as f64
    }),
    ("mesh_shard_outputs_overflowed_total", "Outputs that had to wait.", |s| {
        s.outputs_overflowed.load(Relaxed) as f64
    }),
    ("mesh_shard_outputs_lost_total", "Outputs that were lost.", |s| {
        s.outputs_lost.load(Relaxed) as f64
    }),
];

const TURN_SECONDS: (&str, &str) =
    ("mesh_shard_turn_seconds", "How long the busy part of a turn took.");

const KERNEL_DROPS: (&str, &str) =
    ("mesh_udp_kernel_drops_total", "Datagrams the kernel dropped: the receive buffer was full.");

/// Reads the shards' counters when Prometheus asks.
pub(super) struct ShardCollector {
    shards: Shards,
    descs: Vec<Desc>,
}

impl ShardCollector {
    pub(super) fn new(shards: Shards) -> Result<Self, MetricsError> {
        let sockets = SOCKET_COUNTERS.iter().map(|(n, h, _)| desc(n, h, &["shard", "socket"]));
        let shard = SHARD_COUNTERS.iter().map(|(n, h, _)| desc(n, h, &["shard"]));
        let drops = std::iter::once(desc(KERNEL_DROPS.0, KERNEL_DROPS.1, &["shard", "socket"]));
        let turns = std::iter::once(desc(TURN_SECONDS.0, TURN_SECONDS.1, &["shard"]));
        let descs = sockets.chain(shard).chain(drops).chain(turns).collect::<Result<_, _>>()?;
        Ok(Self { shards, descs })
    }
}

impl Collector for ShardCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if shards.is_empty() {
            return Vec::new();
        }
        let mut families = Vec::with_capacity(self.descs.len());
        for (name, help, read) in SOCKET_COUNTERS {
            families.push(by_socket(&shards, name, help, |s| read(s).load(Relaxed)));
        }
        let drops = kernel_drops();
        families.push(by_socket(&shards, KERNEL_DROPS.0, KERNEL_DROPS.1, |s| {
            drops.get(&s.port()).copied().unwrap_or(0)
        }));
        for (name, help, read) in SHARD_COUNTERS {
            let metrics = shards
                .iter()
                .map(|(shard, stats)| counter(vec![label("shard", shard)], read(stats)));
            families.push(family(name, help, proto::MetricType::COUNTER, metrics.collect()));
        }
        let turns = shards.iter().map(|(shard, stats)| turn_histogram(shard, stats)).collect();
        families.push(family(TURN_SECONDS.0, TURN_SECONDS.1, proto::MetricType::HISTOGRAM, turns));
        families
    }
}

fn by_socket(
    shards: &[(String, Arc<ShardStats>)],
    name: &str,
    help: &str,
    read: impl Fn(&SocketStats) -> u64,
) -> proto::MetricFamily {
    let metrics = shards.iter().flat_map(|(shard, stats)| {
        [("media", &stats.media), ("relay", &stats.relay)].map(|(socket, s)| {
            counter(vec![label("shard", shard), label("socket", socket)], read(s) as f64)
        })
    });
    family(name, help, proto::MetricType::COUNTER, metrics.collect())
}

fn turn_histogram(shard: &str, stats: &ShardStats) -> proto::Metric {
    let mut total = 0;
    let mut buckets = Vec::new();
    for (bound, count) in stats.turns.buckets() {
        total += count;
        if bound.is_infinite() {
            continue; // The encoder adds this one from the sample count.
        }
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(total);
        buckets.push(bucket);
    }
    let mut histogram = proto::Histogram::default();
    histogram.set_sample_count(total);
    histogram.set_sample_sum(stats.turns.sum().as_secs_f64());
    histogram.set_bucket(buckets);
    let mut metric = proto::Metric::from_label(vec![label("shard", shard)]);
    metric.set_histogram(histogram);
    metric
}
