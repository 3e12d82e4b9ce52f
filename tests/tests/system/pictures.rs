//! Pictures between regions: what is asked for crosses, once.

use crate::stage::{AP, EU, SOON, Stage, US};
use edge_sfu::signal::ClientMessage;
use mesh_tests::client::Spec;
use mesh_tests::clock;
use mesh_tests::fleet::Who;
use mesh_tests::mesh::NodeInfo;
use mesh_tests::publish::{Camera, RIDS, Turns};
use mesh_tests::report::Flow;
use mesh_tests::wait::until;
use std::time::Duration;

/// Subscribers at once.
const SUBSCRIBERS: usize = 50;
/// Four seconds of frames: twice what a cache keeps.
const OLD_FRAMES: u16 = 60;
/// Requests of several subscribers within this time are one storm.
const STORM_US: u64 = 1_500_000;
/// A cache that crosses a link is made anew every two seconds or so, as long as somebody watches.
const CACHE_US: u64 = 1_500_000;

fn layout(pin: u32, max_bitrate_bps: u32) -> ClientMessage {
    ClientMessage::Layout { pin: Some(pin), strip: Some(0), max_bitrate_bps: Some(max_bitrate_bps) }
}

/// Which encodings of a camera a node sends to each neighbour.
fn pictures(stage: &Stage, node: &NodeInfo) -> Vec<(u32, String)> {
    let mut found: Vec<_> = stage
        .flows(node)
        .into_iter()
        .filter(|f: &Flow| !f.is_audio() && !f.pushed)
        .map(|f| (f.node, f.rid))
        .collect();
    found.sort();
    found
}

#[test]
fn viewers_at_3_m_1_m_and_400_k_get_f_h_and_q_and_three_flows_cross() {
    let stage = Stage::with_origin_in(EU);
    let (us, ap, origin) = (stage.mesh.edge(US), stage.mesh.edge(AP), stage.mesh.origin(EU));
    let speaker = stage.join(&us, Spec::listener("speaker").speaking(Turns::Always).with_camera());
    let shown = stage.id(speaker);
    let rates = [("f", 3_000_000), ("h", 1_000_000), ("q", 400_000)];
    let viewers: Vec<Who> = rates
        .iter()
        .map(|(rid, bps)| {
            let viewer = stage.join(&ap, Spec::listener(rid).seeing(1));
            stage.fleet.say(viewer, layout(shown, *bps));
            viewer
        })
        .collect();

    let fresh = |core: &mut mesh_tests::fleet::Core| -> Vec<Vec<&str>> {
        let now = clock::now_us();
        let encodings = |w: &Who| {
            let streams = core.get(*w).record.pictures(shown);
            let last = streams.map(|s| s.last_of_us).next().unwrap_or_default();
            let seen = RIDS.iter().zip(last).filter(|(_, at)| now.saturating_sub(*at) < 700_000);
            seen.map(|(rid, _)| *rid).collect()
        };
        viewers.iter().map(encodings).collect()
    };
    stage.fleet.until(SOON, "each viewer sees the encoding of their rate, and only that", |core| {
        let seen = fresh(core);
        if seen == [["f"], ["h"], ["q"]] { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    for (node, to) in [(&us, &origin), (&origin, &ap)] {
        let expected: Vec<_> = ["f", "h", "q"].iter().map(|r| (to.id, (*r).to_owned())).collect();
        until(SOON, "exactly three pictures cross", || {
            let found = pictures(&stage, node);
            if found == expected { Ok(()) } else { Err(format!("{}: {found:?}", node.name)) }
        });
    }
    println!("f, h and q cross {} -> {} -> {}, once each", us.name, origin.name, ap.name);

    for viewer in viewers {
        stage.fleet.leave(viewer);
    }
    for node in [&us, &origin] {
        until(SOON, "no picture crosses when nobody watches", || {
            let found = pictures(&stage, node);
            if found.is_empty() { Ok(()) } else { Err(format!("{}: {found:?}", node.name)) }
        });
    }
}

#[test]
fn fifty_subscribers_at_once_cause_one_key_frame_request_at_the_publisher() {
    let stage = Stage::with_origin_in(EU);
    let us = stage.mesh.edge(US);
    let publisher = stage.join(&us, Spec::listener("publisher").with_camera());
    let shown = stage.id(publisher);
    stage.fleet.until(SOON, "the first key frame is long gone", |core| {
        let sent = core.get(publisher).camera.as_ref().map_or(0, Camera::frames);
        if sent >= OLD_FRAMES { Ok(()) } else { Err(format!("{sent} frames sent")) }
    });
    let edges: Vec<NodeInfo> = [US, EU, AP].iter().flat_map(|r| stage.mesh.edges(r)).collect();
    let wishes = (0..SUBSCRIBERS).map(|i| {
        (edges[i % edges.len()].clone(), Spec::listener(&format!("viewer {i}")).seeing(1))
    });
    let viewers = stage.join_all(wishes.collect());
    stage.fleet.until(SOON, "everybody sees the publisher, from a key frame on", |core| {
        let waits =
            viewers.iter().find(|w| core.get(**w).record.pictures(shown).all(|s| s.keys == 0));
        let requests = core.get(publisher).camera.as_ref().map(|c| c.requests);
        let name = waits.map(|w| core.get(*w).spec.name.clone());
        name.map_or(Ok(()), |name| Err(format!("{name}; requests {requests:?}")))
    });

    let mut core = stage.fleet.lock();
    let firsts: Vec<u64> = viewers
        .iter()
        .filter_map(|w| core.get(*w).record.pictures(shown).map(|s| s.first_us).min())
        .collect();
    let (first, last) =
        (firsts.iter().min().copied().unwrap_or(0), firsts.iter().max().copied().unwrap_or(0));
    let camera = core.get(publisher).camera.as_ref().expect("a camera");
    let requests = camera.requested_at_us.clone();
    let began = requests.first().map_or(0, |(_, at)| *at);
    let relative: Vec<_> =
        requests.iter().map(|(e, at)| (RIDS[usize::from(*e)], (at - began) / 1_000)).collect();
    println!(
        "{SUBSCRIBERS} subscribers: pictures came over {} ms; key-frame requests at the publisher (ms): {relative:?}",
        (last - first) / 1_000
    );
    for encoding in 0..3 {
        let of: Vec<u64> =
            requests.iter().filter(|(e, _)| *e == encoding).map(|(_, at)| *at).collect();
        let storm = of.iter().filter(|at| **at - began < STORM_US).count();
        assert!(storm <= 1, "{storm} requests for {} in one storm", RIDS[usize::from(encoding)]);
        let apart = of.windows(2).map(|w| w[1] - w[0]).min().unwrap_or(u64::MAX);
        assert!(apart >= CACHE_US, "requests {} ms apart", apart / 1_000);
    }
    let storm = requests.iter().filter(|(_, at)| *at - began < STORM_US).count();
    assert_eq!(storm, 1, "one request answers them all: {relative:?}");
    assert!(Duration::from_micros(last - first) < SOON);
}
