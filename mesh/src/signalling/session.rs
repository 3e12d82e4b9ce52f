//! One WebSocket: reads, checks, and hands on.

use super::joins::JoinGate;
use super::sockets::{Outgoing, Sockets};
use crate::token::{TokenError, Verifier};
use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, State};
use axum::response::IntoResponse;
use axum::routing::get;
use edge_sfu::shard::{EdgeCommand, Join, SocketId};
use edge_sfu::signal::{ClientMessage, ErrorCode, SIGNAL_BYTES_MAX, SIGNAL_VERSION, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use node_io::MailboxSender;
use relay_proto::{Lane, MeetingId};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A socket that has not said `join` by then is closed.
const JOIN_WITHIN: Duration = Duration::from_secs(10);
/// Bad messages before a socket is closed.
const COMPLAINTS_MAX: u32 = 8;
/// Other edges that a participant is told of: the nearest, so that a crowd does not try the whole mesh.
const EDGES_NAMED_MAX: usize = 3;
/// Messages a second, and at once: a layout change and a ping a second leave room for a person's clicks.
pub(crate) const MESSAGES_PER_SECOND: f64 = 20.0;
const MESSAGES_BURST: f64 = 60.0;

/// An edge over its budget is asked again after this.
const BUSY_RETRY: Duration = Duration::from_secs(2);
/// A join too many is refused after this.
const REFUSED_AFTER: Duration = Duration::from_millis(500);

/// What the handlers share.
#[derive(Clone)]
pub struct SignalState {
    /// Mailboxes of the shards.
    pub shards: Vec<MailboxSender<EdgeCommand>>,
    /// Open sockets.
    pub sockets: Sockets,
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// Set while the node takes no joins: over its budget, or draining.
    pub shedding: Arc<AtomicBool>,
    /// How many joins each meeting may make.
    pub joins: Arc<JoinGate>,
    /// Other edges, by URL, for those who are refused, and for all when this one is gone.
    pub others: watch::Receiver<Vec<String>>,
    /// Turns true when the node stops: upgraded sockets are not the HTTP server's to cut.
    pub stop: watch::Receiver<bool>,
}

impl SignalState {
    /// The shard of a meeting: by its lane, so that every packet of it stays on one core.
    fn shard(&self, meeting: MeetingId) -> Option<&MailboxSender<EdgeCommand>> {
        self.shards.get(usize::from(Lane::of(meeting).0) % self.shards.len().max(1))
    }
}

/// `/v1/signal`.
pub fn signal_router(state: SignalState) -> Router {
    Router::new()
        .route("/v1/signal", get(upgrade))
        .layer(DefaultBodyLimit::max(SIGNAL_BYTES_MAX))
        .with_state(state)
}

async fn upgrade(State(state): State<SignalState>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade
        .max_message_size(SIGNAL_BYTES_MAX)
        .max_frame_size(SIGNAL_BYTES_MAX)
        .on_upgrade(move |socket| serve(state, socket))
}

/// Limits how fast one socket may speak.
struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let earned = now.duration_since(self.at).as_secs_f64() * MESSAGES_PER_SECOND;
        self.level = (self.level + earned).min(MESSAGES_BURST);
        self.at = now;
        if self.level < 1.0 {
            return false;
        }
        self.level -= 1.0;
        true
    }
}

/// Other edges that a participant is told of, the nearest first.
pub(crate) fn named(others: &watch::Receiver<Vec<String>>) -> Vec<String> {
    others.borrow().iter().take(EDGES_NAMED_MAX).cloned().collect()
}

/// Tells one person from another without naming them to other nodes: half of a hash of the token's subject.
fn identity(subject: &str) -> u64 {
    if subject.is_empty() {
        return 0;
    }
    let hash: [u8; 32] = Sha256::digest(subject.as_bytes()).into();
    hash.first_chunk().map_or(0, |half| u64::from_be_bytes(*half))
}

/// Where one socket stands.
struct Session {
    state: SignalState,
    id: SocketId,
    joined: Option<MeetingId>,
    complaints: u32,
    bucket: Bucket,
}

async fn serve(state: SignalState, socket: WebSocket) {
    let (id, mut outgoing) = state.sockets.open();
    let mut stopping = state.stop.clone();
    let (mut sink, mut stream) = socket.split();
    let writer = tokio::spawn(async move {
        while let Some(Outgoing::Text(text)) = outgoing.recv().await {
            if sink.send(Message::Text(text.as_ref().into())).await.is_err() {
                return;
            }
        }
        let _ = sink.close().await;
    });
    let bucket = Bucket { level: MESSAGES_BURST, at: Instant::now() };
    let mut session = Session { state, id, joined: None, complaints: 0, bucket };
    let deadline = Instant::now() + JOIN_WITHIN;
    let stop = writer.abort_handle();
    let mut writer = writer;
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut writer => break,
            _ = stopping.wait_for(|stop| *stop) => {
                session.complain(ErrorCode::Unavailable, "this edge is stopping: join another", true);
                break;
            }
            () = tokio::time::sleep_until(deadline), if session.joined.is_none() => {
                session.complain(ErrorCode::OutOfOrder, "say join within ten seconds of connecting", true);
                break;
            }
            next = stream.next() => next,
        };
        let proceed = match next {
            Some(Ok(Message::Text(text))) => session.text(text.as_str()).await,
            Some(Ok(Message::Binary(_))) => {
                session.complain(ErrorCode::Malformed, "send text frames with JSON", false)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => true,
            Some(Ok(Message::Close(_)) | Err(_)) | None => false,
        };
        if !proceed {
            break;
        }
    }
    session.end().await;
    // What was said last is written before the socket closes; a reader that does not read is not waited for. A writer that
    // ended the loop above must not be waited for again.
    let ended = writer.is_finished();
    if !ended && tokio::time::timeout(Duration::from_secs(1), &mut writer).await.is_err() {
        stop.abort();
    }
}

impl Session {
    /// Handles one frame; whether the socket goes on.
    async fn text(&mut self, text: &str) -> bool {
        if !self.bucket.take() {
            return self.complain(
                ErrorCode::TooMany,
                "too many messages: at most 20 a second",
                false,
            );
        }
        let message = match serde_json::from_str::<ClientMessage>(text) {
            Ok(message) => message,
            Err(error) => {
                let text = format!("not a message of this protocol: {error}");
                return self.complain(ErrorCode::Malformed, &text, false);
            }
        };
        match (message, self.joined) {
            (ClientMessage::Join { version, token, name, sdp, publish }, None) => {
                if version != SIGNAL_VERSION {
                    let text =
                        format!("this edge speaks version {SIGNAL_VERSION}: reload the page");
                    return self.complain(ErrorCode::Version, &text, true);
                }
                self.join(&token, name, sdp, publish).await
            }
            (ClientMessage::Ping { id }, None) => {
                self.state.sockets.send(&[self.id], &ServerMessage::Pong { id });
                true
            }
            (_, None) => self.complain(ErrorCode::OutOfOrder, "join first", false),
            (message, Some(meeting)) => {
                let Some(shard) = self.state.shard(meeting) else { return false };
                shard.send(EdgeCommand::Client { socket: self.id, message }).await.is_ok()
            }
        }
    }

    async fn join(
        &mut self,
        token: &str,
        name: Option<String>,
        sdp: String,
        publish: Vec<edge_sfu::signal::PublishLine>,
    ) -> bool {
        let verified = self.state.verifier.verify(token);
        if let Err(error) = &verified {
            self.state.sockets.counters().token(error);
        }
        let claims = match verified {
            Ok(claims) => claims,
            Err(error @ TokenError::Key { .. }) => {
                tracing::error!(%error, "token key unusable");
                return self.complain(
                    ErrorCode::Unavailable,
                    "this edge cannot check tokens now",
                    true,
                );
            }
            Err(error) => return self.complain(ErrorCode::Token, &error.to_string(), true),
        };
        if !claims.grants.subscribe && !claims.grants.publish {
            self.state.sockets.counters().grants_nothing();
            return self.complain(ErrorCode::Forbidden, "the token grants nothing", true);
        }
        if self.state.shedding.load(Ordering::Relaxed) {
            return self.refuse_busy(BUSY_RETRY);
        }
        if let Err(retry) = self.state.joins.take(claims.meeting, std::time::Instant::now()) {
            // Told a moment later: who floods waits for it, and nothing is done meanwhile.
            tokio::time::sleep(REFUSED_AFTER).await;
            return self.refuse_busy(retry);
        }
        let Some(shard) = self.state.shard(claims.meeting) else { return false };
        let identity = identity(&claims.sub);
        // Before the shard can answer.
        self.state.sockets.joins(self.id, claims.meeting, claims.sub);
        let join = Join {
            socket: self.id,
            meeting: claims.meeting,
            name: claims.name.or(name).unwrap_or_default(),
            may_publish: claims.grants.publish,
            may_chat: claims.grants.chat,
            owner: claims.grants.host,
            wait: claims.wait,
            identity,
            sdp,
            publish,
        };
        if shard.try_send(EdgeCommand::Join(Box::new(join))).is_err() {
            return self.refuse_busy(BUSY_RETRY);
        }
        self.joined = Some(claims.meeting);
        true
    }

    fn refuse_busy(&mut self, retry: Duration) -> bool {
        let message = ServerMessage::Error {
            code: ErrorCode::Busy,
            message: "this edge is busy: try one of the others, or again in a moment".to_owned(),
            fatal: true,
            retry_after_ms: Some(retry.as_millis() as u32),
            edges: named(&self.state.others),
        };
        self.state.sockets.send(&[self.id], &message);
        false
    }

    /// Says what was wrong; whether the socket goes on.
    fn complain(&mut self, code: ErrorCode, message: &str, fatal: bool) -> bool {
        self.complaints += 1;
        let fatal = fatal || self.complaints >= COMPLAINTS_MAX;
        let message = ServerMessage::Error {
            code,
            message: message.chars().take(300).collect(),
            fatal,
            retry_after_ms: None,
            edges: Vec::new(),
        };
        self.state.sockets.send(&[self.id], &message);
        !fatal
    }

    async fn end(&mut self) {
        self.state.sockets.finish(self.id);
        if let Some(shard) = self.joined.take().and_then(|m| self.state.shard(m)) {
            let _ = shard.send(EdgeCommand::SocketClosed(self.id)).await;
        }
    }
}
