//! Voices across regions.

use crate::stage::{AP, EU, Stage, US, only};
use mesh_tests::client::Spec;
use mesh_tests::publish::Turns;

/// The milestone of the whole: edge, origin and edge in three regions.
#[test]
fn a_voice_from_us_east_is_heard_in_ap_southeast_through_an_origin_in_eu_west() {
    let stage = Stage::with_origin_in(EU);
    let (us, ap) = (stage.mesh.edge(US), stage.mesh.edge(AP));
    let speaker = stage.join(&us, Spec::listener("speaker").speaking(Turns::Always));
    let listener = stage.join(&ap, Spec::listener("listener"));
    let voice = stage.id(speaker);
    stage.until_heard(listener, voice, 200);

    let mut core = stage.fleet.lock();
    let record = &core.get(listener).record;
    let stream = only(record.voice(voice));
    assert_eq!((stream.lost, stream.unstamped, record.strangers), (0, 0, 0));
    println!(
        "us-east-1 -> eu-west-1 -> ap-southeast-1: one-way delay p50 {:.1} ms, p95 {:.1} ms, longest gap {:.1} ms",
        stream.delay_ms(0.5),
        stream.delay_ms(0.95),
        stream.longest_gap_us(0) as f64 / 1_000.0
    );
    assert_eq!(core.get(speaker).record.voice(voice).count(), 0, "nobody hears themselves");
    drop(core);

    let wan = stage.mesh.wan();
    assert_eq!(wan.between(US, AP).0, 0, "media takes no short cut");
    for (from, to) in [(US, EU), (EU, AP)] {
        assert!(wan.between(from, to).0 >= 200, "{from} -> {to}: {wan:?}");
    }
}
