//! Many voices at once, and a path that loses some.

use crate::harness::*;

/// A voice packet on a link with everything around it: 100 of payload, 24 of RTP, 12 of envelope, 40 of QUIC, 28 of IP.
const VOICE_BYTES: u64 = 100 + 24 + 12 + 40 + 28;
/// Heartbeats, acknowledgements, digests, floors, MTU probes: 20 kbit/s each way would be a lot.
const OVERHEAD_BYTES_S: u64 = 6_000;

#[test]
fn when_everybody_talks_three_voices_go_up_and_four_come_down() {
    let parts = [
        nodes(&[("us", "us-east-1"), ("eu", "eu-west-1"), ("ap", "ap-southeast-1")]),
        group("us", "us-east-1", 6, 0),
        group("eu", "eu-west-1", 6, 0),
        group("ap", "ap-southeast-1", 2, 0),
    ];
    let turns = (0..12).map(|p| turn(p, 5_000, 20_000, 20 + 2 * p as u8)).collect();
    let report = run(scenario(22, 8, &parts), turns);
    let voices = &report.log.voices_max;
    assert_eq!((voices[&(1, 0)], voices[&(2, 0)]), (3, 3), "local top three");
    assert_eq!(voices[&(0, 3)], 4, "the elected four");
    assert!(!voices.contains_key(&(3, 0)));
    let bytes = |from, to| report.path(from, to).unwrap().counters.arrived_bytes;
    for (from, to, most) in [(1, 0, 3), (2, 0, 3), (0, 3, 4)] {
        let limit = most * 50 * VOICE_BYTES * 15 + OVERHEAD_BYTES_S * 22;
        assert!(bytes(from, to) <= limit, "{from} to {to}: {} bytes over {limit}", bytes(from, to));
        assert!(bytes(from, to) >= most * 50 * 60 * 15, "{from} to {to}: fewer than {most} voices");
    }
    for p in &report.participants {
        let at_once = p.heard.len();
        assert!(at_once >= 3, "{} heard only {at_once}", p.name);
    }
}

#[test]
fn a_path_that_loses_one_percent_is_heard_as_gaps_and_counted() {
    let lossy =
        "[[path]]\nfrom = \"eu\"\nto = \"origin\"\nloss = { kind = \"random\", p = 0.01 }\n"
            .to_owned();
    let parts = [
        nodes(&[("us", "us-east-1"), ("eu", "eu-west-1")]),
        group("us", "us-east-1", 2, 0),
        group("eu", "eu-west-1", 2, 0),
        lossy,
    ];
    let turns = (0..20).map(|i| turn(2, 4_000 + 3_000 * i, 6_800 + 3_000 * i, 25)).collect();
    let report = run(scenario(66, 4, &parts), turns);
    let spoken: u64 = report.participants[2].spoken.iter().map(|s| u64::from(s.packets)).sum();
    let heard =
        |p: usize| report.participants[p].heard.values().map(|h| u64::from(h.packets)).sum::<u64>();
    let lost = report.path(2, 0).unwrap().counters.model.lost;
    println!(
        "{spoken} packets spoken, {} and {} heard across a path that lost {lost}",
        heard(0),
        heard(1)
    );
    assert!(lost > 20, "the path loses: {lost}");
    assert_eq!(heard(3), spoken, "in the speaker's region nothing is missing");
    assert_eq!(heard(0), heard(1), "both listeners are behind the same path");
    let missing = (spoken - heard(0)) as f64 / spoken as f64;
    assert!(missing < 0.02, "{missing}");
}
