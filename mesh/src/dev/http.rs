//! A small HTTP client for loopback.

use anyhow::{Context, bail};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

/// The largest answer that is read: a status of a hundred nodes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The client.
#[derive(Clone, Debug)]
pub(crate) struct Http(Client<HttpConnector, Body>);

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Status and text of an answer that arrives within `limit`.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &str,
        json: Option<String>,
        limit: Duration,
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut request = Request::builder().method(method).uri(url);
        if json.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Body::from(json.unwrap_or_default()))?;
        let exchange = async {
            let answer = self
                .0
                .request(request)
                .await
                .with_context(|| format!("nobody answers at {url}"))?;
            let status = answer.status();
            let body =
                axum::body::to_bytes(Body::new(answer.into_body()), ANSWER_BYTES_MAX).await?;
            anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        match tokio::time::timeout(limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => bail!("no answer from {url} within {} ms", limit.as_millis()),
        }
    }

    /// A `GET`.
    pub(crate) async fn get(&self, url: &str) -> anyhow::Result<(StatusCode, String)> {
        self.ask(Method::GET, url, None, Duration::from_secs(2)).await
    }
}
