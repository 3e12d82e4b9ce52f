//! Whether a scenario makes sense.

use super::{GroupSpec, NodeRole, Scenario};
use crate::regions;
use std::ops::Range;

type Problem = (Option<Range<usize>>, String);

/// Nodes of one world.
const NODES_MAX: usize = 1_000;
/// Participants of one world: stamps number them with 16 bits.
const PARTICIPANTS_MAX: usize = 60_000;
/// Receive slots for pictures: an offer has at most 64 m-lines.
const VIDEO_SLOTS_MAX: usize = 50;

fn fail<T>(problem: impl Into<String>) -> Result<T, Problem> {
    Err((None, problem.into()))
}

pub(super) fn check(s: &Scenario) -> Result<(), Problem> {
    if !(0.0..=86_400.0).contains(&s.duration_s) {
        return fail("duration_s must be between 0 and 86400");
    }
    let origins = s.node.iter().filter(|n| n.role == NodeRole::Origin).count();
    if origins != 1 {
        return fail(format!(
            "there must be exactly one [[node]] with role = \"origin\", not {origins}"
        ));
    }
    if s.node.len() > NODES_MAX {
        return fail(format!("{} nodes are too many: at most {NODES_MAX}", s.node.len()));
    }
    for (i, node) in s.node.iter().enumerate() {
        region(&node.region)?;
        if s.node[..i].iter().any(|n| n.name == node.name) {
            return fail(format!("two nodes are called {:?}", node.name));
        }
    }
    for group in &s.group {
        check_group(s, group)?;
    }
    if s.group.iter().map(|g| g.count).sum::<usize>() > PARTICIPANTS_MAX {
        return fail(format!("more than {PARTICIPANTS_MAX} participants"));
    }
    for path in &s.path {
        for name in [&path.from, &path.to] {
            if s.node_index(name.as_ref()).is_none() {
                return Err((Some(name.span()), format!("there is no node {:?}", name.as_ref())));
            }
        }
    }
    for (what, [low, high]) in [("turn_ms", s.talk.turn_ms), ("gap_ms", s.talk.gap_ms)] {
        if low > high || (what == "turn_ms" && low == 0) {
            return fail(format!("talk.{what} must be [shortest, longest]"));
        }
    }
    Ok(())
}

fn region(name: &toml::Spanned<String>) -> Result<(), Problem> {
    let table = regions::default_table();
    if table.index_of(name.as_ref()).is_some() {
        return Ok(());
    }
    let known = table.regions().join(", ");
    Err((Some(name.span()), format!("there is no region {:?}; known are {known}", name.as_ref())))
}

fn check_group(s: &Scenario, group: &GroupSpec) -> Result<(), Problem> {
    region(&group.region)?;
    let is_edge = |name: &str| s.node.iter().any(|n| n.name == name && n.role == NodeRole::Edge);
    for name in &group.edges {
        if !is_edge(name.as_ref()) {
            return Err((Some(name.span()), format!("there is no edge {:?}", name.as_ref())));
        }
    }
    let here = |n: &super::NodeSpec| {
        n.role == NodeRole::Edge && n.region.as_ref() == group.region.as_ref()
    };
    if group.edges.is_empty() && !s.node.iter().any(here) {
        let problem = format!(
            "there is no edge in {:?}: name some with edges = [...]",
            group.region.as_ref()
        );
        return Err((Some(group.region.span()), problem));
    }
    if group.cameras > group.count {
        return fail(format!("group {:?} has more cameras than participants", group.name));
    }
    if group.video_slots > VIDEO_SLOTS_MAX {
        return fail(format!("group {:?} has more than {VIDEO_SLOTS_MAX} video slots", group.name));
    }
    Ok(())
}
