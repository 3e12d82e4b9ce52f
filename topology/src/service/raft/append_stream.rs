//! The long-lived stream of append requests: a request does not wait for the answer to the one before, so a commit takes
//! one round trip however busy the leader is.

use super::network::unreachable;
use super::peers::Peer;
use super::types::{Runtime, Types};
use super::wire::{Ask, receive, send};
use futures_util::{Stream, StreamExt};
use openraft::base::BoxStream;
use openraft::errors::RPCError;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use openraft::{AsyncRuntime, OptionalSend};
use quinn::{RecvStream, SendStream};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

type Item = Result<StreamAppendResult<Types>, RPCError<Types>>;

/// When the requests that wait for their answers were written, oldest first.
#[derive(Clone, Debug, Default)]
struct Waiting(Arc<Mutex<VecDeque<Instant>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leader's side of an open stream. The task that writes ends with it.
struct Appends {
    back: RecvStream,
    waiting: Waiting,
    limit: Duration,
    writer: JoinHandle<()>,
}

impl Drop for Appends {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

/// Sends `input`. An item is an error when the way fails, or a request is not answered within twice `limit`.
pub(super) async fn open<'s, S>(
    peer: Arc<Peer>,
    input: S,
    limit: Duration,
) -> Result<BoxStream<'s, Item>, RPCError<Types>>
where
    S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
{
    let opened = timeout(limit, peer.open(Ask::Appends)).await;
    let (out, back) = opened
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
        .and_then(|opened| opened)
        .map_err(|error| unreachable(&error))?;
    let waiting = Waiting::default();
    let writer = Runtime::spawn(write(input, out, waiting.clone()));
    let appends = Appends { back, waiting, limit, writer };
    let items = futures_util::stream::unfold(Some(appends), |appends| async move {
        let mut appends = appends?;
        match appends.next().await {
            Ok(Some(result)) => {
                let next = result.is_ok().then_some(appends);
                Some((Ok(result), next))
            }
            Ok(None) => None,
            Err(error) => Some((Err(unreachable(&error)), None)),
        }
    });
    Ok(Box::pin(items))
}

/// Writes requests as they come.
async fn write<S>(mut input: S, mut out: SendStream, waiting: Waiting)
where
    S: Stream<Item = AppendEntriesRequest<Types>> + Unpin,
{
    while let Some(request) = input.next().await {
        waiting.lock().push_back(Instant::now());
        if let Err(error) = send(&mut out, &request).await {
            tracing::debug!(%error, "append stream lost");
            return;
        }
    }
    let _ = out.finish();
}

impl Appends {
    /// The next result; nothing when the other side ended the stream.
    async fn next(&mut self) -> io::Result<Option<StreamAppendResult<Types>>> {
        let limit = self.limit;
        let mut result = std::pin::pin!(receive(&mut self.back));
        loop {
            match timeout(limit, &mut result).await {
                Ok(result) => {
                    self.waiting.lock().pop_front();
                    return result;
                }
                Err(_) => {
                    let oldest = self.waiting.lock().front().copied();
                    if oldest.is_some_and(|sent| sent.elapsed() >= limit) {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
            }
        }
    }
}
