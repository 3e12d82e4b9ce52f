//! Every limit of the relay protocol, with its arithmetic.

use std::time::Duration;

/// Edge, head, origin, head, edge is five nodes and four hops; more is a loop.
pub const HOPS_MAX: usize = 4;

/// A control message: a roster snapshot chunk of 200 members x (64-byte name + 40) = 21 KB fits three times.
pub const CONTROL_BYTES_MAX: usize = 64 * 1024;

/// Members in one snapshot message: 200 x (4 x 64 bytes of UTF-8 name + 40) = 59 KB <= 64 KiB.
pub const SNAPSHOT_MEMBERS_MAX: usize = 200;

/// Longest display name, in characters; 4 bytes each at the most.
pub const NAME_CHARS_MAX: usize = 64;

/// Longest written message, in characters: a page of text. 4 bytes each at the most: 8,000 bytes.
pub const CHAT_CHARS_MAX: usize = 2_000;

/// Written messages in one control message: 4 x (8,000 bytes of text + 256 of name + 40) = 33 KB <= 64 KiB.
pub const CHAT_HISTORY_MAX: usize = 4;

/// Of those who wait to be let in, so many are told to hosts: a screen of them. 50 x (256 bytes of name + 20) = 14 KB.
pub const KNOCKERS_TOLD_MAX: usize = 50;

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

/// Feature bit: media datagrams carry the shim.
pub const FEATURE_SHIM: u64 = 1;

/// Hops read from the wire before the hub judges the list: bounds memory, not routes.
pub const HOPS_DECODED_MAX: usize = 64;

/// A packet in a stream: ten Ethernet frames. 256 half-received streams of them hold 4 MiB.
pub const STREAM_PACKET_BYTES_MAX: usize = 16 * 1024;

/// Unidirectional streams that a peer may have open on a media connection.
pub const MEDIA_STREAMS_MAX: u32 = 256;

/// Link sequence numbers remembered: 0.4 s of 10,000 datagrams a second.
pub const DUPLICATE_WINDOW: usize = 4_096;

/// Flows of one link whose loss is counted: 1,000 tracks of 3 encodings, and room. 4,096 x 48 bytes = 200 KB.
pub const FLOWS_COUNTED_MAX: usize = 4_096;

/// Meetings whose epoch is remembered: 65,536 x 48 bytes = 3 MB a shard.
pub const FENCED_MEETINGS_MAX: usize = 65_536;

/// A meeting that nobody spoke of for this long may be forgotten when the table is full.
pub const FENCE_IDLE: Duration = Duration::from_secs(600);

/// Media that waits in front of one link: 250 ms (the longest deadline) of 32 Mbit/s.
pub const LINK_QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// Datagrams inside quinn, which neither sorts nor expires them: 32 KiB, 6 ms of 45 Mbit/s.
pub const QUIC_DATAGRAM_BUFFER_BYTES: usize = 32 * 1024;

/// Of these, media leaves alone: room for heartbeats (37 bytes + 32 of bookkeeping each).
pub const QUIC_DATAGRAM_RESERVE_BYTES: usize = 2 * 1024;

/// Control bytes that wait for a slow peer: 17 snapshot messages of 59 KB. Over it the link is closed.
pub const CONTROL_BACKLOG_BYTES_MAX: usize = 1024 * 1024;

/// Links of one shard: 1,000 nodes on one lane, or 64 on all sixteen.
pub const LINKS_MAX: usize = 1_024;

/// Connections of one shard: two a link, twice while both ends dial, and those that are closing.
pub const CONNECTIONS_MAX: usize = 6 * LINKS_MAX;

/// Inbound connections whose handshake is not done, before strangers must prove their address (QUIC Retry).
pub const HALF_OPEN_RETRY: usize = 64;

/// And before they are ignored. A legitimate herd of 512 links redials with backoff.
pub const HALF_OPEN_MAX: usize = 1_024;

/// From the first packet to both hellos; longer than the 3 s that QUIC itself waits for an answer.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// First redial, and the limit of its doubling.
pub const REDIAL_MIN: Duration = Duration::from_millis(100);
/// See [`REDIAL_MIN`].
pub const REDIAL_MAX: Duration = Duration::from_secs(5);

/// A link that was up for this long starts its backoff anew.
pub const STABLE_AFTER: Duration = Duration::from_secs(5);

/// Between two heartbeats on a connection.
pub const HEARTBEAT_EVERY: Duration = Duration::from_millis(100);

/// Silence that makes a link suspect: four heartbeats.
pub const SUSPECT_AFTER: Duration = Duration::from_millis(400);

/// Silence that ends a link: ten heartbeats. Failover budget is 2 s (ARCHITECTURE section 7).
pub const DEAD_AFTER: Duration = Duration::from_millis(1_000);

const _: () =
    assert!(CHAT_HISTORY_MAX * (4 * (CHAT_CHARS_MAX + NAME_CHARS_MAX) + 40) <= CONTROL_BYTES_MAX);
const _: () = assert!(SNAPSHOT_MEMBERS_MAX * (4 * NAME_CHARS_MAX + 40) <= CONTROL_BYTES_MAX);
