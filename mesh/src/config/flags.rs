//! The flags and environment variables of nodes.

use super::{LogFormat, RoleName};
use clap::Args;
use relay_proto::NodeId;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What flags and environment say; flags win over the environment, both over the file.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NodeFlags {
    /// Number of this node, as in its certificate (1 to 4095)
    #[arg(long, env = "MESH_NODE", value_name = "N")]
    pub(crate) node: Option<u32>,
    /// Name for people [default: REGION-ROLE-N]
    #[arg(long, env = "MESH_NAME")]
    pub(crate) name: Option<String>,
    /// Region, as in the certificate, such as eu-west-1
    #[arg(long, env = "MESH_REGION")]
    pub(crate) region: Option<String>,
    /// Address of HTTP and WebSocket
    #[arg(long, env = "MESH_HTTP", value_name = "IP:PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// URL under which clients reach it [default: http://localhost:PORT]
    #[arg(long, env = "MESH_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// UDP address of participants' media
    #[arg(long, env = "MESH_MEDIA", value_name = "IP:PORT")]
    pub(crate) media: Option<SocketAddr>,
    /// Address of it that participants are told [default: this machine's]
    #[arg(long, env = "MESH_MEDIA_IP", value_name = "IP")]
    pub(crate) media_ip: Option<IpAddr>,
    /// UDP address of relay links
    #[arg(long, env = "MESH_RELAY", value_name = "IP:PORT")]
    pub(crate) relay: Option<SocketAddr>,
    /// Address of it that other nodes are told [default: this machine's]
    #[arg(long, env = "MESH_RELAY_IP", value_name = "IP")]
    pub(crate) relay_ip: Option<IpAddr>,
    /// Topology service; repeat, or separate with commas
    #[arg(long, env = "MESH_TOPOLOGY", value_name = "IP:PORT", value_delimiter = ',')]
    pub(crate) topology: Option<Vec<SocketAddr>>,
    #[command(flatten)]
    pub(crate) identity: IdentityFlags,
    /// Public key of the token issuer, PEM (edges)
    #[arg(long, env = "MESH_TOKEN_KEY", value_name = "FILE")]
    pub(crate) token_key: Option<PathBuf>,
    /// Participants (edge) or links (origin) at most
    #[arg(long, env = "MESH_CAPACITY", value_name = "N")]
    pub(crate) capacity: Option<u32>,
    /// Dial node N at this address instead of the one it registered; repeat, or separate with commas
    #[arg(long, env = "MESH_VIA", value_name = "N=IP:PORT", value_delimiter = ',', value_parser = parse_via)]
    pub(crate) via: Option<Vec<(NodeId, SocketAddr)>>,
    /// Test knob: added to the wall clock
    #[arg(long, env = "MESH_WALL_SKEW_MS", value_name = "MS", allow_negative_numbers = true)]
    pub(crate) wall_skew_ms: Option<i64>,
    #[command(flatten)]
    pub(crate) logs: LogFlags,
}

/// Certificate files.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct IdentityFlags {
    /// Certificate chain, PEM
    #[arg(long, env = "MESH_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key, PEM
    #[arg(long, env = "MESH_KEY", value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The cluster's CA, PEM
    #[arg(long, env = "MESH_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The cluster's name, as in its certificates
    #[arg(long, env = "MESH_TRUST_DOMAIN", value_name = "NAME")]
    pub(crate) trust_domain: Option<String>,
}

/// How and what is logged.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct LogFlags {
    /// Log lines as text or as JSON
    #[arg(long, env = "MESH_LOG_FORMAT", value_enum)]
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged, as in RUST_LOG, which wins: error, warn, info, debug, or per crate
    #[arg(long, env = "MESH_LOG_LEVEL", value_name = "FILTER")]
    pub(crate) log_level: Option<String>,
}

/// The flags and environment variables of a topology service.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TopologyFlags {
    /// UDP address of the service
    #[arg(long, env = "MESH_LISTEN", value_name = "IP:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Directory of its state
    #[arg(long, env = "MESH_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// One process instead of a member of a Raft group
    #[arg(long)]
    pub(crate) single: bool,
    /// Region of this member of a group
    #[arg(long, env = "MESH_REGION")]
    pub(crate) region: Option<String>,
    /// Address under which clients and other members reach it [default: --listen]
    #[arg(long, env = "MESH_ADVERTISE", value_name = "IP:PORT")]
    pub(crate) advertise: Option<SocketAddr>,
    /// Timing of the group: lan (one site) or wan (several regions)
    #[arg(long, env = "MESH_PROFILE", value_name = "lan|wan")]
    pub(crate) profile: Option<String>,
    #[command(flatten)]
    pub(crate) identity: IdentityFlags,
    #[command(flatten)]
    pub(crate) logs: LogFlags,
}

fn parse_via(text: &str) -> Result<(NodeId, SocketAddr), String> {
    let bad = || "write a node's number and an address, such as 3=127.0.0.1:9000".to_owned();
    let (node, address) = text.split_once('=').ok_or_else(bad)?;
    Ok((NodeId(node.parse().map_err(|_| bad())?), address.parse().map_err(|_| bad())?))
}

impl RoleName {
    /// As in commands and files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Origin => "origin",
            Self::Topology => "topology",
        }
    }
}
