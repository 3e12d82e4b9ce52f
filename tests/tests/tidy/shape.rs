//! Files of at most 500 lines, functions of at most 70, module documents, nothing left for later.

use super::none;
use super::scan::{code, functions};
use super::tree::files;

/// Lines of a file.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, its signature included.
const FUNCTION_LINES_MAX: usize = 70;

#[test]
fn files_have_at_most_500_lines() {
    let long = files(&[".rs", ".ts", ".mjs", ".svelte", ".css"]).into_iter().filter_map(|f| {
        let lines = f.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("{}:{lines}: {lines} lines", f.path))
    });
    none("long files", long.collect());
}

#[test]
fn functions_have_at_most_70_lines() {
    let mut offenders = Vec::new();
    for file in files(&[".rs"]) {
        let long = functions(&code(&file.text));
        let long = long.into_iter().filter(|(_, _, lines)| *lines > FUNCTION_LINES_MAX);
        offenders.extend(
            long.map(|(name, at, lines)| format!("{}:{at}: fn {name}, {lines} lines", file.path)),
        );
    }
    none("long functions", offenders);
}

#[test]
fn every_module_says_what_it_is_for() {
    let silent = files(&[".rs"]).into_iter().filter(|f| {
        // Attributes of the crate may stand first.
        let mut lines = f.text.lines().filter(|l| !l.is_empty() && !l.starts_with("#!["));
        !lines.next().is_some_and(|l| l.starts_with("//!"))
    });
    none("files without a module document", silent.map(|f| format!("{}:1", f.path)).collect());
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let code_marks = [
        concat!("todo", "!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
        concat!("test.sk", "ip("),
        concat!("it.sk", "ip("),
        concat!("describe.sk", "ip("),
        concat!("test.on", "ly("),
        concat!("it.on", "ly("),
    ];
    let mut offenders = Vec::new();
    for file in files(&[".rs", ".ts", ".mjs", ".svelte", ".toml", ".md"]) {
        for (at, line) in file.text.lines().enumerate() {
            let words = || line.split(|c: char| !c.is_alphanumeric());
            let found = marks.iter().find(|m| words().any(|w| w == **m));
            let found = found.or_else(|| code_marks.iter().find(|m| line.contains(**m)));
            offenders.extend(found.map(|m| format!("{}:{}: {m}", file.path, at + 1)));
        }
    }
    none("left for later", offenders);
}
