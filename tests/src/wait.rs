//! Waiting for a condition: bounded, and with a message that says what did not come.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
const EVERY: Duration = Duration::from_millis(10);

/// The first `Some` of `look` within `limit`.
///
/// # Panics
/// When it does not come: with `what` and the last thing seen.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
    loop {
        let seen = match look() {
            Ok(found) => return found,
            Err(seen) => seen,
        };
        assert!(Instant::now() < end, "{what}: not within {limit:?}; last seen: {seen}");
        std::thread::sleep(EVERY);
    }
}

/// Waits until `holds`, at most `limit`; otherwise panics with `what` and `state`.
pub fn until_holds(
    limit: Duration,
    what: &str,
    mut holds: impl FnMut() -> bool,
    mut state: impl FnMut() -> String,
) {
    until(limit, what, || if holds() { Ok(()) } else { Err(state()) });
}

/// Lets the system run for a while: where a figure is measured over time, not where something is awaited.
pub fn observe(window: Duration) {
    std::thread::sleep(window);
}
