//! A hundred meetings at once, one of them flooded: the others lose nothing and wait no longer.

use crate::stage::Stage;
use edge_sfu::signal::{ClientMessage, ErrorCode, SIGNAL_VERSION, ServerMessage};
use mesh_tests::client::{Client, Spec};
use mesh_tests::fleet::Who;
use mesh_tests::mesh::{Mesh, binary};
use mesh_tests::publish::Turns;
use mesh_tests::signal::Signal;
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The quiet meetings, of four people each.
const MEETINGS: &str = "99";
const PEOPLE: &str = "396";
/// Sockets that join the flooded meeting again and again.
const JOINERS: usize = 8;
/// Between two bursts of key-frame requests of each of its participants.
const BURST_EVERY: Duration = Duration::from_millis(20);
/// Requests of each burst and picture: with three pictures, 300 a second from each participant. More of them, and this
/// machine is busy with making them.
const BURST: usize = 2;

/// What flooded.
#[derive(Default)]
struct Flooded {
    stop: AtomicBool,
    joins: AtomicU64,
    refused: AtomicU64,
    written: AtomicU64,
    key_frames: AtomicU64,
}

/// 99 meetings of four, one of each with a camera of five frames a second, for six seconds; the report. More is more than this
/// machine can make beside the servers: a datagram that goes over a link alone costs 13 us at each end.
fn quiet_meetings(mesh: &Mesh) -> Value {
    let out = Command::new(binary())
        .args(["load", "--quiet", "--json", "--duration", "6s", "--join-rate", "80", "--state-dir"])
        .arg(mesh.state_dir())
        .args(["--meetings", MEETINGS, "--participants", PEOPLE, "--publishers", MEETINGS])
        .args(["--full", "0", "--fps", "5"])
        .output()
        .expect("mesh load runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default();
    let said = String::from_utf8_lossy(&out.stderr);
    serde_json::from_str(last).map_err(|e| format!("{e}: {text}{said}")).expect("a report")
}

/// Joins, and goes, as often as it can; the offer is good, and nothing comes of it.
async fn join_and_go(edge: String, token: String, sdp: String, flooded: Arc<Flooded>) {
    while !flooded.stop.load(Ordering::Relaxed) {
        let Ok(mut signal) = Signal::open(&edge).await else { continue };
        let join = ClientMessage::Join {
            version: SIGNAL_VERSION,
            token: token.clone(),
            name: Some("flood".to_owned()),
            sdp: sdp.clone(),
            publish: Vec::new(),
        };
        if signal.say(&join).await.is_err() {
            continue;
        }
        match signal.next().await {
            Ok(Some(ServerMessage::Joined { .. })) => flooded.joins.fetch_add(1, Ordering::Relaxed),
            _ => flooded.refused.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// Writes as much as the socket takes.
async fn write(edge: String, token: String, sdp: String, flooded: Arc<Flooded>) {
    while !flooded.stop.load(Ordering::Relaxed) {
        let Ok(mut signal) = Signal::open(&edge).await else { continue };
        let (name, publish) = (Some("writer".to_owned()), Vec::new());
        let (token, sdp) = (token.clone(), sdp.clone());
        let join = ClientMessage::Join { version: SIGNAL_VERSION, token, name, sdp, publish };
        let _ = signal.say(&join).await;
        let mut key = 0;
        loop {
            key += 1;
            let chat = ClientMessage::Chat { key, to: None, text: "x".repeat(2_000) };
            if signal.say(&chat).await.is_err() || flooded.stop.load(Ordering::Relaxed) {
                break;
            }
            flooded.written.fetch_add(1, Ordering::Relaxed);
            let next = tokio::time::timeout(Duration::from_millis(1), signal.next()).await;
            if let Ok(Ok(Some(ServerMessage::Error { code: ErrorCode::TooMany, .. }))) = next {
                flooded.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Floods the stage's meeting while `meanwhile` runs.
fn flood<T>(stage: &Stage, people: &[Who], meanwhile: impl FnOnce() -> T) -> (T, Arc<Flooded>) {
    let flooded = Arc::new(Flooded::default());
    let edge = &stage.mesh.edges("us-east-1")[0];
    let offer = Client::new(1_000, Spec::listener("flood"), stage.mesh.media_ip());
    let (_, sdp, _) = offer.expect("an offer");
    let result = std::thread::scope(|scope| {
        let asks = scope.spawn(|| {
            while !flooded.stop.load(Ordering::Relaxed) {
                for who in people {
                    stage.fleet.lock().get(*who).ask_for_key_frames(BURST);
                    flooded.key_frames.fetch_add(BURST as u64, Ordering::Relaxed);
                }
                std::thread::sleep(BURST_EVERY);
            }
        });
        let tasks: Vec<_> = stage.fleet.block_on(async {
            let with = || (edge.url.clone(), stage.token.clone(), sdp.clone(), flooded.clone());
            let joiners = (0..JOINERS).map(|_| {
                let (url, token, sdp, flooded) = with();
                tokio::spawn(join_and_go(url, token, sdp, flooded))
            });
            let mut tasks: Vec<_> = joiners.collect();
            for _ in 0..2 {
                let (url, token, sdp, flooded) = with();
                tasks.push(tokio::spawn(write(url, token, sdp, flooded)));
            }
            tasks
        });
        let result = meanwhile();
        flooded.stop.store(true, Ordering::Relaxed);
        asks.join().expect("it only asks");
        stage.fleet.block_on(async {
            for task in tasks {
                let _ = tokio::time::timeout(Duration::from_secs(10), task).await;
            }
        });
        result
    });
    (result, flooded)
}

/// Lost packets, and the delays of voices between regions (p50, p99), ms.
fn figures(report: &Value) -> (f64, f64, f64) {
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let lost = number("/thin/lost/0") + number("/thin/lost/1");
    let far = report["delays"].as_array().expect("delays");
    let far = far.iter().find(|d| d["what"] == "voice" && d["way"] == "between regions");
    let of = |what: &str| far.and_then(|d| d[what].as_f64()).unwrap_or(f64::NAN);
    (lost, of("p50Ms"), of("p99Ms"))
}

#[test]
fn a_flooded_meeting_leaves_the_others_as_they_were() {
    let stage = Stage::with_origin_in("us-east-1");
    let before = quiet_meetings(&stage.mesh);
    let edge = stage.mesh.edges("us-east-1")[0].clone();
    let spec =
        |n: usize| Spec::listener(&format!("p{n}")).speaking(Turns::Always).with_camera().seeing(4);
    let people = stage.join_all((0..4).map(|n| (edge.clone(), spec(n))).collect());
    let (after, flooded) = flood(&stage, &people, || quiet_meetings(&stage.mesh));
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (joins, refused) = (count(&flooded.joins), count(&flooded.refused));
    let (written, asked) = (count(&flooded.written), count(&flooded.key_frames));
    println!(
        "flood: {joins} joins, {written} messages, {refused} refused, {asked} key frames asked for"
    );
    let [quiet, loud] = [figures(&before), figures(&after)];
    for (report, when) in [(&before, "without"), (&after, "with")] {
        let (void, joins, servers) = (&report["void"], &report["joins"], &report["servers"]);
        println!(
            "{when}: void {void}, joins {joins}, {} % of the machine",
            servers["machinePercent"]
        );
    }
    println!(
        "lost, voice between regions p50 and p99 ms: {quiet:?} without, {loud:?} with the flood"
    );
    assert!(joins + refused > 300 && written > 200 && asked > 1_000, "that was no flood");
    for report in [&before, &after] {
        assert_eq!(report["joins"]["connected"], 396);
        assert_eq!(figures(report).0, 0.0, "lost: {report}");
    }
    assert!(loud.1 < quiet.1 * 1.25, "the middle of the delays: {} to {} ms", quiet.1, loud.1);
    let requests = |core: &mut mesh_tests::fleet::Core| -> u64 {
        let of = |c: &mut Client| c.camera.iter().flat_map(|c| c.requests).sum::<u64>();
        core.iter_mut().map(of).sum()
    };
    let reached = requests(&mut stage.fleet.lock());
    println!("{reached} key-frame requests reached the four cameras");
    assert!(reached > 0 && reached < asked / 10, "requests are merged before the publishers");
}
