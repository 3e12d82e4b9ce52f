//! Members over simulated disks and ways, and clients that ask them.

use super::super::disk::Disk;
use super::super::log::LogStore;
use super::super::log_file::LogFile;
use super::super::machine::Machine;
use super::super::profile::Profile;
use super::super::types::{Member, Outcome, Proposal, Runtime};
use super::dice::Dice;
use super::history::{Asked, Heard, History};
use super::net::{Air, Antenna, Raft};
use super::platter::Platter;
use crate::model::{
    ApplyError, Command, CommandKind, MeetingSpec, NodeRecord, Region, Reply, RequestId, Role,
};
use openraft::async_runtime::WatchReceiver;
use openraft::raft::ReadPolicy;
use relay_proto::{Epoch, MeetingId, NodeId};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a write takes: enough for a power cut to come between.
const WRITE_TAKES: Duration = Duration::from_millis(3);
/// A client asks another member after this long.
const CLIENT_PATIENCE: Duration = Duration::from_millis(700);
/// Meetings that clients fight over.
pub(super) const MEETINGS: u64 = 4;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything of one run.
pub(super) struct World {
    pub(super) air: Air,
    pub(super) dice: Dice,
    pub(super) platters: Vec<Platter>,
    pub(super) machines: BTreeMap<u64, Machine>,
    pub(super) clocks: Clocks,
    boots: u64,
}

/// Wall clocks that step: what members write into commands.
#[derive(Clone, Default)]
pub(super) struct Clocks(Arc<Mutex<BTreeMap<u64, i64>>>);

impl Clocks {
    pub(super) fn step(&self, id: u64, by_ms: i64) {
        *lock(&self.0).entry(id).or_default() += by_ms;
    }

    fn now_ms(&self, id: u64) -> u64 {
        let step = lock(&self.0).get(&id).copied().unwrap_or(0);
        1_700_000_000_000_u64.saturating_add_signed(step)
    }
}

impl World {
    pub(super) fn new(mut dice: Dice, members: usize) -> Self {
        let air = Air::new(dice.split());
        let platters = (0..members).map(|_| Platter::default()).collect();
        let clocks = Clocks::default();
        Self { air, dice, platters, machines: BTreeMap::new(), clocks, boots: 0 }
    }

    /// Members are numbered from 1.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> + use<> {
        1..=self.platters.len() as u64
    }

    pub(super) fn platter(&self, id: u64) -> &Platter {
        &self.platters[id as usize - 1]
    }

    /// Starts a member over what its disk has.
    ///
    /// # Errors
    /// What is damaged.
    pub(super) async fn boot(&mut self, id: u64) -> io::Result<()> {
        self.boots += 1;
        let seed = self.dice.next();
        let handle = self.platter(id).handle();
        let (file, found, content) = LogFile::over(handle.clone(), id)?;
        if found != id {
            return Err(io::Error::other("another member's disk"));
        }
        let disk = Disk::Inline(WRITE_TAKES);
        let machine = Machine::open(Arc::new(handle), disk)?;
        machine.check_reaches(content.purged)?;
        let network = Antenna { me: id, air: self.air.clone() };
        let running = machine.clone();
        let started = Runtime::scope(seed, async move {
            let log = LogStore::start(file, content, disk);
            let mut config = (*Profile::Wan.config().map_err(io::Error::other)?).clone();
            // Often, so that members that come back need them.
            config.snapshot_policy = openraft::SnapshotPolicy::LogsSinceLast(40);
            config.max_in_snapshot_log_to_keep = 10;
            config.replication_lag_threshold = 60;
            Raft::new(id, Arc::new(config), network, log, running).await.map_err(io::Error::other)
        });
        self.air.attach(id, started.await?);
        self.machines.insert(id, machine);
        Ok(())
    }

    /// The power of a member goes.
    pub(super) async fn crash(&mut self, id: u64) {
        let mut dice = self.dice.split();
        self.platter(id).cut_power(&mut dice);
        self.machines.remove(&id);
        if let Some(raft) = self.air.detach(id) {
            // What it still tries to write comes nowhere.
            let _ = raft.shutdown().await;
        }
    }

    pub(super) async fn found(&mut self) {
        for id in self.ids() {
            self.boot(id).await.unwrap();
        }
        let members: BTreeMap<u64, Member> = self.ids().map(|id| (id, Member::default())).collect();
        self.air.member(1).unwrap().initialize(members).await.unwrap();
    }

    pub(super) fn leader(&self) -> Option<u64> {
        let leads = |id: &u64| {
            let raft = self.air.member(*id);
            raft.is_some_and(|r| r.metrics().borrow_watched().current_leader == Some(*id))
        };
        self.air.running().into_iter().find(leads)
    }

    pub(super) fn client(&mut self) -> Client {
        Client {
            air: self.air.clone(),
            clocks: self.clocks.clone(),
            dice: self.dice.split(),
            members: self.platters.len() as u64,
        }
    }
}

/// Asks whoever may lead, and asks again with the same request id until it is answered.
pub(super) struct Client {
    air: Air,
    clocks: Clocks,
    pub(super) dice: Dice,
    members: u64,
}

impl Client {
    /// What the group answers to a command, however long it takes.
    pub(super) async fn command(&mut self, kind: CommandKind) -> Result<Reply, ApplyError> {
        let request = Some(RequestId(u128::from(self.dice.next()) << 64 | 1));
        loop {
            let id = 1 + self.dice.below(self.members);
            if let Some(raft) = self.air.member(id) {
                let now_ms = self.clocks.now_ms(id);
                let command = Command { request, now_ms, kind: kind.clone() };
                let written = raft.client_write(Proposal::Command(command));
                if let Ok(Ok(written)) = timeout(CLIENT_PATIENCE, written).await
                    && let Outcome::Answer(answer) = written.data
                {
                    return answer;
                }
            }
            self.pause().await;
        }
    }

    async fn pause(&mut self) {
        sleep(Duration::from_millis(5 + self.dice.below(60))).await;
    }

    async fn read(&mut self, meeting: u64) -> Heard {
        loop {
            let id = 1 + self.dice.below(self.members);
            let Some(raft) = self.air.member(id) else {
                self.pause().await;
                continue;
            };
            let confirmed = raft.ensure_linearizable(ReadPolicy::ReadIndex);
            if let Ok(Ok(_)) = timeout(CLIENT_PATIENCE, confirmed).await {
                let found = raft.with_state_machine(move |machine| {
                    let epoch = machine
                        .read(|content| content.state.meeting(MeetingId(meeting)).map(|m| m.epoch.0));
                    Box::pin(async move { epoch })
                });
                if let Ok(Ok(found)) = timeout(CLIENT_PATIENCE, found).await {
                    return found.map_or(Heard::Unknown, |epoch| Heard::Epoch(epoch.into()));
                }
            }
            self.pause().await;
        }
    }

    /// One operation, written into the history.
    pub(super) async fn operate(
        &mut self,
        history: &Mutex<History>,
        meeting: u64,
        asked: Asked,
    ) -> Heard {
        let at = lock(history).begin(meeting, asked);
        let heard = match asked {
            Asked::Read => self.read(meeting).await,
            Asked::Create => {
                let spec = MeetingSpec::default();
                let kind = CommandKind::CreateMeeting { meeting: MeetingId(meeting), spec };
                heard(self.command(kind).await)
            }
            Asked::Replace { from } => {
                let from_epoch = Epoch(from as _);
                let kind = CommandKind::ReplaceOrigin {
                    meeting: MeetingId(meeting),
                    from_epoch,
                    to: None,
                };
                heard(self.command(kind).await)
            }
        };
        lock(history).end(at, heard);
        heard
    }

    /// Reads and replacements, until `over` says so.
    pub(super) async fn fight(&mut self, history: Arc<Mutex<History>>, over: Arc<Mutex<bool>>) {
        let mut known: BTreeMap<u64, u64> = BTreeMap::new();
        while !*lock(&over) {
            let meeting = 1 + self.dice.below(MEETINGS);
            let asked = match (self.dice.below(3), known.get(&meeting)) {
                (0 | 1, Some(epoch)) => Asked::Replace { from: *epoch },
                _ => Asked::Read,
            };
            let heard = self.operate(&history, meeting, asked).await;
            if let Heard::Epoch(epoch) | Heard::Stale(epoch) = heard {
                known.insert(meeting, epoch);
            }
            self.pause().await;
        }
    }
}

fn heard(answer: Result<Reply, ApplyError>) -> Heard {
    match answer {
        Ok(Reply::Meeting { meeting, .. }) => Heard::Epoch(meeting.epoch.0.into()),
        Err(ApplyError::StaleEpoch { current, .. }) => Heard::Stale(current.0.into()),
        Err(ApplyError::UnknownMeeting(_)) => Heard::Unknown,
        other => panic!("not foreseen: {other:?}"),
    }
}

/// An origin node that is always there.
pub(super) fn origin(id: u32) -> CommandKind {
    CommandKind::RegisterNode(NodeRecord {
        id: NodeId(id),
        name: String::new(),
        role: Role::Origin,
        region: Region::new("a").unwrap(),
        http_url: String::new(),
        signal_url: String::new(),
        media: "127.0.0.1:1".parse().unwrap(),
        relay: vec![],
        instance: 1,
        capacity: 1_000,
    })
}
