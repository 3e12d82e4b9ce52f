//! What a peer counts, for metrics and tests. Drops are counted by the shard, through the sink.

/// Counters of one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounters {
    /// RTP packets received, padding included.
    pub packets_in: u64,
    /// Their bytes, after decryption.
    pub bytes_in: u64,
    /// Packets that carried only padding: probes of the publisher's bandwidth estimate.
    pub padding_in: u64,
    /// Packets that came by RTX and were missing.
    pub repaired_in: u64,
    /// RTP packets sent.
    pub packets_out: u64,
    /// Their bytes, before encryption.
    pub bytes_out: u64,
    /// Of them, retransmissions.
    pub retransmissions_out: u64,
    /// Sequence numbers asked for again.
    pub nacks_out: u64,
    /// Key frames asked for.
    pub keyframe_requests_out: u64,
    /// Transport-wide feedback packets sent.
    pub feedbacks_out: u64,
}
