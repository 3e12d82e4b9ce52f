//! What every refusal looks like: RFC 9457 problem details.

use super::rate::Quota;
use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use topology::model::ApplyError;
use topology::protocol::Refusal;
use topology::service::CallError;
use utoipa::ToSchema;

/// Media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Kinds of problem. Each has a page, `/api/v1/problems/NAME`, which is its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be read.
    Malformed,
    /// No good token.
    Unauthenticated,
    /// The token does not allow this.
    Forbidden,
    /// The meeting has a password, and this was not it.
    Password,
    /// No such thing, or none that this token may know of.
    NotFound,
    /// Not a method of this path.
    Method,
    /// Another edge has it.
    Elsewhere,
    /// The same request is being worked on.
    InProgress,
    /// The meeting is over.
    Ended,
    /// No origin can take the meeting.
    NoOrigin,
    /// The body is too long.
    TooLarge,
    /// The body is no JSON.
    MediaType,
    /// The body is JSON, but not what is asked for.
    Invalid,
    /// The key was used for another request.
    KeyReused,
    /// Too many requests.
    TooMany,
    /// This edge does not serve the API.
    Off,
    /// The topology service or this edge cannot do it now.
    Unavailable,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Password,
        Self::NotFound,
        Self::Method,
        Self::Elsewhere,
        Self::InProgress,
        Self::Ended,
        Self::NoOrigin,
        Self::TooLarge,
        Self::MediaType,
        Self::Invalid,
        Self::KeyReused,
        Self::TooMany,
        Self::Off,
        Self::Unavailable,
    ];

    /// Name, status and title.
    fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST, "The request cannot be read"),
            Self::Unauthenticated => {
                ("unauthenticated", StatusCode::UNAUTHORIZED, "A good token is needed")
            }
            Self::Forbidden => {
                ("forbidden", StatusCode::FORBIDDEN, "The token does not allow this")
            }
            Self::Password => {
                ("password", StatusCode::FORBIDDEN, "The meeting's password is needed")
            }
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::Method => ("method", StatusCode::METHOD_NOT_ALLOWED, "Not a method of this path"),
            Self::Elsewhere => ("elsewhere", StatusCode::CONFLICT, "Another edge has this"),
            Self::InProgress => {
                ("in-progress", StatusCode::CONFLICT, "The same request is being worked on")
            }
            Self::Ended => ("ended", StatusCode::GONE, "The meeting is over"),
            Self::NoOrigin => ("no-origin", StatusCode::CONFLICT, "No origin takes the meeting"),
            Self::TooLarge => {
                ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too long")
            }
            Self::MediaType => {
                ("media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send application/json")
            }
            Self::Invalid => {
                ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "A value is not allowed")
            }
            Self::KeyReused => (
                "key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key was used for another request",
            ),
            Self::TooMany => ("too-many", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
            Self::Off => {
                ("off", StatusCode::SERVICE_UNAVAILABLE, "This edge does not serve the API")
            }
            Self::Unavailable => {
                ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "It cannot be done just now")
            }
        }
    }

    /// Its name, the last part of its `type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// The page of a kind, in short.
    #[must_use]
    pub fn page(self) -> KindPage {
        let (_, status, title) = self.facts();
        KindPage { kind: self.uri(), title: title.to_owned(), status: status.as_u16() }
    }

    fn uri(self) -> String {
        format!("/api/v1/problems/{}", self.name())
    }
}

/// What is said about a kind of problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KindPage {
    /// This page.
    #[serde(rename = "type")]
    pub kind: String,
    /// In a few words.
    pub title: String,
    /// The status it comes with.
    pub status: u16,
}

/// Why a request was refused (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind: a path on the same edge.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened, and what to do about it.
    pub detail: String,
    /// When to come back, in seconds; also the header `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Edges to ask instead, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<String>,
}

/// A problem on its way out.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its kind, for the counters.
    pub kind: Kind,
    /// Boxed, so that a `Result` with it stays small.
    problem: Box<Problem>,
    quota: Option<Quota>,
}

impl Refused {
    /// Of a kind; `detail` says what happened and what to do.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (_, status, title) = kind.facts();
        let problem = Problem {
            kind: kind.uri(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            retry_after: None,
            edges: Vec::new(),
        };
        Self { kind, problem: Box::new(problem), quota: None }
    }

    /// The same for everybody who may not know: a guessed id teaches nothing.
    #[must_use]
    pub fn no_meeting() -> Self {
        Self::new(
            Kind::NotFound,
            "there is no such meeting, or the token is not for it: check the id, or ask for an invitation",
        )
    }

    /// The meeting is over.
    #[must_use]
    pub fn ended() -> Self {
        Self::new(Kind::Ended, "the meeting has ended: create a new one")
    }

    /// Come back after so many seconds.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> Self {
        self.problem.retry_after = Some(seconds.max(1));
        self
    }

    /// Ask these edges instead.
    #[must_use]
    pub fn edges(mut self, edges: Vec<String>) -> Self {
        self.problem.edges = edges;
        self
    }

    /// A limit is reached.
    #[must_use]
    pub fn quota(quota: Quota, detail: impl Into<String>) -> Self {
        let mut refused = Self::new(Kind::TooMany, detail).after(quota.reset_s);
        refused.quota = Some(quota);
        refused
    }
}

impl From<CallError> for Refused {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(Refusal::Apply(ApplyError::UnknownMeeting(_))) => Self::no_meeting(),
            CallError::Refused(Refusal::Apply(ApplyError::MeetingEnded(_))) => Self::ended(),
            CallError::Refused(Refusal::Apply(
                error @ (ApplyError::NoOrigin { .. } | ApplyError::MeetingsFull(_)),
            )) => Self::new(Kind::NoOrigin, error.to_string()),
            CallError::Refused(Refusal::Apply(
                error @ (ApplyError::TooLong { .. } | ApplyError::RegionNotAllowed(_)),
            )) => Self::new(Kind::Invalid, error.to_string()),
            error => {
                tracing::warn!(%error, "the topology service did not do what the api asked for");
                Self::new(
                    Kind::Unavailable,
                    "the topology service does not answer: meetings that run go on; try again in a moment",
                )
                .after(super::limits::TOPOLOGY_RETRY_S)
            }
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.kind.facts().1;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.problem.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(quota) = &self.quota {
            headers.extend(quota.headers());
        }
        let mut response = (status, Json(self.problem)).into_response();
        response.headers_mut().extend(headers);
        response.extensions_mut().insert(self.kind);
        response
    }
}
