//! What a packet passes takes no lock and writes no log line: by construction, and looked after here.

use std::path::Path;

/// Source trees that a packet passes from sealed input to sealed output.
const HOT: [&str; 4] = ["src", "../sfu-core/src", "../relay-proto/src", "../origin-sfu/src"];
const BANNED: [&str; 7] = ["tracing::", "log::", "Mutex", "RwLock", "Condvar", "println!", "dbg!"];

fn visit(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests stand at the end of a file, or in files of their own.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let is_test = path.to_string_lossy().contains("tests");
            let lines =
                code.lines().zip(1..).filter(|(l, _)| !is_test && !l.trim().starts_with("//"));
            for (line, number) in lines {
                let banned = BANNED.iter().filter(|b| line.contains(**b));
                found.extend(banned.map(|b| format!("{}:{number}: {b}", path.display())));
            }
        }
    }
}

#[test]
fn no_lock_and_no_log_line_stands_on_a_packets_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for dir in HOT {
        visit(&root.join(dir), &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
}
