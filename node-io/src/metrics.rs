//! One Prometheus registry a process.

mod families;
mod kernel_drops;
mod process;
mod reading;
mod shards;

use crate::http::HttpServer;
use crate::stats::ShardStats;
use process::ProcessCollector;
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use reading::Reading;
use shards::ShardCollector;
use std::collections::HashMap;
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
        let labels: HashMap<String, String> =
            labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let registry = Registry::new_custom(None, Some(labels))?;
        let shards = Shards::default();
        registry.register(Box::new(ShardCollector::new(Arc::clone(&shards))?))?;
        registry.register(Box::new(ProcessCollector::new()?))?;
        Ok(Self { registry, shards })
    }

    /// The registry itself, for collectors of the caller's own.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Exports the counters of a shard under the label `shard`.
    pub fn add_shard(&self, name: impl Into<String>, stats: Arc<ShardStats>) {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).push((name.into(), stats));
    }

    /// Exports how many connections an HTTP server has closed because there were too many.
    ///
    /// # Errors
    /// When there is one already.
    pub fn add_http(&self, server: &HttpServer) -> Result<(), MetricsError> {
        let help = "HTTP connections closed: there were too many.";
        let reading = Reading::new("mesh_http_refused_total", help, server.refused_counter())?;
        self.registry.register(Box::new(reading))
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
