//! Limits of one peer, with their arithmetic.

use std::time::Duration;

/// Slots of a peer: as many m-lines as an offer may have.
pub const SLOTS_MAX: usize = crate::sdp::MEDIA_LINES_MAX;
/// SSRCs a publisher may bind: mic 1, camera 3 + 3 RTX, screen 3 + 3 RTX make 13; the rest is slack.
pub const SSRCS_MAX: usize = 16;
/// Sequence numbers in one [`super::PeerEvent::Nack`]: four packet-id/bitmask pairs of 17.
pub const NACKS_PER_EVENT: usize = 4 * 17;
/// Transport-wide feedback to a publisher goes out this long after the first unreported packet. Chromium's own
/// receiver sends every 50 .. 250 ms, 100 ms at middling rates; 50 ms makes its estimate follow soonest.
pub const TWCC_INTERVAL: Duration = Duration::from_millis(50);
/// Receiver reports: once a second (RFC 3550's minimum of 5 s is too slow for a sender's loss controller).
pub const RECEIVER_REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How often missing packets are looked through while some are missing.
pub const NACK_INTERVAL: Duration = Duration::from_millis(10);
/// Least time between two key-frame requests for one encoding; the hub merges at 300 ms, this only stops a storm.
pub const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of an RTP header we write: 12 fixed, 4 CSRC, 4 extension header, and as one-byte elements transport-wide
/// sequence 3, audio level 2, capture time 9, padded: 36; two-byte elements add 3 and padding: 40; RTX adds 2.
pub const HEADER_BYTES_MAX: usize = 48;
/// Longest RTCP we write: well below any path MTU.
pub const RTCP_BYTES_MAX: usize = 1_200;
