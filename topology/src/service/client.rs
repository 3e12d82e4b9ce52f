//! The client of nodes and of the command line.

use super::TlsIdentity;
use super::core::request_id;
use super::random::random_u64;
use super::registration::Registration;
use super::session::{self, SessionError, exchange};
use super::tls::{TlsError, client_config_for};
use super::view::TopologyView;
use crate::limits::{
    CALL_TIMEOUT, CONNECT_TIMEOUT, CONNECT_TIMEOUT_EACH, PEER_SILENCE_EACH, PEER_SILENCE_MAX,
    RECONNECT_MAX, RECONNECT_MIN, REQUEST_BYTES_MAX, WATCH_SILENCE_EACH, WATCH_SILENCE_MAX,
};
use crate::model::{Load, Meeting, MeetingSpec, Node, NodeRecord, Reply, RequestId};
use crate::protocol::{ALPN, FrameError, HEADER_BYTES, Refusal, Request, Response, encode};
use quinn::{Connection, ConnectionError, Endpoint, VarInt};
use relay_proto::MeetingId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// What a client needs to know.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where the service may be: its members, the nearest first; tried in turn. All IPv4 or all IPv6.
    pub addrs: Vec<SocketAddr>,
    /// A node's or an operator's certificate.
    pub identity: TlsIdentity,
    /// The cluster's trust domain.
    pub trust_domain: String,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be asked in time. The request may or may not have been done; asking again with the same id is safe.
    #[error(
        "the topology service at {addrs:?} did not answer in time ({last}): check that it runs and is reachable"
    )]
    Unreachable {
        /// Where it was looked for.
        addrs: Vec<SocketAddr>,
        /// What happened last.
        last: String,
    },
    /// The request does not fit.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Another process has this node's number: stop serving.
    #[error("another process registered with this node's number: stop one of the two")]
    Replaced,
    /// An answer to another question.
    #[error(
        "the service answered another question: client and service may be of different versions"
    )]
    Mismatch,
    /// The operating system has no random numbers.
    #[error("no random numbers from the operating system")]
    NoRandom,
    /// Certificate, key or CA.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The socket, or no address.
    #[error("the client's UDP socket: {0}")]
    Socket(#[from] std::io::Error),
}

/// What the background task and the handles share.
#[derive(Debug)]
pub(super) struct Shared {
    addrs: Vec<SocketAddr>,
    connection: watch::Sender<Option<Connection>>,
    pub(super) view: watch::Sender<Arc<TopologyView>>,
    pub(super) wanted: watch::Sender<Option<NodeRecord>>,
    pub(super) registration: watch::Sender<Registration>,
    pub(super) load: watch::Sender<Load>,
    last_error: watch::Sender<String>,
}

/// A client. Clones share one connection; when the last is dropped, the connection goes.
#[derive(Clone, Debug)]
pub struct TopologyClient {
    shared: Arc<Shared>,
    _task: Arc<Background>,
}

#[derive(Debug)]
struct Background {
    endpoint: Endpoint,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.task.abort();
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

impl TopologyClient {
    /// Start a client. Returns at once; the connection is made, and made again, in the background. Needs a tokio runtime.
    ///
    /// # Errors
    /// Bad certificates, no address, or no socket. An unreachable service is no error here.
    pub fn connect(config: ClientConfig) -> Result<Self, CallError> {
        let first = config
            .addrs
            .first()
            .ok_or(std::io::Error::other("no address of a topology service given"))?;
        let any: IpAddr = match first {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let several = config.addrs.len() > 1;
        let idle = if several { PEER_SILENCE_EACH } else { PEER_SILENCE_MAX };
        let tls = client_config_for(&config.identity, &config.trust_domain, ALPN, idle)?;
        let mut endpoint = Endpoint::client(SocketAddr::new(any, 0))?;
        endpoint.set_default_client_config(tls);
        let shared = Arc::new(Shared {
            addrs: config.addrs,
            connection: watch::Sender::new(None),
            view: watch::Sender::default(),
            wanted: watch::Sender::new(None),
            registration: watch::Sender::default(),
            load: watch::Sender::default(),
            last_error: watch::Sender::new("not connected yet".to_owned()),
        });
        let task = tokio::spawn(supervise(shared.clone(), endpoint.clone()));
        Ok(Self { shared, _task: Arc::new(Background { endpoint, task }) })
    }

    /// Ask, and ask again over new connections, for at most five seconds.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, request: Request) -> Result<Reply, CallError> {
        self.call_within(request, CALL_TIMEOUT).await
    }

    /// Ask, and ask again over new connections, for at most `limit`. Every request is safe to repeat.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_within(&self, request: Request, limit: Duration) -> Result<Reply, CallError> {
        let frame = encode(&request)?;
        let len = frame.len() - HEADER_BYTES;
        if len > REQUEST_BYTES_MAX {
            return Err(FrameError::TooLong { len, max: REQUEST_BYTES_MAX }.into());
        }
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.ask_until_answered(&frame)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(refusal)) => Err(refusal.into()),
            Err(_) => Err(self.unreachable()),
        }
    }

    async fn ask_until_answered(&self, frame: &[u8]) -> Response {
        let mut connection = self.shared.connection.subscribe();
        loop {
            let current = connection.wait_for(Option::is_some).await.map(|c| c.clone());
            if let Ok(Some(current)) = current {
                match exchange(&current, frame).await {
                    Ok(Err(Refusal::Unavailable)) => {}
                    Ok(response) => return response,
                    // What this side closed, it closed for a reason that stands there already.
                    Err(_) if current.close_reason() == Some(ConnectionError::LocallyClosed) => {}
                    Err(error) => self.shared.note(&reason(&current, error)),
                }
            }
            sleep(RECONNECT_MIN).await;
        }
    }

    fn unreachable(&self) -> CallError {
        let last = self.shared.last_error.borrow().clone();
        CallError::Unreachable { addrs: self.shared.addrs.clone(), last }
    }

    /// The view and its changes. Do not hold a borrow across an `await`; clone the `Arc`.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<TopologyView>> {
        self.shared.view.subscribe()
    }

    /// The view as it stands now.
    #[must_use]
    pub fn view(&self) -> Arc<TopologyView> {
        self.shared.view.borrow().clone()
    }

    /// Wait until the view is live: connected, and a whole snapshot read.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] after `limit`.
    pub async fn live(&self, limit: Duration) -> Result<Arc<TopologyView>, CallError> {
        let mut view = self.watch();
        match timeout(limit, view.wait_for(|v| v.live)).await {
            Ok(Ok(view)) => Ok(view.clone()),
            _ => Err(self.unreachable()),
        }
    }

    /// Register this process, and keep it registered: heartbeats, and again after every reconnect and every loss of the
    /// service's state. A second call replaces the record.
    ///
    /// # Errors
    /// A refusal; or no answer within five seconds, and then it is still being tried in the background.
    pub async fn register(&self, record: NodeRecord) -> Result<Arc<Node>, CallError> {
        self.shared.registration.send_replace(Registration::Pending);
        let mut registration = self.registration();
        let instance = record.instance;
        self.shared.wanted.send_replace(Some(record));
        let settled = |r: &Registration| match r {
            Registration::Pending => false,
            // An answer to the record before does not count.
            Registration::Registered(node) => node.record.instance == instance,
            Registration::Refused(_) | Registration::Replaced => true,
        };
        let outcome = match timeout(CALL_TIMEOUT, registration.wait_for(settled)).await {
            Ok(Ok(state)) => state.clone(),
            _ => return Err(self.unreachable()),
        };
        match outcome {
            Registration::Registered(node) => Ok(node),
            Registration::Refused(refusal) => Err(refusal.into()),
            Registration::Replaced => Err(CallError::Replaced),
            Registration::Pending => Err(self.unreachable()),
        }
    }

    /// How the registration stands, and its changes. [`Registration::Replaced`] means: stop serving.
    #[must_use]
    pub fn registration(&self) -> watch::Receiver<Registration> {
        self.shared.registration.subscribe()
    }

    /// How busy this node is; goes with the next heartbeat.
    pub fn set_load(&self, load: Load) {
        self.shared.load.send_replace(load);
    }

    /// Tell the service that this process stops now, so that nobody waits for its silence.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn goodbye(&self) -> Result<(), CallError> {
        let Some(record) = self.shared.wanted.send_replace(None) else {
            return Ok(());
        };
        self.shared.registration.send_replace(Registration::Pending);
        self.call_within(Request::Goodbye { instance: record.instance }, Duration::from_secs(1))
            .await
            .map(drop)
    }

    /// A fresh request id.
    ///
    /// # Errors
    /// [`CallError::NoRandom`].
    pub fn request_id() -> Result<RequestId, CallError> {
        request_id().map_err(|_| CallError::NoRandom)
    }

    /// Create a meeting.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn create_meeting(&self, spec: MeetingSpec) -> Result<Meeting, CallError> {
        meeting_of(self.call(Request::CreateMeeting { request: Self::request_id()?, spec }).await?)
    }

    /// End a meeting.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn end_meeting(&self, meeting: MeetingId) -> Result<(), CallError> {
        self.call(Request::EndMeeting { request: Self::request_id()?, meeting }).await.map(drop)
    }

    /// A meeting: from the view, and from the service when the view has not got it (yet).
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get_meeting(&self, meeting: MeetingId) -> Result<Arc<Meeting>, CallError> {
        if let Some(known) = self.view().meeting(meeting) {
            return Ok(known.clone());
        }
        meeting_of(self.call(Request::GetMeeting { meeting }).await?).map(Arc::new)
    }
}

fn meeting_of(reply: Reply) -> Result<Meeting, CallError> {
    match reply {
        Reply::Meeting { meeting, .. } => Ok(*meeting),
        _ => Err(CallError::Mismatch),
    }
}

impl Shared {
    /// There is another member to go to.
    fn has_others(&self) -> bool {
        self.addrs.len() > 1
    }

    fn connect_timeout(&self) -> Duration {
        if self.has_others() { CONNECT_TIMEOUT_EACH } else { CONNECT_TIMEOUT }
    }

    /// A watch that says nothing for this long is dead.
    pub(super) fn silence_max(&self) -> Duration {
        if self.has_others() { WATCH_SILENCE_EACH } else { WATCH_SILENCE_MAX }
    }

    fn note(&self, error: &SessionError) {
        self.last_error.send_replace(error.to_string());
    }
}

/// Connect, live with the connection, and connect again with jittered backoff.
async fn supervise(shared: Arc<Shared>, endpoint: Endpoint) {
    let mut wait = RECONNECT_MIN;
    for address in shared.addrs.iter().cycle() {
        let useful = AtomicBool::new(false);
        let Err(error) = connect_once(&shared, &endpoint, *address, &useful).await else {
            return;
        };
        shared.connection.send_replace(None);
        shared.view.send_if_modified(|view| {
            let was = view.live;
            if was {
                Arc::make_mut(view).live = false;
            }
            was
        });
        shared.note(&error);
        if useful.load(Ordering::Relaxed) {
            tracing::warn!(%address, %error, "topology service lost; the cached view stays");
            wait = RECONNECT_MIN;
        } else {
            tracing::debug!(%address, %error, "topology service not reached");
        }
        sleep(jittered(wait)).await;
        wait = (wait * 2).min(RECONNECT_MAX);
    }
}

async fn connect_once(
    shared: &Shared,
    endpoint: &Endpoint,
    address: SocketAddr,
    useful: &AtomicBool,
) -> Result<(), SessionError> {
    // The name is not checked (the SPIFFE URI is), but TLS wants one.
    let connecting = endpoint.connect(address, "topology")?;
    let connection = timeout(shared.connect_timeout(), connecting).await??;
    shared.connection.send_replace(Some(connection.clone()));
    let outcome =
        session::run(shared, &connection, useful).await.map_err(|e| reason(&connection, e));
    if connection.close_reason().is_none() {
        connection.close(VarInt::from_u32(0), b"");
    }
    outcome
}

/// Why a connection is gone says more than what failed on it; a refused certificate, for one, shows only there.
fn reason(connection: &Connection, error: SessionError) -> SessionError {
    connection.close_reason().map_or(error, SessionError::from)
}

/// Between half of `wait` and all of it, so that a thousand clients do not come back in one instant.
fn jittered(wait: Duration) -> Duration {
    let half = wait / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random_u64().unwrap_or(0) % spread)
}
