//! Scenarios in a line or two, and questions to ask of a report.

use edge_sfu::signal::SlotRole;
use relay_proto::{Encoding, ParticipantId, TrackKind};
use simulator::observe::FlowSpan;
use simulator::talk::Turn;
use simulator::{Report, Scenario, SimTime, Stage, World};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Origin in us-east-1, edges as given by name and region.
pub(crate) fn nodes(edges: &[(&str, &str)]) -> String {
    let mut text = node("origin", "origin", "us-east-1");
    for (name, region) in edges {
        text += &node(name, "edge", region);
    }
    text
}

fn node(name: &str, role: &str, region: &str) -> String {
    format!("[[node]]\nname = {name:?}\nrole = {role:?}\nregion = {region:?}\n")
}

/// People at one edge, 3 ms from it.
pub(crate) fn group(edge: &str, region: &str, count: usize, cameras: usize) -> String {
    format!(
        "[[group]]\nname = {edge:?}\nregion = {region:?}\nedges = [{edge:?}]\ncount = {count}\ncameras = {cameras}\n\
         access = {{ delay_us = 3000 }}\n"
    )
}

pub(crate) fn scenario(seconds: u32, seed: u64, parts: &[String]) -> Scenario {
    let head =
        format!("name = \"test\"\nduration_s = {seconds}\nseed = {seed}\npath_jitter_us = 200\n");
    Scenario::parse(&format!("{head}[talk]\nwho = \"nobody\"\n{}", parts.concat())).unwrap()
}

/// A turn in milliseconds.
pub(crate) fn turn(speaker: usize, from_ms: u64, to_ms: u64, level: u8) -> Turn {
    Turn::new(speaker, SimTime::from_ms(from_ms), SimTime::from_ms(to_ms), level)
}

pub(crate) fn run(scenario: Scenario, turns: Vec<Turn>) -> Report {
    let report =
        World::builder(Instant::now()).scenario(scenario).turns(turns).build().unwrap().run();
    assert_sound(&report);
    report
}

/// What must hold in every world.
pub(crate) fn assert_sound(report: &Report) {
    assert!(report.conserved(), "packets appeared or vanished on a link");
    assert_eq!(report.unroutable, 0);
    for node in &report.nodes {
        assert_eq!(node.stuck, 0, "{}: a deadline that was served must move", node.name);
    }
    for p in &report.participants {
        assert_eq!(p.problems, [""; 0], "{}", p.name);
        assert_eq!(p.stage, Stage::Connected, "{}", p.name);
        assert_eq!(p.own_packets, 0, "{} met themself", p.name);
        assert_eq!((p.mislabelled, p.unknown_packets), (0, 0), "{}", p.name);
    }
    let up = |from: usize, to: usize| {
        to == report.origin || report.nodes[from].region == report.nodes[to].region
    };
    for (&(from, to), &count) in &report.log.voices_max {
        let most = if from != report.origin && up(from, to) && to == report.origin { 3 } else { 4 };
        assert!(count <= most, "{count} voices from {from} to {to}");
    }
    let unwanted = unwanted_flows(report);
    assert!(unwanted.is_empty(), "video without demand: {unwanted:?}");
}

/// Nothing was lost, nobody's first word was cut, and nobody heard a gap.
pub(crate) fn assert_everybody_heard_every_turn(report: &Report) {
    let end = SimTime(report.time.0 - SimTime::from_ms(1_000).0);
    for turn in report.turns.iter().filter(|t| t.end < end) {
        let (speaker, spoken) = report.spoken(turn.number).expect("spoken");
        for (place, p) in
            report.participants.iter().enumerate().filter(|(place, _)| *place != speaker)
        {
            assert!(
                p.connected_at.unwrap() < spoken.onset,
                "{} came too late for this test",
                p.name
            );
            let heard = p.heard.get(&(speaker, turn.number));
            let heard =
                heard.unwrap_or_else(|| panic!("{} did not hear turn {}", p.name, turn.number));
            assert_eq!(heard.first, 0, "{place} missed the first word of turn {}", turn.number);
            assert!(
                heard.longest_gap <= Duration::from_millis(60),
                "{place}, turn {}: {heard:?}",
                turn.number
            );
            assert_eq!(
                heard.last + 1,
                spoken.packets,
                "{place} missed the last word of turn {}",
                turn.number
            );
        }
    }
}

/// A slot changes hands while the demand for what it showed, or will show, is under way: two ways across the
/// sea, the replay of a cache, and the layout's own patience of 2 s.
const DEMAND_SLACK: Duration = Duration::from_millis(3_500);

/// Flows of video, not pushed, that nobody behind the receiving node watched.
pub(crate) fn unwanted_flows(report: &Report) -> Vec<FlowSpan> {
    let watched = watched(report);
    let is_wanted = |span: &FlowSpan| {
        let key = (span.track.participant, span.encoding);
        let spans = watched.get(&key).map(Vec::as_slice).unwrap_or_default();
        let near = |at: SimTime| {
            spans.iter().any(|(edge, from, to)| {
                is_behind(report, span, *edge)
                    && at.plus(DEMAND_SLACK) >= *from
                    && at <= to.plus(DEMAND_SLACK)
            })
        };
        let steps = 0..=span.end.since(span.start).as_secs();
        steps.map(|s| span.start.plus(Duration::from_secs(s))).all(near) && near(span.end)
    };
    let video = report.log.flows.iter().filter(|f| f.track.kind == TrackKind::Camera && !f.pushed);
    video.filter(|span| !is_wanted(span)).copied().collect()
}

/// Whether packets that cross this way can be for viewers at `edge`.
fn is_behind(report: &Report, span: &FlowSpan, edge: usize) -> bool {
    let region = |node: usize| &report.nodes[node].region;
    if span.to == report.origin {
        region(edge) != region(span.from)
    } else if span.from == report.origin {
        region(edge) == region(span.to)
    } else {
        edge != span.from
    }
}

/// What a slot shows, and since when.
type Shown = ((ParticipantId, Encoding), SimTime);
type Watched = BTreeMap<(ParticipantId, Encoding), Vec<(usize, SimTime, SimTime)>>;

/// Who was shown in which encoding at which edge, from when to when.
fn watched(report: &Report) -> Watched {
    let mut watched = Watched::new();
    let mut open: BTreeMap<(usize, &str), Shown> = BTreeMap::new();
    for slot in report.log.slots.iter().filter(|s| s.role != SlotRole::Audio) {
        let place = (slot.viewer, slot.mid.as_str());
        let edge = report.participants[slot.viewer].edge;
        if let Some((key, from)) = open.remove(&place) {
            watched.entry(key).or_default().push((edge, from, slot.at));
        }
        if let (Some(who), Some(encoding)) = (slot.shows, slot.encoding) {
            open.insert(place, ((who, encoding), slot.at));
        }
    }
    for ((viewer, _), (key, from)) in open {
        let edge = report.participants[viewer].edge;
        watched.entry(key).or_default().push((edge, from, report.time));
    }
    watched
}

/// Whether a node pair lies across regions.
pub(crate) fn over_the_sea(report: &Report, a: usize, b: usize) -> bool {
    report.nodes[a].region != report.nodes[b].region
}
