//! `dev.json`: what is known of a running `mesh dev`. Also the banner's JSON line.

use super::layout::NodePlan;
use super::state::{Layout, write_whole};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DevRecord {
    /// The first region's client.
    pub(crate) client: String,
    /// One edge a region.
    pub(crate) regions: Vec<RegionUrl>,
    /// The meeting that was made at the start.
    pub(crate) meeting: MeetingLinks,
    /// All nodes.
    pub(crate) nodes: Vec<NodeStatus>,
    /// Round trips in force; empty when the emulator is off.
    pub(crate) wan: Vec<RoundTrip>,
    /// The supervisor's own API.
    pub(crate) control: String,
    /// Addresses of the members of the topology service.
    pub(crate) topology: Vec<SocketAddr>,
    /// Those members.
    pub(crate) voters: Vec<NodeStatus>,
    /// The cluster.
    pub(crate) trust_domain: String,
    /// Where everything lies.
    pub(crate) state_dir: PathBuf,
    /// The supervisor.
    pub(crate) pid: u32,
    /// Address of media that browsers are told.
    pub(crate) media_ip: std::net::IpAddr,
}

/// A region's client page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RegionUrl {
    pub(crate) region: String,
    pub(crate) url: String,
}

/// A meeting and its links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MeetingLinks {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) links: Vec<RegionUrl>,
}

/// A node and how it stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeStatus {
    #[serde(flatten)]
    pub(crate) plan: NodePlan,
    pub(crate) pid: Option<u32>,
    pub(crate) state: String,
    pub(crate) url: String,
    pub(crate) metrics: String,
    pub(crate) log: PathBuf,
    pub(crate) config: PathBuf,
}

/// Two regions and the way between them and back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoundTrip {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) rtt_ms: f64,
}

impl DevRecord {
    pub(crate) fn write(&self, at: &Layout) -> anyhow::Result<()> {
        write_whole(&at.record(), &serde_json::to_string_pretty(self)?)
    }

    /// Of the `mesh dev` that uses `dir`.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = Layout::of(dir).record();
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "no `mesh dev` seems to run in {}: start one with `mesh dev`, or say where it is with --state-dir",
                dir.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
    }
}
