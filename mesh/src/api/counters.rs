//! What was asked of the API and how it ended, as metrics.

use super::problem::Kind;
use super::state::ApiState;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use node_io::metrics::{Metrics, MetricsError};
use prometheus::IntCounterVec;

/// Outcome of what was done.
const DONE: &str = "done";

/// Counts requests. Cloning gives the same counters.
#[derive(Clone, Debug)]
pub struct ApiCounters {
    requests: IntCounterVec,
}

impl ApiCounters {
    /// Counters that begin at nothing; each outcome is shown from the start.
    ///
    /// # Errors
    /// When the registry has them already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let requests = metrics.counter_vec(
            "mesh_api_requests_total",
            "Requests to the HTTP API, by method, path and outcome: done, or the name of the problem",
            &["method", "path", "outcome"],
        )?;
        for kind in Kind::ALL {
            requests.with_label_values(&["POST", "/api/v1/meetings", kind.name()]).inc_by(0);
        }
        Ok(Self { requests })
    }

    fn count(&self, method: &Method, path: &str, outcome: &str) {
        // Methods that nobody has are one label, or a stranger could make any number of them.
        let method = match *method {
            Method::GET | Method::HEAD => "GET",
            Method::POST => "POST",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        self.requests.with_label_values(&[method, path, outcome]).inc();
    }
}

/// Counts each request when it has been answered.
pub(super) async fn count(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>();
    let path = matched.map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let outcome = response.extensions().get::<Kind>().map_or(DONE, |kind| kind.name());
    state.config.counters.count(&method, &path, outcome);
    response
}
