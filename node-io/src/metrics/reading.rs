//! A counter that somebody else keeps, read when Prometheus asks.

use super::MetricsError;
use super::families::{counter, desc, family};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(super) struct Reading {
    name: &'static str,
    help: &'static str,
    desc: Desc,
    count: Arc<AtomicU64>,
}

impl Reading {
    pub(super) fn new(
        name: &'static str,
        help: &'static str,
        count: Arc<AtomicU64>,
    ) -> Result<Self, MetricsError> {
        Ok(Self { name, help, desc: desc(name, help, &[])?, count })
    }
}

impl Collector for Reading {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let value = self.count.load(Relaxed) as f64;
        let metrics = vec![counter(Vec::new(), value)];
        vec![family(self.name, self.help, MetricType::COUNTER, metrics)]
    }
}
