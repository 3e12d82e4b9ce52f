//! The supervisor over HTTP, on loopback: `GET /status`, `GET /nodes`, `POST /nodes` {"region"}, `POST /nodes/NAME/kill`,
//! `POST /nodes/NAME/start`, and the emulator's `/wan` routes.

use super::record::{DevRecord, NodeStatus};
use super::wan::{self, WanProxy};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// An order, and where its outcome goes.
#[derive(Debug)]
pub(crate) enum Order {
    /// How everything stands.
    Status(oneshot::Sender<DevRecord>),
    /// Kill a node.
    Kill(String, Answer),
    /// Start a node that has ended.
    Start(String, Answer),
    /// Add an edge in a region.
    AddEdge(String, Answer),
}

/// A node, or why not.
pub(crate) type Answer = oneshot::Sender<Result<NodeStatus, Refused>>;

/// Why an order is not carried out.
#[derive(Clone, Debug)]
pub(crate) struct Refused(pub(crate) String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::CONFLICT, format!("{}\n", self.0)).into_response()
    }
}

/// Body of `POST /nodes`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNode {
    /// Where.
    pub(crate) region: String,
}

type Orders = mpsc::Sender<Order>;
type NodeAnswer = Result<Json<NodeStatus>, Refused>;

/// The routes. They have no authentication: serve them on loopback only.
pub(crate) fn router(orders: Orders, proxy: WanProxy) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/nodes", get(nodes).post(add))
        .route("/nodes/{name}/kill", post(kill))
        .route("/nodes/{name}/start", post(start))
        .with_state(orders)
        .merge(wan::router(proxy))
        .layer(from_fn(no_web_pages))
}

/// A page in this machine's browser must not be able to kill nodes: browsers say where a request comes from.
async fn no_web_pages(request: Request, next: Next) -> Response {
    let from_page = request.headers().contains_key(header::ORIGIN);
    let host =
        request.headers().get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if from_page || !matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        return (StatusCode::FORBIDDEN, "not for web pages\n").into_response();
    }
    next.run(request).await
}

fn stopping() -> Refused {
    Refused("the supervisor is stopping".to_owned())
}

async fn record(orders: &Orders) -> Result<DevRecord, Refused> {
    let (sender, receiver) = oneshot::channel();
    orders.send(Order::Status(sender)).await.map_err(|_| stopping())?;
    receiver.await.map_err(|_| stopping())
}

async fn ask(orders: &Orders, make: impl FnOnce(Answer) -> Order) -> NodeAnswer {
    let (sender, receiver) = oneshot::channel();
    orders.send(make(sender)).await.map_err(|_| stopping())?;
    receiver.await.map_err(|_| stopping())?.map(Json)
}

async fn status(State(orders): State<Orders>) -> Result<Json<DevRecord>, Refused> {
    record(&orders).await.map(Json)
}

async fn nodes(State(orders): State<Orders>) -> Result<Json<Vec<NodeStatus>>, Refused> {
    Ok(Json(record(&orders).await?.nodes))
}

async fn add(State(orders): State<Orders>, Json(new): Json<NewNode>) -> NodeAnswer {
    ask(&orders, |answer| Order::AddEdge(new.region, answer)).await
}

async fn kill(State(orders): State<Orders>, Path(name): Path<String>) -> NodeAnswer {
    ask(&orders, |answer| Order::Kill(name, answer)).await
}

async fn start(State(orders): State<Orders>, Path(name): Path<String>) -> NodeAnswer {
    ask(&orders, |answer| Order::Start(name, answer)).await
}
