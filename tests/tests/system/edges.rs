//! Edges that come while a meeting runs.

use crate::stage::{AP, EU, Stage, US};
use mesh_tests::client::Spec;
use mesh_tests::publish::Turns;
use std::time::{Duration, Instant};

const JOINS_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn an_edge_added_at_run_time_takes_joins_within_5_s() {
    let stage = Stage::with_origin_in(EU);
    let speaker =
        stage.join(&stage.mesh.edge(US), Spec::listener("speaker").speaking(Turns::Always));
    let voice = stage.id(speaker);
    let ordered = Instant::now();
    let edge = stage.mesh.add_edge(AP).expect("an edge is added");
    let ready = ordered.elapsed();
    let listener = stage.join(&edge, Spec::listener("listener"));
    let joined = ordered.elapsed();
    stage.until_heard(listener, voice, 50);
    let heard = ordered.elapsed();
    println!(
        "an added edge: ready after {ready:.2?}, joined after {joined:.2?}, one second heard after {heard:.2?}"
    );
    assert_eq!(stage.fleet.lock().get(listener).node, edge.name);
    assert!(joined < JOINS_WITHIN, "joined after {joined:?}");
}
