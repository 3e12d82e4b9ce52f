//! Where log lines go and how they look.

use crate::config::{LogFormat, LogSettings};
use anyhow::Context;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Logs go to standard error. `RUST_LOG` wins over the setting.
pub(super) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let wanted = std::env::var("RUST_LOG").ok().filter(|f| !f.is_empty());
    let from = if wanted.is_some() { "RUST_LOG" } else { "log_level" };
    let filter = wanted.or_else(|| settings.level.clone()).unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&filter).with_context(|| {
        format!("{from} {filter:?}: write a level such as info, or mesh=debug,info")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match settings.format {
        LogFormat::Plain => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
