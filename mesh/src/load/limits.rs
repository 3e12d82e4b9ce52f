//! Limits and timings of the load generator, with their arithmetic.

use std::time::Duration;

/// Participants of one run: 250 x 250 addresses of 127.100.0.0/16 would allow more, but 20,000 open files do not: each has a
/// WebSocket, and a UDP socket of its own where the mesh is not on this machine.
const PARTICIPANTS_MAX: u32 = 8_000;
/// Participants behind one UDP socket: at 80 packets/s each, 32 fill 4 MiB (2,300 bytes of kernel memory a packet) in 0.7 s.
pub(super) const PARTICIPANTS_PER_SOCKET: usize = 32;
/// Receive buffer asked for; what the kernel allows (`net.core.rmem_max`) is taken.
pub(super) const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Datagrams read in one call.
pub(super) const BATCH: usize = 64;
/// Longest datagram that is read: no path has more than 1,500 bytes.
pub(super) const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Read calls of one socket in one turn of the driver, so that no socket keeps the others waiting.
pub(super) const BATCHES_PER_TURN: usize = 4;
/// The shortest turn of the driver: what arrives meanwhile is read in one go. The kernel times arrivals, so this costs no accuracy.
pub(super) const TURN_MIN: Duration = Duration::from_millis(1);
/// The longest turn: orders and timers are looked at this often.
pub(super) const TURN_MAX: Duration = Duration::from_millis(5);
/// An answer to a join comes in this time, or the join has failed.
pub(super) const ANSWER: Duration = Duration::from_secs(15);
/// Joins under way at one time, however many want to: open handshakes cost the generator 1 ms each.
pub(super) const JOINING_MAX: usize = 256;
/// A join that is refused as busy is tried again so often: 20 times 2 s is longer than any storm here.
pub(super) const RETRIES_MAX: u32 = 20;
/// A missing packet is asked for after this: datagrams that overtook each other get a chance.
pub(super) const NACK_AFTER_US: u64 = 10_000;
/// ... again after this,
pub(super) const NACK_AGAIN_US: u64 = 100_000;
/// ... and given up, and counted as lost, after this.
pub(super) const LOST_AFTER_US: u64 = 1_000_000;
/// Missing packets remembered per slot: 16 bursts of a screen's key frame.
pub(super) const MISSING_MAX: usize = 512;
/// Key frames are asked for again after this: Chromium's 300 ms at a round trip of 100 ms.
pub(super) const PLI_AGAIN_US: u64 = 300_000;
/// Transport-wide feedback: browsers send it every 50 to 250 ms.
pub(super) const FEEDBACK_EVERY_US: u64 = 200_000;
/// Packets in one feedback: 200 ms of 20 Mbit/s.
pub(super) const FEEDBACK_PACKETS_MAX: usize = 512;
/// Receiver and sender reports.
pub(super) const REPORT_EVERY_US: u64 = 1_000_000;
/// Packets of one encoding that can be sent again: one second of f at 20 frames of 7 packets.
pub(super) const HISTORY_PACKETS: usize = 160;
/// More than this behind, a publisher skips instead of catching up.
pub(super) const BEHIND_MAX_US: u64 = 500_000;
/// A packet that leaves this much after its time is late: a fifth of a jitter buffer.
pub(super) const LATE_US: u64 = 20_000;
/// Errors kept for the report.
pub(super) const ERRORS_MAX: usize = 20;

/// The most participants of one run.
pub(crate) fn participants_max() -> i64 {
    i64::from(PARTICIPANTS_MAX)
}
