//! The wide-area network of `mesh dev`: UDP fronts that delay what passes as the distance between regions would.
//!
//! Most development kernels have no netem, so the delay is made in user space. Node A, in one region, is told the
//! address of a *front* instead of node B's relay address. The front keeps a session for every address that sends to
//! it (one socket towards B each, like a NAT), and puts each datagram on the link model of its ordered region pair:
//! half the round trip each way, and whatever loss, jitter or rate a test sets meanwhile.
//!
//! One thread does it all. It sleeps in `ppoll` with nanosecond timeouts, because the timers of tokio are whole
//! milliseconds, rounded up. What is lost on the way: the ECN bits, and the coalescing of bursts.

mod api;
mod core;
mod line;

pub use self::api::{LinkChange, router};
pub use self::core::PairCounters;
pub use self::line::Timing;

use self::core::Core;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use simulator::link_model::LinkParams;
use simulator::rtt_matrix::{MatrixError, RttMatrix};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Median round-trip times between 20 AWS regions (`mesh/data/SOURCES.md`).
const REGIONS_20: &str = include_str!("../../data/regions20_aws_rtt_p50.csv");

/// The round-trip times that `mesh dev` uses when it is given no others.
///
/// # Errors
/// Never in a build that passed its tests.
pub fn default_matrix() -> Result<RttMatrix, MatrixError> {
    RttMatrix::parse(REGIONS_20)
}

/// Why the emulator refused something.
#[derive(Debug, thiserror::Error)]
pub enum WanError {
    /// The matrix does not have this region.
    #[error("region {0:?} is not in the matrix of round-trip times")]
    UnknownRegion(String),
    /// It was started switched off, so there is nothing to set.
    #[error("the WAN emulator is switched off")]
    Off,
    /// There are too many fronts.
    #[error("more than {0} fronts")]
    TooManyFronts(usize),
    /// A socket could not be opened.
    #[error("a socket of the WAN emulator: {0}")]
    Io(#[from] io::Error),
}

/// The running emulator. Clones are the same one; the last one dropped stops it.
#[derive(Clone)]
pub struct WanProxy(Option<Arc<Running>>);

struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    core: Mutex<Core>,
    stop: AtomicBool,
    wake: OwnedFd,
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WanProxy {
    /// Starts it, or, when `off`, returns one that puts nothing in between.
    ///
    /// # Errors
    /// When the descriptors or the thread cannot be had.
    pub fn start(matrix: RttMatrix, off: bool) -> io::Result<Self> {
        Self::start_seeded(matrix, off, 0)
    }

    /// The same, with the seed of all losses and jitters.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_seeded(matrix: RttMatrix, off: bool, seed: u64) -> io::Result<Self> {
        if off {
            return Ok(Self(None));
        }
        let core = Core::new(matrix, seed)?;
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let shared =
            Arc::new(Shared { core: Mutex::new(core), stop: AtomicBool::new(false), wake });
        let working = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("wan".to_owned()).spawn(move || work(&working))?;
        Ok(Self(Some(Arc::new(Running { shared, thread: Some(thread) }))))
    }

    /// Where a node in `from_region` reaches the socket `to_addr` of node `to_node` in `to_region`. Asking again gives
    /// the same address; asking with another `to_addr` (the node has restarted) moves it there. Switched off it is
    /// `to_addr` itself.
    ///
    /// # Errors
    /// For an unknown region, or when no socket can be had.
    pub fn front(
        &self,
        from_region: &str,
        to_node: &str,
        to_region: &str,
        to_addr: SocketAddr,
    ) -> Result<SocketAddr, WanError> {
        let Some(running) = &self.0 else {
            return Ok(to_addr);
        };
        running.shared.core().front(from_region, to_node, to_region, to_addr)
    }

    /// The parameters of one direction.
    ///
    /// # Errors
    /// For an unknown region, or when switched off.
    pub fn params(&self, from: &str, to: &str) -> Result<LinkParams, WanError> {
        self.with(|core| Ok(core.link(from, to)?.params()))
    }

    /// Sets the parameters of one direction, now.
    ///
    /// # Errors
    /// As [`Self::params`].
    pub fn set(&self, from: &str, to: &str, params: LinkParams) -> Result<(), WanError> {
        self.with(|core| {
            core.link(from, to)?.set_params(params);
            Ok(())
        })
    }

    /// Changes some parameters of one direction and leaves the others.
    ///
    /// # Errors
    /// As [`Self::params`].
    pub fn change(&self, from: &str, to: &str, change: LinkChange) -> Result<LinkParams, WanError> {
        self.with(|core| {
            let link = core.link(from, to)?;
            link.set_params(change.apply(link.params()));
            Ok(link.params())
        })
    }

    /// Back to the matrix, in one direction.
    ///
    /// # Errors
    /// As [`Self::params`].
    pub fn reset(&self, from: &str, to: &str) -> Result<LinkParams, WanError> {
        self.with(|core| core.reset(from, to))
    }

    /// Cuts a region off from all others, or joins it again. Inside the region all goes on.
    ///
    /// # Errors
    /// As [`Self::params`].
    pub fn isolate(&self, region: &str, cut: bool) -> Result<(), WanError> {
        self.with(|core| core.isolate(region, cut))
    }

    /// What has passed in one direction.
    ///
    /// # Errors
    /// As [`Self::params`].
    pub fn counters(&self, from: &str, to: &str) -> Result<PairCounters, WanError> {
        self.with(|core| core.counters(from, to))
    }

    /// What has passed between all pairs that had traffic: from, to, counters.
    #[must_use]
    pub fn all_counters(&self) -> Vec<(String, String, PairCounters)> {
        self.0.as_ref().map(|r| r.shared.core().all_counters()).unwrap_or_default()
    }

    /// How late datagrams left, compared with what the model said.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.0.as_ref().map(|r| r.shared.core().timing()).unwrap_or_default()
    }

    fn with<R>(&self, act: impl FnOnce(&mut Core) -> Result<R, WanError>) -> Result<R, WanError> {
        let running = self.0.as_ref().ok_or(WanError::Off)?;
        act(&mut running.shared.core())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.shared.wake, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The longest sleep with nothing under way.
const IDLE: Duration = Duration::from_secs(1);

fn work(shared: &Shared) {
    let epoll = match shared.core().epoll() {
        Ok(epoll) => epoll,
        Err(error) => {
            tracing::error!(%error, "the WAN emulator cannot start");
            return;
        }
    };
    while !shared.stop.load(Ordering::SeqCst) {
        let due = shared.core().turn(Instant::now());
        let wait = due.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()).min(IDLE));
        let timeout = Timespec::try_from(wait).ok();
        let mut fds =
            [PollFd::new(&epoll, PollFlags::IN), PollFd::new(&shared.wake, PollFlags::IN)];
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
    }
}

#[cfg(test)]
mod tests;
