//! Every limit of the HTTP API, with its arithmetic.

use std::time::Duration;

/// Longest body of a request: a name of 64 characters and a password of 128, each at most 12 bytes of escaped JSON
/// (`\ud83d\ude00`), are 2.3 KB; the rest is keys.
pub const BODY_BYTES_MAX: usize = 8 * 1024;

/// Longest name of a meeting or a person, in characters: 64 x 4 B is what the topology keeps.
pub const NAME_CHARS_MAX: usize = 64;

/// Longest password, in characters. Argon2 hashes any length; this bounds the body.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// Longest `Idempotency-Key`: three UUIDs.
pub const KEY_BYTES_MAX: usize = 128;

/// Meetings that one person may create in an hour, unless the operator says otherwise.
pub const CREATES_PER_HOUR_DEFAULT: u32 = 10;
/// The hour.
pub const CREATE_WINDOW: Duration = Duration::from_secs(3_600);

/// People whose creations are remembered at one edge: 10,000 x (10 times of 16 B + 128 B of name) = 3 MB.
pub const CREATORS_MAX: usize = 10_000;

/// Joins into one meeting that are answered at once, and per second after it: 1,000 people who click one link in one second are
/// served, and a flood of joins into one meeting costs 100 signatures a second (50 us each), half a percent of a core.
pub const MEETING_JOINS: Rate = Rate { burst: 1_000, per_second: 100.0 };

/// Joins from one address (of IPv6, a /64): an office of 300 behind one address at once, one of 1,000 within half a minute.
pub const ADDRESS_JOINS: Rate = Rate { burst: 300, per_second: 30.0 };

/// Wrong passwords from one address for one meeting: five at once, then one in twelve seconds: 7,200 guesses a day.
pub const WRONG_PASSWORDS: Rate = Rate { burst: 5, per_second: 1.0 / 12.0 };

/// Keys of one table of rates: 65,536 x 64 B = 4 MB. Keys at rest are forgotten first; when none is, new ones are refused.
pub const RATE_KEYS_MAX: usize = 65_536;

/// Answers to creations that are kept for a retry: 4,096 x 3 KB of tokens = 12 MB.
pub const KEYS_MAX: usize = 4_096;
/// How long.
pub const KEY_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// A join token is good this long; it is renewed with itself. One that leaks is worth little for
/// long.
pub const JOIN_LIFETIME: Duration = Duration::from_secs(3_600);

/// A TURN credential is good as long as the join token it comes with: a relayed session asks for both anew together.
pub const TURN_LIFETIME: Duration = JOIN_LIFETIME;

/// An invitation is good this long: a meeting is planned a month ahead.
pub const INVITE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Edges named in a join reply: a client measures each with a few requests, within 300 ms.
pub const EDGES_MAX: usize = 8;
/// Of one region: one, and one for when it is gone. Other regions are named, too, for those whom the network knows better.
pub const EDGES_PER_REGION_MAX: usize = 2;

/// Meetings or participants on one page of a list: 100 x 300 B = 30 KB.
pub const PAGE_DEFAULT: u32 = 100;
/// At most: 1,000 x 300 B = 300 KB.
pub const PAGE_MAX: u32 = 1_000;

/// Memory of one Argon2id hash, KiB; with two passes and one lane the least that OWASP recommends.
pub const ARGON2_KIB: u32 = 19_456;
/// Its passes.
pub const ARGON2_PASSES: u32 = 2;
/// Hashes at a time: one, so that passwords take at most a core (30 ms each) and 19 MiB, whoever asks.
pub const HASHES_AT_ONCE: usize = 1;
/// How long a join waits for its turn to be hashed: some 60 hashes.
pub const HASH_WAIT: Duration = Duration::from_secs(2);
/// Meetings whose right password is remembered (as a keyed digest): a crowd costs one hash. 1,024 x 48 B = 48 KB.
pub const PROVED_MAX: usize = 1_024;

/// When to come back after the topology service did not answer: it has a new leader by then.
pub const TOPOLOGY_RETRY_S: u64 = 2;

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// So many at once.
    pub burst: u32,
    /// So many come back in a second.
    pub per_second: f64,
}

const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
const _: () = assert!(NAME_CHARS_MAX * 4 <= topology::limits::NAME_BYTES_MAX);
