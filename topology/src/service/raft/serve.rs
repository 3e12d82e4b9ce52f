//! What other members ask of this one.

use super::replica::Replica;
use super::snapshot;
use super::types::{Runtime, Types, Vote};
use super::wire::{Answer, Ask, Envelope, receive, send};
use crate::limits::{CALL_TIMEOUT, LEADER_WAIT, RAFT_STREAMS_PER_CONNECTION, SNAPSHOT_BYTES_MAX};
use crate::protocol::{MembersRequest, Refusal, Request, Response};
use crate::service::Identity;
use crate::service::random::random_u64;
use futures_util::StreamExt;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse};
use quinn::{Connection, RecvStream, SendStream};
use std::io;
use std::sync::Arc;
use tokio::time::timeout;

/// Serves the connection of the member whose certificate says `name`, until it ends.
pub(crate) async fn serve_member(connection: Connection, name: String, replica: Arc<Replica>) {
    connection.set_max_concurrent_bi_streams(RAFT_STREAMS_PER_CONNECTION.into());
    let name: Arc<str> = name.into();
    while let Ok((out, back)) = connection.accept_bi().await {
        let (name, replica) = (name.clone(), replica.clone());
        let serving = async move {
            if let Err(error) = replica.exchange(&name, out, back).await {
                tracing::debug!(peer = &*name, %error, "exchange with a member ended");
            }
        };
        // Raft spawns a task for a stream of requests.
        tokio::spawn(Runtime::scope(random_u64().unwrap_or_default(), serving));
    }
}

fn stopped(error: impl std::fmt::Display) -> Answer {
    Answer::Refused(format!("this member stops: {error}"))
}

impl Replica {
    async fn exchange(
        &self,
        name: &str,
        mut out: SendStream,
        mut back: RecvStream,
    ) -> io::Result<()> {
        let first = timeout(CALL_TIMEOUT, receive::<Envelope>(&mut back)).await;
        let first = first.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let Some(Envelope { from, to, ask }) = first else {
            return Ok(());
        };
        let answer = match self.check(name, from, to, &ask) {
            Err(why) => Answer::Refused(why),
            Ok(()) => match ask {
                Ask::Appends => return self.appends(out, back).await,
                Ask::Snapshot { vote, bytes } => self.snapshot(vote, bytes, &mut back).await?,
                ask => self.answer(ask).await,
            },
        };
        send(&mut out, &answer).await?;
        out.finish().map_err(io::Error::other)
    }

    /// Whether `from`, whose certificate says `name`, may ask, and means this member. Members that this one has not heard
    /// of yet may: their log is ahead of its own.
    fn check(&self, name: &str, from: u64, to: u64, ask: &Ask) -> Result<(), String> {
        if matches!(ask, Ask::WhoAreYou) {
            return Ok(());
        }
        if to != self.id {
            return Err(format!(
                "{} is another member than {to:x}: its state directory is a new one",
                self.me.name
            ));
        }
        if self.machine.read(|content| content.retired.contains(&from)) {
            return Err("the asking member was removed from the cluster".to_owned());
        }
        let metrics = self.metrics();
        match metrics.membership_config.membership().get_node(&from) {
            Some(member) if member.name != name => {
                Err(format!("the certificate says {name}, the member is {}", member.name))
            }
            _ => Ok(()),
        }
    }

    async fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Append(request) => match self.raft.append_entries(request).await {
                Ok(response) => {
                    if !matches!(response, AppendEntriesResponse::HigherVote(_)) {
                        self.hear_leader();
                    }
                    Answer::Append(response)
                }
                Err(error) => stopped(error),
            },
            Ask::Vote(request) => self.raft.vote(request).await.map_or_else(stopped, Answer::Vote),
            Ask::PreVote(request) => {
                self.raft.pre_vote(request).await.map_or_else(stopped, Answer::Vote)
            }
            Ask::Transfer(request) => {
                let handled = self.raft.handle_transfer_leader(request).await;
                handled.map_or_else(stopped, Answer::Transferred)
            }
            Ask::Forward { who, request } => Answer::Forwarded(self.forwarded(&who, request).await),
            Ask::WhoAreYou => {
                Answer::Me { id: self.id, member: self.me.clone(), empty: self.log.is_empty() }
            }
            Ask::Appends | Ask::Snapshot { .. } => {
                Answer::Refused("this has a stream of its own".to_owned())
            }
        }
    }

    /// A client's request that another member passed on; it vouches for the client. It is not passed on a second time.
    async fn forwarded(&self, who: &str, request: Request) -> Response {
        let who = Identity::of_uri(who, &self.trust_domain)
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        let changes_members = matches!(request, Request::Members(MembersRequest::Join { .. }));
        if changes_members {
            return self.lead(&who, request).await.unwrap_or(Err(Refusal::Unavailable));
        }
        match timeout(LEADER_WAIT, self.lead(&who, request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable),
        }
    }

    /// Append requests and their results, in order, until either side ends.
    async fn appends(&self, mut out: SendStream, back: RecvStream) -> io::Result<()> {
        let requests = futures_util::stream::unfold(back, |mut back| async move {
            match receive::<AppendEntriesRequest<Types>>(&mut back).await {
                Ok(request) => request.map(|request| (request, back)),
                Err(error) => {
                    tracing::debug!(%error, "append stream ended");
                    None
                }
            }
        });
        let mut results = std::pin::pin!(self.raft.stream_append(requests));
        while let Some(result) = results.next().await {
            let result = result.map_err(io::Error::other)?;
            if result.is_ok() {
                self.hear_leader();
            }
            send(&mut out, &result).await?;
        }
        out.finish().map_err(io::Error::other)
    }

    async fn snapshot(&self, vote: Vote, bytes: u64, back: &mut RecvStream) -> io::Result<Answer> {
        if bytes > SNAPSHOT_BYTES_MAX {
            return Ok(Answer::Refused(format!("a snapshot of {bytes} bytes")));
        }
        let mut data = Vec::new();
        while let Some(chunk) = back.read_chunk(usize::MAX, true).await? {
            data.extend_from_slice(&chunk.bytes);
            if data.len() as u64 > bytes {
                return Ok(Answer::Refused("a snapshot that is longer than said".to_owned()));
            }
        }
        let (meta, _) = snapshot::decode(&data)?;
        let snapshot = super::machine::snapshot(meta, data);
        Ok(match self.raft.install_full_snapshot(vote, snapshot).await {
            Ok(response) => Answer::Snapshot(response),
            Err(error) => stopped(error),
        })
    }
}

