//! The HTTP API of an edge, from its settings.

use super::config::NodeOptions;
use crate::api::{ApiConfig, ApiCounters, Turn, api_router};
use crate::signalling::Sockets;
use crate::token::{Issuer, Verifier, check_pair};
use anyhow::{Context, bail};
use axum::Router;
use node_io::metrics::Metrics;
use std::path::Path;
use std::sync::Arc;
use topology::service::TopologyClient;

/// A shorter secret of TURN servers could be guessed from the credentials that participants see.
const TURN_SECRET_BYTES_MIN: usize = 16;

/// The API's routes.
pub(super) fn router(
    options: &NodeOptions,
    verifier: Arc<Verifier>,
    topology: &TopologyClient,
    sockets: &Sockets,
    metrics: &Metrics,
) -> anyhow::Result<Router> {
    api_router(ApiConfig {
        issuer: issuer(options, &verifier)?,
        verifier,
        topology: topology.clone(),
        sockets: sockets.clone(),
        region: options.region()?,
        url: options.public_url.clone(),
        rtt: super::topo::rtt_table()?,
        turn: turn(options)?,
        creates_per_hour: options.api.creates_per_hour,
        trusted_proxies: options.api.trusted_proxies.clone(),
        counters: ApiCounters::new(metrics)?,
    })
}

/// Reads the API's files without using them.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check(options: &NodeOptions, verifier: &Verifier) -> anyhow::Result<()> {
    issuer(options, verifier)?;
    turn(options)?;
    Ok(())
}

fn issuer(options: &NodeOptions, verifier: &Verifier) -> anyhow::Result<Option<Issuer>> {
    let Some(path) = &options.api.token_private_key else { return Ok(None) };
    let issuer = Issuer::from_pem(&read("token_private_key", path)?)
        .with_context(|| format!("token_private_key: {}", path.display()))?;
    check_pair(&issuer, verifier).with_context(|| {
        format!("token_private_key: {} is not the other half of token_key", path.display())
    })?;
    Ok(Some(issuer))
}

fn turn(options: &NodeOptions) -> anyhow::Result<Option<Turn>> {
    let Some(path) = &options.api.turn_secret else { return Ok(None) };
    let secret = read("turn_secret", path)?;
    let secret = secret.trim_ascii();
    if secret.len() < TURN_SECRET_BYTES_MIN {
        bail!(
            "turn_secret: {} has {} characters: write at least {TURN_SECRET_BYTES_MIN}, such as `openssl rand -hex 32`",
            path.display(),
            secret.len()
        );
    }
    Ok(Some(Turn::new(options.api.turn_urls.clone(), secret)))
}

fn read(what: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{what}: cannot read {}", path.display()))
}
