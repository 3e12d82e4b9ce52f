//! Limits of one peer, with their arithmetic.

use std::time::Duration;

/// Slots of a peer: as many m-lines as an offer may have.
pub const SLOTS_MAX: usize = crate::sdp::MEDIA_LINES_MAX;
/// SSRCs a publisher may bind: mic 1, camera 3 + 3 RTX, screen 3 + 3 RTX make 13; the rest is slack.
pub const SSRCS_MAX: usize = 16;
/// Sequence numbers in one [`super::PeerEvent::Nack`]: four packet-id/bitmask pairs of 17.
pub const NACKS_PER_EVENT: usize = 4 * 17;
/// Receiver reports: once a second (RFC 3550's minimum of 5 s is too slow for a sender's loss controller).
pub const RECEIVER_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Least time between two key-frame requests for one encoding; the hub merges at 300 ms, this only stops a storm.
pub const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of an RTP header we write: 12 fixed, 4 CSRC, 4 extension header, and as one-byte elements transport-wide
/// sequence 3, audio level 2, capture time 9, padded: 36; RTX adds 2.
pub const HEADER_BYTES_MAX: usize = 38;
/// Longest RTCP we write: well below any path MTU.
pub const RTCP_BYTES_MAX: usize = 1_200;
/// Sequence numbers taken from the NACKs of one RTCP datagram. A viewer that misses more than a burst of 272 packets
/// needs a key frame, not retransmissions.
pub const NACKS_PER_DATAGRAM: usize = 4 * NACKS_PER_EVENT;
/// Packets asked for in one NACK: all that one source can miss at once ([`sfu_core::nack`]). In the worst case each needs a
/// pair of its own: 12 + 4 * 256 = 1,036 bytes.
pub const NACK_SEQS_MAX: usize = 256;
/// Assumed round trip before one is measured.
pub const ROUND_TRIP_DEFAULT: Duration = Duration::from_millis(100);
/// A longer round trip is a clock that stepped, not a path.
pub const ROUND_TRIP_MAX: Duration = Duration::from_secs(5);
/// Feedback packets sent at once; one covers hundreds of packets, and 50 ms of a publisher are fewer.
pub const FEEDBACKS_MAX: usize = 4;
