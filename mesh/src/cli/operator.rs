//! How an operator's command reaches the topology: told by flags, or found in the state directory of a `mesh dev`.

use crate::dev::record::{DevRecord, RegionUrl};
use crate::dev::{Layout, OPERATOR};
use anyhow::Context;
use clap::Args;
use relay_proto::MeetingId;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use topology::model::{NodeState, Role};
use topology::service::{ClientConfig, TopologyClient, load_identity};

/// How long the topology may take to answer at first.
const LIVE_LIMIT: Duration = Duration::from_secs(5);

/// Where the topology is and who asks.
#[derive(Args, Clone, Debug)]
pub(super) struct OperatorArgs {
    /// Use the running `mesh dev` (the default unless --topology is given)
    #[arg(long, conflicts_with = "topology")]
    dev: bool,
    /// State directory of the `mesh dev`
    #[arg(long, env = "MESH_DEV_STATE_DIR", default_value = ".dev", value_name = "DIR")]
    pub(super) state_dir: PathBuf,
    /// Topology service; several members separated by commas
    #[arg(long, env = "MESH_TOPOLOGY", value_name = "IP:PORT", value_delimiter = ',',
          requires_all = ["cert", "key", "ca", "trust_domain"])]
    topology: Option<Vec<SocketAddr>>,
    /// The operator's certificate, PEM
    #[arg(long, env = "MESH_CERT", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, env = "MESH_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// The cluster's CA, PEM
    #[arg(long, env = "MESH_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The cluster's name
    #[arg(long, env = "MESH_TRUST_DOMAIN", value_name = "NAME")]
    trust_domain: Option<String>,
    /// Private token key, PEM: links then carry a token
    #[arg(long, env = "MESH_TOKEN_PRIVATE_KEY", value_name = "FILE")]
    token_private_key: Option<PathBuf>,
}

/// A connected operator.
pub(super) struct Operator {
    pub(super) client: TopologyClient,
    /// The private token key, when it is at hand.
    pub(super) token_key: Option<PathBuf>,
}

impl OperatorArgs {
    fn config(&self) -> anyhow::Result<(ClientConfig, Option<PathBuf>)> {
        match (&self.topology, self.dev) {
            (Some(addrs), false) => Ok((self.told(addrs)?, None)),
            _ => found(&self.state_dir),
        }
    }

    /// Where the topology is.
    pub(super) fn topology_addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        Ok(self.config()?.0.addrs)
    }

    /// A client that may not be connected yet, of all addresses or of the first one. Needs a tokio runtime.
    pub(super) fn client(&self, first_only: bool) -> anyhow::Result<TopologyClient> {
        let (mut config, _) = self.config()?;
        if first_only {
            config.addrs.truncate(1);
        }
        Ok(TopologyClient::connect(config)?)
    }

    /// Connects. Needs a tokio runtime.
    pub(super) async fn connect(&self) -> anyhow::Result<Operator> {
        let (config, dev_key) = self.config()?;
        let client = TopologyClient::connect(config)?;
        client.live(LIVE_LIMIT).await?;
        Ok(Operator { client, token_key: self.token_private_key.clone().or(dev_key) })
    }

    fn told(&self, addrs: &[SocketAddr]) -> anyhow::Result<ClientConfig> {
        let cert = self.cert.as_ref().context("give --cert")?;
        let key = self.key.as_ref().context("give --key")?;
        let ca = self.ca.as_ref().context("give --ca")?;
        Ok(ClientConfig {
            addrs: addrs.to_vec(),
            identity: load_identity(cert, key, ca)?,
            trust_domain: self.trust_domain.clone().context("give --trust-domain")?,
        })
    }
}

fn found(dir: &Path) -> anyhow::Result<(ClientConfig, Option<PathBuf>)> {
    let record = DevRecord::read(dir)?;
    let at = Layout::of(&record.state_dir);
    let identity = load_identity(&at.cert(OPERATOR), &at.key(OPERATOR), &at.ca())?;
    let config =
        ClientConfig { addrs: record.topology, identity, trust_domain: record.trust_domain };
    Ok((config, Some(at.token_key())))
}

impl Operator {
    /// The first online edge of each region.
    pub(super) fn regions(&self) -> Vec<RegionUrl> {
        let view = self.client.view();
        let mut regions: Vec<RegionUrl> = Vec::new();
        let edges = view
            .nodes
            .values()
            .filter(|n| n.record.role == Role::Edge && n.state == NodeState::Online);
        for edge in edges {
            let region = edge.record.region.as_str();
            if regions.iter().all(|r| r.region != region) {
                regions.push(RegionUrl {
                    region: region.to_owned(),
                    url: edge.record.http_url.clone(),
                });
            }
        }
        regions
    }

    /// Name and region of a node, for people.
    pub(super) fn node(&self, id: relay_proto::NodeId) -> String {
        match self.client.view().node(id) {
            Some(node) => {
                format!("{} ({}, node {id})", node.record.name, node.record.region.as_str())
            }
            None => format!("node {id}"),
        }
    }
}

/// A meeting's id from what people paste: the id, or a link.
pub(super) fn meeting_id(text: &str) -> Result<MeetingId, String> {
    let id = text.split_once("/m/").map_or(text, |(_, rest)| rest);
    let id = id.split(['#', '?', '/']).next().unwrap_or_default();
    id.parse().map_err(|e: relay_proto::ids::BadMeetingId| e.to_string())
}
