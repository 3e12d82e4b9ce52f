//! A shard: one thread that drives one machine.

use crate::clock::Clock;
use crate::limits::{
    CPU_READ_EVERY, FAILED_SOCKET_PAUSE, IDLE_WAIT, MAILBOX_DEFAULT, OUTPUTS, OVERFLOW_RETRY,
    SOCKET_FAILURES, STOP_SLICES, TURN_COMMANDS, TURN_DATAGRAMS,
};
use crate::mailbox::{Mailbox, MailboxSender, Waker};
use crate::outputs::Outputs;
use crate::recv::RecvBatch;
use crate::socket::UdpPort;
use crate::stats::{ShardStats, bump};
use relay_proto::machine::{Machine, Outbox, Progress, ShardInput, Socket};
use relay_proto::time::Now;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
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
        Self {
            name: name.into(),
            media,
            relay,
            core: None,
            mailbox: 0,
            wall_skew_us: 0,
        }
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
        thread
            .join()
            .map_err(|_| io::Error::other("the shard panicked"))
    }
}

impl<C, O> Drop for ShardHandle<C, O> {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// Binds the sockets, then starts the thread; `make` runs on it.
///
/// # Errors
/// When a socket cannot be bound (the message names the port) or the thread cannot be started.
pub fn spawn_shard<M, C, O>(
    config: ShardConfig,
    make: impl FnOnce(Now, ShardAddrs) -> M + Send + 'static,
) -> io::Result<ShardHandle<C, O>>
where
    M: for<'a> Machine<Input<'a> = ShardInput<'a, C>, Output = O>,
    C: Send + 'static,
    O: Send + 'static,
{
    let relay = UdpPort::bind(Socket::Relay, &config.name, config.relay)?;
    let media = config
        .media
        .map(|addr| UdpPort::bind(Socket::Media, &config.name, addr))
        .transpose()?;
    let addrs = ShardAddrs {
        media: media.as_ref().map(UdpPort::local_addr).transpose()?,
        relay: relay.local_addr()?,
    };
    let capacity = if config.mailbox == 0 {
        MAILBOX_DEFAULT
    } else {
        config.mailbox
    };
    let (commands, mailbox) = Mailbox::new(capacity)?;
    let (sender, outputs) = mpsc::channel(OUTPUTS);
    let stats = Arc::new(ShardStats::default());
    stats
        .relay
        .port
        .store(addrs.relay.port(), Ordering::Relaxed);
    stats
        .media
        .port
        .store(addrs.media.map_or(0, |a| a.port()), Ordering::Relaxed);
    let stop = StopHandle {
        flag: Arc::new(AtomicBool::new(false)),
        waker: mailbox.waker().clone(),
    };
    let (clock, core) = (Clock::new(config.wall_skew_us), config.core);
    let (thread_stats, thread_stop) = (Arc::clone(&stats), Arc::clone(&stop.flag));
    let thread = std::thread::Builder::new()
        .name(config.name)
        .spawn(move || {
            pin(core);
            let machine = make(clock.now(), addrs);
            let ports = [Some(Port::new(relay)), media.map(Port::new)];
            let outputs = Outputs::new(sender);
            let shard = ShardLoop {
                machine,
                clock,
                ports,
                mailbox,
                outputs,
                outbox: Outbox::new(),
                stats: thread_stats,
                stop: thread_stop,
                progress: Progress::Done,
                turn: 0,
                cpu_read: clock.now().mono,
            };
            shard.run();
        })?;
    Ok(ShardHandle {
        commands,
        outputs,
        media_addr: addrs.media,
        relay_addr: addrs.relay,
        stats,
        stop,
        thread: Some(thread),
    })
}

fn pin(core: Option<usize>) {
    let Some(id) = core else { return };
    let known = core_affinity::get_core_ids().is_some_and(|cores| cores.iter().any(|c| c.id == id));
    if !known || !core_affinity::set_for_current(core_affinity::CoreId { id }) {
        tracing::warn!(core = id, "shard could not be pinned");
    }
}

/// A socket with its receive buffer.
struct Port {
    udp: UdpPort,
    batch: RecvBatch,
    /// What `ppoll` said, until a receive call finds nothing.
    readable: bool,
    /// Receive calls that failed one after the other.
    failures: u32,
}

impl Port {
    fn new(udp: UdpPort) -> Self {
        Self {
            udp,
            batch: RecvBatch::new(),
            readable: true,
            failures: 0,
        }
    }

    /// Whether this socket brings nothing but errors, which would keep `ppoll` from ever sleeping.
    fn is_failing(&self) -> bool {
        self.failures >= SOCKET_FAILURES
    }
}

/// What to watch of a port; a port that is absent or failing is replaced by a descriptor without events.
fn watch<'a>(port: &'a Option<Port>, waker: &'a Waker) -> PollFd<'a> {
    match port {
        Some(port) if !port.is_failing() => PollFd::new(&port.udp.socket, PollFlags::IN),
        _ => PollFd::new(waker, PollFlags::empty()),
    }
}

struct ShardLoop<M: Machine, C> {
    machine: M,
    clock: Clock,
    /// Relay and media.
    ports: [Option<Port>; 2],
    mailbox: Mailbox<C>,
    outputs: Outputs<M::Output>,
    outbox: Outbox<M::Output>,
    stats: Arc<ShardStats>,
    stop: Arc<AtomicBool>,
    progress: Progress,
    turn: usize,
    cpu_read: Instant,
}

impl<M, C> ShardLoop<M, C>
where
    M: for<'a> Machine<Input<'a> = ShardInput<'a, C>>,
{
    fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let now = self.clock.now();
            self.take_turn(now);
            let end = Instant::now();
            self.stats
                .turns
                .record(end.saturating_duration_since(now.mono));
            self.note_cpu(end);
            self.wait(end);
        }
        self.finish();
    }

    /// The thread's CPU time, a system call, now and then.
    fn note_cpu(&mut self, now: Instant) {
        if now.saturating_duration_since(self.cpu_read) >= CPU_READ_EVERY {
            self.cpu_read = now;
            self.stats
                .cpu_ns
                .store(Clock::thread_cpu_ns(), Ordering::Relaxed);
        }
    }

    /// Receive, handle, meet the deadline, flush one slice.
    fn take_turn(&mut self, now: Now) {
        self.turn = self.turn.wrapping_add(1);
        self.outputs.retry(&self.stats);
        // The sockets take turns in being first, so that a flood on one cannot starve the other.
        let first = self.turn % 2;
        let left = self.receive(first, now, TURN_DATAGRAMS);
        self.receive(1 - first, now, left);
        self.take_commands(now);
        if let Some(deadline) = self.machine.deadline().filter(|d| *d <= now.mono) {
            let late = now.mono.saturating_duration_since(deadline);
            bump(&self.stats.deadlines, 1);
            bump(&self.stats.deadline_late_ns, late.as_nanos() as u64);
            self.machine.on_deadline(now, &mut self.outbox);
            self.send_when_full(now);
        }
        self.flush(now);
    }

    fn flush(&mut self, now: Now) {
        bump(&self.stats.slices, 1);
        self.progress = self.machine.flush(now, &mut self.outbox);
        self.send(now);
    }

    /// Handles at most `budget` datagrams of one socket; returns what is left of it.
    fn receive(&mut self, index: usize, now: Now, mut budget: usize) -> usize {
        while budget > 0 {
            let Some(port) = &mut self.ports[index] else {
                return budget;
            };
            let socket = port.udp.kind;
            if let Some(d) = port.batch.next() {
                let input = ShardInput::Datagram {
                    socket,
                    from: d.from,
                    ecn: d.ecn,
                    data: d.data,
                };
                self.machine.handle(now, input, &mut self.outbox);
                budget -= 1;
                self.send_when_full(now);
                continue;
            }
            if !port.readable {
                return budget;
            }
            let received = port.udp.recv(&mut port.batch, self.stats.socket(socket));
            port.failures = if received.is_err() {
                port.failures.saturating_add(1)
            } else {
                0
            };
            port.readable = received.unwrap_or(false);
        }
        budget
    }

    fn take_commands(&mut self, now: Now) {
        self.mailbox.waker().clear();
        for _ in 0..TURN_COMMANDS {
            if self.outputs.is_behind() {
                return;
            }
            let Some(command) = self.mailbox.take() else {
                return;
            };
            bump(&self.stats.commands, 1);
            self.machine
                .handle(now, ShardInput::Command(command), &mut self.outbox);
            self.send_when_full(now);
            self.send_outputs();
        }
    }

    fn send_when_full(&mut self, now: Now) {
        if self.outbox.is_full() {
            self.send(now);
        }
    }

    fn send(&mut self, now: Now) {
        if !self.outbox.net.is_empty() {
            for port in self.ports.iter_mut().flatten() {
                port.udp.begin_slice(now.mono);
            }
            for (transmit, bytes) in self.outbox.net.transmits() {
                let port = self
                    .ports
                    .iter_mut()
                    .flatten()
                    .find(|p| p.udp.kind == transmit.socket);
                if let Some(port) = port {
                    port.udp.send(
                        transmit,
                        bytes,
                        now.mono,
                        self.stats.socket(transmit.socket),
                    );
                }
            }
            self.outbox.net.clear();
        }
        self.send_outputs();
    }

    fn send_outputs(&mut self) {
        if !self.outbox.events.is_empty() {
            self.outputs.send(&mut self.outbox.events, &self.stats);
        }
    }

    /// Whether the next turn has work that no descriptor announces.
    fn has_work(&self) -> bool {
        self.progress == Progress::More
            || self
                .ports
                .iter()
                .flatten()
                .any(|p| p.readable || !p.batch.is_empty())
            || (!self.mailbox.is_empty() && !self.outputs.is_behind())
    }

    /// Sleeps until something happens, or only looks when there is work.
    fn wait(&mut self, now: Instant) {
        let timeout = if self.has_work() {
            Duration::ZERO
        } else {
            self.idle_for(now)
        };
        let timeout = Timespec::try_from(timeout).ok();
        let waker = self.mailbox.waker();
        let [first, second] = &self.ports;
        let mut fds = [
            PollFd::new(waker, PollFlags::IN),
            watch(first, waker),
            watch(second, waker),
        ];
        // Interrupted or not: the next turn looks at everything anyway.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
        let ready = [!fds[1].revents().is_empty(), !fds[2].revents().is_empty()];
        for (port, ready) in self.ports.iter_mut().zip(ready) {
            if let Some(port) = port {
                port.readable |= ready || port.is_failing();
            }
        }
    }

    fn idle_for(&self, now: Instant) -> Duration {
        let mut wait = IDLE_WAIT;
        if let Some(deadline) = self.machine.deadline() {
            wait = wait.min(deadline.saturating_duration_since(now));
        }
        if self.outputs.is_behind() {
            wait = wait.min(OVERFLOW_RETRY);
        }
        if self.ports.iter().flatten().any(Port::is_failing) {
            wait = wait.min(FAILED_SOCKET_PAUSE);
        }
        wait
    }

    /// The end: commands already sent are carried out, then a bounded flush lets the machine say goodbye.
    fn finish(&mut self) {
        let now = self.clock.now();
        self.mailbox.close();
        while let Some(command) = self.mailbox.take() {
            self.machine
                .handle(now, ShardInput::Command(command), &mut self.outbox);
            self.send_when_full(now);
        }
        for _ in 0..STOP_SLICES {
            self.flush(self.clock.now());
            if self.progress == Progress::Done {
                break;
            }
        }
        self.outputs.end(&self.stats);
        self.stats
            .cpu_ns
            .store(Clock::thread_cpu_ns(), Ordering::Relaxed);
    }
}
