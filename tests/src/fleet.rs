//! Many participants on one thread: their sockets, their timers, their media.

use crate::client::{Client, Spec};
use crate::clock;
use crate::signal::Signal;
use crate::wait;
use anyhow::{Context, bail};
use edge_sfu::signal::{ClientMessage, SIGNAL_VERSION, ServerMessage};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rtc::rtp::packet::Packet;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// The shortest turn: what arrives meanwhile is read in one go. Arrivals are timed by the kernel, so this costs no
/// accuracy.
const TURN_MIN: Duration = Duration::from_millis(1);
/// The longest turn: a participant that has just come is not waited on yet.
const TURN_MAX: Duration = Duration::from_millis(5);
/// An answer comes in this time.
const JOIN: Duration = Duration::from_secs(10);
/// ICE and DTLS take at most this long.
const CONNECT: Duration = Duration::from_secs(15);

/// A participant of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who(u32);

/// What the fleet has.
#[derive(Default)]
pub struct Core {
    clients: Vec<Option<Client>>,
    outbox: Vec<Option<mpsc::UnboundedSender<ClientMessage>>>,
    /// The longest time from one turn of the driver thread to the next: how late it may have sent.
    pub longest_turn: Duration,
}

impl Core {
    /// A participant.
    ///
    /// # Panics
    /// When they have left.
    pub fn get(&mut self, who: Who) -> &mut Client {
        self.clients[who.0 as usize].as_mut().expect("a participant that has not left")
    }

    /// All participants.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.clients.iter_mut().flatten()
    }
}

/// The fleet. Its thread ends with it.
pub struct Fleet {
    core: Arc<Mutex<Core>>,
    stop: Arc<AtomicBool>,
    next: AtomicU32,
    ip: IpAddr,
    driver: Option<JoinHandle<()>>,
    runtime: Option<Runtime>,
}

impl Fleet {
    /// A fleet whose sockets are at `ip`.
    ///
    /// # Panics
    /// When threads cannot be had.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let core: Arc<Mutex<Core>> = Arc::default();
        let stop: Arc<AtomicBool> = Arc::default();
        let (shared, stopping) = (core.clone(), stop.clone());
        let driver = std::thread::Builder::new()
            .name("fleet".to_owned())
            .spawn(move || drive(&shared, &stopping))
            .expect("a thread");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            core,
            stop,
            next: AtomicU32::new(0),
            ip,
            driver: Some(driver),
            runtime: Some(runtime),
        }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it runs until the fleet is dropped")
    }

    /// The participants.
    pub fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody join, and waits for their transport.
    ///
    /// # Panics
    /// When it does not come about.
    pub fn join(&self, edge: &str, token: &str, spec: Spec) -> Who {
        self.join_all(vec![(edge.to_owned(), token.to_owned(), spec)])[0]
    }

    /// Lets many join at once, and waits for their transports.
    ///
    /// # Panics
    /// When one of them does not come about.
    pub fn join_all(&self, wishes: Vec<(String, String, Spec)>) -> Vec<Who> {
        let who = self.admit_all(wishes);
        let core = &self.core;
        wait::until(CONNECT, "all transports connected", || {
            let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
            let waits = who.iter().find(|w| !core.get(**w).connected).copied();
            waits.map_or(Ok(()), |w| {
                let c = core.get(w);
                Err(format!("{} at {}: {:?}", c.spec.name, c.node, c.errors))
            })
        });
        who
    }

    /// Lets many join at once; returns when all are answered.
    ///
    /// # Panics
    /// When one of them is refused.
    pub fn admit_all(&self, wishes: Vec<(String, String, Spec)>) -> Vec<Who> {
        let tasks: Vec<_> = wishes
            .into_iter()
            .map(|(edge, token, spec)| {
                let name = spec.name.clone();
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let task = admit(self.core.clone(), self.ip, number, edge, token, spec);
                (name, self.runtime().spawn(task))
            })
            .collect();
        let mut admitted = Vec::new();
        for (name, task) in tasks {
            let done = self.runtime().block_on(task).expect("no panic while joining");
            admitted.push(done.unwrap_or_else(|e| panic!("{name} cannot join: {e:#}")));
        }
        admitted
    }

    /// Tries to join, and says why it was refused.
    ///
    /// # Errors
    /// The refusal.
    pub fn try_join(&self, edge: &str, token: &str, spec: Spec) -> anyhow::Result<Who> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let task =
            admit(self.core.clone(), self.ip, number, edge.to_owned(), token.to_owned(), spec);
        self.runtime().block_on(task)
    }

    /// Says something to a participant's edge.
    pub fn say(&self, who: Who, message: ClientMessage) {
        if let Some(Some(outbox)) = self.lock().outbox.get(who.0 as usize) {
            let _ = outbox.send(message);
        }
    }

    /// Somebody leaves.
    pub fn leave(&self, who: Who) {
        self.say(who, ClientMessage::Leave);
        let mut core = self.lock();
        core.outbox[who.0 as usize] = None;
        core.clients[who.0 as usize] = None;
    }

    /// Waits until something holds of the participants.
    ///
    /// # Panics
    /// When it does not within `limit`: with what the condition said last.
    pub fn until(
        &self,
        limit: Duration,
        what: &str,
        mut check: impl FnMut(&mut Core) -> Result<(), String>,
    ) {
        wait::until(limit, what, || check(&mut self.lock()));
    }

    /// Runs something on the fleet's signalling runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime().block_on(future)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// One join: offer, answer, and from then on the messages of the socket.
async fn admit(
    core: Arc<Mutex<Core>>,
    ip: IpAddr,
    number: u32,
    edge: String,
    token: String,
    spec: Spec,
) -> anyhow::Result<Who> {
    let name = spec.name.clone();
    let (mut client, sdp, publish) = Client::new(number, spec, ip)?;
    let mut signal = Signal::open(&edge).await?;
    let join =
        ClientMessage::Join { version: SIGNAL_VERSION, token, name: Some(name), sdp, publish };
    signal.say(&join).await?;
    let answer = tokio::time::timeout(JOIN, signal.next()).await.context("no answer to join")??;
    match answer {
        Some(ServerMessage::Joined { participant, node, sdp, .. }) => {
            client.joined(participant, node, &sdp)?;
        }
        Some(ServerMessage::Error { code, message, .. }) => bail!("{code:?}: {message}"),
        other => bail!("not an answer to join: {other:?}"),
    }
    let (outbox, wanted) = mpsc::unbounded_channel();
    {
        let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
        let at = number as usize;
        if core.clients.len() <= at {
            core.clients.resize_with(at + 1, || None);
            core.outbox.resize_with(at + 1, || None);
        }
        core.clients[at] = Some(client);
        core.outbox[at] = Some(outbox);
    }
    tokio::spawn(converse(core, number, signal, wanted));
    Ok(Who(number))
}

async fn converse(
    core: Arc<Mutex<Core>>,
    number: u32,
    mut signal: Signal,
    mut wanted: mpsc::UnboundedReceiver<ClientMessage>,
) {
    let with = |act: &mut dyn FnMut(&mut Client)| {
        let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(client)) = core.clients.get_mut(number as usize) {
            act(client);
        }
    };
    loop {
        tokio::select! {
            said = signal.next() => match said {
                Ok(Some(message)) => with(&mut |c| c.told(message.clone())),
                other => {
                    with(&mut |c| {
                        c.closed = true;
                        if let Err(error) = &other {
                            c.errors.push(error.to_string());
                        }
                    });
                    return;
                }
            },
            message = wanted.recv() => {
                let Some(message) = message else { return };
                if signal.say(&message).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The driver thread.
fn drive(core: &Mutex<Core>, stop: &AtomicBool) {
    let mut buffer = vec![0; 2_048];
    let mut packets = Vec::new();
    let mut sockets: Vec<Arc<UdpSocket>> = Vec::new();
    let mut last = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        let began = Instant::now();
        let pause = began - std::mem::replace(&mut last, began);
        let due = {
            let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
            let due = turn(&mut core, &mut buffer, &mut packets);
            sockets.clear();
            sockets.extend(core.iter_mut().map(|c| c.socket().udp()));
            core.longest_turn = core.longest_turn.max(pause);
            due
        };
        if let Some(rest) = TURN_MIN.checked_sub(began.elapsed()) {
            std::thread::sleep(rest);
        }
        let wait = due.map_or(TURN_MAX, |at| at.saturating_duration_since(Instant::now()));
        let mut fds: Vec<PollFd<'_>> =
            sockets.iter().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)).collect();
        let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(wait.min(TURN_MAX))), None);
    }
}

/// Reads, publishes and writes for everybody; when the next of them is due.
fn turn(core: &mut Core, buffer: &mut [u8], packets: &mut Vec<Packet>) -> Option<Instant> {
    let offset = clock::kernel_offset_us();
    let mut next: Option<Instant> = None;
    for client in core.clients.iter_mut().flatten() {
        let read = client.read(buffer, offset);
        let now = Instant::now();
        if read || client.due().is_some_and(|due| due <= now) {
            client.work(clock::now_us(), packets);
            client.write();
        }
        next = [next, client.due()].into_iter().flatten().min();
    }
    next
}
