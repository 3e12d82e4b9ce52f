//! The control runtime's HTTP server: health, readiness, metrics, and whatever routes the node adds.

mod connection;
mod server;
mod tls;

pub use server::{HTTP_CONNECTIONS_DEFAULT, HttpServer};
pub use tls::{Tls, TlsFiles};

use crate::metrics::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::{Arc, PoisonError, RwLock};

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
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
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
        .route("/readyz", get(move || std::future::ready(ready_answer(&readiness))))
        .route("/metrics", get(move || std::future::ready(metrics_answer(&metrics))))
}

fn ready_answer(readiness: &Readiness) -> (StatusCode, String) {
    match readiness.reason() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

fn metrics_answer(metrics: &Metrics) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], metrics.render())
}
