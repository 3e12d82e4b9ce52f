//! `mesh edge`.

use super::config::{NodeOptions, other_edges};
use super::report::{Reports, debug_router};
use super::tls::Reloads;
use crate::signalling::{SignalCounters, SignalState, Sockets, named, signal_router};
use crate::token::Verifier;
use anyhow::Context;
use axum::Router;
use edge_sfu::peer::PeerConfig;
use edge_sfu::shard::{EdgeCommand, EdgeConfig, EdgeOutput, EdgeShard, Placement};
use edge_sfu::signal::ServerMessage;
use edge_sfu::transport::{DtlsIdentity, TransportConfig};
use node_io::http::{HttpServer, Readiness, Tls, operations_router};
use node_io::metrics::Metrics;
use node_io::{MailboxSender, ShardConfig, ShardHandle, try_spawn_shard};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use relay_proto::links::{Links, LinksConfig, LinksError};
use relay_proto::{Epoch, MeetingId};
use relay_proto::{NodeIdentity, NodeName};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use topology::model::{ApplyError, NodeRecord, Role};
use topology::protocol::Refusal;
use topology::service::{CallError, TopologyClient};

/// A meeting's placement is asked for again after this long when the topology did not answer.
const PLACEMENT_RETRY: Duration = Duration::from_secs(1);

/// Meetings this edge takes part in, with the epoch its shard knows.
type Followed = Arc<Mutex<BTreeMap<MeetingId, Epoch>>>;

/// Runs an edge until `stop` says so.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run_edge(options: NodeOptions, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let identity = options.identity.load()?;
    let verifier = Arc::new(verifier(&options).await?);
    let topology = options.topology_client(&identity)?;
    let readiness = Readiness::starting();
    let metrics = Metrics::new(&[("node", &options.name), ("region", &options.region)])?;

    let instance = super::instance()?;
    let mut shard = start_shard(&options, identity, instance)?;
    metrics.add_shard(options.name.clone(), shard.stats.clone());

    let sockets = Sockets::new(SignalCounters::new(&metrics)?);
    let (others, others_view) = watch::channel(Vec::new());
    let reports = Reports::new(&metrics)?;
    let shedding = Arc::new(AtomicBool::new(false));
    let state = SignalState {
        shards: vec![shard.commands.clone()],
        sockets: sockets.clone(),
        verifier: verifier.clone(),
        shedding: shedding.clone(),
        joins: Arc::default(),
        others: others_view.clone(),
        stop: stop.clone(),
    };
    let api = super::api::router(&options, verifier, &topology, &sockets, &metrics)?;
    let router = signal_router(state)
        .merge(operations_router(metrics.clone(), readiness.clone()))
        .merge(debug_router(reports.clone()))
        .merge(super::web::client_router(options.region.clone(), others_view.clone()))
        .merge(api);
    let (http, reloads) = start_http(&options, router, &metrics).await?;

    let record = record(&options, &shard, instance)?;
    tracing::info!(node = %options.node, http = %http.addr(), media = %record.media, relay = %shard.relay_addr, "edge started");

    let followed: Followed = Arc::default();
    let pump = tokio::spawn(pump(
        shard.take_outputs(),
        sockets,
        topology.clone(),
        shard.commands.clone(),
        followed.clone(),
        reports.clone(),
        others_view.clone(),
    ));
    let follow = tokio::spawn(follow(
        options.clone(),
        topology.clone(),
        shard.commands.clone(),
        followed,
        others,
    ));
    let register = tokio::spawn(register(topology.clone(), record, readiness));
    let poll = tokio::spawn(super::report::poll(shard.commands.clone(), || EdgeCommand::Report));

    let ended = tokio::select! {
        _ = stop.wait_for(|s| *s) => Ok(()),
        _ = pump => Err(anyhow::anyhow!("the media shard ended")),
        () = super::load::watch(shard.stats.clone(), reports.clone(), topology.clone(), shedding) => {
            Err(anyhow::anyhow!("another process registered as node {}", options.node))
        }
    };
    let _ = topology.goodbye().await;
    for task in [follow, register, poll, reloads] {
        task.abort();
    }
    http.stop().await;
    tokio::task::spawn_blocking(move || shard.join()).await??;
    ended
}

/// HTTP, or HTTPS with a certificate that is looked after.
async fn start_http(
    options: &NodeOptions,
    router: Router,
    metrics: &Metrics,
) -> anyhow::Result<(HttpServer, JoinHandle<()>)> {
    let who = format!("edge {}", options.name);
    let (http, reloads) = match &options.tls {
        Some(files) => {
            let tls = Tls::load(files.clone())?;
            let reloads = tokio::spawn(Reloads::new(tls.clone(), metrics)?.run());
            (HttpServer::start_tls(&who, options.http, router, tls).await?, reloads)
        }
        None => {
            // A SIGHUP finds nothing to read again.
            let nothing = tokio::spawn(std::future::pending());
            (HttpServer::start(&who, options.http, router).await?, nothing)
        }
    };
    metrics.add_http(&http)?;
    Ok((http, reloads))
}

/// Checks tokens with the issuer's public key.
async fn verifier(options: &NodeOptions) -> anyhow::Result<Verifier> {
    let file = options.token_key.as_ref();
    let file = file.context("an edge needs the token issuer's public key: --token-key FILE")?;
    let pem = tokio::fs::read(file).await;
    let pem = pem.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Verifier::from_pem(&pem)?)
}

/// The shard with its links, on its thread.
fn start_shard(
    options: &NodeOptions,
    identity: NodeIdentity,
    instance: u64,
) -> anyhow::Result<ShardHandle<EdgeCommand, EdgeOutput>> {
    let dtls = DtlsIdentity::generate()?;
    let (link_seed, shard_seed) = (super::seed()?, super::seed()?);
    let name = NodeName {
        trust_domain: options.identity.trust_domain.clone(),
        region: options.region.clone(),
        node: options.node,
    };
    let links = LinksConfig::new(name, instance, identity, link_seed);
    let mut shard_config =
        ShardConfig::new(options.name.clone(), Some(options.media), options.relay);
    shard_config.wall_skew_us = options.wall_skew_us;
    let edge = (
        options.node,
        options.name.clone(),
        options.region.clone(),
        options.media_ip,
        options.capacity,
    );
    let shard = try_spawn_shard::<EdgeShard, _, _, _>(shard_config, move |now, addrs| {
        let (node, name, region, media_ip, capacity) = edge;
        let port = addrs.media.map_or(0, |a| a.port());
        let transport = TransportConfig::dtls(dtls, vec![SocketAddr::new(media_ip, port)]);
        let config = EdgeConfig {
            node,
            name,
            region,
            peer: PeerConfig { transport },
            peers_max: capacity as usize,
        };
        let links = Links::new(now, links)?;
        Ok::<_, LinksError>(EdgeShard::new(config, links, ChaCha12Rng::from_seed(shard_seed)))
    })?;
    Ok(shard)
}

/// What the topology and the other nodes are told of this one.
fn record(
    options: &NodeOptions,
    shard: &ShardHandle<EdgeCommand, EdgeOutput>,
    instance: u64,
) -> anyhow::Result<NodeRecord> {
    Ok(NodeRecord {
        id: options.node,
        name: options.name.clone(),
        role: Role::Edge,
        region: options.region()?,
        http_url: options.public_url.clone(),
        signal_url: format!("{}/v1/signal", options.public_url.replacen("http", "ws", 1)),
        media: SocketAddr::new(options.media_ip, shard.media_addr.map_or(0, |a| a.port())),
        relay: vec![SocketAddr::new(options.relay_ip, shard.relay_addr.port())],
        instance,
        capacity: options.capacity,
    })
}

/// Registers until the topology has answered; from then on the client keeps it registered.
pub(super) async fn register(topology: TopologyClient, record: NodeRecord, readiness: Readiness) {
    loop {
        match topology.register(record.clone()).await {
            Ok(_) => break readiness.ready(),
            Err(error) => {
                tracing::warn!(%error, "not registered yet");
                readiness.not_ready(format!("topology: {error}"));
                tokio::time::sleep(PLACEMENT_RETRY).await;
            }
        }
    }
}

/// Carries out what the shard wants.
async fn pump(
    mut outputs: mpsc::Receiver<EdgeOutput>,
    sockets: Sockets,
    topology: TopologyClient,
    commands: MailboxSender<EdgeCommand>,
    followed: Followed,
    reports: Reports,
    others: watch::Receiver<Vec<String>>,
) {
    while let Some(output) = outputs.recv().await {
        match output {
            EdgeOutput::Send { socket, message } => {
                sockets.send(&[socket], &message);
                if matches!(*message, ServerMessage::Joined { .. }) {
                    sockets.send(&[socket], &ServerMessage::Edges { edges: named(&others) });
                }
            }
            EdgeOutput::SendAll { sockets: ids, message } => sockets.send(&ids, &message),
            EdgeOutput::Close(socket) => sockets.finish(socket),
            EdgeOutput::NeedPlacement(meeting) => {
                let task = place(meeting, topology.clone(), commands.clone(), followed.clone());
                tokio::spawn(task);
            }
            EdgeOutput::Report(report) => reports.set(*report),
            EdgeOutput::Link { node, up: true, .. } => tracing::info!(%node, "link up"),
            EdgeOutput::Link { node, reason, .. } => tracing::warn!(%node, reason, "link down"),
        }
    }
}

/// Asks the topology where a meeting is and tells the shard.
async fn place(
    meeting: MeetingId,
    topology: TopologyClient,
    commands: MailboxSender<EdgeCommand>,
    followed: Followed,
) {
    let placement = match topology.get_meeting(meeting).await {
        Ok(found) if !found.ended => Some(Placement { epoch: found.epoch, origin: found.origin }),
        Ok(_) => None,
        Err(CallError::Refused(Refusal::Apply(ApplyError::UnknownMeeting(_)))) => None,
        Err(error) => {
            tracing::warn!(%meeting, %error, "topology does not say where the meeting is");
            let _ = commands.send(EdgeCommand::PlacementUnknown(meeting)).await;
            return;
        }
    };
    if let Some(placement) = placement {
        followed.lock().unwrap_or_else(PoisonError::into_inner).insert(meeting, placement.epoch);
    }
    let _ = commands.send(EdgeCommand::Placement { meeting, placement }).await;
}

/// Tells the shard of nodes and of placements that changed.
async fn follow(
    options: NodeOptions,
    topology: TopologyClient,
    commands: MailboxSender<EdgeCommand>,
    followed: Followed,
    others: watch::Sender<Vec<String>>,
) {
    let mut views = topology.watch();
    let mut known: Vec<sfu_core::relay::NodeAddress> = Vec::new();
    loop {
        let view = views.borrow_and_update().clone();
        let nodes = options.addresses(&view);
        others.send_replace(other_edges(&view, options.node, &options.region));
        if nodes != known {
            known = nodes.clone();
            let _ = commands.send(EdgeCommand::Nodes(nodes)).await;
        }
        let changed: Vec<(MeetingId, Option<Placement>)> = {
            let mut followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
            let mut changed = Vec::new();
            followed.retain(|id, epoch| {
                let Some(meeting) = view.meeting(*id) else { return true };
                if meeting.ended {
                    changed.push((*id, None));
                    return false;
                }
                if meeting.epoch > *epoch {
                    *epoch = meeting.epoch;
                    changed.push((
                        *id,
                        Some(Placement { epoch: meeting.epoch, origin: meeting.origin }),
                    ));
                }
                true
            });
            changed
        };
        for (meeting, placement) in changed {
            let _ = commands.send(EdgeCommand::Placement { meeting, placement }).await;
        }
        if views.changed().await.is_err() {
            return;
        }
    }
}
