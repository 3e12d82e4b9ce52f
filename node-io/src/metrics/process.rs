//! The process as the kernel sees it: what a soak test watches.

use super::MetricsError;
use super::families::{counter, desc, family, gauge};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{MetricFamily, MetricType};
use std::time::{SystemTime, UNIX_EPOCH};

const CPU: (&str, &str) = ("process_cpu_seconds_total", "CPU time of the process.");
const MEMORY: (&str, &str) = ("process_resident_memory_bytes", "Resident memory.");
const FILES: (&str, &str) = ("process_open_fds", "Open file descriptors.");
const START: (&str, &str) = ("process_start_time_seconds", "When the process began, since 1970.");

/// Memory page of every machine this runs on.
const PAGE_BYTES: f64 = 4_096.0;

pub(super) struct ProcessCollector {
    descs: Vec<Desc>,
    started: f64,
}

impl ProcessCollector {
    pub(super) fn new() -> Result<Self, MetricsError> {
        let descs = [CPU, MEMORY, FILES, START].iter().map(|(n, h)| desc(n, h, &[]));
        let started =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        Ok(Self { descs: descs.collect::<Result<_, _>>()?, started })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        vec![
            family(CPU.0, CPU.1, MetricType::COUNTER, vec![counter(Vec::new(), cpu_seconds())]),
            family(MEMORY.0, MEMORY.1, MetricType::GAUGE, vec![gauge(resident_bytes())]),
            family(FILES.0, FILES.1, MetricType::GAUGE, vec![gauge(open_files())]),
            family(START.0, START.1, MetricType::GAUGE, vec![gauge(self.started)]),
        ]
    }
}

fn cpu_seconds() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// The second field of `/proc/self/statm`, in pages (proc(5)).
fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_ascii_whitespace().nth(1).and_then(|p| p.parse::<f64>().ok()).unwrap_or(0.0)
        * PAGE_BYTES
}

fn open_files() -> f64 {
    std::fs::read_dir("/proc/self/fd").map_or(0.0, |entries| entries.count() as f64)
}
