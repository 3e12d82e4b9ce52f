//! Dependencies point one way: relay-proto <- sfu-core <- {edge-sfu, origin-sfu} <- mesh.

use super::{none, tree::root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Which crates of this workspace a crate may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("relay-proto", &[]),
    ("sfu-core", &["relay-proto"]),
    ("edge-sfu", &["relay-proto", "sfu-core"]),
    ("origin-sfu", &["relay-proto", "sfu-core"]),
    ("topology", &["relay-proto"]),
    ("node-io", &["relay-proto"]),
    ("simulator", &["relay-proto", "sfu-core", "edge-sfu", "origin-sfu", "topology"]),
    (
        "mesh",
        &["relay-proto", "sfu-core", "edge-sfu", "origin-sfu", "topology", "node-io", "simulator"],
    ),
    (
        "mesh-tests",
        &[
            "relay-proto",
            "sfu-core",
            "edge-sfu",
            "origin-sfu",
            "topology",
            "node-io",
            "simulator",
            "mesh",
        ],
    ),
];

/// Crates whose code decides and therefore may not come near a runtime or a socket.
const PURE: &[&str] = &["relay-proto", "sfu-core", "edge-sfu", "origin-sfu", "simulator"];

/// What a pure crate must not pull in, however far down.
const RUNTIMES: &[&str] = &["tokio", "quinn", "quinn-udp", "mio", "async-std", "smol", "socket2"];

fn cargo(args: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let out = Command::new(cargo).args(args).current_dir(root()).output().unwrap();
    assert!(out.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn members() -> BTreeMap<String, Value> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.map(|p| (p["name"].as_str().unwrap().to_owned(), p.clone())).collect()
}

fn dependencies(package: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let list = package["dependencies"].as_array().unwrap().iter();
    list.map(|d| (d["name"].as_str().unwrap(), d["kind"].as_str().unwrap_or("normal"), d))
}

#[test]
fn dependencies_point_one_way() {
    let (members, mut offenders) = (members(), Vec::new());
    let known: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = members.keys().map(String::as_str).collect();
    assert_eq!(known, there, "every crate has its place in LAYERS");
    for (name, allowed) in LAYERS {
        for (dependency, kind, _) in dependencies(&members[*name]) {
            let inside = there.contains(dependency) && dependency != *name;
            if inside && !allowed.contains(&dependency) {
                offenders.push(format!("{name}/Cargo.toml: {dependency} ({kind})"));
            }
        }
    }
    none("dependencies that point the wrong way", offenders);
}

#[test]
fn the_simulator_takes_the_topology_without_its_service() {
    let members = members();
    for (_, kind, dependency) in dependencies(&members["simulator"]).filter(|d| d.0 == "topology") {
        let features = dependency["features"].as_array().unwrap();
        assert!(features.is_empty(), "simulator/Cargo.toml ({kind}): {features:?}");
    }
    let default = &members["topology"]["features"]["default"];
    assert!(default.as_array().is_none_or(Vec::is_empty), "topology/Cargo.toml: {default}");
}

#[test]
fn pure_crates_pull_in_no_runtime_and_no_socket() {
    let mut offenders = Vec::new();
    for name in PURE {
        let tree = cargo(&["tree", "-p", name, "-e", "normal", "--prefix", "none", "--offline"]);
        let used: BTreeSet<&str> =
            tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        offenders
            .extend(RUNTIMES.iter().filter(|r| used.contains(*r)).map(|r| format!("{name}: {r}")));
    }
    none("runtimes below pure crates", offenders);
}
