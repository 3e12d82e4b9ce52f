//! Every limit of the topology, with its arithmetic.

use std::time::Duration;

/// Node numbers are 12 bits and 0 is nobody: 2^12 - 1.
pub const NODES_MAX: usize = relay_proto::NodeId::MAX as usize;

/// Meetings alive at one time: 100,000 planned for, and twice that. At about 400 bytes each 80 MB.
pub const MEETINGS_MAX: usize = 200_000;

/// Ended meetings that are remembered, so that a late join gets "it ended" and not "unknown": 10,000 x 400 B = 4 MB.
pub const ENDED_KEPT: usize = 10_000;

/// Request ids that are remembered: at 100 creations and ends a second, 160 s; clients retry for at most 30 s.
pub const REQUESTS_KEPT: usize = 16_384;

/// Longest region name.
pub const REGION_BYTES_MAX: usize = relay_proto::limits::REGION_BYTES_MAX;

/// Longest name of a node or a meeting: 64 characters of four bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Longest URL in a node record.
pub const URL_BYTES_MAX: usize = 256;

/// Relay addresses in a node record: one a lane.
pub const RELAY_ADDRESSES_MAX: usize = relay_proto::Lane::COUNT as usize;

/// Regions a meeting may be confined to.
pub const ALLOWED_REGIONS_MAX: usize = 32;

/// Entries of the round-trip table: 64 regions x 63 / 2 = 2,016.
pub const RTT_CELLS_MAX: usize = 2_048;

/// Participants a meeting may allow: 20 bits a node count them, no meeting is larger than a million.
pub const PARTICIPANTS_MAX: u32 = 1 << 20;

/// Meetings placed anew by one repair command: 256 x 4,095 nodes = 1 M evaluations, about 20 ms.
pub const REPAIRS_PER_COMMAND: usize = 256;

/// Meetings moved off draining nodes by one repair command. At one every 250 ms: 64 meetings a second.
pub const MOVES_PER_COMMAND: usize = 16;

/// Occupancy reports in one command.
pub const REPORTS_PER_COMMAND: usize = 512;

/// Longest frame of the protocol, header excluded.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Longest request: a full occupancy report is 512 x 16 B = 8 KiB; the largest node record is 1.5 KiB.
pub const REQUEST_BYTES_MAX: usize = 32 * 1024;

/// An encoded node: 16 relay addresses x 20 B + 2 URLs x 256 B + 256 B name + 32 B region + 100 B of numbers.
/// An encoded meeting: 256 B name + 32 regions x 33 B + 80 B of numbers.
pub const ENTRY_BYTES_MAX: usize = 1_536;

/// Entries in one part of a snapshot: 128 x 1.5 KiB = 192 KiB.
pub const SNAPSHOT_PART_ENTRIES: usize = 128;

/// Updates that a watcher may be behind before it gets a new snapshot: one a turn, so a quarter of a second of the busiest
/// service (a turn is an fsync, 1 ms and more).
pub const WATCH_BACKLOG: usize = 256;

/// Changes in one update: what one repair command can touch, in parts.
pub const UPDATE_ENTRIES_MAX: usize = 128;

/// Commands written with one fsync.
pub const GROUP_COMMIT_MAX: usize = 256;

/// Requests waiting for the core; more wait on their own QUIC streams.
pub const CORE_QUEUE: usize = 1_024;

/// The log is folded into a snapshot when it is longer than this; 100 k commands of 160 B.
pub const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest record of the log: a full round-trip table, 2,048 x (2 x 33 + 5) B = 142 KiB.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// Repairs run in one turn of the service: 8 x 256 meetings, about 50 ms.
pub const REPAIRS_PER_TURN: usize = 8;

/// Largest snapshot file: 200,000 meetings x 1.5 KiB is 300 MB, and room for the rest.
pub const SNAPSHOT_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Connections to one service: every node, and operators.
pub const CONNECTIONS_MAX: usize = 8_192;

/// Requests in flight on one connection.
pub const STREAMS_PER_CONNECTION: u32 = 64;

/// Bytes of one entry of Raft's log, checksum included: the largest command, and 1 KiB for the rest.
pub const RAFT_RECORD_BYTES_MAX: usize = RECORD_BYTES_MAX + 1_024;

/// Entries in one append request.
pub const RAFT_ENTRIES_PER_RPC: u64 = 64;

/// Longest frame between members: 64 entries x 257 KiB = 16 MiB, and room for the rest.
pub const RAFT_FRAME_BYTES_MAX: usize = 17 * 1024 * 1024;

/// Entries after which the log is folded into a snapshot: at 160 B each 3 MB, 40 s of the busiest service.
pub const RAFT_SNAPSHOT_AFTER: u64 = 20_000;

/// Entries that stay behind a snapshot for members that are a little late: 20 s of the busiest service.
pub const RAFT_LOG_KEPT: u64 = 10_000;

/// Exchanges in flight on a connection between members: forwarded requests of a member's clients, mostly.
pub const RAFT_STREAMS_PER_CONNECTION: u32 = 1_024;

/// Members of one service, learners included: 5 voters, and a learner in every other region.
pub const MEMBERS_MAX: usize = 64;

/// A member that does not lead tries to reach the leader for this long before it says "unavailable": an election on a WAN
/// takes up to 3.5 s, and a client waits 4 s for the answer to a heartbeat.
pub const LEADER_WAIT: Duration = Duration::from_millis(3_000);

/// A member that was taken in must have the log within this time, or it stays a learner.
pub const CATCH_UP_LIMIT: Duration = Duration::from_secs(30);

/// A lost connection to another member is made again after this long.
pub const PEER_REDIAL: Duration = Duration::from_millis(100);

/// With several addresses a client gives up on one after this long: a handshake needs a round trip, 300 ms at most.
pub const CONNECT_TIMEOUT_EACH: Duration = Duration::from_millis(1_500);

/// A connection on which nothing comes for this long is dead.
pub const PEER_SILENCE_MAX: Duration = Duration::from_millis(4_000);

/// With several addresses a client gives a silent connection up earlier: it must be heard by a leader again, over another
/// member, before it counts as suspect (2 s).
pub const PEER_SILENCE_EACH: Duration = Duration::from_millis(1_400);

/// With several addresses a client leaves a member whose watch is silent for this long: two keep-alives and a half.
pub const WATCH_SILENCE_EACH: Duration = Duration::from_millis(2_500);

/// A node says that it lives this often.
pub const HEARTBEAT: Duration = Duration::from_millis(500);
/// Four heartbeats missed.
pub const SUSPECT_AFTER: Duration = Duration::from_millis(2_000);
/// Ten heartbeats missed.
pub const DOWN_AFTER: Duration = Duration::from_millis(5_000);
/// How often the service looks for missed heartbeats and for meetings to place anew.
pub const TICK: Duration = Duration::from_millis(250);
/// A tick that is later than this means that the service itself stood still: nobody is blamed for the silence.
pub const STALL: Duration = Duration::from_millis(1_000);
/// A watch stream without news carries a keep-alive this often.
pub const WATCH_KEEP_ALIVE: Duration = Duration::from_millis(1_000);
/// A watch stream silent for this long is dead: four keep-alives.
pub const WATCH_SILENCE_MAX: Duration = Duration::from_millis(4_000);
/// A request that is not answered in this time fails, unless the caller says otherwise.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Time a client has for one handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// First wait before connecting again; doubled up to [`RECONNECT_MAX`], and jittered by half.
pub const RECONNECT_MIN: Duration = Duration::from_millis(100);
/// Longest wait before connecting again.
pub const RECONNECT_MAX: Duration = Duration::from_secs(3);

const _: () = assert!(SNAPSHOT_PART_ENTRIES * ENTRY_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(UPDATE_ENTRIES_MAX * ENTRY_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () =
    assert!(RELAY_ADDRESSES_MAX * 20 + 2 * URL_BYTES_MAX + NAME_BYTES_MAX + 132 <= ENTRY_BYTES_MAX);
const _: () =
    assert!(ALLOWED_REGIONS_MAX * (REGION_BYTES_MAX + 1) + NAME_BYTES_MAX + 80 <= ENTRY_BYTES_MAX);
const _: () = assert!(
    RAFT_ENTRIES_PER_RPC as usize * RAFT_RECORD_BYTES_MAX + 65_536 <= RAFT_FRAME_BYTES_MAX
);
const _: () = assert!(LEADER_WAIT.as_millis() < WATCH_SILENCE_MAX.as_millis());
const _: () = assert!(SUSPECT_AFTER.as_millis() < DOWN_AFTER.as_millis());
