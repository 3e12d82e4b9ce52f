//! The nodes of the mesh as their metrics say: CPU, packets, drops, links.

use crate::dev::http::Http;
use std::collections::BTreeMap;
use std::time::Instant;

/// A node that is watched.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) name: String,
    /// Its HTTP.
    pub(super) url: String,
    pub(super) edge: bool,
}

/// Counters of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) cpu_s: f64,
    pub(super) shard_cpu_s: f64,
    pub(super) memory_bytes: f64,
    pub(super) ingested: f64,
    pub(super) forwarded: f64,
    pub(super) relayed: f64,
    pub(super) resent: f64,
    pub(super) key_requests: f64,
    pub(super) kernel_drops: f64,
    pub(super) send_drops: f64,
    pub(super) link_lost: f64,
    pub(super) link_queue: f64,
    pub(super) drops: BTreeMap<String, f64>,
}

/// All nodes at one moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) at: Instant,
    /// By node, in the order of [`Watched`]; `None`: it did not answer.
    pub(super) nodes: Vec<Option<Counters>>,
    /// Busy and all ticks of this machine.
    machine: Option<(u64, u64)>,
}

/// Reads all nodes.
pub(super) async fn read(nodes: &[Watched]) -> Reading {
    let http = Http::new();
    let mut counters = Vec::new();
    for node in nodes {
        let url = format!("{}/metrics", node.url.trim_end_matches('/'));
        let text = http.get(&url).await.ok().filter(|(status, _)| status.is_success());
        counters.push(text.map(|(_, text)| parse(&text)));
    }
    Reading { at: Instant::now(), nodes: counters, machine: machine() }
}

/// Prometheus' text, as far as it is of interest.
fn parse(text: &str) -> Counters {
    let mut c = Counters::default();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let Some((key, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (name, labels) = key.split_once('{').unwrap_or((key, ""));
        let label = |which: &str| {
            let (_, rest) = labels.split_once(&format!("{which}=\""))?;
            rest.split('"').next()
        };
        match (name, label("way").or_else(|| label("what")).unwrap_or_default()) {
            ("process_cpu_seconds_total", _) => c.cpu_s += value,
            ("mesh_shard_cpu_seconds_total", _) => c.shard_cpu_s += value,
            ("process_resident_memory_bytes", _) => c.memory_bytes += value,
            ("mesh_hub_packets_total", "ingested") => c.ingested += value,
            ("mesh_hub_packets_total", "forwarded") => c.forwarded += value,
            ("mesh_hub_packets_total", "relayed") => c.relayed += value,
            ("mesh_hub_packets_total", "resent") => c.resent += value,
            ("mesh_hub_packets_total", "key_requests") => c.key_requests += value,
            ("mesh_udp_kernel_drops_total", _) => c.kernel_drops += value,
            ("mesh_udp_send_errors_total" | "mesh_udp_send_full_total", _) => c.send_drops += value,
            ("mesh_link", "lost") => c.link_lost += value,
            ("mesh_link", "queue_full" | "queue_late") => c.link_queue += value,
            ("mesh_drops_total", _) => {
                let reason = label("reason").unwrap_or("?").to_owned();
                *c.drops.entry(reason).or_default() += value;
            }
            _ => {}
        }
    }
    c
}

impl Counters {
    /// What has happened since `before`; memory is as it is.
    pub(super) fn since(&self, before: &Self) -> Self {
        let drops = self.drops.iter().map(|(reason, n)| {
            (reason.clone(), n - before.drops.get(reason).copied().unwrap_or_default())
        });
        Self {
            cpu_s: self.cpu_s - before.cpu_s,
            shard_cpu_s: self.shard_cpu_s - before.shard_cpu_s,
            memory_bytes: self.memory_bytes,
            ingested: self.ingested - before.ingested,
            forwarded: self.forwarded - before.forwarded,
            relayed: self.relayed - before.relayed,
            resent: self.resent - before.resent,
            key_requests: self.key_requests - before.key_requests,
            kernel_drops: self.kernel_drops - before.kernel_drops,
            send_drops: self.send_drops - before.send_drops,
            link_lost: self.link_lost - before.link_lost,
            link_queue: self.link_queue - before.link_queue,
            drops: drops.filter(|(_, n)| *n > 0.0).collect(),
        }
    }
}

impl Reading {
    /// By node, what has happened since `before`; seconds between the two.
    pub(super) fn since(&self, before: &Self) -> (Vec<Option<Counters>>, f64) {
        let pairs = self.nodes.iter().zip(&before.nodes);
        let nodes = pairs.map(|(now, then)| Some(now.as_ref()?.since(then.as_ref()?))).collect();
        (nodes, (self.at - before.at).as_secs_f64())
    }

    /// How busy this machine's processors were since `before`, 0 to 1.
    pub(super) fn busy_since(&self, before: &Self) -> Option<f64> {
        let ((busy, all), (busy_then, all_then)) = (self.machine?, before.machine?);
        let ticks = all.checked_sub(all_then).filter(|t| *t > 0)?;
        Some((busy - busy_then) as f64 / ticks as f64)
    }
}

/// The first line of `/proc/stat` (proc(5)): user nice system idle iowait irq softirq steal.
fn machine() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> = text
        .lines()
        .next()?
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|f| f.parse().ok())
        .collect();
    let all: u64 = fields.iter().sum();
    let idle = fields.get(3)? + fields.get(4)?;
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_and_subtracted() {
        let text = "# HELP x\nprocess_cpu_seconds_total{node=\"a\"} 2.5\n\
            mesh_hub_packets_total{node=\"a\",way=\"forwarded\"} 100\nmesh_link{peer=\"5\",what=\"lost\"} 1\n\
            mesh_link{peer=\"6\",what=\"queue_late\"} 2\nmesh_drops_total{reason=\"replay\"} 7\nother 1\nbroken\n";
        let then = parse(text);
        assert_eq!(
            (then.cpu_s, then.forwarded, then.link_lost, then.link_queue),
            (2.5, 100.0, 1.0, 2.0)
        );
        let now = parse(&text.replace("100", "150").replace("2.5", "3"));
        let between = now.since(&then);
        assert_eq!((between.cpu_s, between.forwarded, between.drops.len()), (0.5, 50.0, 0));
    }

    #[test]
    fn this_machine_has_processors() {
        let (busy, all) = machine().unwrap();
        assert!(busy > 0 && all > busy);
    }
}
