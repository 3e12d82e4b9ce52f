//! One client's connection to the service.

use super::Identity;
use super::backend::Backend;
use super::core::Subscription;
use super::frames::{ReceiveError, receive};
use super::raft;
use super::tls::{peer_certificate, protocol_of};
use crate::limits::WATCH_SILENCE_MAX;
use crate::limits::{
    CALL_TIMEOUT, CONNECT_TIMEOUT, FRAME_BYTES_MAX, REQUEST_BYTES_MAX, WATCH_KEEP_ALIVE,
};
use crate::protocol::{Refusal, Request, WatchItem, encode};
use quinn::{Connection, Incoming, SendStream, VarInt};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};

/// The certificate is the CA's but names nobody of this cluster.
const CLOSE_IDENTITY: VarInt = VarInt::from_u32(1);
/// The service stops.
pub(super) const CLOSE_STOPPING: VarInt = VarInt::from_u32(2);
/// This member was cut off from the others: another one may know more.
const CLOSE_NOT_CURRENT: VarInt = VarInt::from_u32(3);

/// Serve one connection until it ends.
pub(super) async fn serve_connection(
    incoming: Incoming,
    trust_domain: std::sync::Arc<str>,
    backend: Backend,
) {
    let remote = incoming.remote_address();
    let connection = match timeout(CONNECT_TIMEOUT, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%remote, %error, "handshake failed"),
        Err(_) => return tracing::debug!(%remote, "handshake took too long"),
    };
    let who = match identity(&connection, &trust_domain) {
        Ok(who) => who,
        Err(error) => {
            tracing::warn!(%remote, %error, "connection refused");
            return connection.close(CLOSE_IDENTITY, error.as_bytes());
        }
    };
    tracing::debug!(%remote, %who, "connected");
    if protocol_of(&connection).as_deref() == Some(raft::ALPN) {
        return match (who, backend) {
            (Identity::Topology(name), Backend::Member(replica)) => {
                raft::serve_member(connection, name, replica).await;
            }
            (who, _) => {
                tracing::warn!(%remote, %who, "not a member of the topology service");
                connection.close(CLOSE_IDENTITY, b"not a member of the topology service");
            }
        };
    }
    // At most STREAMS_PER_CONNECTION at a time: the transport counts them.
    while let Ok((send, recv)) = connection.accept_bi().await {
        let (who, backend, connection) = (who.clone(), backend.clone(), connection.clone());
        tokio::spawn(async move {
            if let Err(error) = serve_stream(send, recv, who, &backend).await {
                tracing::debug!(%remote, %error, "stream ended");
                if matches!(error, StreamError::NotCurrent) {
                    connection.close(CLOSE_NOT_CURRENT, error.to_string().as_bytes());
                }
            }
        });
    }
    tracing::debug!(%remote, %who, "disconnected");
}

fn identity(connection: &Connection, trust_domain: &str) -> Result<Identity, String> {
    let cert = peer_certificate(connection).ok_or("no certificate")?;
    Identity::of_certificate(&cert, trust_domain).map_err(|e| e.to_string())
}

async fn serve_stream(
    mut send: SendStream,
    mut recv: quinn::RecvStream,
    who: Identity,
    backend: &Backend,
) -> Result<(), StreamError> {
    let request = timeout(CALL_TIMEOUT, receive::<Request>(&mut recv, REQUEST_BYTES_MAX)).await;
    let response = match request.map_err(|_| StreamError::Slow)? {
        Ok(Request::Watch) if matches!(who, Identity::Node { .. } | Identity::Operator(_)) => {
            return watch(send, backend).await;
        }
        Ok(request) => backend.ask(who, request).await,
        Err(ReceiveError::Frame(error)) => Err(Refusal::Malformed(error.to_string())),
        Err(ReceiveError::Stream(error)) => return Err(StreamError::Read(error)),
    };
    write(&mut send, &encode(&response)?).await?;
    send.finish().map_err(|_| StreamError::Closed)
}

/// Snapshot, then updates; a new snapshot when this watcher fell behind.
async fn watch(mut send: SendStream, backend: &Backend) -> Result<(), StreamError> {
    loop {
        let subscription = tokio::select! {
            found = first_place(backend) => found?,
            _ = send.stopped() => return Err(StreamError::Closed),
        };
        for frame in subscription.snapshot.iter() {
            write(&mut send, frame).await?;
        }
        follow(&mut send, subscription, backend).await?;
        tracing::debug!("a watcher fell behind, it gets a new snapshot");
    }
}

/// A place in the feed of a service that is up to date. One that is not says nothing: the watcher tries another when it
/// has waited long enough, and may meanwhile ask what does not need a leader.
async fn first_place(backend: &Backend) -> Result<Subscription, StreamError> {
    while !backend.is_current() {
        sleep(WATCH_KEEP_ALIVE / 4).await;
    }
    backend.subscribe().await.ok_or(StreamError::Closed)
}

/// Updates until the watcher has fallen behind.
async fn follow(
    send: &mut SendStream,
    mut subscription: Subscription,
    backend: &Backend,
) -> Result<(), StreamError> {
    let mut revision = subscription.revision;
    loop {
        if !backend.is_current() {
            return Err(StreamError::NotCurrent);
        }
        match timeout(WATCH_KEEP_ALIVE, subscription.updates.recv()).await {
            Ok(Ok(update)) => {
                revision = update.revision;
                for frame in update.frames.iter() {
                    write(send, frame).await?;
                }
            }
            // Closed: the state was replaced as a whole, or the service stops; the next subscription tells.
            Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => return Ok(()),
            Err(_) => write(send, &encode(&WatchItem::KeepAlive { revision })?).await?,
        }
    }
}

/// Write a frame; a reader that takes nothing for four seconds is gone.
async fn write(send: &mut SendStream, frame: &[u8]) -> Result<(), StreamError> {
    debug_assert!(frame.len() <= FRAME_BYTES_MAX + crate::protocol::HEADER_BYTES);
    let written =
        timeout(WATCH_SILENCE_MAX, send.write_all(frame)).await.map_err(|_| StreamError::Slow)?;
    Ok(written?)
}

#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error("the peer is too slow")]
    Slow,
    #[error("closed")]
    Closed,
    #[error("this member of the topology service hears no leader: try another")]
    NotCurrent,
    #[error(transparent)]
    Read(quinn::ReadExactError),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Frame(#[from] crate::protocol::FrameError),
}
