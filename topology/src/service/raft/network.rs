//! Raft's RPCs to one other member, over [`Peer`].

use super::append_stream;
use super::machine::{Snapshot, SnapshotData};
use super::peers::{Peer, Peers};
use super::types::{Member, Types, Vote};
use super::wire::{Answer, Ask, answer, mismatch};
use futures_util::Stream;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::OptionalSend;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

type Rpc<T> = Result<T, RPCError<Types>>;

/// Makes [`Link`]s.
#[derive(Clone)]
pub(super) struct Network(pub(super) Arc<Peers>);

/// To one other member.
pub(crate) struct Link(Arc<Peer>);

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, member: &Member) -> Link {
        Link(self.0.peer(target, member))
    }
}

/// Raft waits before it asks an unreachable member again; every failure here is one of the way, not of the member's mind.
pub(super) fn unreachable(error: &io::Error) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl Link {
    async fn ask(&self, ask: Ask, limit: Duration) -> Rpc<Answer> {
        let answered = timeout(limit, self.0.ask(ask)).await;
        answered
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
            .and_then(|answer| answer)
            .map_err(|error| unreachable(&error))
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: SnapshotData,
    ) -> io::Result<SnapshotResponse<Types>> {
        let bytes = snapshot.into_inner();
        let ask = Ask::Snapshot { vote, bytes: bytes.len() as u64 };
        let (mut out, mut back) = self.0.open(ask).await?;
        // Heartbeats and entries go first.
        out.set_priority(-1).map_err(io::Error::other)?;
        out.write_all(&bytes).await?;
        out.finish().map_err(io::Error::other)?;
        match answer(&mut back).await? {
            Answer::Snapshot(response) => Ok(response),
            _ => Err(mismatch()),
        }
    }
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<Types>> {
        match self.ask(Ask::Append(rpc), option.hard_ttl()).await? {
            Answer::Append(response) => Ok(response),
            _ => Err(unreachable(&mismatch())),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Rpc<BoxStream<'s, Rpc<StreamAppendResult<Types>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        let peer = self.0.clone();
        Box::pin(async move { append_stream::open(peer, input, option.soft_ttl()).await })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<Types>> {
        match self.ask(Ask::Vote(rpc), option.hard_ttl()).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(unreachable(&mismatch())),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<Types>> {
        match self.ask(Ask::PreVote(rpc), option.hard_ttl()).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(unreachable(&mismatch())),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<Types>> {
        match self.ask(Ask::Transfer(rpc), option.hard_ttl()).await? {
            Answer::Transferred(response) => Ok(response),
            _ => Err(unreachable(&mismatch())),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let lost = |error: &io::Error| StreamingError::Unreachable(Unreachable::new(error));
        tokio::select! {
            sent = timeout(option.hard_ttl(), self.send_snapshot(vote, snapshot.snapshot)) => match sent {
                Ok(sent) => sent.map_err(|error| lost(&error)),
                Err(_) => Err(lost(&io::ErrorKind::TimedOut.into())),
            },
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }
}
