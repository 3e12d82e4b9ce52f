//! Where a joiner should go: edges in order, the nearest region first.

use super::limits::{EDGES_MAX, EDGES_PER_REGION_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use topology::model::{Node, NodeState, Region, Role, RttTable};
use topology::service::TopologyView;
use utoipa::ToSchema;

/// An edge that takes the join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeChoice {
    /// Its page and API.
    pub url: String,
    /// Its WebSocket: say `join` with the token there.
    pub signal_url: String,
    /// Its region.
    pub region: String,
    /// Its name.
    pub node: String,
    /// Round trip between the joiner's region and this one, in milliseconds, as the topology's table has it. Measure, and choose
    /// by what you measured.
    pub rtt_ms: f64,
}

/// Online edges as seen from `from`: nearest region first, in a region the least busy first.
pub(super) fn nearest(view: &TopologyView, from: &Region, rtt: &RttTable) -> Vec<EdgeChoice> {
    let usable =
        |n: &&Arc<Node>| n.record.role == Role::Edge && n.state == NodeState::Online && !n.draining;
    let mut edges: Vec<_> = view
        .nodes
        .values()
        .filter(usable)
        .map(|n| (rtt.rtt_us(from, &n.record.region), n))
        .collect();
    edges.sort_by_key(|(rtt_us, n)| (*rtt_us, n.predicted_permille(), n.id()));
    let mut named: BTreeMap<&Region, usize> = BTreeMap::new();
    edges.retain(|(_, n)| {
        let count = named.entry(&n.record.region).or_default();
        *count += 1;
        *count <= EDGES_PER_REGION_MAX
    });
    edges.truncate(EDGES_MAX);
    edges.into_iter().map(|(rtt_us, n)| choice(rtt_us, n)).collect()
}

fn choice(rtt_us: u32, node: &Node) -> EdgeChoice {
    EdgeChoice {
        url: node.record.http_url.clone(),
        signal_url: node.record.signal_url.clone(),
        region: node.record.region.to_string(),
        node: node.record.name.clone(),
        rtt_ms: f64::from(rtt_us) / 1_000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_proto::NodeId;
    use topology::model::{Load, NodeRecord};

    fn region(name: &str) -> Region {
        Region::new(name).unwrap()
    }

    fn edge(id: u32, at: &str, used_permille: u16) -> Node {
        Node {
            record: NodeRecord {
                id: NodeId(id),
                name: format!("edge {id}"),
                role: Role::Edge,
                region: region(at),
                http_url: format!("https://e{id}.example.net"),
                signal_url: format!("wss://e{id}.example.net/v1/signal"),
                media: "192.0.2.1:1".parse().unwrap(),
                relay: Vec::new(),
                instance: 1,
                capacity: 1_000,
            },
            state: NodeState::Online,
            draining: false,
            load: Load { used_permille, carried: 0 },
            placed_since_report: 0,
            registered_ms: 0,
        }
    }

    fn view(nodes: Vec<Node>) -> TopologyView {
        let nodes = nodes.into_iter().map(|n| (n.id(), Arc::new(n))).collect();
        TopologyView { nodes, ..TopologyView::default() }
    }

    fn names(view: &TopologyView, from: &str) -> Vec<String> {
        let table = RttTable::default()
            .with(region("eu"), region("us"), 80_000)
            .with(region("eu"), region("ap"), 160_000)
            .with(region("us"), region("ap"), 170_000);
        nearest(view, &region(from), &table).into_iter().map(|e| e.node).collect()
    }

    #[test]
    fn the_nearest_region_comes_first_and_in_it_the_least_busy() {
        let view = view(vec![
            edge(1, "us", 0),
            edge(2, "ap", 0),
            edge(3, "eu", 700),
            edge(4, "eu", 100),
            edge(5, "eu", 900),
        ]);
        assert_eq!(names(&view, "eu"), ["edge 4", "edge 3", "edge 1", "edge 2"]);
        assert_eq!(names(&view, "ap"), ["edge 2", "edge 4", "edge 3", "edge 1"]);
    }

    #[test]
    fn edges_that_are_gone_leave_or_are_origins_are_not_named() {
        let mut nodes =
            vec![edge(1, "eu", 0), edge(2, "eu", 0), edge(3, "eu", 0), edge(4, "us", 0)];
        nodes[0].state = NodeState::Suspect;
        nodes[1].draining = true;
        nodes[2].record.role = Role::Origin;
        assert_eq!(names(&view(nodes), "eu"), ["edge 4"]);
    }

    #[test]
    fn a_large_mesh_names_a_few_edges() {
        let many = (1..40).map(|n| edge(n, &format!("r{}", n / 4), 0)).collect();
        assert_eq!(names(&view(many), "r3").len(), EDGES_MAX);
    }
}
