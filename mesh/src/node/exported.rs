//! A shard's report as Prometheus metrics.

use node_io::metrics::{Metrics, MetricsError};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};
use relay_proto::NodeId;
use relay_proto::links::LinkInfo;
use sfu_core::report::ShardReport;
use std::collections::{BTreeMap, BTreeSet};

/// How a value is read of one link.
type Read = fn(&LinkInfo) -> u64;

/// What is told of the links to one peer. All but `rtt_us` are summed over lanes.
const LINK: [(&str, Read); 15] = [
    ("up", |l| u64::from(l.up)),
    ("suspect", |l| u64::from(l.suspect)),
    ("rtt_us", |l| l.rtt.map_or(0, |rtt| rtt.as_micros() as u64)),
    ("lost", |l| l.counters.lost),
    ("peer_lost", |l| l.counters.peer_lost),
    ("packets_sent", |l| l.counters.datagrams_sent),
    ("packets_received", |l| l.counters.packets_received),
    ("queue_full", |l| l.counters.queue_full),
    ("queue_late", |l| l.counters.queue_late),
    ("not_up", |l| l.counters.not_up),
    ("oversize", |l| l.counters.oversize_sent),
    ("duplicates", |l| l.counters.duplicates),
    ("malformed", |l| l.counters.malformed),
    ("control_stale", |l| l.counters.control_stale),
    ("control_unknown", |l| l.counters.control_unknown),
];

type LinkValues = [u64; LINK.len()];

/// The metrics that reports fill.
pub(super) struct Exported {
    peers: IntGauge,
    meetings: IntGauge,
    hub: IntCounterVec,
    drops: IntCounterVec,
    relay: IntCounterVec,
    control: IntCounterVec,
    links: IntGaugeVec,
    flows: IntGaugeVec,
}

impl Exported {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            peers: metrics.int_gauge("mesh_peers", "Participants' peers")?,
            meetings: metrics.int_gauge("mesh_meetings", "Meetings with a hub here")?,
            hub: metrics.counter_vec(
                "mesh_hub_packets_total",
                "Packets through hubs, by way",
                &["way"],
            )?,
            drops: metrics.counter_vec(
                "mesh_drops_total",
                "Packets dropped, by reason",
                &["reason"],
            )?,
            relay: metrics.counter_vec(
                "mesh_relay_refused_total",
                "Datagrams and connections of the relay socket that no link took, by reason",
                &["reason"],
            )?,
            control: metrics.counter_vec(
                "mesh_control_refused_total",
                "Messages about meetings that neighbours were refused, by reason",
                &["reason"],
            )?,
            links: metrics.int_gauge_vec(
                "mesh_link",
                "State and counters of relay links, by peer; lanes are summed",
                &["peer", "what"],
            )?,
            flows: metrics.int_gauge_vec(
                "mesh_flows",
                "Flows being sent over links",
                &["peer", "kind"],
            )?,
        })
    }

    /// Takes a new report; `before` is the last one.
    pub(super) fn set(&self, report: &ShardReport, before: &ShardReport) {
        self.peers.set(report.peers as i64);
        self.meetings.set(report.meetings.len() as i64);
        let c = &report.counters;
        let ways = [
            ("ingested", c.ingested),
            ("forwarded", c.forwarded),
            ("relayed", c.relayed),
            ("resent", c.resent),
            ("key_requests", c.key_requests),
        ];
        raise(&self.hub, ways);
        raise(&self.drops, c.drops.iter().map(|(reason, count)| (reason.label(), count)));
        raise(&self.relay, report.relay.refusals());
        raise(&self.control, report.refused.by_reason());
        self.set_links(report, before);
        self.flows.reset();
        for flow in &report.flows {
            let kind = if flow.track.kind.is_audio() { "audio" } else { "video" };
            self.flows.with_label_values(&[flow.node.to_string().as_str(), kind]).inc();
        }
    }

    fn set_links(&self, report: &ShardReport, before: &ShardReport) {
        let now = by_peer(&report.links);
        // A link that only its peer wanted is forgotten when it is down: what is shown of it must not stay "up".
        let gone: BTreeSet<NodeId> =
            before.links.iter().map(|l| l.node).filter(|node| !now.contains_key(node)).collect();
        for node in gone {
            for (what, _) in &LINK[..3] {
                self.links.with_label_values(&[node.to_string().as_str(), *what]).set(0);
            }
        }
        for (node, values) in now {
            let peer = node.to_string();
            for ((what, _), value) in LINK.iter().zip(values) {
                self.links.with_label_values(&[peer.as_str(), *what]).set(value as i64);
            }
        }
    }
}

/// What is shown of each peer.
fn by_peer(links: &[LinkInfo]) -> BTreeMap<NodeId, LinkValues> {
    let mut peers: BTreeMap<NodeId, LinkValues> = BTreeMap::new();
    for link in links {
        let values = peers.entry(link.node).or_default();
        for (value, (what, read)) in values.iter_mut().zip(&LINK) {
            let of_link = read(link);
            *value = if *what == "rtt_us" { of_link.max(*value) } else { *value + of_link };
        }
    }
    peers
}

/// Brings counters to the totals that a shard keeps.
fn raise<'a>(counters: &IntCounterVec, totals: impl IntoIterator<Item = (&'a str, u64)>) {
    for (label, total) in totals {
        let counter = counters.with_label_values(&[label]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_proto::links::{Links, LinksConfig, LinksStats};
    use relay_proto::transport::dev::DevCa;
    use relay_proto::{Lane, NodeName, Now, NtpTime};
    use sfu_core::DropReason;
    use sfu_core::relay::RefusalCounters;
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    /// Two lanes of links to node 7, up, with some losses.
    fn two_lanes() -> Vec<LinkInfo> {
        let now = Now { mono: Instant::now(), wall: NtpTime(0) };
        let name =
            NodeName { trust_domain: "mesh.test".into(), region: "here".into(), node: NodeId(1) };
        let identity = DevCa::new([7; 32]).unwrap().issue(&name).unwrap();
        let mut links = Links::new(now, LinksConfig::new(name, 1, identity, [1; 32])).unwrap();
        let addr = SocketAddr::from(([10, 0, 0, 7], 4_000));
        for lane in [1, 2] {
            links.connect(now, NodeId(7), Lane(lane), addr);
        }
        let mut infos: Vec<LinkInfo> = links.iter_info().collect();
        for (info, lost) in infos.iter_mut().zip([3, 4]) {
            info.up = true;
            info.rtt = Some(Duration::from_millis(lost));
            info.counters.lost = lost;
        }
        infos
    }

    fn assert_shown(metrics: &Metrics, lines: &[&str]) {
        let text = metrics.render();
        for line in lines {
            assert!(text.lines().any(|l| l == *line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn what_was_refused_or_dropped_is_shown_by_reason() {
        let metrics = Metrics::new(&[]).unwrap();
        let exported = Exported::new(&metrics).unwrap();
        let mut report = ShardReport {
            relay: LinksStats { strays: 5, handshakes: 1, ..LinksStats::default() },
            refused: RefusalCounters { stale_epoch: 2, ..RefusalCounters::default() },
            ..ShardReport::default()
        };
        report.counters.drops.count_many(DropReason::SrtpAuth, 9);
        exported.set(&report, &ShardReport::default());
        let before = report.clone();
        report.relay.strays = 8;
        exported.set(&report, &before);
        assert_shown(
            &metrics,
            &[
                "# TYPE mesh_drops_total counter",
                "mesh_drops_total{reason=\"srtp_auth\"} 9",
                "mesh_drops_total{reason=\"limit\"} 0",
                "mesh_relay_refused_total{reason=\"stray\"} 8",
                "mesh_relay_refused_total{reason=\"handshake\"} 1",
                "mesh_relay_refused_total{reason=\"links_full\"} 0",
                "mesh_control_refused_total{reason=\"stale_epoch\"} 2",
                "mesh_control_refused_total{reason=\"loop\"} 0",
            ],
        );
    }

    #[test]
    fn lanes_of_one_peer_are_summed_and_a_link_that_is_gone_is_not_up() {
        let metrics = Metrics::new(&[]).unwrap();
        let exported = Exported::new(&metrics).unwrap();
        let report = ShardReport { links: two_lanes(), ..ShardReport::default() };
        exported.set(&report, &ShardReport::default());
        assert_shown(
            &metrics,
            &[
                "mesh_link{peer=\"7\",what=\"up\"} 2",
                "mesh_link{peer=\"7\",what=\"lost\"} 7",
                "mesh_link{peer=\"7\",what=\"rtt_us\"} 4000",
            ],
        );
        exported.set(&ShardReport::default(), &report);
        assert_shown(
            &metrics,
            &["mesh_link{peer=\"7\",what=\"up\"} 0", "mesh_link{peer=\"7\",what=\"lost\"} 7"],
        );
    }
}
