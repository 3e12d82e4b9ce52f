//! Limits of one edge shard, with their arithmetic.

use std::time::Duration;

/// Peers of one shard: a shard of one core fills at about 115,000 packets/s, which is 1,000 viewers of 1 Mbit/s.
pub const PEERS_MAX: usize = 2_000;

/// Meetings of one shard: hundreds a node, rounded up.
pub const MEETINGS_MAX: usize = 1_000;

/// Joins that wait for a meeting's placement: a join storm of 1,000 into a meeting nobody here knew.
pub const WAITING_MAX: usize = 1_000;

/// Messages a participant may write: one a second, ...
pub const CHAT_EVERY: Duration = Duration::from_secs(1);

/// ... and so many at once: 1,000 people who do so are 5,000 messages, 2 MB of control a link.
pub const CHAT_BURST: u32 = 5;

/// Messages of one meeting that wait for the origin: 64 x 8 KB = 512 KB, half of what may wait for a link.
pub const CHAT_PENDING_MAX: usize = 64;
