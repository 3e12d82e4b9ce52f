//! The single-node topology service.

use super::TlsIdentity;
use super::backend::Backend;
use super::connection::{CLOSE_STOPPING, serve_connection};
use super::core::{Core, CoreMessage};
use super::store::{Store, StoreError};
use super::tls::{TlsError, server_config};
use crate::limits::{CONNECTIONS_MAX, CORE_QUEUE};
use crate::model::{ApplyError, RttTable};
use crate::protocol::{ALPN, FrameError};
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a service needs to know.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Its certificate, with the URI `spiffe://<trust-domain>/topology/<name>`.
    pub identity: TlsIdentity,
    /// The cluster's trust domain.
    pub trust_domain: String,
    /// Where the state lives. Created when absent; one service at a time.
    pub state_dir: PathBuf,
    /// Round-trip times between regions; replaces what was in force before.
    pub rtt: RttTable,
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The state on disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The socket.
    #[error("the topology's UDP socket: {0}")]
    Socket(#[from] io::Error),
    /// A table the state machine refuses.
    #[error("round-trip table: {0}")]
    Rtt(ApplyError),
    /// Something that should fit a frame does not.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A task of the service died.
    #[error("the topology service stopped: {0}")]
    Stopped(String),
}

/// A running service. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Service {
    endpoint: Endpoint,
    core: mpsc::Sender<CoreMessage>,
    core_task: JoinHandle<Result<(), ServiceError>>,
    accept_task: JoinHandle<()>,
    /// The core has ended, and how was told.
    ended: bool,
    local: SocketAddr,
}

impl Service {
    /// Read the state and start serving on `socket`. Needs a tokio runtime.
    ///
    /// # Errors
    /// What is wrong with certificate, state directory or socket.
    pub async fn start(config: ServiceConfig, socket: UdpSocket) -> Result<Self, ServiceError> {
        let tls = server_config(&config.identity, &[ALPN])?;
        let dir = config.state_dir.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&dir)).await;
        let (store, state) = opened.map_err(|e| ServiceError::Stopped(e.to_string()))??;
        let status = state.status();
        let endpoint =
            Endpoint::new(EndpointConfig::default(), Some(tls), socket, Arc::new(TokioRuntime))?;
        let local = endpoint.local_addr()?;
        let (core, inbox) = mpsc::channel(CORE_QUEUE);
        let core_task = tokio::spawn(Core::new(state, store).run(config.rtt, inbox));
        let accept_task =
            tokio::spawn(accept(endpoint.clone(), config.trust_domain.into(), core.clone()));
        tracing::info!(%local, revision = status.revision, meetings = status.meetings, "topology serves");
        Ok(Self { endpoint, core, core_task, accept_task, ended: false, local })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Until it fails: the disk, usually. It does not end otherwise.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn failed(&mut self) -> Result<(), ServiceError> {
        if self.ended {
            return Ok(());
        }
        let result = (&mut self.core_task).await;
        self.ended = true;
        self.endpoint.close(CLOSE_STOPPING, b"stopping");
        result.map_err(|e| ServiceError::Stopped(e.to_string()))?
    }

    /// Write everything, answer what was asked, close all connections, and free the state directory. The socket is free
    /// on one of the runtime's next turns.
    ///
    /// # Errors
    /// Why the state could not be written.
    pub async fn stop(mut self) -> Result<(), ServiceError> {
        // A core that is gone already says why below.
        let _ = self.core.send(CoreMessage::Stop).await;
        let result = self.failed().await;
        self.accept_task.abort();
        self.endpoint.wait_idle().await;
        result
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.endpoint.close(CLOSE_STOPPING, b"stopping");
        self.accept_task.abort();
        self.core_task.abort();
    }
}

/// Serve on `address` until `shutdown` completes or the service fails.
///
/// # Errors
/// Why it could not start or had to end.
pub async fn serve(
    config: ServiceConfig,
    address: SocketAddr,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let mut service = Service::start(config, UdpSocket::bind(address)?).await?;
    tokio::select! {
        result = service.failed() => return result,
        () = shutdown => {}
    }
    service.stop().await
}

async fn accept(endpoint: Endpoint, trust_domain: Arc<str>, core: mpsc::Sender<CoreMessage>) {
    while let Some(incoming) = endpoint.accept().await {
        if endpoint.open_connections() > CONNECTIONS_MAX {
            incoming.refuse();
            continue;
        }
        tokio::spawn(serve_connection(
            incoming,
            trust_domain.clone(),
            Backend::Single(core.clone()),
        ));
    }
}
