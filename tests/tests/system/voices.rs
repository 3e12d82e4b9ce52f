//! Voices across regions.

use mesh_tests::client::Spec;
use mesh_tests::fleet::Fleet;
use mesh_tests::mesh::Mesh;
use mesh_tests::publish::Turns;
use mesh_tests::record::Stream;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(15);

/// The milestone of the whole: edge, origin and edge in three regions.
#[test]
fn a_voice_from_us_east_is_heard_in_ap_southeast_through_an_origin_in_eu_west() {
    let mesh = Mesh::start(&[]);
    let meeting = mesh.meeting("eu-west-1");
    let token = mesh.token(meeting);
    let fleet = Fleet::new(mesh.media_ip());
    let (us, ap) = (mesh.edge("us-east-1"), mesh.edge("ap-southeast-1"));
    let speaker = Spec::listener("speaker").speaking(Turns::Always);
    let speaker = fleet.join(&us.url, &token, speaker);
    let listener = fleet.join(&ap.url, &token, Spec::listener("listener"));
    let voice = fleet.lock().get(speaker).participant;

    fleet.until(SOON, "200 packets of the voice", |core| {
        let record = &core.get(listener).record;
        let heard: u64 = record.voice(voice).map(|s| s.packets).sum();
        if heard >= 200 { Ok(()) } else { Err(format!("{heard}, {:?}", core.get(listener).errors)) }
    });
    let mut core = fleet.lock();
    let client = core.get(listener);
    let streams: Vec<&Stream> = client.record.voice(voice).collect();
    assert_eq!(streams.len(), 1, "one voice takes one slot");
    let stream = streams[0];
    assert_eq!((stream.lost, stream.unstamped, client.record.strangers), (0, 0, 0));
    println!(
        "us-east-1 -> eu-west-1 -> ap-southeast-1: one-way delay p50 {:.1} ms, p95 {:.1} ms, longest gap {:.1} ms",
        stream.delay_ms(0.5),
        stream.delay_ms(0.95),
        stream.longest_gap_us(0) as f64 / 1_000.0
    );
    assert_eq!(core.get(speaker).record.voice(voice).count(), 0, "nobody hears themselves");
    drop(core);

    let wan = mesh.wan();
    assert_eq!(wan.between("us-east-1", "ap-southeast-1").0, 0, "media takes no short cut");
    for (from, to) in [("us-east-1", "eu-west-1"), ("eu-west-1", "ap-southeast-1")] {
        assert!(wan.between(from, to).0 >= 200, "{from} -> {to}: {wan:?}");
    }
}
