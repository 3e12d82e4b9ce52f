//! Limits of one edge shard, with their arithmetic.

/// Peers of one shard: a shard of one core fills at about 115,000 packets/s, which is 1,000 viewers of 1 Mbit/s.
pub const PEERS_MAX: usize = 2_000;

/// Meetings of one shard: hundreds a node, rounded up.
pub const MEETINGS_MAX: usize = 1_000;

/// Joins that wait for a meeting's placement: a join storm of 1,000 into a meeting nobody here knew.
pub const WAITING_MAX: usize = 1_000;
