//! `mesh origin`.

use super::config::NodeOptions;
use super::report::{Reports, debug_router};
use node_io::http::{HttpServer, Readiness, operations_router};
use node_io::metrics::Metrics;
use node_io::{MailboxSender, ShardConfig, try_spawn_shard};
use origin_sfu::{OriginCommand, OriginConfig, OriginOutput, OriginShard};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use relay_proto::NodeName;
use relay_proto::links::{Links, LinksConfig, LinksError};
use relay_proto::{Epoch, MeetingId, NodeId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use topology::model::{NodeRecord, Role};
use topology::service::{TopologyClient, TopologyView};

/// Runs an origin until `stop` says so.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run_origin(
    options: NodeOptions,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let identity = options.identity.load()?;
    let topology = options.topology_client(&identity)?;
    let readiness = Readiness::starting();
    let metrics = Metrics::new(&[("node", &options.name), ("region", &options.region)])?;
    let (link_seed, shard_seed, instance) = (super::seed()?, super::seed()?, super::instance()?);
    let name = NodeName {
        trust_domain: options.identity.trust_domain.clone(),
        region: options.region.clone(),
        node: options.node,
    };
    let links = LinksConfig::new(name, instance, identity, link_seed);
    let mut shard_config = ShardConfig::new(options.name.clone(), None, options.relay);
    shard_config.wall_skew_us = options.wall_skew_us;
    let node = options.node;
    let mut shard = try_spawn_shard::<OriginShard, _, _, _>(shard_config, move |now, _| {
        let links = Links::new(now, links)?;
        Ok::<_, LinksError>(OriginShard::new(
            OriginConfig { node },
            links,
            ChaCha12Rng::from_seed(shard_seed),
        ))
    })?;
    metrics.add_shard(options.name.clone(), shard.stats.clone());
    let reports = Reports::new(&metrics)?;
    let router =
        operations_router(metrics.clone(), readiness.clone()).merge(debug_router(reports.clone()));
    let http = HttpServer::start(&format!("origin {}", options.name), options.http, router).await?;
    metrics.add_http(&http)?;
    let record = record(&options, shard.relay_addr.port(), instance)?;
    tracing::info!(node = %options.node, http = %http.addr(), relay = %shard.relay_addr, "origin started");

    let outputs = shard.take_outputs();
    let pump = tokio::spawn(pump(
        node,
        outputs,
        topology.clone(),
        shard.commands.clone(),
        reports.clone(),
    ));
    let follow = tokio::spawn(follow(options.clone(), topology.clone(), shard.commands.clone()));
    let register = tokio::spawn(super::edge::register(topology.clone(), record, readiness));
    let poll = tokio::spawn(super::report::poll(shard.commands.clone(), || OriginCommand::Report));
    let ended = tokio::select! {
        _ = stop.wait_for(|s| *s) => Ok(()),
        _ = pump => Err(anyhow::anyhow!("the relay shard ended")),
        () = super::load::watch(shard.stats.clone(), reports.clone(), topology.clone(), Arc::default()) => {
            Err(anyhow::anyhow!("another process registered as node {node}"))
        }
    };
    let _ = topology.goodbye().await;
    for task in [follow, register, poll] {
        task.abort();
    }
    http.stop().await;
    tokio::task::spawn_blocking(move || shard.join()).await??;
    ended
}

/// What the topology and the other nodes are told of this one.
fn record(options: &NodeOptions, relay_port: u16, instance: u64) -> anyhow::Result<NodeRecord> {
    Ok(NodeRecord {
        id: options.node,
        name: options.name.clone(),
        role: Role::Origin,
        region: options.region()?,
        http_url: options.public_url.clone(),
        signal_url: String::new(),
        media: SocketAddr::new(options.relay_ip, 0),
        relay: vec![SocketAddr::new(options.relay_ip, relay_port)],
        instance,
        capacity: options.capacity,
    })
}

async fn pump(
    node: NodeId,
    mut outputs: mpsc::Receiver<OriginOutput>,
    topology: TopologyClient,
    commands: MailboxSender<OriginCommand>,
    reports: Reports,
) {
    while let Some(output) = outputs.recv().await {
        match output {
            OriginOutput::NeedPlacement(meeting) => {
                let (topology, commands) = (topology.clone(), commands.clone());
                tokio::spawn(async move {
                    if let Ok(found) = topology.get_meeting(meeting).await {
                        let _ = commands
                            .send(verdict(node, found.id, found.origin, found.epoch, found.ended))
                            .await;
                    }
                });
            }
            OriginOutput::Report(report) => reports.set(*report),
            OriginOutput::Link { node, up: true, .. } => tracing::info!(%node, "link up"),
            OriginOutput::Link { node, reason, .. } => tracing::warn!(%node, reason, "link down"),
        }
    }
}

fn verdict(
    own: NodeId,
    meeting: MeetingId,
    origin: NodeId,
    epoch: Epoch,
    ended: bool,
) -> OriginCommand {
    if origin == own && !ended {
        OriginCommand::Granted { meeting, epoch }
    } else {
        OriginCommand::Revoked { meeting, ended }
    }
}

/// Tells the shard which meetings are its own.
async fn follow(
    options: NodeOptions,
    topology: TopologyClient,
    commands: MailboxSender<OriginCommand>,
) {
    let mut views = topology.watch();
    let mut nodes = Vec::new();
    let mut mine: BTreeMap<MeetingId, Epoch> = BTreeMap::new();
    loop {
        let view = views.borrow_and_update().clone();
        let now = options.addresses(&view);
        if now != nodes {
            nodes = now.clone();
            let _ = commands.send(OriginCommand::Nodes(now)).await;
        }
        for command in changes(options.node, &view, &mut mine) {
            let _ = commands.send(command).await;
        }
        if views.changed().await.is_err() {
            return;
        }
    }
}

/// What changed for this node since the last view.
fn changes(
    own: NodeId,
    view: &TopologyView,
    mine: &mut BTreeMap<MeetingId, Epoch>,
) -> Vec<OriginCommand> {
    let mut commands = Vec::new();
    for meeting in view.meetings.values() {
        let is_mine = meeting.origin == own && !meeting.ended;
        match mine.get(&meeting.id) {
            Some(epoch) if is_mine && *epoch == meeting.epoch => {}
            None if !is_mine => {}
            _ => {
                if is_mine {
                    mine.insert(meeting.id, meeting.epoch);
                } else {
                    mine.remove(&meeting.id);
                }
                commands.push(verdict(
                    own,
                    meeting.id,
                    meeting.origin,
                    meeting.epoch,
                    meeting.ended,
                ));
            }
        }
    }
    commands
}
