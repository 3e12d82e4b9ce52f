//! The accept loop: bounded connections, no waiting for slow headers, graceful stop.

use super::connection::{Connection, serve, serve_tls};
use super::tls::Tls;
use crate::bind::bind_error;
use crate::limits::{ACCEPT_PAUSE, HTTP_STOP};
use axum::Router;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Connections a server keeps, WebSockets included: 10,000 participants and a reserve, below a descriptor limit of
/// 20,000.
pub const HTTP_CONNECTIONS_DEFAULT: usize = 12_000;

/// A running server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct HttpServer {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    refused: Arc<AtomicU64>,
    task: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Binds `addr` and serves `router`; handlers may extract `ConnectInfo<SocketAddr>`.
    ///
    /// # Errors
    /// When the port cannot be bound: one line that says which, whose, and what to do.
    pub async fn start(who: &str, addr: SocketAddr, router: Router) -> io::Result<Self> {
        Self::start_limited(who, addr, router, HTTP_CONNECTIONS_DEFAULT, None).await
    }

    /// The same over TLS.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_tls(
        who: &str,
        addr: SocketAddr,
        router: Router,
        tls: Tls,
    ) -> io::Result<Self> {
        Self::start_limited(who, addr, router, HTTP_CONNECTIONS_DEFAULT, Some(tls)).await
    }

    /// The same, with at most `connections` at a time; a connection beyond is closed at once, which a client takes
    /// as "try again later, or elsewhere".
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_limited(
        who: &str,
        addr: SocketAddr,
        router: Router,
        connections: usize,
        tls: Option<Tls>,
    ) -> io::Result<Self> {
        let bound = TcpListener::bind(addr).await;
        let listener = bound.map_err(|e| bind_error(&e, "TCP", addr, who))?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let refused = Arc::new(AtomicU64::new(0));
        let accepting = Accepting {
            listener,
            router,
            places: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            refused: Arc::clone(&refused),
            stopped,
            tls,
        };
        let task = tokio::spawn(accepting.run());
        Ok(Self { addr, stop, refused, task: Some(task) })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections closed because there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The same, for those who look again and again.
    pub(crate) fn refused_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.refused)
    }

    /// Tells `true` when the server is asked to stop: long-lived handlers (WebSockets) end themselves on it.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Takes no more connections, waits up to five seconds for open requests, then cuts them off.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(HTTP_STOP, &mut task).await.is_err()
        {
            tracing::info!(addr = %self.addr, "requests cut off at stop");
            task.abort();
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

struct Accepting {
    listener: TcpListener,
    router: Router,
    places: Arc<Semaphore>,
    refused: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
    tls: Option<Tls>,
}

impl Accepting {
    async fn run(self) {
        let mut stopped = self.stopped.clone();
        // Dropped with this task, and its connections with it.
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                // An error means that the handle is gone, which stops the server too.
                _ = stopped.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &mut connections),
                Err(error) => pause_after(&error).await,
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let connection = Connection::new(stream, place);
        let (router, stopped) = (self.router.clone(), self.stopped.clone());
        match &self.tls {
            Some(tls) => {
                connections.spawn(serve_tls(connection, peer, router, stopped, tls.clone()))
            }
            None => connections.spawn(serve(connection, peer, router, stopped)),
        };
    }
}

/// A connection that was gone before it was accepted is nothing; no descriptors left is a reason to wait.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "connections cannot be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
