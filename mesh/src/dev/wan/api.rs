//! The emulator over HTTP, for tests and people: `GET /wan`, `PATCH` and `DELETE /wan/{from}/{to}`, `PUT /wan/isolate/{region}`.

use super::{PairCounters, Timing, WanError, WanProxy};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use simulator::link_model::{LinkParams, Loss, Queue};

/// Parameters to change; what is absent stays.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkChange {
    /// Propagation delay, one way.
    pub delay_us: Option<u64>,
    /// Bound of the extra delay.
    pub jitter_us: Option<u64>,
    /// Which packets are lost.
    pub loss: Option<Loss>,
    /// Bottleneck rate; 0 is unlimited.
    pub rate_bps: Option<u64>,
    /// How much may wait for the bottleneck.
    pub queue: Option<Queue>,
    /// Whether nothing is delivered.
    pub down: Option<bool>,
}

impl LinkChange {
    /// The parameters with the change.
    #[must_use]
    pub fn apply(self, old: LinkParams) -> LinkParams {
        LinkParams {
            delay_us: self.delay_us.unwrap_or(old.delay_us),
            jitter_us: self.jitter_us.unwrap_or(old.jitter_us),
            loss: self.loss.unwrap_or(old.loss),
            rate_bps: self.rate_bps.unwrap_or(old.rate_bps),
            queue: self.queue.unwrap_or(old.queue),
            down: self.down.unwrap_or(old.down),
        }
    }
}

#[derive(Serialize)]
struct Pair {
    from: String,
    to: String,
    #[serde(flatten)]
    counters: PairCounters,
    params: Option<LinkParams>,
}

#[derive(Serialize)]
struct Status {
    timing: Timing,
    pairs: Vec<Pair>,
}

/// Routes that read and change a running emulator. They have no authentication: serve them on loopback only.
pub fn router(proxy: WanProxy) -> Router {
    Router::new()
        .route("/wan", get(status))
        .route("/wan/{from}/{to}", patch(change).delete(reset))
        .route("/wan/isolate/{region}", put(cut).delete(join))
        .with_state(proxy)
}

async fn status(State(proxy): State<WanProxy>) -> Json<Status> {
    let pairs = proxy.all_counters().into_iter().map(|(from, to, counters)| {
        let params = proxy.params(&from, &to).ok();
        Pair { from, to, counters, params }
    });
    Json(Status { timing: proxy.timing(), pairs: pairs.collect() })
}

type Pathed = Path<(String, String)>;

async fn change(
    State(proxy): State<WanProxy>,
    Path((from, to)): Pathed,
    Json(change): Json<LinkChange>,
) -> Result<Json<LinkParams>, WanError> {
    proxy.change(&from, &to, change).map(Json)
}

async fn reset(
    State(proxy): State<WanProxy>,
    Path((from, to)): Pathed,
) -> Result<Json<LinkParams>, WanError> {
    proxy.reset(&from, &to).map(Json)
}

async fn cut(State(proxy): State<WanProxy>, Path(region): Path<String>) -> Result<(), WanError> {
    proxy.isolate(&region, true)
}

async fn join(State(proxy): State<WanProxy>, Path(region): Path<String>) -> Result<(), WanError> {
    proxy.isolate(&region, false)
}

impl IntoResponse for WanError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::UnknownRegion(_) => StatusCode::NOT_FOUND,
            Self::Off => StatusCode::CONFLICT,
            Self::TooManyFronts(_) | Self::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{self}\n")).into_response()
    }
}
