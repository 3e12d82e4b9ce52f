//! `mesh topology`.

use super::config::Identity;
use anyhow::Context;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use tokio::sync::watch;
use topology::model::{Region, RttTable};
use topology::service::{Group, GroupConfig, Profile, Service, ServiceConfig};

/// What a topology service needs to be told.
#[derive(Clone, Debug)]
pub struct TopologyOptions {
    /// Where it listens (UDP).
    pub listen: SocketAddr,
    /// Its certificate.
    pub identity: Identity,
    /// Where its state lives.
    pub state_dir: PathBuf,
    /// What a member of a group needs beyond that; none for a service of one process.
    pub member: Option<MemberOptions>,
}

/// What a member of a group needs to be told.
#[derive(Clone, Debug)]
pub struct MemberOptions {
    /// Where it stands.
    pub region: String,
    /// Where clients and the other members reach it.
    pub advertise: SocketAddr,
    /// The group's timing.
    pub profile: Profile,
}

/// Round trips between regions, as the placement uses them.
fn rtt_table() -> anyhow::Result<RttTable> {
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

/// Runs one process of a topology service until `stop` says so: alone, or as a member of a group.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run_topology(
    options: TopologyOptions,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let socket = std::net::UdpSocket::bind(options.listen).with_context(|| {
        format!(
            "cannot listen on UDP {}: choose another with --listen, or stop what uses it",
            options.listen
        )
    })?;
    match options.member.clone() {
        None => run_single(options, socket, stop).await,
        Some(member) => run_member(options, member, socket, stop).await,
    }
}

async fn run_single(
    options: TopologyOptions,
    socket: UdpSocket,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
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

async fn run_member(
    options: TopologyOptions,
    member: MemberOptions,
    socket: UdpSocket,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let config = GroupConfig {
        identity: options.identity.load()?,
        trust_domain: options.identity.trust_domain.clone(),
        state_dir: options.state_dir.clone(),
        rtt: rtt_table()?,
        region: member.region,
        advertise: Some(member.advertise),
        profile: member.profile,
    };
    let mut group = Group::start(config, socket).await?;
    let id = format!("{:x}", group.id());
    tracing::info!(listen = %group.local_addr(), state = %options.state_dir.display(), id, "topology member started");
    let ended = tokio::select! {
        _ = stop.wait_for(|s| *s) => None,
        failed = group.failed() => Some(failed),
    };
    match ended {
        None => Ok(group.stop().await?),
        Some(failed) => Ok(failed?),
    }
}
