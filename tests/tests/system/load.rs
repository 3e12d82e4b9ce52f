//! `mesh load` against a mesh: the generator itself, and what it says of a small meeting.

use mesh_tests::mesh::{Mesh, binary};
use serde_json::Value;
use std::process::Command;

/// Participants, of whom these publish, and these are on the `webrtc` crate.
const PARTICIPANTS: u64 = 46;
const PUBLISHERS: u64 = 6;
const FULL: u64 = 4;
/// Frames a second that count as a picture.
const FPS: f64 = 15.0;

fn load(mesh: &Mesh, args: &[&str]) -> (bool, String) {
    let out = Command::new(binary())
        .args(["load", "--quiet", "--state-dir"])
        .arg(mesh.state_dir())
        .args(args)
        .output()
        .expect("mesh load runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    println!("{text}{}", String::from_utf8_lossy(&out.stderr));
    (out.status.success(), text)
}

/// A figure of the report; one that is not there is no number, and passes no bound.
fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

#[test]
fn every_viewer_of_a_small_meeting_has_a_voice_and_a_picture_and_nothing_is_lost() {
    let mesh = Mesh::start(&[]);
    let page = tempfile::NamedTempFile::new().expect("a file");
    let path = page.path().to_str().expect("a path").to_owned();
    let (participants, publishers, full) =
        (PARTICIPANTS.to_string(), PUBLISHERS.to_string(), FULL.to_string());
    let args: [&str; 15] = [
        "--participants",
        &participants,
        "--publishers",
        &publishers,
        "--full",
        &full,
        "--join-rate",
        "30",
        "--duration",
        "6s",
        "--turn",
        "1s:2s",
        "--json",
        "--report-html",
        &path,
    ];
    let (_, text) = load(&mesh, &args);
    let report: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(report["joins"]["connected"], PARTICIPANTS);
    for (group, viewers) in [("thin", PARTICIPANTS - FULL), ("full", FULL)] {
        let of = |path: &str| number(&report, &format!("/{group}/{path}"));
        assert_eq!(of("viewers") as u64, viewers);
        assert_eq!(of("lost/0") + of("lost/1"), 0.0, "{group}: packets that never came");
        assert!(of("mainFps/min") >= FPS, "{group}: {} frames/s", of("mainFps/min"));
        assert!(of("mainFrames/0") > 0.0, "{group}: q is shown");
        assert!(of("voicePps/min") > 40.0, "{group}: {} voice packets/s", of("voicePps/min"));
        for wrong in ["mislabelled", "unopened", "badStarts"] {
            assert_eq!(of(wrong), 0.0, "{group}: {wrong}");
        }
    }
    assert_eq!(number(&report, "/servers/linkLost"), 0.0, "between nodes");
    assert!(number(&report, "/switches/count") > 0.0, "the main picture follows the speaker");
    assert!(number(&report, "/servers/usPerPacket") > 0.0);
    let far = report["delays"].as_array().expect("delays");
    let far = far.iter().find(|d| d["what"] == "voice" && d["way"] == "between regions");
    let p50 = far.and_then(|d| d["p50Ms"].as_f64()).expect("voices crossed regions");
    assert!(p50 > 20.0, "regions are far apart, not {p50} ms");
    let page = std::fs::read_to_string(page.path()).expect("the page");
    assert!(page.contains("participants") && page.contains("us-east-1-edge-1"));
}

#[test]
fn a_mesh_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = Command::new(binary())
        .args(["load", "--quiet", "--state-dir"])
        .arg(dir.path())
        .output()
        .expect("mesh load runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("mesh dev"), "{said}");
}
