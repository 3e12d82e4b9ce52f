//! `mesh topology`: runs a process of the service, and looks after its members.

use super::node::die_with;
use super::operator::OperatorArgs;
use super::{Signals, logs, runtime};
use crate::config::{File, TopologyFlags, settle_topology};
use crate::dev::banner::say;
use crate::node;
use anyhow::{Context, bail};
use clap::{ArgMatches, Args, Subcommand};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use topology::model::{Reply, ServiceMember, ServiceStatus};
use topology::protocol::{MembersRequest, Request};
use topology::service::Profile;

/// A new voter has 30 s to catch up, and the change of members takes two round trips.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);

/// Arguments of a topology service.
#[derive(Args, Debug)]
pub(super) struct TopologyArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// TOML file; flags and MESH_* variables win over it
    #[arg(long, env = "MESH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: TopologyFlags,
    #[arg(long, hide = true, value_name = "PID")]
    die_with: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Found a cluster of the first member at --topology and the others there; all must be empty
    Init(MembersArgs),
    /// Take in one more member, which must be empty
    Join {
        /// Where it is
        #[arg(value_name = "IP:PORT")]
        address: SocketAddr,
        /// It only learns: it serves watchers, but does not count for majorities
        #[arg(long)]
        learner: bool,
        #[command(flatten)]
        with: MembersArgs,
    },
    /// Take a member out for good
    Remove {
        /// Its name or id, as in `mesh topology status`
        member: String,
        #[command(flatten)]
        with: MembersArgs,
    },
    /// Have another member lead
    Transfer {
        /// Its name or id, as in `mesh topology status`
        member: String,
        #[command(flatten)]
        with: MembersArgs,
    },
    /// Show the members
    Status(MembersArgs),
    /// Have the first member at --topology fold its log into a snapshot
    Snapshot(MembersArgs),
}

#[derive(Args, Debug)]
struct MembersArgs {
    /// One line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
}

pub(super) fn run(args: TopologyArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    match args.action {
        Some(action) => runtime()?.block_on(act(action)),
        None => serve(&args, matches),
    }
}

fn serve(args: &TopologyArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    die_with(args.die_with)?;
    let file = args.config.as_deref().map(File::read).transpose()?;
    let (options, log, _) = settle_topology(&args.flags, matches, file.as_ref())?;
    logs::start(&log)?;
    runtime()?.block_on(async {
        let stop = Signals::new()?.stop();
        node::run_topology(options, stop).await
    })
}

async fn act(action: Action) -> anyhow::Result<()> {
    match action {
        Action::Init(with) => {
            let others = with.operator.topology_addresses()?.into_iter().skip(1).collect();
            ask(&with, MembersRequest::Init { others }).await
        }
        Action::Join { address, learner, with } => {
            ask(&with, MembersRequest::Join { address, voter: !learner }).await
        }
        Action::Remove { member, with } => ask(&with, MembersRequest::Remove { member }).await,
        Action::Transfer { member, with } => {
            ask(&with, MembersRequest::Transfer { to: member }).await
        }
        Action::Status(with) => ask(&with, MembersRequest::Status).await,
        Action::Snapshot(with) => ask(&with, MembersRequest::Snapshot).await,
    }
}

async fn ask(with: &MembersArgs, request: MembersRequest) -> anyhow::Result<()> {
    // What one member answers for itself is asked of the first one only.
    let first_only = matches!(request, MembersRequest::Init { .. } | MembersRequest::Snapshot);
    let client = with.operator.client(first_only)?;
    let reply = client.call_within(Request::Members(request), ANSWER_LIMIT).await?;
    let Reply::Members(status) = reply else {
        bail!("an answer of another version of mesh");
    };
    if with.json {
        say(&json_of(&status).to_string());
    } else {
        show(&status)?;
    }
    Ok(())
}

fn json_of(status: &ServiceStatus) -> Value {
    let members: Vec<Value> = status.members.iter().map(|m| member_json(m, status)).collect();
    json!({
        "cluster": format!("{:x}", status.cluster),
        "teller": format!("{:x}", status.teller),
        "leader": status.leader.map(|id| format!("{id:x}")),
        "term": status.term,
        "lastLog": status.last_log,
        "applied": status.applied,
        "snapshot": status.snapshot,
        "profile": status.profile,
        "members": members,
    })
}

fn member_json(member: &ServiceMember, status: &ServiceStatus) -> Value {
    json!({
        "id": format!("{:x}", member.id),
        "name": member.name,
        "region": member.region,
        "address": member.address.to_string(),
        "voter": member.voter,
        "leads": status.leader == Some(member.id),
        "matched": member.matched,
        "rttUs": member.rtt_us,
    })
}

fn show(status: &ServiceStatus) -> anyhow::Result<()> {
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    if status.members.is_empty() {
        say("this member is in no cluster yet: `mesh topology init`, or `join` by one that is");
        return Ok(());
    }
    say(&format!(
        "cluster {:x}, term {}, log {}, applied {}, snapshot {}, profile {}",
        status.cluster,
        status.term,
        number(status.last_log),
        number(status.applied),
        number(status.snapshot),
        status.profile
    ));
    say(&format!(
        "{:20} {:16} {:18} {:22} {:8} {:>8} {:>9}",
        "name", "id", "region", "address", "role", "log", "rtt ms"
    ));
    let profile: Profile = status.profile.parse().context("an answer of another version")?;
    for member in &status.members {
        let role = match (status.leader == Some(member.id), member.voter) {
            (true, _) => "leader",
            (false, true) => "voter",
            (false, false) => "learner",
        };
        let rtt = member.rtt_us.map(Duration::from_micros);
        let far = rtt.is_some_and(|rtt| rtt > profile.round_trip_max());
        let shown = rtt.map_or_else(|| "-".to_owned(), |r| format!("{:.1}", r.as_secs_f64() * 1e3));
        say(&format!(
            "{:20} {:16x} {:18} {:22} {role:8} {:>8} {shown:>9}{}",
            member.name,
            member.id,
            member.region,
            member.address.to_string(),
            number(member.matched),
            if far { "  too far for this profile" } else { "" }
        ));
    }
    Ok(())
}
