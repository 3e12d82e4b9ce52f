//! `mesh dev`, whole: supervisor, three topology members, four edges, three origins.

use super::harness::{Dev, failure, http, lives, mesh, one_line_failure, send, stdout, until};
use rustix::process::Signal;
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// What the issue promises between Ctrl-C and silence.
const STOP_LIMIT: Duration = Duration::from_secs(3);

#[test]
fn everything_is_ready_when_the_banner_appears() {
    let dev = Dev::start(&[]);
    let nodes = dev.record["nodes"].as_array().unwrap();
    let roles = |role: &str| nodes.iter().filter(|n| n["role"] == role).count();
    assert_eq!((roles("edge"), roles("origin")), (4, 3));
    for node in nodes {
        let url = node["url"].as_str().unwrap();
        assert_eq!(http("GET", &format!("{url}/readyz"), "", ""), (200, "ready\n".into()));
        assert_eq!(http("GET", &format!("{url}/metrics"), "", "").0, 200);
        let config = node["config"].as_str().unwrap();
        assert!(stdout(mesh().arg("check").arg(config)).contains("good for"), "{config}");
    }
    let links = dev.record["meeting"]["links"].as_array().unwrap();
    assert_eq!(links.len(), 3);
    let id = dev.record["meeting"]["id"].as_str().unwrap();
    for link in links {
        let url = link["url"].as_str().unwrap();
        assert!(
            url.starts_with("http://localhost:") && url.contains(&format!("/m/{id}#token=")),
            "{url}"
        );
    }
    let trips = dev.record["wan"].as_array().unwrap();
    assert!(
        trips.iter().any(|t| t["from"] == "us-east-1" && t["rttMs"].as_f64() > Some(60.0)),
        "{trips:?}"
    );
}

#[test]
fn a_second_one_on_the_same_directory_is_refused_in_one_line() {
    let dev = Dev::start(&["--regions", "eu-west-1"]);
    let error = one_line_failure(&mut dev.beside(&["dev", "--http-base", "0"]));
    assert!(error.contains(&format!("another `mesh dev` (pid {})", dev.process.id())), "{error}");
    assert!(error.contains("--state-dir"), "{error}");
    assert_eq!(dev.node("eu-west-1-edge-1")["state"], "ready");
}

#[test]
fn meetings_and_tokens_need_nothing_but_the_running_mesh() {
    let dev = Dev::start(&["--regions", "us-east-1,eu-west-1"]);
    let arguments =
        ["meeting", "create", "--json", "--name", "standup", "--origin-region", "us-east-1"];
    let made: Value = serde_json::from_str(&stdout(&mut dev.beside(&arguments))).unwrap();
    let id = made["meeting"].as_str().unwrap();
    assert_eq!(made["links"].as_array().unwrap().len(), 2);
    let listed = stdout(&mut dev.beside(&["meeting", "list"]));
    assert!(listed.contains(id) && listed.contains("us-east-1-origin-1"), "{listed}");
    let link = made["links"][0]["url"].as_str().unwrap();
    let shown = stdout(&mut dev.beside(&["meeting", "show", link]));
    assert!(shown.contains("standup") && shown.contains("origin   us-east-1-origin-1"), "{shown}");
    let token =
        stdout(&mut dev.beside(&["token", "--meeting", id, "--name", "Ada", "--publish", "false"]));
    let public = std::fs::read(dev.dir.join("token.pub")).unwrap();
    let claims = mesh::token::Verifier::from_pem(&public).unwrap().verify(token.trim()).unwrap();
    assert_eq!(
        (claims.name.as_deref(), claims.grants),
        (Some("Ada"), mesh::token::Grants::ATTENDEE)
    );
    assert_eq!(claims.meeting.to_string(), id);
    stdout(&mut dev.beside(&["meeting", "end", id]));
    assert!(!stdout(&mut dev.beside(&["meeting", "list"])).contains(id));
}

#[test]
fn the_death_of_a_node_is_reported_and_it_can_be_started_again() {
    let dev = Dev::start(&["--regions", "us-east-1,eu-west-1"]);
    let name = "eu-west-1-edge-2";
    stdout(&mut dev.beside(&["dev", "kill", name]));
    until("the ordered end is reported", || {
        dev.said().contains("eu-west-1-edge-2 was killed").then_some(())
    });
    until("its state is known", || {
        dev.node(name)["state"].as_str()?.starts_with("ended").then_some(())
    });
    let again = one_line_failure(&mut dev.beside(&["dev", "kill", name]));
    assert!(again.contains("has ended already"), "{again}");
    stdout(&mut dev.beside(&["dev", "start", name]));
    let node = dev.node(name);
    assert_eq!(node["state"], "ready");

    send(node["pid"].as_u64().unwrap(), Signal::KILL);
    let said = until("the unexpected end is reported", || {
        let said = dev.said();
        said.contains("eu-west-1-edge-2 ended unexpectedly: signal: 9").then_some(said)
    });
    assert!(
        said.contains("    ") && said.contains("edge started"),
        "its last lines are shown: {said}"
    );
    let unknown = one_line_failure(&mut dev.beside(&["dev", "kill", "nobody"]));
    assert!(unknown.contains("nobody is not known: the nodes are "), "{unknown}");
}

#[test]
fn a_mesh_whose_leading_topology_member_is_killed_goes_on_and_takes_it_back() {
    let dev = Dev::start(&[]);
    let status = |dev: &Dev| -> Value {
        let told = stdout(&mut dev.beside(&["topology", "status", "--json"]));
        serde_json::from_str(&told).unwrap()
    };
    let before = status(&dev);
    let members = before["members"].as_array().unwrap();
    assert_eq!(members.iter().filter(|m| m["voter"] == true).count(), 3, "{before}");
    let leader = members.iter().find(|m| m["leads"] == true).unwrap()["name"].as_str().unwrap();
    stdout(&mut dev.beside(&["dev", "kill", leader]));

    let killed = Instant::now();
    let create = ["meeting", "create", "--json", "--name", "after"];
    let made: Value = serde_json::from_str(&stdout(&mut dev.beside(&create))).unwrap();
    println!("a meeting was created {:?} after the leader was killed", killed.elapsed());
    let id = made["meeting"].as_str().unwrap();
    let after = status(&dev);
    assert_ne!(after["leader"], before["leader"], "{after}");
    for node in dev.record["nodes"].as_array().unwrap() {
        let url = node["url"].as_str().unwrap();
        assert_eq!(http("GET", &format!("{url}/readyz"), "", "").0, 200, "{url}");
    }

    stdout(&mut dev.beside(&["dev", "start", leader]));
    let moved = ["topology", "transfer", leader, "--json"];
    let moved: Value = until("it leads again", || {
        let output = dev.beside(&moved).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    });
    assert_eq!(moved["leader"], before["leader"], "{moved}");
    assert!(stdout(&mut dev.beside(&["meeting", "list"])).contains(id));
}

#[test]
fn an_edge_is_added_while_it_runs() {
    let dev = Dev::start(&["--regions", "us-east-1,eu-west-1"]);
    let added = stdout(&mut dev.beside(&["dev", "add-edge", "--region", "us-east-1"]));
    assert!(added.contains("us-east-1-edge-2 runs: http://localhost:"), "{added}");
    assert_eq!(dev.node("us-east-1-edge-2")["state"], "ready");
    let error = one_line_failure(&mut dev.beside(&["dev", "add-edge", "--region", "mars"]));
    assert!(error.contains("choose one of us-east-1, eu-west-1"), "{error}");
}

#[test]
fn an_interrupt_ends_all_processes_in_time() {
    let mut dev = Dev::start(&[]);
    let pids = dev.pids();
    assert_eq!(pids.len(), 10);
    assert!(pids.iter().all(|pid| lives(*pid)));
    let before = Instant::now();
    dev.signal(Signal::INT);
    let status = until("it ends", || dev.process.try_wait().unwrap());
    let took = before.elapsed();
    assert!(status.success(), "{status}: {}", dev.said());
    assert!(took < STOP_LIMIT, "{took:?}");
    let left: Vec<_> = pids.iter().filter(|pid| lives(**pid)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!dev.dir.join("dev.json").exists());
}

#[test]
fn children_do_not_outlive_a_supervisor_that_is_killed() {
    let mut dev = Dev::start(&["--regions", "eu-west-1"]);
    let pids = dev.pids();
    dev.signal(Signal::KILL);
    dev.process.wait().unwrap();
    until("the children are gone", || pids.iter().all(|pid| !lives(*pid)).then_some(()));
}

#[test]
fn the_control_api_is_not_for_web_pages() {
    let dev = Dev::start(&["--regions", "eu-west-1", "--wan", "off"]);
    let control = dev.record["control"].as_str().unwrap();
    let kill = format!("{control}/nodes/eu-west-1-edge-1/kill");
    assert_eq!(http("POST", &kill, "Origin: http://localhost:8080\r\n", "").0, 403);
    assert_eq!(dev.node("eu-west-1-edge-1")["state"], "ready");
    assert_eq!(http("POST", &format!("{control}/nodes"), "", "{\"region\":\"eu-west-1\"}").0, 200);
    assert_eq!(http("GET", &format!("{control}/wan"), "", "").0, 200);
    assert_eq!(dev.record["wan"].as_array().unwrap().len(), 0);
}

#[test]
fn mistakes_at_the_start_are_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error =
        one_line_failure(mesh().args(["dev", "--http-base", "0", "--state-dir"]).arg(&file));
    assert!(error.contains("choose another with --state-dir"), "{error}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    if port.parse::<u16>().unwrap() <= 65_500 {
        let error = one_line_failure(
            mesh().args(["dev", "--http-base", &port, "--state-dir"]).arg(dir.path()),
        );
        assert!(
            error.contains(&format!("TCP port {port} (for us-east-1-edge-1) is in use by ")),
            "{error}"
        );
        assert!(error.contains("--http-base"), "{error}");
    }

    let error = one_line_failure(
        mesh().args(["dev", "--regions", "us-east-1,mars", "--state-dir"]).arg(dir.path()),
    );
    assert!(error.contains("no round-trip times for region \"mars\""), "{error}");
    let error = failure(mesh().args(["dev", "--wan", "maybe"]));
    assert!(error.contains("maybe") && error.contains("on, off"), "{error}");
    let error = one_line_failure(mesh().args(["dev", "status", "--state-dir"]).arg(dir.path()));
    assert!(error.contains("no `mesh dev` seems to run"), "{error}");
    let error = one_line_failure(
        mesh().args(["dev", "--wall-skew", "eu-west-1-edge-7=5", "--state-dir"]).arg(dir.path()),
    );
    assert!(error.contains("did you mean eu-west-1-edge-"), "{error}");
}
