//! One child process: started, listened to, ended.

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child as Process, ChildStderr, Command};
use tokio::sync::mpsc;

/// Log lines that are shown when a child dies.
const TAIL_LINES: usize = 12;
/// What a dead child has written is read for at most this long: a grandchild might hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// What happens to children.
#[derive(Debug)]
pub(crate) enum ChildEvent {
    /// It may be given work.
    Ready(String),
    /// Its process is gone.
    Ended(String, ExitStatus),
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    signals: mpsc::UnboundedSender<Signal>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

/// What to start.
pub(crate) struct Start<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: &'a str,
    pub(crate) config: &'a Path,
    pub(crate) log: PathBuf,
    /// Whether warnings are shown on the terminal.
    pub(crate) show: bool,
}

impl Child {
    /// Starts `mesh COMMAND --config FILE`. Must be called on the main thread: the kernel ends the child when the *thread*
    /// that started it ends.
    pub(crate) fn start(
        start: Start<'_>,
        events: mpsc::UnboundedSender<ChildEvent>,
    ) -> anyhow::Result<Self> {
        let binary = std::env::current_exe().context("cannot find this binary")?;
        let mut command = Command::new(binary);
        command
            .args([start.command, "--config"])
            .arg(start.config)
            .args(["--die-with", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal goes to the supervisor alone, which ends its children in order.
            .process_group(0)
            .kill_on_drop(true);
        // A setting of the supervisor's environment is not meant for each of its children.
        for (key, _) in std::env::vars_os() {
            if key.to_str().is_some_and(|k| k.starts_with("MESH_")) {
                command.env_remove(key);
            }
        }
        let mut process =
            command.spawn().with_context(|| format!("cannot start {}", start.name))?;
        let pid = process.id().unwrap_or_default();
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (signals, orders) = mpsc::unbounded_channel();
        let stderr = process.stderr.take();
        let name = start.name.to_owned();
        let lines = tail.clone();
        let log = start.log;
        let show = start.show;
        let listening = tokio::spawn({
            let name = name.clone();
            async move {
                if let Some(stderr) = stderr {
                    listen(stderr, &name, &log, &lines, show).await;
                }
            }
        });
        tokio::spawn(async move {
            let status = wait(&mut process, orders).await;
            let _ = tokio::time::timeout(LAST_WORDS, listening).await;
            let _ = events.send(ChildEvent::Ended(name, status));
        });
        Ok(Self { pid, signals, tail })
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = self.signals.send(signal);
    }

    /// The last lines it logged.
    pub(crate) fn last_words(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Until it has ended; passes signals on meanwhile. In one task, so that no signal meets a process number that has been
/// given to somebody else.
async fn wait(process: &mut Process, mut orders: mpsc::UnboundedReceiver<Signal>) -> ExitStatus {
    loop {
        let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        tokio::select! {
            status = process.wait() => return status.unwrap_or_default(),
            order = orders.recv() => match (order, pid) {
                (Some(signal), Some(pid)) => {
                    let _ = kill_process(pid, signal);
                }
                // Nobody can order any more: the supervisor is gone, and the child goes with it.
                _ => {
                    let _ = process.start_kill();
                    return process.wait().await.unwrap_or_default();
                }
            }
        }
    }
}

async fn listen(
    stderr: ChildStderr,
    name: &str,
    log: &Path,
    tail: &Mutex<VecDeque<String>>,
    show: bool,
) {
    let mut file = File::options().create(true).append(true).open(log).await.ok();
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(file) = &mut file {
            let _ = file.write_all(format!("{line}\n").as_bytes()).await;
            let _ = file.flush().await;
        }
        if show && is_warning(&line) {
            super::banner::note(&format!("[{name}] {line}"));
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

/// `TIME LEVEL TARGET: ...`, or what Rust says when it panics.
fn is_warning(line: &str) -> bool {
    matches!(line.split_whitespace().nth(1), Some("WARN" | "ERROR"))
        || line.contains("\"level\":\"WARN\"")
        || line.contains("\"level\":\"ERROR\"")
        || line.contains("panicked at")
        || line.starts_with("mesh: ")
}
