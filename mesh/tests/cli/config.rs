//! Where settings come from, and how mistakes are told.

use super::harness::{failure, mesh, one_line_failure, stdout};
use std::path::Path;
use std::process::Command;

/// A directory with a cluster's files and one edge's configuration.
fn cluster(extra: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let certs = |arguments: &[&str]| {
        stdout(mesh().arg("certs").args(arguments).arg("--dir").arg(dir.path()));
    };
    certs(&["ca"]);
    certs(&["node", "--node", "3", "--region", "eu-west-1"]);
    certs(&["token-keys"]);
    let text = format!(
        "role = \"edge\"\nnode = 3\nregion = \"eu-west-1\"\ntrust_domain = \"mesh.dev\"\n\
         cert = \"node-3.crt\"\nkey = \"node-3.key\"\nca = \"ca.crt\"\ntoken_key = \"token.pub\"\n{extra}"
    );
    std::fs::write(dir.path().join("edge.toml"), text).unwrap();
    dir
}

fn check(dir: &Path) -> Command {
    let mut command = mesh();
    command.arg("check").arg(dir.join("edge.toml"));
    command
}

/// The line of a setting, its blanks taken together.
fn line_of(shown: &str, key: &str) -> String {
    let line = shown.lines().find(|l| l.trim_start().starts_with(&format!("{key} ")));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    words.join(" ")
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file_which_wins_over_defaults() {
    let dir = cluster("name = \"from-file\"\ncapacity = 10\nhttp = \"127.0.0.1:9001\"\n");
    let mut command = check(dir.path());
    command.env("MESH_NAME", "from-env").env("MESH_CAPACITY", "20").args(["--name", "from-flag"]);
    let shown = stdout(&mut command);
    let file = dir.path().join("edge.toml");
    assert_eq!(line_of(&shown, "name"), "name = from-flag (--name)");
    assert_eq!(line_of(&shown, "capacity"), "capacity = 20 (MESH_CAPACITY)");
    assert_eq!(line_of(&shown, "http"), format!("http = 127.0.0.1:9001 ({}:11)", file.display()));
    assert_eq!(line_of(&shown, "relay"), "relay = 0.0.0.0:0 (default)");
    assert_eq!(line_of(&shown, "public_url"), "public_url = http://localhost:9001 (default)");
}

#[test]
fn an_unknown_key_is_named_with_line_column_and_the_likely_one() {
    let dir = cluster("regoin = \"eu\"\n");
    let error = one_line_failure(&mut check(dir.path()));
    assert!(
        error.contains("edge.toml:9:1: unknown key `regoin`: did you mean `region`?"),
        "{error}"
    );
}

#[test]
fn a_wrong_value_is_named_with_line_and_column_and_an_example() {
    let dir = cluster("media = \"everywhere\"\n");
    let error = one_line_failure(&mut check(dir.path()));
    assert!(error.contains("edge.toml:9:9: "), "{error}");
    assert!(error.contains("such as \"127.0.0.1:8080\""), "{error}");
}

#[test]
fn a_value_out_of_range_is_named_with_its_place() {
    let dir = cluster("[via]\n5000 = \"127.0.0.1:9000\"\n");
    let error = one_line_failure(&mut check(dir.path()));
    assert!(
        error.contains("edge.toml:9:") && error.contains("\"5000\" is no node number"),
        "{error}"
    );
    let error =
        one_line_failure(check(dir.path()).args(["--node", "9999", "--via", "3=127.0.0.1:1"]));
    assert!(error.contains("--node: `node`: 9999 is no node number"), "{error}");
}

#[test]
fn a_missing_setting_says_all_the_ways_to_give_it() {
    let error = one_line_failure(mesh().args(["edge", "--node", "3"]));
    assert!(
        error.contains("`region` is missing: give --region, MESH_REGION, or a file"),
        "{error}"
    );
}

#[test]
fn a_file_of_another_role_is_refused() {
    let dir = cluster("");
    let error =
        one_line_failure(mesh().args(["origin", "--config"]).arg(dir.path().join("edge.toml")));
    assert!(
        error.contains("edge.toml:1:8: this file is for `mesh edge`, not for `mesh origin`"),
        "{error}"
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = cluster("");
    std::fs::write(dir.path().join("token.pub"), "no key").unwrap();
    let error = one_line_failure(&mut check(dir.path()));
    assert!(error.contains("token.pub"), "{error}");
    std::fs::remove_file(dir.path().join("node-3.key")).unwrap();
    let error = one_line_failure(&mut check(dir.path()));
    assert!(error.contains("node-3.key"), "{error}");
    let error = one_line_failure(mesh().args(["edge", "--config", "/nowhere/edge.toml"]));
    assert!(error.contains("cannot read /nowhere/edge.toml"), "{error}");
}

#[test]
fn an_unknown_flag_is_refused_with_the_likely_one() {
    let error = failure(mesh().args(["edge", "--regoin", "eu"]));
    assert!(error.contains("--regoin") && error.contains("--region"), "{error}");
}

#[test]
fn certificates_are_never_written_over_others() {
    let dir = cluster("");
    let error = one_line_failure(mesh().args(["certs", "ca", "--dir"]).arg(dir.path()));
    assert!(error.contains("is there already"), "{error}");
}

#[test]
fn the_files_of_the_api_and_of_tls_are_checked() {
    let dir = cluster("");
    let file = dir.path().join("edge.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let with = |extra: &str| std::fs::write(&file, format!("{text}{extra}\n")).unwrap();
    with("token_private_key = \"token.key\"\ncreates_per_hour = 3");
    let shown = stdout(&mut check(dir.path()));
    assert!(line_of(&shown, "token_private_key").ends_with(&format!("({}:9)", file.display())));
    with("token_private_key = \"node-3.key\"");
    let error = one_line_failure(&mut check(dir.path()));
    assert!(error.contains("node-3.key is not the other half of token_key"), "{error}");

    std::fs::write(dir.path().join("secret"), "0123456789abcdef\n").unwrap();
    std::fs::write(dir.path().join("short"), "north\n").unwrap();
    with("turn_urls = [\"turn:a.test:3478\", \"turns:a.test:5349\"]\nturn_secret = \"secret\"");
    let shown = stdout(&mut check(dir.path()));
    assert!(line_of(&shown, "turn_urls").contains("turn:a.test:3478,turns:a.test:5349"), "{shown}");
    let wrong = [
        ("turn_urls = [\"turn:a.test\"]", "`turn_urls` and `turn_secret` need each other"),
        ("turn_urls = [\"a.test\"]\nturn_secret = \"secret\"", "\"a.test\" is no TURN URL"),
        ("turn_urls = [\"turn:a.test\"]\nturn_secret = \"short\"", "short has 5 characters"),
        ("tls_cert = \"node-3.crt\"", "`tls_cert` and `tls_key` need each other"),
        ("tls_cert = \"node-3.crt\"\ntls_key = \"token.key\"", "not the key of"),
        (
            "public_url = \"http://a.test\"\ntls_cert = \"node-3.crt\"\ntls_key = \"node-3.key\"",
            "clients reach this edge by https://",
        ),
    ];
    for (extra, expected) in wrong {
        with(extra);
        let error = one_line_failure(&mut check(dir.path()));
        assert!(error.contains(expected), "{extra}: {error}");
    }
    with("tls_cert = \"node-3.crt\"\ntls_key = \"node-3.key\"");
    let shown = stdout(&mut check(dir.path()));
    assert_eq!(line_of(&shown, "public_url"), "public_url = https://localhost:8080 (default)");
}
