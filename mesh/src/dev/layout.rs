//! Which nodes `mesh dev` runs.

use crate::config::RoleName;
use relay_proto::NodeId;
use serde::{Deserialize, Serialize};

/// Edges that can be added while it runs.
pub(crate) const SPARES: u32 = 8;
/// HTTP ports of origins begin this far above those of edges: 4 edges, 8 added ones, and a reserve.
const ORIGIN_PORTS: u16 = 20;
/// The region that has a second edge, when it is there.
const TWO_EDGES: &str = "eu-west-1";
/// Members of the topology service.
const VOTERS: usize = 3;
/// Regions at most: with the spares all node numbers stay far below the limit of fronts.
pub(crate) const REGIONS_MAX: usize = 12;

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodePlan {
    /// Its number.
    pub(crate) id: NodeId,
    /// Its name.
    pub(crate) name: String,
    /// What it does.
    pub(crate) role: RoleName,
    /// Where it stands, as the emulated network sees it.
    pub(crate) region: String,
    /// Its HTTP port; the UDP port of a member of the topology service.
    pub(crate) port: u16,
}

/// The members of the topology service: one in each of the first three regions. A majority of two is both of them, so two
/// regions have one member, too.
pub(crate) fn voters(regions: &[String]) -> Vec<NodePlan> {
    let count = if regions.len() < VOTERS { 1 } else { VOTERS };
    let voter = |region: &String| NodePlan {
        id: NodeId::NONE,
        name: format!("{region}-topology-1"),
        role: RoleName::Topology,
        region: region.clone(),
        port: 0,
    };
    regions.iter().take(count).map(voter).collect()
}

/// The nodes of a mesh over these regions: an edge and an origin each, a second edge in one. With a base of 0 the ports
/// are 0, too: they have to be chosen.
pub(crate) fn layout(regions: &[String], http_base: u16) -> Vec<NodePlan> {
    let two = regions.iter().position(|r| r == TWO_EDGES).unwrap_or(usize::from(regions.len() > 1));
    let mut nodes: Vec<NodePlan> = Vec::new();
    for (at, region) in regions.iter().enumerate() {
        for number in 1..=(1 + usize::from(at == two)) {
            let port = nodes.len() as u16;
            nodes.push(plan(nodes.len(), RoleName::Edge, region, number, http_base, port));
        }
    }
    for (at, region) in regions.iter().enumerate() {
        let port = ORIGIN_PORTS + at as u16;
        nodes.push(plan(nodes.len(), RoleName::Origin, region, 1, http_base, port));
    }
    nodes
}

/// One more edge beside `nodes`, if there is a spare number.
pub(crate) fn one_more(
    nodes: &[NodePlan],
    first_spare: u32,
    region: &str,
    http_base: u16,
) -> Option<NodePlan> {
    let used = |id: u32| nodes.iter().any(|n| n.id == NodeId(id));
    let id = (first_spare..first_spare + SPARES).find(|id| !used(*id))?;
    let edges = nodes.iter().filter(|n| n.role == RoleName::Edge);
    let in_region = edges.clone().filter(|n| n.region == region).count();
    let port = edges.count() as u16;
    let mut plan = plan(0, RoleName::Edge, region, in_region + 1, http_base, port);
    plan.id = NodeId(id);
    Some(plan)
}

fn plan(
    before: usize,
    role: RoleName,
    region: &str,
    number: usize,
    base: u16,
    offset: u16,
) -> NodePlan {
    NodePlan {
        id: NodeId(before as u32 + 1),
        name: format!("{region}-{}-{number}", role.as_str()),
        role,
        region: region.to_owned(),
        port: if base == 0 { 0 } else { base.saturating_add(offset) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn three_regions_have_four_edges_and_three_origins() {
        let nodes = layout(&regions(&["us-east-1", "eu-west-1", "ap-southeast-1"]), 8_080);
        let shown: Vec<_> = nodes.iter().map(|n| (n.id.0, n.name.as_str(), n.port)).collect();
        let expected = [
            (1, "us-east-1-edge-1", 8_080),
            (2, "eu-west-1-edge-1", 8_081),
            (3, "eu-west-1-edge-2", 8_082),
            (4, "ap-southeast-1-edge-1", 8_083),
            (5, "us-east-1-origin-1", 8_100),
            (6, "eu-west-1-origin-1", 8_101),
            (7, "ap-southeast-1-origin-1", 8_102),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn three_regions_have_a_voter_each_and_two_have_one_for_both() {
        let names = |of: &[&str]| -> Vec<String> {
            voters(&regions(of)).into_iter().map(|v| v.name).collect()
        };
        assert_eq!(names(&["a", "b", "c", "d"]), ["a-topology-1", "b-topology-1", "c-topology-1"]);
        assert_eq!(names(&["a", "b"]), ["a-topology-1"]);
    }

    #[test]
    fn added_edges_take_spare_numbers_and_the_next_ports_until_there_are_none() {
        let mut nodes = layout(&regions(&["a", "b"]), 8_080);
        for added in 0..SPARES {
            let more = one_more(&nodes, 6, "a", 8_080).unwrap();
            assert_eq!((more.id.0, more.port), (6 + added, 8_083 + added as u16));
            assert_eq!(more.name, format!("a-edge-{}", added + 2));
            nodes.push(more);
        }
        assert_eq!(one_more(&nodes, 6, "a", 8_080), None);
    }
}
