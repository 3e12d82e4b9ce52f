//! One client's connection to the service.

use super::Identity;
use super::core::{CoreMessage, Subscription};
use super::frames::{ReceiveError, receive};
use crate::limits::WATCH_SILENCE_MAX;
use crate::limits::{
    CALL_TIMEOUT, CONNECT_TIMEOUT, FRAME_BYTES_MAX, REQUEST_BYTES_MAX, WATCH_KEEP_ALIVE,
};
use crate::protocol::{Refusal, Request, Response, WatchItem, encode};
use quinn::{Connection, Incoming, SendStream, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The certificate is the CA's but names nobody of this cluster.
const CLOSE_IDENTITY: VarInt = VarInt::from_u32(1);
/// The service stops.
pub(super) const CLOSE_STOPPING: VarInt = VarInt::from_u32(2);

/// Serve one connection until it ends.
pub(super) async fn serve_connection(
    incoming: Incoming,
    trust_domain: std::sync::Arc<str>,
    core: mpsc::Sender<CoreMessage>,
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
    // At most STREAMS_PER_CONNECTION at a time: the transport counts them.
    while let Ok((send, recv)) = connection.accept_bi().await {
        let (who, core) = (who.clone(), core.clone());
        tokio::spawn(async move {
            if let Err(error) = serve_stream(send, recv, who, core).await {
                tracing::debug!(%remote, %error, "stream ended");
            }
        });
    }
    tracing::debug!(%remote, %who, "disconnected");
}

fn identity(connection: &Connection, trust_domain: &str) -> Result<Identity, String> {
    let chain = connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let cert = chain.as_ref().and_then(|c| c.first()).ok_or("no certificate")?;
    Identity::of_certificate(cert, trust_domain).map_err(|e| e.to_string())
}

async fn serve_stream(
    mut send: SendStream,
    mut recv: quinn::RecvStream,
    who: Identity,
    core: mpsc::Sender<CoreMessage>,
) -> Result<(), StreamError> {
    let request = timeout(CALL_TIMEOUT, receive::<Request>(&mut recv, REQUEST_BYTES_MAX)).await;
    let response = match request.map_err(|_| StreamError::Slow)? {
        Ok(Request::Watch) if matches!(who, Identity::Node { .. } | Identity::Operator(_)) => {
            return watch(send, core).await;
        }
        Ok(request) => ask(who, request, &core).await,
        Err(ReceiveError::Frame(error)) => Err(Refusal::Malformed(error.to_string())),
        Err(ReceiveError::Stream(error)) => return Err(StreamError::Read(error)),
    };
    write(&mut send, &encode(&response)?).await?;
    send.finish().map_err(|_| StreamError::Closed)
}

async fn ask(who: Identity, request: Request, core: &mpsc::Sender<CoreMessage>) -> Response {
    let (reply, answer) = oneshot::channel();
    let message = CoreMessage::Request(who, Box::new(request), reply);
    core.send(message).await.map_err(|_| Refusal::Unavailable)?;
    answer.await.unwrap_or(Err(Refusal::Unavailable))
}

/// Snapshot, then updates; a new snapshot when this watcher fell behind.
async fn watch(mut send: SendStream, core: mpsc::Sender<CoreMessage>) -> Result<(), StreamError> {
    loop {
        let (reply, answer) = oneshot::channel();
        core.send(CoreMessage::Subscribe(reply)).await.map_err(|_| StreamError::Closed)?;
        let subscription = answer.await.map_err(|_| StreamError::Closed)?;
        for frame in subscription.snapshot.iter() {
            write(&mut send, frame).await?;
        }
        follow(&mut send, subscription).await?;
        tracing::debug!("a watcher fell behind, it gets a new snapshot");
    }
}

/// Updates until the watcher has fallen behind.
async fn follow(send: &mut SendStream, mut subscription: Subscription) -> Result<(), StreamError> {
    let mut revision = subscription.revision;
    loop {
        match timeout(WATCH_KEEP_ALIVE, subscription.updates.recv()).await {
            Ok(Ok(update)) => {
                revision = update.revision;
                for frame in update.frames.iter() {
                    write(send, frame).await?;
                }
            }
            Ok(Err(RecvError::Lagged(_))) => return Ok(()),
            Ok(Err(RecvError::Closed)) => return Err(StreamError::Closed),
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
    #[error(transparent)]
    Read(quinn::ReadExactError),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Frame(#[from] crate::protocol::FrameError),
}
