//! The way between simulated members: delays, cuts in one direction or both, losses.

use super::super::machine::{Machine, Snapshot, SnapshotData};
use super::super::network::unreachable;
use super::super::types::{Member, Types, Vote};
use super::dice::Dice;
use futures_util::FutureExt;
use openraft::OptionalSend;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{sleep, timeout};

pub(super) type Raft = openraft::Raft<Types, Machine>;

/// What all ways have in common.
#[derive(Default)]
struct Ways {
    members: BTreeMap<u64, Raft>,
    /// From, to.
    cut: BTreeSet<(u64, u64)>,
    loss_permille: u64,
    dice: Option<Dice>,
}

/// All members' network.
#[derive(Clone, Default)]
pub(super) struct Air(Arc<Mutex<Ways>>);

/// One member's view of it.
#[derive(Clone)]
pub(super) struct Antenna {
    pub(super) me: u64,
    pub(super) air: Air,
}

/// From one member to another.
pub(super) struct Way {
    me: u64,
    to: u64,
    air: Air,
}

impl Air {
    pub(super) fn new(dice: Dice) -> Self {
        let air = Self::default();
        air.lock().dice = Some(dice);
        air
    }

    fn lock(&self) -> MutexGuard<'_, Ways> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn attach(&self, id: u64, raft: Raft) {
        self.lock().members.insert(id, raft);
    }

    pub(super) fn detach(&self, id: u64) -> Option<Raft> {
        self.lock().members.remove(&id)
    }

    pub(super) fn member(&self, id: u64) -> Option<Raft> {
        self.lock().members.get(&id).cloned()
    }

    pub(super) fn running(&self) -> Vec<u64> {
        self.lock().members.keys().copied().collect()
    }

    /// Nothing goes from one to the other; the other way is another matter.
    pub(super) fn cut(&self, from: u64, to: u64) {
        self.lock().cut.insert((from, to));
    }

    pub(super) fn lose(&self, permille: u64) {
        self.lock().loss_permille = permille;
    }

    /// All ways are whole again.
    pub(super) fn heal(&self) {
        let ways = &mut *self.lock();
        ways.cut.clear();
        ways.loss_permille = 0;
    }

    /// How long something takes now; nothing when it does not arrive.
    fn passes(&self, from: u64, to: u64) -> Option<Duration> {
        let ways = &mut *self.lock();
        let permille = ways.loss_permille;
        let dice = ways.dice.as_mut()?;
        let lost = dice.below(1_000) < permille;
        // One-way delays of 15 to 60 ms, jittered by a tenth.
        let base = 15_000 + (from.min(to) * 31 + from.max(to) * 17) % 45 * 1_000;
        let delay = Duration::from_micros(base + dice.below(base / 10));
        (!lost && !ways.cut.contains(&(from, to))).then_some(delay)
    }
}

impl RaftNetworkFactory<Types> for Antenna {
    type Network = Way;

    async fn new_client(&mut self, to: u64, _: &Member) -> Way {
        Way { me: self.me, to, air: self.air.clone() }
    }
}

impl Way {
    async fn call<T, E, F>(
        &self,
        limit: Duration,
        ask: impl FnOnce(Raft) -> F,
    ) -> Result<T, RPCError<Types>>
    where
        F: Future<Output = Result<T, E>>,
        E: std::fmt::Display,
    {
        let exchange = async {
            let Some(there) = self.air.passes(self.me, self.to) else {
                return std::future::pending().await;
            };
            sleep(there).await;
            let Some(raft) = self.air.member(self.to) else {
                return std::future::pending().await;
            };
            let answered = ask(raft).await;
            // Who was stopped meanwhile answers nothing.
            let still = self.air.member(self.to).is_some();
            let Some(back) = self.air.passes(self.to, self.me).filter(|_| still) else {
                return std::future::pending().await;
            };
            sleep(back).await;
            answered.map_err(|error| io::Error::other(error.to_string()))
        };
        let answered = timeout(limit, exchange).await;
        answered
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
            .and_then(|answer| answer)
            .map_err(|error| unreachable(&error))
    }
}

impl RaftNetworkV2<Types> for Way {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.call(option.hard_ttl(), |raft| async move { raft.append_entries(rpc).await }).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(option.hard_ttl(), |raft| async move { raft.vote(rpc).await }).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.call(option.hard_ttl(), |raft| async move { raft.pre_vote(rpc).await }).await
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        self.call(option.hard_ttl(), |raft| async move { raft.handle_transfer_leader(rpc).await })
            .await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let sent = self.call(option.hard_ttl(), |raft| async move {
            raft.install_full_snapshot(vote, snapshot).await
        });
        // Not `select!`: its order is drawn from a generator that no seed decides.
        let mut sent = std::pin::pin!(sent.fuse());
        let mut cancel = std::pin::pin!(cancel.fuse());
        futures_util::future::poll_fn(|context| {
            if let std::task::Poll::Ready(closed) = cancel.as_mut().poll(context) {
                return std::task::Poll::Ready(Err(StreamingError::Closed(closed)));
            }
            sent.as_mut().poll(context).map(|sent| {
                sent.map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))
            })
        })
        .await
    }
}
