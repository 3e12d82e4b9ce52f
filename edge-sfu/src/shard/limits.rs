//! Limits of one edge shard, with their arithmetic.

use std::time::Duration;

/// Peers of one shard: a shard of one core fills at about 115,000 packets/s, which is 1,000 viewers of 1 Mbit/s.
pub const PEERS_MAX: usize = 2_000;

/// Meetings of one shard: hundreds a node, rounded up.
pub const MEETINGS_MAX: usize = 1_000;

/// How long joins wait for an origin to say whether the meeting is locked: 4 round trips of 250 ms make a link and attach.
/// Then they are let in, and the origin turns away who may not be.
pub const HELD_MAX: Duration = Duration::from_secs(1);

/// Joins that wait for a meeting's placement: a join storm of 1,000 into a meeting nobody here knew.
pub const WAITING_MAX: usize = 1_000;

/// Joins that wait to be let in: 500 x 28 KB of offer = 14 MB a meeting.
pub const LOBBY_MAX: usize = 500;

/// Members in a page of the roster: 100 x 90 bytes = 9 KB.
pub const ROSTER_PAGE: usize = 100;

/// In a meeting of more than this attendees are told as a number: a joining client is told of 20 KB at most.
pub const LISTED_MAX: usize = 200;

/// And listed again below this, so that one who comes and goes does not change what all are told.
pub const LISTED_AGAIN: usize = 150;

/// Pages of the roster a participant may ask for: one a second, and five at once. A page reads 2,000 names in 0.1 ms.
pub const PAGE_EVERY: Duration = Duration::from_secs(1);

/// Messages a participant may write: one a second, ...
pub const CHAT_EVERY: Duration = Duration::from_secs(1);

/// ... and so many at once: 1,000 people who do so are 5,000 messages, 2 MB of control a link.
pub const BURST: u32 = 5;

/// Messages of one meeting that wait for the origin: 64 x 8 KB = 512 KB, half of what may wait for a link.
pub const CHAT_PENDING_MAX: usize = 64;
