//! Pure crates read no clock and no file, own no socket and no thread, and draw from the generator they were given.

use super::none;
use super::scan::{code, line_of, without_tests, words};
use super::tree::{Source, files};

/// Where only pure code may stand.
const PURE: &[&str] = &[
    "relay-proto/src/",
    "sfu-core/src/",
    "edge-sfu/src/",
    "origin-sfu/src/",
    "topology/src/",
    "simulator/src/",
];

/// Shells inside them.
const SHELLS: &[&str] = &["topology/src/service/", "simulator/src/bin/", "simulator/src/main.rs"];

/// What pure code must not say, and why.
const BANNED: &[(&str, &str)] = &[
    ("Instant::now", "reads the clock"),
    ("SystemTime::now", "reads the clock"),
    ("elapsed()", "reads the clock"),
    ("std::thread", "owns a thread"),
    ("thread::spawn", "owns a thread"),
    ("UdpSocket", "owns a socket"),
    ("TcpStream", "owns a socket"),
    ("TcpListener", "owns a socket"),
    ("std::fs", "touches files"),
    ("std::process", "owns a process"),
    ("env::var", "reads the environment"),
    ("tokio", "belongs to a runtime"),
    ("rand::rng", "draws from a global generator"),
    ("thread_rng", "draws from a global generator"),
    ("from_os_rng", "draws from a global generator"),
    ("from_entropy", "draws from a global generator"),
    ("OsRng", "draws from a global generator"),
    ("Mutex", "locks"),
    ("RwLock", "locks"),
    ("HashMap", "has a random order"),
    ("HashSet", "has a random order"),
    ("println!", "prints"),
    ("eprintln!", "prints"),
];

/// Whether the file is compiled for tests only.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs") || path.ends_with("test_time.rs")
}

fn pure_files() -> impl Iterator<Item = Source> {
    files(&[".rs"]).into_iter().filter(|f| {
        PURE.iter().any(|p| f.path.starts_with(p))
            && !SHELLS.iter().any(|p| f.path.starts_with(p))
            && !is_test(&f.path)
    })
}

#[test]
fn pure_code_is_told_the_time_and_owns_nothing() {
    let mut offenders = Vec::new();
    for file in pure_files() {
        let code = without_tests(&code(&file.text));
        for (word, why) in BANNED {
            for at in words_of(&code, word) {
                offenders.push(format!("{}:{}: {word} {why}", file.path, line_of(&code, at)));
            }
        }
    }
    none("pure code that is not", offenders);
}

/// Words, and those that end in punctuation.
fn words_of(code: &str, word: &str) -> Vec<usize> {
    match word.strip_suffix(['!', ')']) {
        Some(_) => code.match_indices(word).map(|(at, _)| at).collect(),
        None => words(code, word),
    }
}

#[test]
fn unsafe_code_stands_nowhere() {
    let mut offenders = Vec::new();
    for file in files(&[".rs"]) {
        let code = code(&file.text);
        let at = words(&code, "unsafe").into_iter();
        offenders.extend(at.map(|at| format!("{}:{}", file.path, line_of(&code, at))));
    }
    none("unsafe code (a counting allocator comes from a crate)", offenders);
}
