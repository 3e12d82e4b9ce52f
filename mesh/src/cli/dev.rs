//! `mesh dev` and what looks after it.

use super::{logs, runtime};
use crate::config::LogSettings;
use crate::dev::banner::say;
use crate::dev::control::NewNode;
use crate::dev::http::Http;
use crate::dev::record::{DevRecord, NodeStatus};
use crate::dev::{self, DevOptions};
use anyhow::{Context, bail};
use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// How long an added node may take to be ready.
const ORDER_LIMIT: Duration = Duration::from_secs(20);

/// Arguments.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct DevArgs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Args, Debug)]
struct RunArgs {
    /// Directory of keys, files and logs; emptied at every start
    #[arg(long, env = "MESH_DEV_STATE_DIR", default_value = ".dev", value_name = "DIR")]
    state_dir: PathBuf,
    /// First HTTP port of the edges; 0 takes free ones
    #[arg(long, default_value_t = 8_080, value_name = "PORT", value_parser = http_base)]
    http_base: u16,
    /// The regions
    #[arg(long, value_delimiter = ',', default_value = "us-east-1,eu-west-1,ap-southeast-1")]
    regions: Vec<String>,
    /// Emulate the distances between the regions
    #[arg(long, value_enum, default_value_t = Switch::On)]
    wan: Switch,
    /// Test knob: the clock of a node is wrong by this; repeat
    #[arg(long, value_name = "NAME=MS", value_parser = wall_skew)]
    wall_skew: Vec<(String, i64)>,
    /// What the nodes log, such as debug
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// Start nodes again that die by themselves
    #[arg(long)]
    restart: bool,
    /// The banner as one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Kill a node (SIGKILL)
    Kill(NamedArgs),
    /// Start a node that was killed or died
    Start(NamedArgs),
    /// Add an edge
    AddEdge {
        /// Where
        #[arg(long)]
        region: String,
        #[command(flatten)]
        at: AtArgs,
    },
    /// Show how the nodes stand
    Status {
        #[command(flatten)]
        at: AtArgs,
    },
}

#[derive(Args, Debug)]
struct NamedArgs {
    /// Its name, as in `mesh dev status`
    node: String,
    #[command(flatten)]
    at: AtArgs,
}

#[derive(Args, Debug)]
struct AtArgs {
    /// State directory of the `mesh dev`
    #[arg(long, env = "MESH_DEV_STATE_DIR", default_value = ".dev", value_name = "DIR")]
    state_dir: PathBuf,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

fn http_base(text: &str) -> Result<u16, String> {
    let port: u16 = text.parse().map_err(|_| "write a port, such as 8080, or 0".to_owned())?;
    // 20 ports of edges and 12 of origins follow.
    if port == 0 || (1_024..=65_500).contains(&port) {
        Ok(port)
    } else {
        Err("choose 0, or 1024 to 65500".to_owned())
    }
}

fn wall_skew(text: &str) -> Result<(String, i64), String> {
    let parsed =
        text.split_once('=').and_then(|(name, ms)| Some((name.to_owned(), ms.parse().ok()?)));
    parsed.ok_or_else(|| {
        "write a node's name and milliseconds, such as eu-west-1-edge-1=-200".to_owned()
    })
}

pub(super) fn run(args: DevArgs) -> anyhow::Result<()> {
    match args.action {
        None => supervise(args.run),
        Some(action) => runtime()?.block_on(act(action)),
    }
}

fn supervise(args: RunArgs) -> anyhow::Result<()> {
    logs::start(&LogSettings { level: Some("warn".to_owned()), ..LogSettings::default() })?;
    let options = DevOptions {
        state_dir: args.state_dir,
        http_base: args.http_base,
        regions: args.regions,
        wan: args.wan == Switch::On,
        wall_skew: args.wall_skew,
        log_level: args.log_level,
        restart: args.restart,
        json: args.json,
    };
    runtime()?.block_on(dev::run(options))
}

async fn act(action: Action) -> anyhow::Result<()> {
    match action {
        Action::Kill(args) => {
            let node = order(&args.at, &format!("nodes/{}/kill", args.node), None).await?;
            done(&args.at, &node, "killed")
        }
        Action::Start(args) => {
            let node = order(&args.at, &format!("nodes/{}/start", args.node), None).await?;
            done(&args.at, &node, "runs")
        }
        Action::AddEdge { region, at } => {
            let body = serde_json::to_string(&NewNode { region })?;
            let node = order(&at, "nodes", Some(body)).await?;
            done(&at, &node, "runs")
        }
        Action::Status { at } => status(&at).await,
    }
}

fn done(at: &AtArgs, node: &NodeStatus, what: &str) -> anyhow::Result<()> {
    if at.json {
        say(&serde_json::to_string(node)?);
    } else {
        say(&format!("{} {what}: {}", node.plan.name, node.url));
    }
    Ok(())
}

async fn order(at: &AtArgs, path: &str, body: Option<String>) -> anyhow::Result<NodeStatus> {
    let text = ask(at, Method::POST, path, body).await?;
    serde_json::from_str(&text).context("an answer of another version of mesh")
}

async fn ask(
    at: &AtArgs,
    method: Method,
    path: &str,
    body: Option<String>,
) -> anyhow::Result<String> {
    let record = DevRecord::read(&at.state_dir)?;
    let url = format!("{}/{path}", record.control);
    let answer = Http::new().ask(method, &url, body, ORDER_LIMIT).await;
    let (status, text) = answer.with_context(|| {
        format!("no `mesh dev` runs in {} (it was pid {})", at.state_dir.display(), record.pid)
    })?;
    if !status.is_success() {
        bail!("{}", text.trim());
    }
    Ok(text)
}

async fn status(at: &AtArgs) -> anyhow::Result<()> {
    let text = ask(at, Method::GET, "status", None).await?;
    let record: DevRecord =
        serde_json::from_str(&text).context("an answer of another version of mesh")?;
    if at.json {
        say(&serde_json::to_string(&record)?);
        return Ok(());
    }
    say(&format!(
        "{:26} {:>4} {:>8}  {:8}  {:28}  {}",
        "node", "id", "pid", "role", "url", "state"
    ));
    for node in record.nodes.iter().chain(&record.voters) {
        let pid = node.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let (plan, url) = (&node.plan, &node.url);
        say(&format!(
            "{:26} {:>4} {pid:>8}  {:8}  {url:28}  {}",
            plan.name,
            plan.id.0,
            plan.role.as_str(),
            node.state
        ));
    }
    Ok(())
}
