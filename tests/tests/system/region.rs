//! What is said inside a region stays there.

use crate::stage::{EU, Stage, US, only};
use mesh_tests::client::Spec;
use mesh_tests::publish::Turns;
use mesh_tests::report::Wan;
use mesh_tests::wait::observe;
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(5);
/// Between two edges of one region: 1 ms of network, three processes, and a busy machine.
const DELAY_MS_MAX: f64 = 20.0;
/// What speech may add on the way to the origin, bytes/s: rankings go there ten times a second. One voice would be
/// more than 7,000.
const CONTROL_BYTES_MAX: f64 = 4_000.0;

/// Bytes a second between regions.
fn far_rate(wan: &Wan) -> f64 {
    wan.far().map(|(_, _, _, bytes)| bytes as f64).sum::<f64>() / WINDOW.as_secs_f64()
}

/// Media datagrams that a node has sent to other regions.
fn far_media(stage: &Stage) -> u64 {
    let edges = stage.mesh.edges(EU);
    let links = edges.iter().flat_map(|e| stage.mesh.shard(e).links);
    links.filter(|l| l.region.as_deref() != Some(EU)).map(|l| l.datagrams_sent).sum()
}

#[test]
fn two_edges_of_a_region_exchange_media_without_leaving_it() {
    let stage = Stage::with_origin_in(US);
    let edges = stage.mesh.edges(EU);
    assert_eq!(edges.len(), 2);
    let talkers: Vec<_> = edges
        .iter()
        .map(|e| stage.join(e, Spec::listener(&e.name).speaking(Turns::Never)))
        .collect();
    // Both edges are attached when both know each other.
    stage.fleet.until(crate::stage::SOON, "both are in the roster", |core| {
        let known: Vec<_> = talkers.iter().map(|t| core.get(*t).roster.len()).collect();
        if known == [2, 2] { Ok(()) } else { Err(format!("{known:?}")) }
    });

    let quiet_from = stage.mesh.wan();
    observe(WINDOW);
    let quiet = stage.mesh.wan().since(&quiet_from);

    for talker in &talkers {
        stage.fleet.lock().get(*talker).mic.as_mut().expect("a microphone").turns = Turns::Always;
    }
    let ids: Vec<u32> = talkers.iter().map(|t| stage.id(*t)).collect();
    stage.until_heard(talkers[0], ids[1], 100);
    stage.until_heard(talkers[1], ids[0], 100);
    stage.clear();
    let media_from = far_media(&stage);
    let loud_from = stage.mesh.wan();
    observe(WINDOW);
    let loud = stage.mesh.wan().since(&loud_from);
    let media = far_media(&stage) - media_from;

    let mut core = stage.fleet.lock();
    for (listener, voice) in [(0, 1), (1, 0)] {
        let stream = only(core.get(talkers[listener]).record.voice(ids[voice]));
        let (p50, p95) = (stream.delay_ms(0.5), stream.delay_ms(0.95));
        println!(
            "edge to edge inside eu-west-1: {} packets, delay p50 {p50:.1} ms, p95 {p95:.1} ms",
            stream.packets
        );
        assert!(p50 < DELAY_MS_MAX, "median one-way delay {p50:.1} ms");
        assert_eq!(stream.lost, 0);
    }
    drop(core);
    for edge in &edges {
        let node = |id| stage.mesh.nodes().iter().find(|n| n.id == id).map(|n| n.region.as_str());
        let far: Vec<_> =
            stage.flows(edge).into_iter().filter(|f| node(f.node) != Some(EU)).collect();
        assert!(far.is_empty(), "{} sends flows out of the region: {far:?}", edge.name);
    }
    let (quiet, loud) = (far_rate(&quiet), far_rate(&loud));
    println!(
        "between regions: {quiet:.0} bytes/s while nobody speaks, {loud:.0} while two do, {media} media datagrams"
    );
    assert_eq!(media, 0, "media datagrams to other regions");
    assert!(
        loud - quiet < CONTROL_BYTES_MAX,
        "{loud:.0} bytes/s while two speak, {quiet:.0} before"
    );
}
