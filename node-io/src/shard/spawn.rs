//! From a configuration to a running thread.

use super::turn::ShardLoop;
use super::{ShardAddrs, ShardConfig, ShardHandle, StopHandle};
use crate::clock::Clock;
use crate::limits::{MAILBOX_DEFAULT, OUTPUTS};
use crate::mailbox::Mailbox;
use crate::outputs::Outputs;
use crate::socket::UdpPort;
use crate::stats::ShardStats;
use relay_proto::machine::{Machine, ShardInput, Socket};
use relay_proto::time::Now;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::mpsc;

/// Binds the sockets, then starts the thread; `make` runs on it. Returns when the machine is made.
///
/// # Errors
/// When a socket cannot be bound (the message names the port), the thread cannot be started, or `make` panicked.
pub fn spawn_shard<M, C, O>(
    config: ShardConfig,
    make: impl FnOnce(Now, ShardAddrs) -> M + Send + 'static,
) -> io::Result<ShardHandle<C, O>>
where
    M: for<'a> Machine<Input<'a> = ShardInput<'a, C>, Output = O>,
    C: Send + 'static,
    O: Send + 'static,
{
    try_spawn_shard(config, move |now, addrs| Ok::<_, Infallible>(make(now, addrs)))
}

/// The same, for a machine that can fail to be made.
///
/// # Errors
/// As [`spawn_shard`], and with what `make` said.
pub fn try_spawn_shard<M, C, O, E>(
    config: ShardConfig,
    make: impl FnOnce(Now, ShardAddrs) -> Result<M, E> + Send + 'static,
) -> io::Result<ShardHandle<C, O>>
where
    M: for<'a> Machine<Input<'a> = ShardInput<'a, C>, Output = O>,
    C: Send + 'static,
    O: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let relay = UdpPort::bind(Socket::Relay, &config.name, config.relay)?;
    let bind_media = |addr| UdpPort::bind(Socket::Media, &config.name, addr);
    let media = config.media.map(bind_media).transpose()?;
    let media_addr = media.as_ref().map(UdpPort::local_addr).transpose()?;
    let addrs = ShardAddrs { media: media_addr, relay: relay.local_addr()? };
    let capacity = if config.mailbox == 0 { MAILBOX_DEFAULT } else { config.mailbox };
    let (commands, mailbox) = Mailbox::new(capacity)?;
    let (sender, outputs) = mpsc::channel(OUTPUTS);
    let stats = Arc::new(ShardStats::bound_to(addrs));
    let flag = Arc::new(AtomicBool::new(false));
    let stop = StopHandle { flag: Arc::clone(&flag), waker: mailbox.waker().clone() };
    let (clock, core, thread_stats) =
        (Clock::new(config.wall_skew_us), config.core, Arc::clone(&stats));
    let (made, wait_made) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(config.name).spawn(move || {
        pin(core);
        let machine = match make(clock.now(), addrs) {
            Ok(machine) => machine,
            Err(error) => {
                let _ = made.send(Err(io::Error::other(error)));
                return;
            }
        };
        let _ = made.send(Ok(()));
        ShardLoop::new(
            machine,
            clock,
            [Some(relay), media],
            mailbox,
            Outputs::new(sender),
            thread_stats,
            flag,
        )
        .run();
    })?;
    let thread = Some(thread);
    let relay_addr = addrs.relay;
    let handle = ShardHandle { commands, outputs, media_addr, relay_addr, stats, stop, thread };
    match wait_made.recv() {
        Ok(made) => made.map(|()| handle),
        Err(_) => Err(io::Error::other("the shard panicked while its machine was made")),
    }
}

/// Pins the calling thread; a core that is not there is a warning, because the shard works without.
fn pin(core: Option<usize>) {
    let Some(id) = core else { return };
    let known = core_affinity::get_core_ids().is_some_and(|cores| cores.iter().any(|c| c.id == id));
    if !known || !core_affinity::set_for_current(core_affinity::CoreId { id }) {
        tracing::warn!(core = id, "shard could not be pinned");
    }
}
