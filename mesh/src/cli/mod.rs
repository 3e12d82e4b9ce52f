//! The command line.

mod certs;
mod check;
mod dev;
mod load;
mod logs;
mod meeting;
mod node;
mod operator;
mod signals;
mod token;
mod topology;

pub(crate) use signals::Signals;

use crate::config::RoleName;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// An SFU mesh: edges, origins and the topology service of meetings that span regions.
#[derive(Debug, Parser)]
#[command(name = "mesh", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an edge: participants connect to it
    Edge(node::NodeArgs),
    /// Run an origin: it orders and elects for meetings
    Origin(node::NodeArgs),
    /// Run the topology service, which places meetings and knows all nodes, or look after its members
    Topology(Box<topology::TopologyArgs>),
    /// Run a whole mesh on this machine, or look after the one that runs
    Dev(dev::DevArgs),
    /// Check a configuration file and show what is in force, and where from
    Check(check::CheckArgs),
    /// Create, list, show and end meetings
    Meeting(meeting::MeetingArgs),
    /// Load a mesh with many participants and report what they received
    Load(Box<load::LoadArgs>),
    /// Print a join token
    Token(token::TokenArgs),
    /// Make a cluster's CA, and certificates of nodes, topology and operators
    Certs(certs::CertsArgs),
}

/// Runs the command line; whether it went well.
#[must_use]
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let outcome = match Cli::from_arg_matches(&matches) {
        Ok(cli) => run(cli, &matches),
        Err(error) => error.exit(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = format!("{error:#}").replace('\n', " ");
            crate::dev::banner::note(&format!("mesh: {line}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, matches: &clap::ArgMatches) -> anyhow::Result<()> {
    let inner = matches.subcommand().map_or(matches, |(_, inner)| inner);
    match cli.command {
        Command::Edge(args) => node::run(RoleName::Edge, &args, inner),
        Command::Origin(args) => node::run(RoleName::Origin, &args, inner),
        Command::Topology(args) => topology::run(*args, inner),
        Command::Dev(args) => dev::run(args),
        Command::Check(args) => check::run(&args, inner),
        Command::Meeting(args) => meeting::run(args),
        Command::Load(args) => load::run_load(*args),
        Command::Token(args) => token::run(&args),
        Command::Certs(args) => certs::run(&args),
    }
}

/// A runtime whose main future runs on this thread.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}
