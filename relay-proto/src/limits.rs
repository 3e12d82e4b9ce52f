//! Every limit of the relay protocol, with its arithmetic.

use std::time::Duration;

/// Edge, head, origin, head, edge is five nodes and four hops; more is a loop.
pub const HOPS_MAX: usize = 4;

/// A control message: a roster snapshot chunk of 200 members x (64-byte name + 20) = 17 KB fits four times.
pub const CONTROL_BYTES_MAX: usize = 64 * 1024;

/// Members in one snapshot message: 200 x (4 x 64 bytes of UTF-8 name + 20) = 55 KB <= 64 KiB.
pub const SNAPSHOT_MEMBERS_MAX: usize = 200;

/// Longest display name, in characters; 4 bytes each at the most.
pub const NAME_CHARS_MAX: usize = 64;

/// An edge's own top three voices, and one that is rising.
pub const DIGEST_MAX: usize = 4;

/// The main picture and the twelve most recent speakers of the default layout, and three to spare.
pub const FLOOR_RECENT_MAX: usize = 16;

/// Tracks one edge may want at once: 100 cameras, 100 screens, and room for as many again.
pub const WANTS_MAX: usize = 400;

/// Voices an edge sends upward: the local top three.
pub const VOICES_UP_MAX: usize = 3;

/// Voices the origin sends downward: each participant gets three that are not their own.
pub const VOICES_DOWN_MAX: usize = 4;

/// Longest region name.
pub const REGION_BYTES_MAX: usize = 32;

/// Largest relayed RTP packet that travels as a datagram: initial MTU 1,400 - 38 (QUIC) - 9 (flow, shim) = 1,353.
pub const RTP_DATAGRAM_BYTES_MAX: usize = 1_353;

/// Between two heartbeats on a connection.
pub const HEARTBEAT_EVERY: Duration = Duration::from_millis(100);

/// Silence that makes a link suspect: four heartbeats.
pub const SUSPECT_AFTER: Duration = Duration::from_millis(400);

/// Silence that ends a link: ten heartbeats. Failover budget is 2 s (DESIGN section 7).
pub const DEAD_AFTER: Duration = Duration::from_millis(1_000);

const _: () = assert!(SNAPSHOT_MEMBERS_MAX * (4 * NAME_CHARS_MAX + 20) <= CONTROL_BYTES_MAX);
