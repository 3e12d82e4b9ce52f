//! `mesh topology --single`.

use super::config::Identity;
use anyhow::Context;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::sync::watch;
use topology::model::{Region, RttTable};
use topology::service::{Service, ServiceConfig};

/// What a topology service needs to be told.
#[derive(Clone, Debug)]
pub struct TopologyOptions {
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// Its certificate.
    pub identity: Identity,
    /// Where its state lives.
    pub state_dir: PathBuf,
}

/// Round trips between regions, as the placement uses them.
pub(super) fn rtt_table() -> anyhow::Result<RttTable> {
    let matrix = crate::dev::wan::default_matrix()?;
    let mut table = RttTable::default();
    for (i, a) in matrix.regions().iter().enumerate() {
        for (j, b) in matrix.regions().iter().enumerate() {
            if let Some(rtt) = matrix.rtt(i, j).filter(|_| i != j) {
                table.set(Region::new(a)?, Region::new(b)?, rtt.as_micros() as u32);
            }
        }
    }
    Ok(table)
}

/// Runs a single-node topology service until `stop` says so.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run_topology(
    options: TopologyOptions,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let socket = std::net::UdpSocket::bind(options.listen).with_context(|| {
        format!(
            "cannot listen on UDP {}: choose another with --listen, or stop what uses it",
            options.listen
        )
    })?;
    let config = ServiceConfig {
        identity: options.identity.load()?,
        trust_domain: options.identity.trust_domain.clone(),
        state_dir: options.state_dir.clone(),
        rtt: rtt_table()?,
    };
    let mut service = Service::start(config, socket).await?;
    tracing::info!(listen = %service.local_addr(), state = %options.state_dir.display(), "topology started");
    let ended = tokio::select! {
        _ = stop.wait_for(|s| *s) => None,
        failed = service.failed() => Some(failed),
    };
    match ended {
        None => Ok(service.stop().await?),
        Some(failed) => Ok(failed?),
    }
}
