//! One Prometheus registry a process.

use crate::stats::{ShardStats, SocketStats};
use prometheus::core::{Collector, Desc};
use prometheus::proto;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A metric could not be registered: its name is malformed or taken.
pub type MetricsError = prometheus::Error;

type Shards = Arc<Mutex<Vec<(String, Arc<ShardStats>)>>>;

/// The registry of a process. Cloning gives the same one.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    shards: Shards,
}

impl Metrics {
    /// An empty registry; `labels` (node, region) stand on every metric.
    ///
    /// # Errors
    /// When a label's name is malformed.
    pub fn new(labels: &[(&str, &str)]) -> Result<Self, MetricsError> {
        let labels: HashMap<String, String> = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let registry = Registry::new_custom(None, Some(labels))?;
        let shards = Shards::default();
        registry.register(Box::new(ShardCollector::new(Arc::clone(&shards))?))?;
        Ok(Self { registry, shards })
    }

    /// The registry itself, for collectors of the caller's own.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Exports the counters of a shard under the label `shard`.
    pub fn add_shard(&self, name: impl Into<String>, stats: Arc<ShardStats>) {
        self.shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((name.into(), stats));
    }

    /// A counter.
    ///
    /// # Errors
    /// When the name is malformed or taken; so for all the following.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.registered(IntCounter::new(name, help)?)
    }

    /// A counter with labels.
    ///
    /// # Errors
    /// As for [`Self::counter`].
    pub fn counter_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        self.registered(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A whole number that goes up and down.
    ///
    /// # Errors
    /// As for [`Self::counter`].
    pub fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.registered(IntGauge::new(name, help)?)
    }

    /// Whole numbers with labels.
    ///
    /// # Errors
    /// As for [`Self::counter`].
    pub fn int_gauge_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, MetricsError> {
        self.registered(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A value.
    ///
    /// # Errors
    /// As for [`Self::counter`].
    pub fn gauge(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        self.registered(Gauge::new(name, help)?)
    }

    /// Values with labels.
    ///
    /// # Errors
    /// As for [`Self::counter`].
    pub fn gauge_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, MetricsError> {
        self.registered(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A distribution; `bounds` are the upper bounds of its buckets.
    ///
    /// # Errors
    /// As for [`Self::counter`].
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<Histogram, MetricsError> {
        self.registered(Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(bounds.to_vec()),
        )?)
    }

    /// Distributions with labels.
    ///
    /// # Errors
    /// As for [`Self::counter`].
    pub fn histogram_vec(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        bounds: &[f64],
    ) -> Result<HistogramVec, MetricsError> {
        self.registered(HistogramVec::new(
            HistogramOpts::new(name, help).buckets(bounds.to_vec()),
            labels,
        )?)
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::warn!(%error, "metrics could not be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn registered<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, MetricsError> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

/// A counter of each socket: name, help, where it stands.
type SocketCounter = (&'static str, &'static str, fn(&SocketStats) -> &AtomicU64);

const SOCKET_COUNTERS: [SocketCounter; 11] = [
    ("mesh_udp_datagrams_in_total", "Datagrams received.", |s| {
        &s.datagrams_in
    }),
    (
        "mesh_udp_bytes_in_total",
        "Bytes received in datagrams.",
        |s| &s.bytes_in,
    ),
    (
        "mesh_udp_recv_calls_total",
        "Receive calls that brought something.",
        |s| &s.recv_calls,
    ),
    (
        "mesh_udp_recv_errors_total",
        "Receive calls that failed.",
        |s| &s.recv_errors,
    ),
    ("mesh_udp_datagrams_out_total", "Datagrams sent.", |s| {
        &s.datagrams_out
    }),
    (
        "mesh_udp_bytes_out_total",
        "Bytes sent in datagrams.",
        |s| &s.bytes_out,
    ),
    ("mesh_udp_send_calls_total", "Send calls.", |s| {
        &s.send_calls
    }),
    (
        "mesh_udp_send_errors_total",
        "Datagrams dropped: the kernel refused them.",
        |s| &s.send_errors,
    ),
    (
        "mesh_udp_send_full_total",
        "Datagrams dropped: the send buffer stayed full.",
        |s| &s.send_full,
    ),
    (
        "mesh_udp_send_waits_total",
        "Slices that waited for the send buffer.",
        |s| &s.send_waits,
    ),
    (
        "mesh_udp_gso_fallbacks_total",
        "Times segmentation offload was given up.",
        |s| &s.gso_fallbacks,
    ),
];

/// A counter of a shard: name, help, its value.
type ShardCounter = (&'static str, &'static str, fn(&ShardStats) -> f64);

const SHARD_COUNTERS: [ShardCounter; 8] = [
    (
        "mesh_shard_cpu_seconds_total",
        "CPU time of the shard.",
        |s| s.cpu_ns.load(Relaxed) as f64 / 1e9,
    ),
    ("mesh_shard_slices_total", "Slices flushed.", |s| {
        s.slices.load(Relaxed) as f64
    }),
    ("mesh_shard_deadlines_total", "Deadlines met.", |s| {
        s.deadlines.load(Relaxed) as f64
    }),
    (
        "mesh_shard_deadline_late_seconds_total",
        "Lateness of the deadlines, summed.",
        |s| s.deadline_late_ns.load(Relaxed) as f64 / 1e9,
    ),
    ("mesh_shard_commands_total", "Commands taken.", |s| {
        s.commands.load(Relaxed) as f64
    }),
    (
        "mesh_shard_outputs_total",
        "Outputs for the control runtime.",
        |s| s.outputs.load(Relaxed) as f64,
    ),
    (
        "mesh_shard_outputs_overflowed_total",
        "Outputs that had to wait.",
        |s| s.outputs_overflowed.load(Relaxed) as f64,
    ),
    (
        "mesh_shard_outputs_lost_total",
        "Outputs that were lost.",
        |s| s.outputs_lost.load(Relaxed) as f64,
    ),
];

const TURN_SECONDS: (&str, &str) = (
    "mesh_shard_turn_seconds",
    "How long the busy part of a turn took.",
);

/// Reads the shards' counters when Prometheus asks.
struct ShardCollector {
    shards: Shards,
    descs: Vec<Desc>,
}

impl ShardCollector {
    fn new(shards: Shards) -> Result<Self, MetricsError> {
        let desc = |name: &str, help: &str, labels: &[&str]| {
            let labels = labels.iter().map(|l| (*l).to_owned()).collect();
            Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())
        };
        let sockets = SOCKET_COUNTERS
            .iter()
            .map(|(n, h, _)| desc(n, h, &["shard", "socket"]));
        let shard = SHARD_COUNTERS
            .iter()
            .map(|(n, h, _)| desc(n, h, &["shard"]));
        let turns = std::iter::once(desc(TURN_SECONDS.0, TURN_SECONDS.1, &["shard"]));
        let descs = sockets
            .chain(shard)
            .chain(turns)
            .collect::<Result<_, _>>()?;
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
            let metrics = shards.iter().flat_map(|(shard, stats)| {
                [("media", &stats.media), ("relay", &stats.relay)].map(|(socket, s)| {
                    counter(
                        vec![label("shard", shard), label("socket", socket)],
                        read(s).load(Relaxed) as f64,
                    )
                })
            });
            families.push(family(
                name,
                help,
                proto::MetricType::COUNTER,
                metrics.collect(),
            ));
        }
        for (name, help, read) in SHARD_COUNTERS {
            let metrics = shards
                .iter()
                .map(|(shard, stats)| counter(vec![label("shard", shard)], read(stats)));
            families.push(family(
                name,
                help,
                proto::MetricType::COUNTER,
                metrics.collect(),
            ));
        }
        let turns = shards
            .iter()
            .map(|(shard, stats)| turn_histogram(shard, stats))
            .collect();
        families.push(family(
            TURN_SECONDS.0,
            TURN_SECONDS.1,
            proto::MetricType::HISTOGRAM,
            turns,
        ));
        families
    }
}

fn label(name: &str, value: &str) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn counter(labels: Vec<proto::LabelPair>, value: f64) -> proto::Metric {
    let mut counter = proto::Counter::default();
    counter.set_value(value);
    let mut metric = proto::Metric::from_label(labels);
    metric.set_counter(counter);
    metric
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

fn family(
    name: &str,
    help: &str,
    kind: proto::MetricType,
    metrics: Vec<proto::Metric>,
) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}
