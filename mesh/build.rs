//! The client page is embedded: a build notices when it has changed, and does without when it has not been built.

use std::path::Path;

fn main() {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/client/dist");
    if !dist.exists() {
        // Embedding an absent directory would be an error; an empty one serves a page that says what to do.
        let _ = std::fs::create_dir_all(&dist);
    }
    println!("cargo::rerun-if-changed={}", dist.display());
}
