//! A thousand people: a storm of joins, and the webinar they came for.

use crate::harness::*;
use relay_proto::Encoding;
use simulator::{Report, Scenario, SimTime, Stage, World};
use std::time::{Duration, Instant};

/// What a client may be sent of signalling while a thousand join.
const SIGNALLED_BYTES_MAX: u64 = 150_000;

/// CPU time of this process so far: every test has its own under nextest, and the figure is only printed.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default();
    // utime and stime, in hundredths of a second on every Linux.
    Duration::from_secs_f64((ticks(11) + ticks(12)) / 100.0)
}

fn ids(report: &Report) -> Vec<u32> {
    let mut ids: Vec<u32> = report.participants.iter().filter_map(|p| p.id).map(|p| p.0).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_thousand_joins_in_ten_seconds_are_little_to_each_and_the_same_to_all() {
    let regions =
        [("us", "us-east-1", 334), ("eu", "eu-west-1", 333), ("ap", "ap-southeast-1", 333)];
    let edges: Vec<_> = regions.iter().map(|(name, region, _)| (*name, *region)).collect();
    let mut parts = vec![nodes(&edges)];
    for (name, region, count) in regions {
        // A voice each, no picture: the storm is about signalling.
        parts.push(group(name, region, count, 0) + "join_every_ms = 30\nvideo_slots = 0\n");
    }
    let began = cpu();
    // The last one joins after 10 s; two seconds later everybody knows everybody.
    let report = run(scenario(12, 3, &parts), Vec::new());
    let used = cpu() - began;
    let everybody = ids(&report);
    assert_eq!(everybody.len(), 1_000);
    let of = |n: usize| &report.participants[n].signalled;
    for n in 0..1_000 {
        let known: Vec<u32> = of(n).roster.keys().copied().collect();
        assert!(known == everybody, "{} knows {} people", report.participants[n].name, known.len());
        assert!(of(n).roster == of(0).roster, "{}", report.participants[n].name);
    }
    let most = (0..1_000).map(|n| of(n).bytes).max().unwrap();
    let all: u64 = (0..1_000).map(|n| of(n).bytes).sum();
    println!(
        "1,000 joins in 10 s at 3 edges: at most {most} bytes of signalling to a client, {all} in all; \
         {used:?} of CPU for everything, media and clients included"
    );
    assert!(most <= SIGNALLED_BYTES_MAX, "{most} bytes to one client");
}

#[test]
fn a_webinar_of_a_thousand_has_the_whole_default_layout() {
    let text = include_str!("../../scenarios/webinar-1000.toml");
    let began = Instant::now();
    let scenario = Scenario::parse(text).unwrap();
    let report = World::builder(began).scenario(scenario).build().unwrap().run();
    assert_sound(&report);
    let crowd = &report.participants[999].signalled;
    assert_eq!(crowd.attendees, Some(950), "attendees are a number");
    assert_eq!(crowd.roster.len(), 50, "panelists have names");
    let settled = SimTime::from_ms(13_000);
    let mut packets = 0;
    for p in &report.participants {
        assert_eq!(p.stage, Stage::Connected);
        packets += p.voice_packets + p.pictures.packets;
    }
    println!(
        "{} people, {:?} of virtual time in {:?}: {} events, {packets} packets received",
        report.participants.len(),
        report.time,
        began.elapsed(),
        report.events
    );
    // Who was shown when everybody had settled: the main picture, and as many small ones as people had spoken.
    let mut main = vec![None; report.participants.len()];
    let mut strip = vec![0_usize; report.participants.len()];
    let mut open: std::collections::BTreeMap<(usize, &str), bool> =
        std::collections::BTreeMap::new();
    for slot in &report.log.slots {
        match slot.role {
            edge_sfu::signal::SlotRole::Main
                if slot.at <= settled || main[slot.viewer].is_none() =>
            {
                main[slot.viewer] = slot.shows.map(|_| slot.encoding);
            }
            edge_sfu::signal::SlotRole::Strip => {
                open.insert((slot.viewer, slot.mid.as_str()), slot.shows.is_some());
            }
            _ => {}
        }
    }
    open.iter().filter(|(_, shown)| **shown).for_each(|((viewer, _), _)| strip[*viewer] += 1);
    assert!(main.iter().all(Option::is_some), "everybody sees who speaks");
    let full = main.iter().filter(|e| **e == Some(Some(Encoding::F))).count();
    let twelve = strip.iter().filter(|n| **n >= 12).count();
    println!("{full} see the speaker in f, {twelve} see twelve small pictures");
    assert!(full >= 950 && twelve >= 950, "f for {full}, twelve for {twelve}");
    assert_everybody_heard_every_turn(&report);
}
