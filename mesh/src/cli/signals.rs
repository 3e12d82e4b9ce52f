//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Signals that ask a process to stop.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on the process does not end by them.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: Some(signal(SignalKind::hangup())?),
        })
    }

    /// SIGHUP asks for something else: to read files again.
    pub(crate) fn but_for_hangup(self) -> Self {
        Self { hangup: None, ..self }
    }

    /// Until the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(_) = async { self.hangup.as_mut()?.recv().await } => {}
        }
    }

    /// A switch that the first signal turns on.
    pub(crate) fn stop(mut self) -> watch::Receiver<bool> {
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            self.next().await;
            tracing::info!("asked to stop");
            let _ = sender.send(true);
            // A second one does not wait.
            self.next().await;
            std::process::exit(130);
        });
        receiver
    }
}
