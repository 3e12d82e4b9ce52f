//! The files of children: certificates, keys, one TOML file each.

use super::DevOptions;
use super::layout::NodePlan;
use super::pki::Ca;
use super::state::{Layout, write_pem, write_secret};
use crate::config::RoleName;
use crate::token;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use topology::service::Profile;

/// The cluster of every `mesh dev`.
pub(crate) const TRUST_DOMAIN: &str = "mesh.dev";
/// The name of the operator's files.
pub(crate) const OPERATOR: &str = "operator";
/// Participants or links of a node: as much as a laptop carries.
const CAPACITY: u32 = 250;

/// A child's file, in the order of its lines.
#[derive(Serialize)]
struct ChildFile {
    role: RoleName,
    #[serde(flatten)]
    voter: Option<VoterLines>,
    #[serde(flatten)]
    node: Option<NodeLines>,
    trust_domain: &'static str,
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    via: BTreeMap<String, SocketAddr>,
}

#[derive(Serialize)]
struct VoterLines {
    listen: SocketAddr,
    state_dir: PathBuf,
    region: String,
    profile: String,
}

#[derive(Serialize)]
struct NodeLines {
    node: u32,
    name: String,
    region: String,
    http: SocketAddr,
    public_url: String,
    media: SocketAddr,
    media_ip: IpAddr,
    relay: SocketAddr,
    relay_ip: IpAddr,
    topology: Vec<SocketAddr>,
    token_key: PathBuf,
    capacity: u32,
    wall_skew_ms: i64,
}

/// Writes what all share, and what the operator has.
pub(crate) fn write_shared(at: &Layout) -> anyhow::Result<Ca> {
    let (ca, pem) = Ca::generate()?;
    write_secret(&at.ca(), &pem.cert)?;
    write_secret(&at.file("ca.key"), &pem.key)?;
    let (private, public) = token::generate_keys()?;
    write_secret(&at.token_key(), &private)?;
    write_secret(&at.token_public(), &public)?;
    let pem = ca.issue(OPERATOR, &format!("spiffe://{TRUST_DOMAIN}/operator/dev"))?;
    write_pem(&at.cert(OPERATOR), &at.key(OPERATOR), &pem)?;
    Ok(ca)
}

/// Writes certificate, key and file of a member of the topology service. Its timing is that of a wide-area network, though
/// the members reach each other directly: a laptop that is busy starting a mesh must not hold elections.
pub(crate) fn write_voter(
    plan: &NodePlan,
    at: &Layout,
    ca: &Ca,
    options: &DevOptions,
) -> anyhow::Result<()> {
    let name = &plan.name;
    let pem = ca.issue(name, &format!("spiffe://{TRUST_DOMAIN}/topology/{name}"))?;
    write_pem(&at.cert(name), &at.key(name), &pem)?;
    let voter = VoterLines {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, plan.port)),
        state_dir: at.topology().join(name),
        region: plan.region.clone(),
        profile: Profile::Wan.to_string(),
    };
    let file = ChildFile {
        role: RoleName::Topology,
        voter: Some(voter),
        node: None,
        trust_domain: TRUST_DOMAIN,
        cert: at.cert(name),
        key: at.key(name),
        ca: at.ca(),
        log_level: options.log_level.clone(),
        via: BTreeMap::new(),
    };
    write_secret(&at.config(name), &toml::to_string(&file)?)
}

/// What a node's file says beside its plan.
pub(crate) struct Surroundings<'a> {
    pub(crate) at: &'a Layout,
    pub(crate) ca: &'a Ca,
    pub(crate) options: &'a DevOptions,
    pub(crate) topology: Vec<SocketAddr>,
    pub(crate) media_ip: IpAddr,
    pub(crate) via: BTreeMap<String, SocketAddr>,
}

/// Writes certificate, key and file of a node.
pub(crate) fn write_node(plan: &NodePlan, with: Surroundings<'_>) -> anyhow::Result<()> {
    let at = with.at;
    let uri = format!("spiffe://{TRUST_DOMAIN}/node/{}/{}", plan.region, plan.id);
    let pem = with.ca.issue(&plan.name, &uri)?;
    write_pem(&at.cert(&plan.name), &at.key(&plan.name), &pem)?;
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let skew = with.options.wall_skew.iter().find(|(name, _)| *name == plan.name);
    let node = NodeLines {
        node: plan.id.0,
        name: plan.name.clone(),
        region: plan.region.clone(),
        http: SocketAddr::new(local, plan.port),
        public_url: url(plan),
        // On the one address that participants are told: answers then leave from it, too.
        media: SocketAddr::new(with.media_ip, 0),
        media_ip: with.media_ip,
        relay: SocketAddr::new(local, 0),
        relay_ip: local,
        topology: with.topology,
        token_key: at.token_public(),
        capacity: CAPACITY,
        wall_skew_ms: skew.map_or(0, |(_, ms)| *ms),
    };
    let file = ChildFile {
        role: plan.role,
        voter: None,
        node: Some(node),
        trust_domain: TRUST_DOMAIN,
        cert: at.cert(&plan.name),
        key: at.key(&plan.name),
        ca: at.ca(),
        log_level: with.options.log_level.clone(),
        via: with.via,
    };
    write_secret(&at.config(&plan.name), &toml::to_string(&file)?)
}

/// Where a browser on this machine finds a node: `localhost` is a secure context. A member of the topology service has no
/// HTTP.
pub(crate) fn url(plan: &NodePlan) -> String {
    match plan.role {
        RoleName::Topology => format!("udp://127.0.0.1:{}", plan.port),
        RoleName::Edge | RoleName::Origin => format!("http://localhost:{}", plan.port),
    }
}
