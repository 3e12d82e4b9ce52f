//! Every limit of a shard, with its arithmetic.

use relay_proto::machine::SLICE_DATAGRAMS;
use std::time::Duration;

/// Datagrams a turn takes in. As many as a slice sends: at 4 us each a turn stays below half a millisecond.
pub(crate) const TURN_DATAGRAMS: usize = SLICE_DATAGRAMS;

/// Commands a turn takes in. A join costs up to 1 ms, so a turn full of joins is 8 ms: still below a voice frame (20 ms).
pub(crate) const TURN_COMMANDS: usize = 8;

/// Messages of one `recvmmsg`: what quinn-udp takes at a time.
pub(crate) const RECV_MESSAGES: usize = quinn_udp::BATCH_SIZE;

/// One received message: with GRO the kernel hands over up to 64 KiB of equal datagrams. 32 x 64 KiB = 2 MiB a socket.
pub(crate) const RECV_MESSAGE_BYTES: usize = 1 << 16;

/// What is asked for as receive and send buffer: 8 MiB is 60 ms at 1 Gbit/s, longer than any turn or VM pause but the worst.
pub(crate) const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Outputs on their way to the control runtime: 6 s of a shard that says 10,000 things a second.
pub(crate) const OUTPUTS: usize = 1 << 16;

/// Outputs a shard keeps while the channel is full: four times the channel. Control that is 30 s behind is dead, and
/// then losing its events (counted) is better than losing the process that still carries media.
pub(crate) const OVERFLOW_OUTPUTS: usize = 4 * OUTPUTS;

/// How often a shard looks whether the output channel has room again.
pub(crate) const OVERFLOW_RETRY: Duration = Duration::from_millis(5);

/// Mailbox size when the configuration says 0: two commands for each of 2,000 peers of a shard.
pub(crate) const MAILBOX_DEFAULT: usize = 4_096;

/// The longest a slice waits for room in a full send buffer, once: a 1 Gbit/s card drains 60 KB in it.
pub(crate) const SEND_WAIT: Duration = Duration::from_micros(500);

/// After a driver refused segmentation offload it is tried again: the refusal may have been about one destination.
pub(crate) const GSO_RETRY: Duration = Duration::from_secs(30);

/// The longest sleep of a shard without a deadline. Nothing depends on it: every wake has its own descriptor.
pub(crate) const IDLE_WAIT: Duration = Duration::from_secs(1);

/// How often a busy shard reads its CPU time.
pub(crate) const CPU_READ_EVERY: Duration = Duration::from_millis(50);

/// A socket that only fails (interface gone) is left alone this long, so that the shard does not spin.
pub(crate) const FAILED_SOCKET_PAUSE: Duration = Duration::from_millis(10);

/// So many failures in a row make a socket one that only fails.
pub(crate) const SOCKET_FAILURES: u32 = 8;

/// Slices a stopping shard still sends: 4,096 datagrams, enough to say goodbye to every peer.
pub(crate) const STOP_SLICES: usize = 64;

/// How long a client may take to send a request's headers; also how long an idle connection is kept.
pub(crate) const HTTP_HEADERS: Duration = Duration::from_secs(30);

/// How long a client may take for a TLS handshake: one round trip and two signatures.
pub(crate) const TLS_HANDSHAKE: Duration = Duration::from_secs(10);

/// After a failed accept (no descriptors left).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a stopping HTTP server waits for open requests and sockets.
pub(crate) const HTTP_STOP: Duration = Duration::from_secs(5);

const _: () = assert!(RECV_MESSAGES * RECV_MESSAGE_BYTES == 2 << 20);
const _: () = assert!(OVERFLOW_OUTPUTS > OUTPUTS);
