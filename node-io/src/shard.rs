//! A shard: one thread that drives one machine.

mod spawn;
mod turn;

pub use spawn::{spawn_shard, try_spawn_shard};

use crate::mailbox::{MailboxSender, Waker};
use crate::stats::ShardStats;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// What a shard is made of.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Name of the thread (15 characters are kept) and label of the metrics.
    pub name: String,
    /// Where participants' media arrives; an origin has none.
    pub media: Option<SocketAddr>,
    /// Where the relay links arrive.
    pub relay: SocketAddr,
    /// The core to pin the thread to.
    pub core: Option<usize>,
    /// How many commands wait at most; 0 is the default.
    pub mailbox: usize,
    /// Test knob: added to the wall clock (never to the monotonic one).
    pub wall_skew_us: i64,
}

impl ShardConfig {
    /// An unpinned shard with an honest clock and the default mailbox.
    #[must_use]
    pub fn new(name: impl Into<String>, media: Option<SocketAddr>, relay: SocketAddr) -> Self {
        Self { name: name.into(), media, relay, core: None, mailbox: 0, wall_skew_us: 0 }
    }
}

/// The addresses a shard was really bound to (port 0 asks the kernel for any).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardAddrs {
    /// Of the participants' socket.
    pub media: Option<SocketAddr>,
    /// Of the relay links' socket.
    pub relay: SocketAddr,
}

/// The control runtime's end of a shard. Dropping it stops the shard.
#[derive(Debug)]
pub struct ShardHandle<C, O> {
    /// Commands to the machine.
    pub commands: MailboxSender<C>,
    /// What the machine says, in order. `None` when the shard has ended: take it, and treat its end as the node's.
    pub outputs: mpsc::Receiver<O>,
    /// Where media arrives.
    pub media_addr: Option<SocketAddr>,
    /// Where links arrive.
    pub relay_addr: SocketAddr,
    /// Counters.
    pub stats: Arc<ShardStats>,
    stop: StopHandle,
    thread: Option<JoinHandle<()>>,
}

/// Stops a shard from anywhere.
#[derive(Clone, Debug)]
pub struct StopHandle {
    flag: Arc<AtomicBool>,
    waker: Waker,
}

impl StopHandle {
    /// Lets the shard end after what it has in hand: commands already sent, and a last bounded flush.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::SeqCst);
        self.waker.wake();
    }
}

impl<C, O> ShardHandle<C, O> {
    /// A handle that stops this shard.
    #[must_use]
    pub fn stopper(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Lets the shard end after what it has in hand.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Takes the receiver of outputs, to pump it in a task of its own; what stays behind is closed.
    pub fn take_outputs(&mut self) -> mpsc::Receiver<O> {
        std::mem::replace(&mut self.outputs, mpsc::channel(1).1)
    }

    /// Whether the thread has ended, by `stop` or by a panic.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Stops the shard and waits for its end.
    ///
    /// # Errors
    /// When the machine panicked.
    pub fn join(mut self) -> io::Result<()> {
        self.stop();
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().map_err(|_| io::Error::other("the shard panicked"))
    }
}

impl<C, O> Drop for ShardHandle<C, O> {
    fn drop(&mut self) {
        self.stop.stop();
    }
}
