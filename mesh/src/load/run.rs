//! A run: join, settle, measure, report; or step by step until something gives way.

use super::clock;
use super::directory::Directory;
use super::fleet::{Fleet, Order};
use super::full::{self, Fulls};
use super::join::{Shared, SignalCounts, attend};
use super::limits::JOINING_MAX;
use super::plan::{LoadOptions, Plan};
use super::progress::Bar;
use super::report::{self, Inputs, Report};
use super::secure::Identity;
use super::servers::{self, Reading};
use super::socket::Pool;
use super::target::Target;
use crate::dev::banner::say;
use anyhow::Context;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Those who are let in are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// From the last answer until everybody has heard and seen something.
const ARRIVE: Duration = Duration::from_secs(20);
/// What is under way at the end of a measurement still arrives.
const GRACE: Duration = Duration::from_millis(200);
/// Everybody's sockets are closed in this time.
const LEAVE: Duration = Duration::from_secs(5);

/// Steps of a ramp.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ramp {
    /// Participants of the first step.
    pub(crate) from: u32,
    /// More in each further step.
    pub(crate) step: u32,
}

/// How a run is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// JSON on standard output, not a table.
    pub(crate) json: bool,
    /// No progress bar.
    pub(crate) quiet: bool,
    /// Files to write.
    pub(crate) json_file: Option<PathBuf>,
    pub(crate) html_file: Option<PathBuf>,
}

struct Run<'a> {
    target: &'a Target,
    shared: Arc<Shared>,
    fleet: Fleet,
    bar: Bar,
    start: Reading,
    joining: Arc<Semaphore>,
    tasks: tokio::task::JoinSet<()>,
    admitted: usize,
}

/// Runs; whether the mesh carried the load.
///
/// # Errors
/// What kept it from running.
pub(crate) async fn run(
    target: &Target,
    options: LoadOptions,
    ramp: Option<Ramp>,
    wanted: &Wanted,
) -> anyhow::Result<bool> {
    let (leaving, leave) = watch::channel(false);
    let mut run = Run::prepare(target, options, leave, wanted.quiet).await?;
    let outcome = match ramp {
        None => run.once(run.shared.plan.members.len()).await,
        Some(ramp) => run.steps(ramp, wanted).await,
    };
    run.bar.end();
    let _ = leaving.send(true);
    let left = async { while run.tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LEAVE, left).await;
    target.end().await;
    let report = outcome?;
    show(&report, wanted)?;
    Ok(report.void.is_empty() && report.failures.is_empty())
}

fn show(report: &Report, wanted: &Wanted) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    say(&if wanted.json { serde_json::to_string(report)? } else { report::table(report) });
    for (file, text) in [(&wanted.json_file, json), (&wanted.html_file, report::html(report))] {
        if let Some(file) = file {
            std::fs::write(file, text)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}

impl<'a> Run<'a> {
    async fn prepare(
        target: &'a Target,
        options: LoadOptions,
        leave: watch::Receiver<bool>,
        quiet: bool,
    ) -> anyhow::Result<Self> {
        let plan = Plan::new(&options, target.edges.len())?;
        let mut regions: Vec<&str> = target.edges.iter().map(|e| e.region.as_str()).collect();
        regions.dedup();
        let region = |edge: usize| regions.iter().position(|r| *r == target.edges[edge].region);
        let places = plan.members.iter().map(|m| (m.edge, region(m.edge).unwrap_or_default()));
        let directory = Arc::new(Directory::new(places));
        let pool = Arc::new(Pool::new(plan.members.len(), target.media)?);
        let fleet = Fleet::start(pool.clone(), directory.clone())?;
        let shared = Shared {
            options,
            plan,
            edges: target.edges.clone(),
            tokens: target.tokens.clone(),
            identity: Identity::generate()?,
            pool,
            directory,
            progress: fleet.progress.clone(),
            fulls: Fulls::default(),
            orders: fleet.orders()?,
            leave,
            signal: SignalCounts::default(),
            errors: Mutex::default(),
        };
        Ok(Self {
            target,
            shared: Arc::new(shared),
            fleet,
            bar: Bar::new(quiet),
            start: servers::read(&target.nodes).await,
            joining: Arc::new(Semaphore::new(JOINING_MAX)),
            tasks: tokio::task::JoinSet::new(),
            admitted: 0,
        })
    }

    /// Lets everybody up to `until` join, measures, and judges.
    async fn once(&mut self, until: usize) -> anyhow::Result<Report> {
        let joined_since_us = clock::now_us();
        self.admit(until).await?;
        self.arrive().await;
        let options = &self.shared.options;
        let (settle, duration) = (options.settle, options.duration);
        self.wait("settling", settle).await;
        let begun = servers::read(&self.target.nodes).await;
        self.fleet.order(Order::Begin);
        self.shared.fulls.begin();
        self.wait("measuring", duration).await;
        let mut measured = self.fleet.measured()?;
        self.shared.fulls.add_to(&mut measured);
        tokio::time::sleep(GRACE).await;
        let ended = servers::read(&self.target.nodes).await;
        let inputs = Inputs {
            shared: &self.shared,
            admitted: self.admitted,
            joined_since_us,
            measured: &measured,
            nodes: &self.target.nodes,
            readings: [&self.start, &begun, &ended],
        };
        let mut report = report::build(&inputs);
        report::judge(&mut report);
        Ok(report)
    }

    async fn steps(&mut self, ramp: Ramp, wanted: &Wanted) -> anyhow::Result<Report> {
        let all = self.shared.plan.members.len();
        let mut until = (ramp.from as usize).min(all);
        loop {
            let report = self.once(until).await?;
            self.bar.end();
            let good = report.void.is_empty() && report.failures.is_empty();
            if !wanted.quiet {
                let verdict = if good { "carried" } else { "not carried" };
                let (cores, pps) = (report.servers.cores, report.thin.packets_per_second);
                crate::dev::banner::note(&format!(
                    "{until:5} participants {verdict}: {pps:.0} packets/s to viewers, {cores:.2} cores of nodes, generator {:.0} %",
                    report.generator.cpu_percent
                ));
            }
            if !good || until == all {
                return Ok(report);
            }
            until = (until + ramp.step as usize).min(all);
        }
    }

    async fn admit(&mut self, until: usize) -> anyhow::Result<()> {
        let began = Instant::now();
        let first = self.admitted;
        let pace = self.shared.options.joins_per_second;
        while self.admitted < until {
            if let Some(per_second) = pace {
                let due = (self.admitted - first) as f64 / per_second;
                tokio::time::sleep_until(began + Duration::from_secs_f64(due)).await;
            }
            let member = self.shared.plan.members[self.admitted];
            let hold = self.joining.clone().acquire_owned().await?;
            let shared = self.shared.clone();
            if member.full {
                self.tasks.spawn(full::attend(shared, member, hold));
            } else {
                self.tasks.spawn(attend(shared, member, hold));
            }
            self.admitted += 1;
            let done = self.admitted as f64;
            self.bar.show("joining", done, until as f64, &self.shared.progress);
        }
        Ok(())
    }

    /// Waits until everybody has heard and seen something, or has failed.
    async fn arrive(&mut self) {
        let (p, members) = (self.shared.progress.clone(), self.admitted as u64);
        let options = &self.shared.options;
        let sees = options.pictures > 0 && options.publishers > 1;
        let hears = options.voices > 0 && options.publishers > 1 && options.recorded.is_none();
        let end = Instant::now() + ARRIVE;
        while Instant::now() < end {
            let failed = p.failed.load(Relaxed);
            let (connected, heard, seen) = self.shared.fulls.arrived();
            let mut least = p.connected.load(Relaxed) + connected;
            if sees {
                least = least.min(p.seen.load(Relaxed) + seen);
            }
            if hears {
                least = least.min(p.heard.load(Relaxed) + heard);
            }
            if least + failed >= members {
                return;
            }
            self.bar.show("arriving", least as f64, members as f64, &p);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn wait(&mut self, phase: &str, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            let done = began.elapsed().as_secs_f64();
            self.bar.show(phase, done, time.as_secs_f64(), &self.shared.progress);
            tokio::time::sleep(LOOK_EVERY.min(time.saturating_sub(began.elapsed()))).await;
        }
    }
}
