//! Who answers a connection: the core of a single process, or a member of a group.

use super::Identity;
use super::core::{CoreMessage, Subscription};
use super::raft::Replica;
use crate::protocol::{Refusal, Request, Response};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Answers requests. Clones are the same one.
#[derive(Clone)]
pub(super) enum Backend {
    /// One process.
    Single(mpsc::Sender<CoreMessage>),
    /// A member of a group.
    Member(Arc<Replica>),
}

impl Backend {
    /// The answer to a request of `who`.
    pub(super) async fn ask(&self, who: Identity, request: Request) -> Response {
        match self {
            Self::Single(core) => {
                let (reply, answer) = oneshot::channel();
                let message = CoreMessage::Request(who, Box::new(request), reply);
                core.send(message).await.map_err(|_| Refusal::Unavailable)?;
                answer.await.unwrap_or(Err(Refusal::Unavailable))
            }
            Self::Member(replica) => replica.serve(&who, request).await,
        }
    }

    /// A place in the feed; none when the service stops, or has nothing to show yet.
    pub(super) async fn subscribe(&self) -> Option<Subscription> {
        match self {
            Self::Single(core) => {
                let (reply, answer) = oneshot::channel();
                core.send(CoreMessage::Subscribe(reply)).await.ok()?;
                answer.await.ok()
            }
            Self::Member(replica) => replica.subscribe(),
        }
    }

    /// Whether watchers may take this for the present: a member that is cut off does not know.
    pub(super) fn is_current(&self) -> bool {
        match self {
            Self::Single(_) => true,
            Self::Member(replica) => replica.is_current(),
        }
    }
}
