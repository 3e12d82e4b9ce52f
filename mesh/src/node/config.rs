//! What a node needs to be told.

use anyhow::Context;
use node_io::http::TlsFiles;
use relay_proto::{NodeId, NodeIdentity};
use sfu_core::relay::NodeAddress;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use topology::model::{NodeState, Region, Role};
use topology::service::{ClientConfig, TopologyClient, TopologyView, load_identity};

/// Files of a node's certificate.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Certificate chain, PEM.
    pub chain: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// The cluster's CA, PEM.
    pub ca: PathBuf,
    /// The cluster's name.
    pub trust_domain: String,
}

impl Identity {
    /// Reads the files.
    ///
    /// # Errors
    /// Which file cannot be used.
    pub fn load(&self) -> anyhow::Result<NodeIdentity> {
        Ok(load_identity(&self.chain, &self.key, &self.ca)?)
    }
}

/// What an edge's HTTP API needs to be told.
#[derive(Clone, Debug, Default)]
pub struct ApiOptions {
    /// Private key of the token issuer, PEM; none: this edge does not serve the API.
    pub token_private_key: Option<PathBuf>,
    /// Meetings a person may create in an hour.
    pub creates_per_hour: u32,
    /// The operator's TURN servers.
    pub turn_urls: Vec<String>,
    /// File with the secret that they share with this mesh.
    pub turn_secret: Option<PathBuf>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
}

/// What edges and origins need to be told.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Number, as in the certificate.
    pub node: NodeId,
    /// Name for people.
    pub name: String,
    /// Region, as in the certificate.
    pub region: String,
    /// HTTP and WebSocket.
    pub http: SocketAddr,
    /// URL under which clients reach `http`.
    pub public_url: String,
    /// Participants' media (edge).
    pub media: SocketAddr,
    /// Address of `media` that participants are told; the port is the bound one.
    pub media_ip: IpAddr,
    /// Relay links.
    pub relay: SocketAddr,
    /// Relay address that other nodes are told; the port is the bound one.
    pub relay_ip: IpAddr,
    /// Topology service.
    pub topology: Vec<SocketAddr>,
    /// Certificate.
    pub identity: Identity,
    /// Public key of the token issuer, PEM (edge).
    pub token_key: Option<PathBuf>,
    /// Dial these addresses instead of those that the nodes registered: an emulated or private network in between.
    pub via: BTreeMap<NodeId, SocketAddr>,
    /// Participants (edge) or links (origin) at most.
    pub capacity: u32,
    /// Test knob: added to the wall clock, microseconds.
    pub wall_skew_us: i64,
    /// The HTTP API (edge).
    pub api: ApiOptions,
    /// Certificate of `http`; none: it speaks plainly, and a proxy in front ends TLS.
    pub tls: Option<TlsFiles>,
}

impl NodeOptions {
    /// The region as the topology checks it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn region(&self) -> anyhow::Result<Region> {
        Region::new(&self.region).context("region")
    }

    /// A client of the topology service.
    ///
    /// # Errors
    /// Bad certificates or no address.
    pub fn topology_client(&self, identity: &NodeIdentity) -> anyhow::Result<TopologyClient> {
        Ok(TopologyClient::connect(ClientConfig {
            addrs: self.topology.clone(),
            identity: identity.clone(),
            trust_domain: self.identity.trust_domain.clone(),
        })?)
    }

    /// Where this node finds the others.
    #[must_use]
    pub fn addresses(&self, view: &TopologyView) -> Vec<NodeAddress> {
        let usable = view.nodes.values().filter(|n| n.state != NodeState::Down);
        usable
            .map(|n| NodeAddress {
                node: n.id(),
                region: n.record.region.as_str().to_owned(),
                relay: self
                    .via
                    .get(&n.id())
                    .map_or_else(|| n.record.relay.clone(), |via| vec![*via]),
            })
            .collect()
    }
}

/// The other edges that may take a join, by URL: those of the own region first. All of them: the page may only talk to edges
/// that its policy names.
#[must_use]
pub(super) fn other_edges(view: &TopologyView, own: NodeId, region: &str) -> Vec<String> {
    let usable = |n: &&std::sync::Arc<topology::model::Node>| {
        n.record.role == Role::Edge && n.state == NodeState::Online && n.id() != own
    };
    let mut edges: Vec<_> = view.nodes.values().filter(usable).collect();
    edges.sort_by_key(|n| n.record.region.as_str() != region);
    edges.iter().map(|n| n.record.http_url.clone()).collect()
}
