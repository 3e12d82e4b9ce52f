//! The tree keeps its own rules: layers, purity, sizes, documents. Each test lists every offender with file and line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test: what must not be fails it"
)]

mod documents;
mod layers;
mod purity;
mod scan;
mod shape;
mod tree;

/// Fails with all offenders, one a line.
fn none(what: &str, mut offenders: Vec<String>) {
    offenders.sort();
    assert!(offenders.is_empty(), "{what} ({}):\n  {}", offenders.len(), offenders.join("\n  "));
}
