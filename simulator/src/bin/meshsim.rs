//! Runs a scenario in virtual time and prints how it went.

#![allow(
    clippy::disallowed_methods,
    reason = "the tool reads files and the clock; the world does not"
)]

use anyhow::Context;
use clap::{Parser, Subcommand};
use simulator::{Scenario, World};
use std::path::PathBuf;
use std::time::Instant;

#[derive(Debug, Parser)]
#[command(name = "meshsim", about = "The mesh in virtual time", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario and print how it went.
    Run {
        /// A scenario file (see scenarios/).
        scenario: PathBuf,
        /// Another seed than the file's.
        #[arg(long)]
        seed: Option<u64>,
    },
}

#[expect(clippy::print_stdout, reason = "a command line tool")]
fn main() -> anyhow::Result<()> {
    let Command::Run { scenario: path, seed } = Arguments::parse().command;
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let scenario = Scenario::parse(&text).with_context(|| path.display().to_string())?;
    let started = Instant::now();
    let mut builder = World::builder(started).scenario(scenario);
    if let Some(seed) = seed {
        builder = builder.seed(seed);
    }
    let report = builder.build()?.run();
    print!("{report}");
    let (wall, time) = (started.elapsed().as_secs_f64(), report.time.seconds());
    println!("{wall:.2} s of real time, {:.0} times as fast", time / wall.max(1e-9));
    Ok(())
}
