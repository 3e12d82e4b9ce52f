//! How the shard stands, as metrics and as JSON for those who look.

use super::exported::Exported;
use axum::Router;
use axum::routing::get;
use node_io::MailboxSender;
use node_io::metrics::Metrics;
use serde_json::{Value, json};
use sfu_core::report::ShardReport;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Reports are asked for this often: metrics are scraped every few seconds, and people watch at this rate.
const EVERY: Duration = Duration::from_millis(250);

/// The last report of a node's shard.
#[derive(Clone)]
pub(super) struct Reports {
    last: Arc<Mutex<ShardReport>>,
    exported: Arc<Exported>,
}

impl Reports {
    pub(super) fn new(metrics: &Metrics) -> anyhow::Result<Self> {
        Ok(Self { last: Arc::default(), exported: Arc::new(Exported::new(metrics)?) })
    }

    /// Takes a new report.
    pub(super) fn set(&self, report: ShardReport) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.exported.set(&report, &last);
        *last = report;
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
        let relay: BTreeMap<_, _> = report.relay.refusals().into();
        let refused: BTreeMap<_, _> = report.refused.by_reason().into();
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
                "relayRefused": relay,
                "controlRefused": refused,
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
