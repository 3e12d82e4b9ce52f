//! The control runtime's HTTP server: health, readiness, metrics, and whatever routes the node adds.

use crate::bind::bind_error;
use crate::limits::HTTP_STOP;
use crate::metrics::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Whether the node may be given work. Starts as not ready.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<RwLock<Option<String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self::starting()
    }
}

impl Readiness {
    /// A node that has just begun.
    #[must_use]
    pub fn starting() -> Self {
        Self(Arc::new(RwLock::new(Some("starting".to_owned()))))
    }

    /// From now on `/readyz` answers 200.
    pub fn ready(&self) {
        self.set(None);
    }

    /// From now on `/readyz` answers 503 with this reason.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// Why the node is not ready, if it is not.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether the node is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reason().is_none()
    }

    fn set(&self, reason: Option<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// `/healthz` (the process answers), `/readyz` (it may be given work) and `/metrics` (Prometheus text).
pub fn operations_router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/readyz",
            get(move || std::future::ready(ready_answer(&readiness))),
        )
        .route(
            "/metrics",
            get(move || std::future::ready(metrics_answer(&metrics))),
        )
}

fn ready_answer(readiness: &Readiness) -> (StatusCode, String) {
    match readiness.reason() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

fn metrics_answer(metrics: &Metrics) -> impl IntoResponse + use<> {
    (
        [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)],
        metrics.render(),
    )
}

/// A running server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct HttpServer {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<io::Result<()>>>,
}

impl HttpServer {
    /// Binds `addr` and serves `router`; handlers may extract `ConnectInfo<SocketAddr>`.
    ///
    /// # Errors
    /// When the port cannot be bound: one line that says which, whose, and what to do.
    pub async fn start(who: &str, addr: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)
            .await
            .map_err(|e| bind_error(&e, "TCP", addr, who))?;
        let addr = listener.local_addr()?;
        let (stop, mut stopped) = watch::channel(false);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
            // An error means that the handle is gone, which stops the server too.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let task = tokio::spawn(async move { serving.await });
        Ok(Self {
            addr,
            stop,
            task: Some(task),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
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
