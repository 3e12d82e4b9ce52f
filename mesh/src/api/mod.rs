//! The HTTP API: meetings as an operator's own programs and the page see them. docs/api.md is its description, docs/openapi.json
//! its contract.

mod counters;
mod edges;
mod extract;
mod ice;
mod idempotency;
mod join;
pub mod limits;
mod meetings;
mod openapi;
mod participants;
mod password;
mod problem;
mod rate;
mod state;
#[cfg(test)]
mod tests;
mod types;

pub use counters::ApiCounters;
pub use edges::EdgeChoice;
pub use ice::{IceServer, Turn};
pub use openapi::openapi_json;
pub use problem::{Kind, KindPage, PROBLEM_JSON, Problem, Refused};
pub use rate::Quota;
pub use state::ApiConfig;
pub use types::{
    Created, Invitation, JoinLimits, Joining, KindOfMeeting, MeetingInfo, Meetings, NewInvitation,
    NewJoin, NewMeeting, Participant, Participants,
};

use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use openapi::PageProblems;
use state::ApiState;

/// `/api/v1/`. Without a private token key everything but the descriptions answers 503.
///
/// # Errors
/// When there is no entropy.
pub fn api_router(config: ApiConfig) -> anyhow::Result<Router> {
    let is_off = config.issuer.is_none();
    let state = ApiState::new(config)?;
    let served = Router::new()
        .route("/api/v1/meetings", post(meetings::create).get(meetings::list))
        .route("/api/v1/meetings/{meeting}", get(meetings::get))
        .route("/api/v1/meetings/{meeting}/end", post(meetings::end))
        .route("/api/v1/meetings/{meeting}/invitations", post(meetings::invite))
        .route("/api/v1/meetings/{meeting}/join", post(join::join))
        .route("/api/v1/meetings/{meeting}/participants", get(participants::list))
        .route("/api/v1/meetings/{meeting}/participants/me", delete(participants::leave))
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX));
    let served = if is_off { served.layer(from_fn(refuse)) } else { served };
    Ok(served
        .route("/api/v1/openapi.json", get(document))
        .route("/api/v1/problems/{name}", get(kind_page))
        .route("/api/{*path}", axum::routing::any(no_path))
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(never_cached))
        .layer(from_fn_with_state(state.clone(), counters::count))
        .with_state(state))
}

/// Tokens and rosters stay out of every cache.
async fn never_cached(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn refuse(_: Request, _: Next) -> Refused {
    off()
}

/// This edge cannot sign tokens.
fn off() -> Refused {
    Refused::new(
        Kind::Off,
        "this edge has no private token key: ask an edge that has, or give it one with --token-private-key",
    )
}

async fn no_path() -> Refused {
    Refused::new(Kind::NotFound, "the API has no such path: see /api/v1/openapi.json")
}

async fn no_method(request: Request) -> Refused {
    let detail = format!("{} cannot be done here: see /api/v1/openapi.json", request.method());
    Refused::new(Kind::Method, detail)
}

/// Describes the API
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "descriptions", operation_id = "describe",
    responses((status = 200, description = "This document", body = serde_json::Value)))]
async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json()).into_response()
}

/// Describes a kind of problem
#[utoipa::path(get, path = "/api/v1/problems/{name}", tag = "descriptions", operation_id = "describeProblem",
    params(("name" = String, Path, description = "The last part of a problem's type")),
    responses((status = 200, description = "The kind", body = KindPage), PageProblems))]
async fn kind_page(
    State(_): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<KindPage>, Refused> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    kind.map(|kind| Json(kind.page())).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::name).join(", ");
        Refused::new(Kind::NotFound, format!("no such kind of problem: there are {known}"))
    })
}
