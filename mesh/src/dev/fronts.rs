//! Where the children find each other: addresses of the emulated network instead of the registered ones.

use super::layout::NodePlan;
use super::record::RoundTrip;
use super::wan::WanProxy;
use anyhow::Context;
use relay_proto::NodeId;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use topology::service::TopologyView;

/// Behind a front whose node has not registered yet: the discard port, where nobody listens.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// The fronts. They exist before the nodes do: a node's relay port is the kernel's choice, and its front is pointed there
/// when the node has registered.
pub(crate) struct Fronts {
    proxy: WanProxy,
    on: bool,
    regions: Vec<String>,
    /// Seen from a region, by node.
    addresses: BTreeMap<(String, NodeId), SocketAddr>,
}

impl Fronts {
    pub(crate) fn new(proxy: WanProxy, on: bool, regions: &[String]) -> Self {
        Self { proxy, on, regions: regions.to_vec(), addresses: BTreeMap::new() }
    }

    pub(crate) fn proxy(&self) -> WanProxy {
        self.proxy.clone()
    }

    /// What a node in `region` dials instead of each node's own address. Spare numbers have a front, too: an edge that is
    /// added later must be found by those that run already.
    pub(crate) fn via(
        &mut self,
        own: NodeId,
        region: &str,
        nodes: &[NodePlan],
        spares: impl Iterator<Item = u32>,
    ) -> anyhow::Result<BTreeMap<String, SocketAddr>> {
        let mut via = BTreeMap::new();
        if !self.on {
            return Ok(via);
        }
        let planned = nodes.iter().map(|n| (n.id, n.region.as_str()));
        let known: Vec<NodeId> = nodes.iter().map(|n| n.id).collect();
        let spare = spares.map(NodeId).filter(|id| !known.contains(id)).map(|id| (id, region));
        for (id, to) in planned.chain(spare).filter(|(id, _)| *id != own) {
            let key = (region.to_owned(), id);
            let front = match self.addresses.get(&key) {
                // It may have been pointed somewhere: only `point` moves it.
                Some(front) => *front,
                None => {
                    let front = self.proxy.front(region, &id.to_string(), to, NOBODY);
                    let front = front.context("wide-area network emulation")?;
                    self.addresses.insert(key, front);
                    front
                }
            };
            via.insert(id.to_string(), front);
        }
        Ok(via)
    }

    /// Points the fronts at the addresses that the nodes registered.
    pub(crate) fn point(&self, view: &TopologyView) {
        for node in view.nodes.values().filter(|_| self.on) {
            let Some(relay) = node.record.relay.first() else { continue };
            for from in &self.regions {
                let to = node.record.region.as_str();
                if let Err(error) = self.proxy.front(from, &node.id().to_string(), to, *relay) {
                    tracing::warn!(%error, node = %node.id(), from, "no front");
                }
            }
        }
    }

    /// The round trips in force, each pair once.
    pub(crate) fn round_trips(&self) -> Vec<RoundTrip> {
        let mut found = Vec::new();
        for (i, from) in self.regions.iter().enumerate() {
            for to in &self.regions[i + 1..] {
                let one_way = |a: &str, b: &str| self.proxy.params(a, b).map(|p| p.delay_us).ok();
                if let (Some(there), Some(back)) = (one_way(from, to), one_way(to, from)) {
                    let rtt_ms = (there + back) as f64 / 1_000.0;
                    found.push(RoundTrip { from: from.clone(), to: to.clone(), rtt_ms });
                }
            }
        }
        found
    }
}
