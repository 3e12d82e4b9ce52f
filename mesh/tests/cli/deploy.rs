//! What is shipped for machines is good for them: example files pass `mesh check`, units pass systemd's own check.

use crate::harness::{mesh, stdout};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOMAIN: &str = "mesh.example.net";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// A directory with the example files and the certificates they name.
fn etc_mesh() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let certs: [&[&str]; 5] = [
        &["ca"],
        &["node", "--node", "1", "--region", "eu-west-1"],
        &["node", "--node", "101", "--region", "eu-west-1"],
        &["topology", "--name", "t1"],
        &["token-keys"],
    ];
    for words in certs {
        let mut certs = mesh();
        certs.arg("certs").args(words).args(["--trust-domain", DOMAIN, "--dir"]).arg(dir.path());
        stdout(&mut certs);
    }
    for entry in fs::read_dir(deploy().join("config")).unwrap().flatten() {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

#[test]
fn the_example_files_are_good_with_the_certificates_that_mesh_certs_makes() {
    let dir = etc_mesh();
    for role in ["edge", "origin", "topology"] {
        let said = stdout(mesh().arg("check").arg(dir.path().join(format!("{role}.toml"))));
        assert!(said.contains(&format!("good for `mesh {role}`")), "{said}");
    }
}

#[test]
fn the_units_pass_the_check_of_systemd_and_start_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(deploy().join("systemd")).unwrap().flatten() {
        // systemd wants programs to be there: the one under test stands for the installed one.
        let unit = fs::read_to_string(entry.path()).unwrap();
        let unit = unit.replace("/usr/local/bin/mesh", env!("CARGO_BIN_EXE_mesh"));
        fs::write(dir.path().join(entry.file_name()), unit).unwrap();
    }
    let units = ["mesh-edge@one.service", "mesh-origin@one.service", "mesh-topology.service"];
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(units.map(|unit| dir.path().join(unit)))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display()))
        .output()
        .expect("systemd-analyze is missing: install the Debian package systemd");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("mesh"), "{said}");
}

#[test]
fn the_units_give_no_privilege_away() {
    for entry in fs::read_dir(deploy().join("systemd")).unwrap().flatten() {
        let unit = fs::read_to_string(entry.path()).unwrap();
        if !unit.contains("[Service]") {
            continue;
        }
        let wanted = [
            "NoNewPrivileges=yes",
            "CapabilityBoundingSet=",
            "ProtectSystem=strict",
            "RestrictAddressFamilies=AF_INET AF_INET6",
            "SystemCallFilter=@system-service",
            "LimitNOFILE=",
            "StateDirectory=",
            "Restart=on-failure",
            "KillSignal=SIGTERM",
        ];
        for line in wanted {
            let exact = |l: &str| if line.ends_with('=') { l.starts_with(line) } else { l == line };
            assert!(unit.lines().any(exact), "{}: {line}", entry.path().display());
        }
        assert!(!unit.contains("User=root"), "{}", entry.path().display());
    }
}
