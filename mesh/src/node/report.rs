//! How the shard stands, as metrics and as JSON for those who look.

use axum::Router;
use axum::routing::get;
use node_io::MailboxSender;
use node_io::metrics::Metrics;
use prometheus::{IntGauge, IntGaugeVec};
use serde_json::{Value, json};
use sfu_core::report::ShardReport;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Reports are asked for this often: metrics are scraped every few seconds, and people watch at this rate.
const EVERY: Duration = Duration::from_millis(250);

/// The last report of a node's shard.
#[derive(Clone)]
pub(super) struct Reports {
    last: Arc<Mutex<ShardReport>>,
    gauges: Arc<Gauges>,
}

struct Gauges {
    peers: IntGauge,
    meetings: IntGauge,
    hub: IntGaugeVec,
    drops: IntGaugeVec,
    links: IntGaugeVec,
    flows: IntGaugeVec,
}

impl Reports {
    pub(super) fn new(metrics: &Metrics) -> anyhow::Result<Self> {
        let gauges = Gauges {
            peers: metrics.int_gauge("mesh_peers", "Participants' peers")?,
            meetings: metrics.int_gauge("mesh_meetings", "Meetings with a hub here")?,
            hub: metrics.int_gauge_vec(
                "mesh_hub_packets",
                "Packets through hubs since the start, by way",
                &["way"],
            )?,
            drops: metrics.int_gauge_vec(
                "mesh_drops",
                "Packets dropped since the start, by reason",
                &["reason"],
            )?,
            links: metrics.int_gauge_vec(
                "mesh_link",
                "State and counters of relay links",
                &["peer", "what"],
            )?,
            flows: metrics.int_gauge_vec(
                "mesh_flows",
                "Flows being sent over links",
                &["peer", "kind"],
            )?,
        };
        Ok(Self { last: Arc::default(), gauges: Arc::new(gauges) })
    }

    /// Takes a new report.
    pub(super) fn set(&self, report: ShardReport) {
        let g = &self.gauges;
        g.peers.set(report.peers as i64);
        g.meetings.set(report.meetings.len() as i64);
        let c = &report.counters;
        let ways = [
            ("ingested", c.ingested),
            ("forwarded", c.forwarded),
            ("relayed", c.relayed),
            ("resent", c.resent),
            ("key_requests", c.key_requests),
        ];
        for (way, count) in ways {
            g.hub.with_label_values(&[way]).set(count as i64);
        }
        for (reason, count) in c.drops.iter() {
            g.drops.with_label_values(&[reason.label()]).set(count as i64);
        }
        for link in &report.links {
            let peer = link.node.to_string();
            let rtt = link.rtt.map_or(0, |rtt| rtt.as_micros() as i64);
            let values = [
                ("up", i64::from(link.up)),
                ("rtt_us", rtt),
                ("lost", link.counters.lost as i64),
                ("packets_sent", link.counters.datagrams_sent as i64),
                ("packets_received", link.counters.packets_received as i64),
                ("queue_full", link.counters.queue_full as i64),
                ("queue_late", link.counters.queue_late as i64),
            ];
            for (what, value) in values {
                g.links.with_label_values(&[peer.as_str(), what]).set(value);
            }
        }
        g.flows.reset();
        for flow in &report.flows {
            let kind = if flow.track.kind.is_audio() { "audio" } else { "video" };
            g.flows.with_label_values(&[flow.node.to_string().as_str(), kind]).inc();
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    /// Participants (edge) or links (origin) now.
    pub(super) fn carried(&self) -> u32 {
        let report = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let links = report.links.iter().filter(|l| l.up).count();
        if report.members > 0 || report.peers == 0 { links as u32 } else { report.peers as u32 }
    }

    fn json(&self) -> Value {
        let report = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let drops: serde_json::Map<String, Value> = report
            .counters
            .drops
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(r, n)| (r.label().to_owned(), n.into()))
            .collect();
        json!({
            "peers": report.peers,
            "members": report.members,
            "counters": {
                "ingested": report.counters.ingested,
                "forwarded": report.counters.forwarded,
                "relayed": report.counters.relayed,
                "resent": report.counters.resent,
                "keyRequests": report.counters.key_requests,
                "drops": drops,
            },
            "meetings": report.meetings.iter().map(|m| json!({
                "meeting": m.meeting, "main": m.main,
                "keyRequests": m.counters.key_requests, "ingested": m.counters.ingested,
                "forwarded": m.counters.forwarded, "relayed": m.counters.relayed,
            })).collect::<Vec<_>>(),
            "links": report.links.iter().map(|l| json!({
                "node": l.node, "region": l.region, "up": l.up, "suspect": l.suspect,
                "rttUs": l.rtt.map(|r| r.as_micros() as u64), "clockOffsetUs": l.clock_offset_us,
                "packetsIn": l.counters.packets_in, "datagramsSent": l.counters.datagrams_sent,
                "packetsReceived": l.counters.packets_received, "lost": l.counters.lost,
                "queueFull": l.counters.queue_full, "queueLate": l.counters.queue_late,
                "oversize": l.counters.oversize_sent, "malformed": l.counters.malformed,
            })).collect::<Vec<_>>(),
            "flows": report.flows.iter().map(|f| json!({
                "meeting": f.meeting, "node": f.node, "participant": f.track.participant,
                "kind": f.track.kind, "rid": f.encoding.rid(), "packets": f.packets, "pushed": f.pushed,
            })).collect::<Vec<_>>(),
        })
    }
}

/// `/debug/shard`: the last report as JSON.
pub(super) fn debug_router(reports: Reports) -> Router {
    Router::new().route("/debug/shard", get(move || std::future::ready(axum::Json(reports.json()))))
}

/// Asks the shard for a report, again and again.
pub(super) async fn poll<C: Send + 'static>(commands: MailboxSender<C>, make: impl Fn() -> C) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        // A full mailbox has better things to carry.
        let _ = commands.try_send(make());
    }
}
