//! One line that shows how far a run is.

use super::fleet::Progress;
use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// A terminal is written to this often, a log this often.
const TERMINAL_EVERY: Duration = Duration::from_millis(250);
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Characters of the bar.
const WIDTH: usize = 24;

/// The line.
pub(super) struct Bar {
    quiet: bool,
    terminal: bool,
    last: Option<Instant>,
    packets: u64,
}

impl Bar {
    /// On standard error; silent when `quiet`.
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal(), last: None, packets: 0 }
    }

    /// Shows `done` of `all` of a phase, if it is time.
    pub(super) fn show(&mut self, phase: &str, done: f64, all: f64, progress: &Progress) {
        let every = if self.terminal { TERMINAL_EVERY } else { LOG_EVERY };
        let since = self.last.map(|at| at.elapsed());
        if self.quiet || since.is_some_and(|s| s < every) {
            return;
        }
        self.last = Some(Instant::now());
        let packets = progress.datagrams.load(Relaxed);
        let rate = since.map_or(0.0, |s| (packets - self.packets) as f64 / s.as_secs_f64());
        self.packets = packets;
        let line = line(phase, done / all.max(1e-9), progress, rate);
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
        let _ = out.flush();
    }

    /// Ends the line.
    pub(super) fn end(&self) {
        if !self.quiet && self.terminal && self.last.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn line(phase: &str, share: f64, p: &Progress, rate: f64) -> String {
    let full = ((share * WIDTH as f64) as usize).min(WIDTH);
    let failed = p.failed.load(Relaxed);
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!(
        "{phase:8} [{}{}] {:3.0} %  {} answered, {} connected, {} hear, {} see{failed}, {rate:.0} packets/s",
        "#".repeat(full),
        ".".repeat(WIDTH - full),
        share.min(1.0) * 100.0,
        p.answered.load(Relaxed),
        p.connected.load(Relaxed),
        p.heard.load(Relaxed),
        p.seen.load(Relaxed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        let progress = Progress::default();
        progress.seen.store(7, Relaxed);
        let half = line("joining", 0.5, &progress, 10.0);
        assert!(
            half.contains("[############............]  50 %") && half.contains("7 see"),
            "{half}"
        );
        assert!(line("joining", 9.0, &progress, 0.0).contains("100 %"));
    }
}
