//! `mesh edge`, `mesh origin`.

use super::{Signals, logs, runtime};
use crate::config::{File, NodeFlags, RoleName, settle_node};
use crate::node;
use anyhow::bail;
use clap::{ArgMatches, Args};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::path::PathBuf;

/// Arguments of edges and origins.
#[derive(Args, Debug)]
pub(super) struct NodeArgs {
    /// TOML file; flags and MESH_* variables win over it
    #[arg(long, env = "MESH_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: NodeFlags,
    /// End when this process ends (`mesh dev` says so to its children)
    #[arg(long, hide = true, value_name = "PID")]
    die_with: Option<u32>,
}

pub(super) fn run(role: RoleName, args: &NodeArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    die_with(args.die_with)?;
    let file = args.config.as_deref().map(File::read).transpose()?;
    let (options, log, _) = settle_node(role, &args.flags, matches, file.as_ref())?;
    logs::start(&log)?;
    runtime()?.block_on(async {
        let stop = Signals::new()?.stop();
        match role {
            RoleName::Edge => node::run_edge(options, stop).await,
            _ => node::run_origin(options, stop).await,
        }
    })
}

/// Has the kernel end this process with its parent, also when that is killed.
pub(super) fn die_with(parent: Option<u32>) -> anyhow::Result<()> {
    let Some(parent) = parent else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now != Some(parent) {
        bail!("the process that started this one (pid {parent}) has ended");
    }
    Ok(())
}
