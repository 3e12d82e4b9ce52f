//! The documents say what the tree has: commands, wire kinds, files; and nothing of the machine they were written on.

use super::none;
use super::scan::{code, words};
use super::tree::{files, read, root};

/// What a stranger needs besides the code.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "NOTICE",
    "docs/relay-wire.md",
    "docs/signalling.md",
    "docs/operations.md",
    "docs/api.md",
    "docs/openapi.json",
];

/// Lines of ARCHITECTURE.md: to be read in one sitting.
const ARCHITECTURE_LINES_MAX: usize = 250;

#[test]
fn the_documents_are_there() {
    let missing = DOCUMENTS.iter().filter(|d| !root().join(d).is_file());
    none("missing documents", missing.map(ToString::to_string).collect());
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= ARCHITECTURE_LINES_MAX, "ARCHITECTURE.md:{lines}: too long to be read");
}

#[test]
fn the_readme_names_both_commands_and_the_makefile_has_them() {
    let (readme, makefile) = (read("README.md"), read("Makefile"));
    for target in ["demo", "test"] {
        assert!(readme.contains(&format!("`make {target}`")), "README.md: make {target}");
        assert!(makefile.lines().any(|l| l.starts_with(&format!("{target}:"))), "{target}:");
    }
    assert!(read(".ci/run").contains("make test"), "CI runs what people run");
}

#[test]
fn the_wire_document_has_every_kind_and_every_body() {
    let (wire, mut offenders) = (read("docs/relay-wire.md"), Vec::new());
    for line in read("relay-proto/src/frame.rs").lines() {
        let Some((name, number)) = line
            .trim_start_matches("pub ")
            .strip_prefix("const KIND_")
            .and_then(|rest| rest.split_once(": u16 = "))
        else {
            continue;
        };
        let row = format!("| {} |", number.trim_end_matches(';'));
        if !wire.lines().any(|l| l.starts_with(&row)) {
            offenders.push(format!("relay-proto/src/frame.rs: KIND_{name}: no row `{row}`"));
        }
    }
    for body in bodies() {
        if !wire.contains(&format!("`{body}`")) {
            offenders.push(format!("relay-proto/src/control.rs: Body::{body}"));
        }
    }
    none("not in docs/relay-wire.md", offenders);
}

/// The variants of `control::Body`.
fn bodies() -> Vec<String> {
    let code = code(&read("relay-proto/src/control.rs"));
    let start = words(&code, "Body")
        .into_iter()
        .find(|at| code[..*at].ends_with("enum "))
        .expect("the enum is there");
    let (mut depth, mut found) = (0, Vec::new());
    for line in code[start..].lines() {
        let name: String = line.trim().chars().take_while(|c| c.is_alphanumeric()).collect();
        if depth == 1 && name.starts_with(|c: char| c.is_uppercase()) {
            found.push(name);
        }
        depth += line.matches('{').count();
        depth -= line.matches('}').count();
        if depth == 0 {
            break;
        }
    }
    assert!(found.len() > 5, "{found:?}");
    found
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut offenders = Vec::new();
    for file in files(&[".md"]) {
        let dir = root().join(&file.path).parent().unwrap().to_owned();
        for (at, line) in file.text.lines().enumerate() {
            for part in line.split("](").skip(1) {
                let target = part.split([')', '#', ' ']).next().unwrap_or_default();
                let local = !target.is_empty() && !target.contains(':');
                if local && !dir.join(target).exists() {
                    offenders.push(format!("{}:{}: {target}", file.path, at + 1));
                }
            }
        }
    }
    none("links that lead nowhere", offenders);
}

#[test]
fn no_host_of_a_registry_and_no_path_of_a_machine_is_named() {
    // Written apart, so that this file does not find itself.
    let hosts = [
        concat!("registry.np", "mjs.org"),
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
        concat!("proxy.golang", ".org"),
    ];
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "tgt")];
    let mut offenders = Vec::new();
    let endings = [
        ".rs", ".ts", ".mjs", ".md", ".toml", ".json", ".npmrc", ".sh", "Makefile", "run", ".lock",
    ];
    for file in files(&endings) {
        for (at, line) in file.text.lines().enumerate() {
            let found = hosts.iter().chain(&paths).find(|w| line.contains(**w));
            let resolved = line.contains("\"resolved\": \"http") || line.starts_with("registry=");
            let found = found.copied().or(resolved.then_some("a registry"));
            offenders.extend(found.map(|w| format!("{}:{}: {w}", file.path, at + 1)));
        }
    }
    none("hosts of registries and paths of machines", offenders);
}
