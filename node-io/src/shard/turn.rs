//! The loop of a shard.

use crate::burst::Run;
use crate::clock::Clock;
use crate::limits::{
    CPU_READ_EVERY, FAILED_SOCKET_PAUSE, IDLE_WAIT, OVERFLOW_RETRY, SOCKET_FAILURES, STOP_SLICES,
    TURN_COMMANDS, TURN_DATAGRAMS,
};
use crate::mailbox::{Mailbox, Waker};
use crate::outputs::Outputs;
use crate::recv::RecvBatch;
use crate::socket::UdpPort;
use crate::stats::{ShardStats, SocketStats, bump};
use relay_proto::machine::{Machine, Net, Outbox, Progress, ShardInput};
use relay_proto::time::Now;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
        Self { udp, batch: RecvBatch::new(), readable: true, failures: 0 }
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

/// Sends what is meant for this socket, in order: bursts by segmentation offload, the datagrams between them together.
fn send_all(udp: &mut UdpPort, net: &Net, now: Instant, stats: &SocketStats) {
    let (mut run, kind) = (Run::new(), udp.kind);
    for (transmit, bytes) in net.transmits().filter(|(t, _)| t.socket == kind) {
        // A mark needs a control message, which costs what the call would save.
        let is_single = bytes.len() <= transmit.segment && transmit.ecn == 0;
        if run.is_full() || !is_single {
            udp.send_run(&run, stats);
            run.clear();
        }
        if is_single {
            run.push((udp.reachable(transmit.dest), bytes));
        } else {
            udp.send(transmit, bytes, now, stats);
        }
    }
    udp.send_run(&run, stats);
}

/// A machine with everything it is driven by.
pub(super) struct ShardLoop<M: Machine, C> {
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
    pub(super) fn new(
        machine: M,
        clock: Clock,
        ports: [Option<UdpPort>; 2],
        mailbox: Mailbox<C>,
        outputs: Outputs<M::Output>,
        stats: Arc<ShardStats>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            machine,
            clock,
            ports: ports.map(|port| port.map(Port::new)),
            mailbox,
            outputs,
            outbox: Outbox::new(),
            stats,
            stop,
            progress: Progress::Done,
            turn: 0,
            cpu_read: clock.now().mono,
        }
    }

    /// Turns until stopped.
    pub(super) fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let now = self.clock.now();
            self.take_turn(now);
            let end = Instant::now();
            self.stats.turns.record(end.saturating_duration_since(now.mono));
            self.note_cpu(end);
            self.wait(end);
        }
        self.finish();
    }

    /// The thread's CPU time, a system call, now and then.
    fn note_cpu(&mut self, now: Instant) {
        if now.saturating_duration_since(self.cpu_read) >= CPU_READ_EVERY {
            self.cpu_read = now;
            self.stats.cpu_ns.store(Clock::thread_cpu_ns(), Ordering::Relaxed);
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
                let input = ShardInput::Datagram { socket, from: d.from, ecn: d.ecn, data: d.data };
                self.machine.handle(now, input, &mut self.outbox);
                budget -= 1;
                self.send_when_full(now);
                continue;
            }
            if !port.readable {
                return budget;
            }
            let received = port.udp.recv(&mut port.batch, self.stats.socket(socket));
            port.failures = if received.is_err() { port.failures.saturating_add(1) } else { 0 };
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
            self.machine.handle(now, ShardInput::Command(command), &mut self.outbox);
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
            for port in self.ports.iter_mut().flatten() {
                let stats = self.stats.socket(port.udp.kind);
                send_all(&mut port.udp, &self.outbox.net, now.mono, stats);
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
            || self.ports.iter().flatten().any(|p| p.readable || !p.batch.is_empty())
            || (!self.mailbox.is_empty() && !self.outputs.is_behind())
    }

    /// Sleeps until something happens, or only looks when there is work.
    fn wait(&mut self, now: Instant) {
        let timeout = if self.has_work() { Duration::ZERO } else { self.idle_for(now) };
        let timeout = Timespec::try_from(timeout).ok();
        let waker = self.mailbox.waker();
        let [first, second] = &self.ports;
        let mut fds =
            [PollFd::new(waker, PollFlags::IN), watch(first, waker), watch(second, waker)];
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
            self.machine.handle(now, ShardInput::Command(command), &mut self.outbox);
            self.send_when_full(now);
        }
        for _ in 0..STOP_SLICES {
            self.flush(self.clock.now());
            if self.progress == Progress::Done {
                break;
            }
        }
        self.outputs.end(&self.stats);
        self.stats.cpu_ns.store(Clock::thread_cpu_ns(), Ordering::Relaxed);
    }
}
