//! The driver: one thread that owns all thin participants, their sockets and their timers.

use super::clock;
use super::continuity::Counts;
use super::directory::Directory;
use super::limits::{ERRORS_MAX, TURN_MAX, TURN_MIN};
use super::record::Record;
use super::socket::{Batch, Pool};
use super::thin::{Around, Thin};
use super::totals::Totals;
use super::viewer::{Milestones, Viewer};
use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the progress is counted.
const PROGRESS_EVERY_US: u64 = 200_000;

/// While datagrams are read, what is due is looked at this often.
const WORK_EVERY_US: u64 = 2_000;

/// What the driver is told.
pub(super) enum Order {
    /// Somebody's answer has come.
    Add(Box<Thin>),
    /// Somebody's socket is closed.
    Gone(u32),
    /// Measure from now on.
    Begin,
    /// What was measured.
    Measured(mpsc::Sender<Measured>),
}

/// How far the participants are.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Their answers came.
    pub(super) answered: AtomicU64,
    /// ICE and DTLS are done.
    pub(super) connected: AtomicU64,
    /// They have heard something.
    pub(super) heard: AtomicU64,
    /// They have seen something.
    pub(super) seen: AtomicU64,
    /// Their joins failed.
    pub(super) failed: AtomicU64,
    /// Packets received since the start.
    pub(super) datagrams: AtomicU64,
}

/// What one participant received.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) number: u32,
    pub(super) times: Milestones,
    pub(super) record: Record,
    /// Packets of voices and of pictures.
    pub(super) counts: [Counts; 2],
    /// Asked for: packets and key frames.
    pub(super) asked: (u64, u64),
    pub(super) published: Option<Published>,
    /// On the async `webrtc` crate.
    pub(super) full: bool,
}

/// What one participant sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    pub(super) sent: u64,
    pub(super) late: u64,
    /// As the edge reported.
    pub(super) lost: u64,
    pub(super) key_requests: u64,
    pub(super) resent: u64,
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) totals: Totals,
    pub(super) from_us: u64,
    pub(super) until_us: u64,
    /// CPU time of the driver.
    pub(super) cpu: Duration,
    /// CPU time of the process.
    pub(super) process_cpu: Duration,
    /// The longest time from one turn of the driver to the next.
    pub(super) longest_turn: Duration,
    /// Datagrams that the kernel dropped because the driver did not read them.
    pub(super) dropped: u64,
    pub(super) errors: Vec<String>,
}

/// The driver's handle. Dropped, the thread ends.
pub(super) struct Fleet {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    pub(super) progress: Arc<Progress>,
}

impl Fleet {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn start(pool: Arc<Pool>, directory: Arc<Directory>) -> anyhow::Result<Self> {
        let (orders, incoming) = mpsc::channel();
        let progress = Arc::<Progress>::default();
        let shown = progress.clone();
        let driver = move || Driver::new(pool, directory, shown).run(&incoming);
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn(driver)?;
        Ok(Self { orders: Some(orders), thread: Some(thread), progress })
    }

    /// Tells the driver something.
    pub(super) fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }

    /// A way to tell it something from elsewhere.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn orders(&self) -> anyhow::Result<mpsc::Sender<Order>> {
        self.orders.clone().context("the driver has ended")
    }

    /// What was measured since [`Order::Begin`].
    ///
    /// # Errors
    /// When the driver has ended.
    pub(super) fn measured(&self) -> anyhow::Result<Measured> {
        let (reply, answer) = mpsc::channel();
        self.order(Order::Measured(reply));
        answer.recv().context("the driver has ended")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn cpu(of: ClockId) -> Duration {
    let t = clock_gettime(of);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

struct Driver {
    pool: Arc<Pool>,
    directory: Arc<Directory>,
    progress: Arc<Progress>,
    thins: Vec<Option<Box<Thin>>>,
    dues: Vec<u64>,
    totals: Totals,
    begun_us: Option<u64>,
    begun_cpu: [Duration; 2],
    begun_dropped: u64,
    longest_turn: Duration,
    errors: Vec<String>,
}

impl Driver {
    fn new(pool: Arc<Pool>, directory: Arc<Directory>, progress: Arc<Progress>) -> Self {
        Self {
            pool,
            directory,
            progress,
            thins: Vec::new(),
            dues: Vec::new(),
            totals: Totals::default(),
            begun_us: None,
            begun_cpu: [Duration::ZERO; 2],
            begun_dropped: 0,
            longest_turn: Duration::ZERO,
            errors: Vec::new(),
        }
    }

    fn run(mut self, incoming: &mpsc::Receiver<Order>) {
        let mut batch = Batch::new();
        let (mut last, mut progress_us) = (Instant::now(), 0);
        loop {
            let began = Instant::now();
            self.longest_turn = self.longest_turn.max(began - std::mem::replace(&mut last, began));
            loop {
                match incoming.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            let now_us = clock::now_us();
            self.work(now_us);
            if now_us >= progress_us {
                progress_us = now_us + PROGRESS_EVERY_US;
                self.show();
            }
            // Sleeping lets datagrams gather; arrivals are timed by the kernel.
            if let Some(rest) = TURN_MIN.checked_sub(began.elapsed()) {
                std::thread::sleep(rest);
            }
            let due = self.dues.iter().copied().min().unwrap_or(u64::MAX);
            let wait = Duration::from_micros(due.saturating_sub(clock::now_us())).min(TURN_MAX);
            self.read(wait, &mut batch);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Add(mut thin) => {
                let at = thin.viewer.number as usize;
                if self.thins.len() <= at {
                    self.thins.resize_with(at + 1, || None);
                    self.dues.resize(at + 1, u64::MAX);
                }
                if self.begun_us.is_some() {
                    thin.viewer.begin(clock::now_us());
                }
                self.dues[at] = 0;
                self.thins[at] = Some(thin);
                self.progress.answered.fetch_add(1, Ordering::Relaxed);
            }
            Order::Gone(number) => {
                let at = number as usize;
                if let (Some(thin), Some(due)) = (self.thins.get_mut(at), self.dues.get_mut(at)) {
                    (*thin, *due) = (None, u64::MAX);
                }
            }
            Order::Begin => self.begin(),
            Order::Measured(reply) => {
                let _ = reply.send(self.measured());
            }
        }
    }

    fn begin(&mut self) {
        let now_us = clock::now_us();
        self.thins.iter_mut().flatten().for_each(|t| {
            t.viewer.begin(now_us);
            if let Some(publisher) = &mut t.publisher {
                (publisher.sent, publisher.late) = (0, 0);
            }
        });
        self.totals = Totals::default();
        self.longest_turn = Duration::ZERO;
        self.begun_us = Some(now_us);
        self.begun_cpu = [cpu(ClockId::ThreadCPUTime), cpu(ClockId::ProcessCPUTime)];
        self.begun_dropped = self.pool.dropped();
    }

    fn measured(&mut self) -> Measured {
        let outcomes = self.thins.iter().flatten().map(|t| outcome(t)).collect();
        Measured {
            outcomes,
            totals: self.totals.clone(),
            from_us: self.begun_us.unwrap_or_default(),
            until_us: clock::now_us(),
            cpu: cpu(ClockId::ThreadCPUTime).saturating_sub(self.begun_cpu[0]),
            process_cpu: cpu(ClockId::ProcessCPUTime).saturating_sub(self.begun_cpu[1]),
            longest_turn: self.longest_turn,
            dropped: self.pool.dropped().saturating_sub(self.begun_dropped),
            errors: self.errors.clone(),
        }
    }

    /// Reads what has arrived. What is due meanwhile does not wait until all is read.
    fn read(&mut self, wait: Duration, batch: &mut Batch) {
        let offset_us = clock::kernel_offset_us();
        let pool = self.pool.clone();
        let mut worked_us = clock::now_us();
        for socket in pool.wait(wait) {
            let now_us = clock::now_us();
            if now_us >= worked_us + WORK_EVERY_US {
                worked_us = now_us;
                self.work(now_us);
            }
            self.read_one(socket, offset_us, now_us, batch);
        }
    }

    fn read_one(&mut self, socket: usize, offset_us: i64, now_us: u64, batch: &mut Batch) {
        let Self { pool, directory, thins, dues, totals, progress, .. } = self;
        let mut around = Around { pool: pool.as_ref(), directory: directory.as_ref(), totals };
        let count = pool.receive(socket, batch, |d| {
            let at = d.number as usize;
            let thin = thins.get_mut(at).and_then(Option::as_mut);
            let Some(thin) = thin.filter(|t| t.remote() == d.from) else { return };
            let arrived_us = (d.kernel_us - offset_us).max(0) as u64;
            around.totals.read_late.add(now_us.saturating_sub(arrived_us));
            thin.datagram(now_us, arrived_us, d.data, &mut around);
            // Packets change only what is to be fed back; the handshake's timers cost more to ask.
            let media = matches!(d.data.first(), Some(128..=191));
            let due = if media { thin.feedback.due_us() } else { thin.due_us() };
            dues[at] = dues[at].min(due);
        });
        progress.datagrams.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn work(&mut self, now_us: u64) {
        let Self { pool, directory, thins, dues, totals, errors, .. } = self;
        let mut around = Around { pool: pool.as_ref(), directory: directory.as_ref(), totals };
        for (thin, due) in thins.iter_mut().zip(dues.iter_mut()).filter(|(_, due)| **due <= now_us)
        {
            let Some(thin) = thin else {
                *due = u64::MAX;
                continue;
            };
            thin.work(now_us, &mut around);
            *due = thin.due_us();
            if let Some(why) = thin.transport.failed.take()
                && errors.len() < ERRORS_MAX
            {
                errors.push(format!("participant {}: {why}", thin.viewer.number));
            }
        }
    }

    fn show(&self) {
        let count = |what: fn(&Viewer) -> bool| {
            self.thins.iter().flatten().filter(|t| what(&t.viewer)).count() as u64
        };
        let p = &self.progress;
        p.connected.store(count(|v| v.times.connected_us.is_some()), Ordering::Relaxed);
        p.heard.store(count(|v| v.times.voice_us.is_some()), Ordering::Relaxed);
        p.seen.store(count(|v| v.times.frame_us.is_some()), Ordering::Relaxed);
    }
}

/// Packets of voices and of pictures.
pub(super) fn counts(viewer: &Viewer) -> [Counts; 2] {
    let sum = |audio: bool| {
        let slots = viewer.slots.iter().filter(|s| s.audio == audio).map(|s| s.numbers.counts());
        slots.fold(Counts::default(), |a, b| Counts {
            received: a.received + b.received,
            lost: a.lost + b.lost,
            filled: a.filled + b.filled,
            known: a.known + b.known,
        })
    };
    [sum(true), sum(false)]
}

fn outcome(thin: &Thin) -> Outcome {
    Outcome {
        number: thin.viewer.number,
        times: thin.viewer.times,
        record: thin.viewer.record.clone(),
        counts: counts(&thin.viewer),
        asked: thin.feedback.asked,
        published: thin.publisher.as_ref().map(|p| Published {
            sent: p.sent,
            late: p.late,
            lost: p.lost(),
            key_requests: p.asked().0,
            resent: p.asked().1,
        }),
        full: false,
    }
}
