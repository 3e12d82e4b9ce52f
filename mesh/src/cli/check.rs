//! `mesh check FILE`.

use crate::config::TopologyFlags;
use crate::config::{File, NodeFlags, RoleName, Row, settle_node, settle_topology};
use crate::dev::banner::say;
use crate::node::{NodeOptions, check_api};
use crate::token::Verifier;
use anyhow::{Context, bail};
use clap::{ArgMatches, Args};
use node_io::http::Tls;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Arguments.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The file
    file: PathBuf,
    /// For what: edge, origin or topology [default: the file's `role`]
    #[arg(long, value_parser = role)]
    role: Option<RoleName>,
    #[command(flatten)]
    flags: NodeFlags,
}

fn role(text: &str) -> Result<RoleName, String> {
    [RoleName::Edge, RoleName::Origin, RoleName::Topology]
        .into_iter()
        .find(|r| r.as_str() == text)
        .ok_or_else(|| "write edge, origin or topology".to_owned())
}

pub(super) fn run(args: &CheckArgs, matches: &ArgMatches) -> anyhow::Result<()> {
    let file = File::read(&args.file)?;
    let said = file.settings.role.as_ref().map(|r| *r.get_ref());
    let Some(role) = args.role.or(said) else {
        bail!("{} does not say its `role`: add it, or give --role edge", args.file.display());
    };
    let (identity, node, log, rows) = if role == RoleName::Topology {
        let flags = TopologyFlags {
            identity: args.flags.identity.clone(),
            logs: args.flags.logs.clone(),
            ..TopologyFlags::default()
        };
        let (options, log, rows) = settle_topology(&flags, matches, Some(&file))?;
        (options.identity, None, log, rows)
    } else {
        let (options, log, rows) = settle_node(role, &args.flags, matches, Some(&file))?;
        (options.identity.clone(), Some(options), log, rows)
    };
    identity.load()?;
    if let Some(options) = node {
        check_files(&options)?;
    }
    if let Some(level) = &log.level {
        EnvFilter::try_new(level).with_context(|| format!("log_level {level:?}"))?;
    }
    say(&format!("{}: good for `mesh {}`", args.file.display(), role.as_str()));
    show(&rows);
    Ok(())
}

/// The files of a node beside its certificate.
fn check_files(options: &NodeOptions) -> anyhow::Result<()> {
    if let Some(path) = &options.token_key {
        let pem = std::fs::read(path)
            .with_context(|| format!("token_key: cannot read {}", path.display()))?;
        let verifier =
            Verifier::from_pem(&pem).with_context(|| format!("token_key: {}", path.display()))?;
        check_api(options, &verifier)?;
    }
    if let Some(files) = &options.tls {
        Tls::load(files.clone())?;
    }
    Ok(())
}

fn show(rows: &[Row]) {
    let key = rows.iter().map(|r| r.key.len()).max().unwrap_or(0);
    let value = rows.iter().map(|r| r.value.len()).max().unwrap_or(0).min(48);
    for row in rows {
        say(&format!("  {:key$} = {:value$}  ({})", row.key, row.value, row.from));
    }
}
