//! The certificate of an edge's HTTP: read again when its files change, and on SIGHUP.

use node_io::http::Tls;
use node_io::metrics::{Metrics, MetricsError};
use prometheus::IntCounterVec;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// How often the files are read. A certificate is renewed weeks before it ends.
const EVERY: Duration = Duration::from_secs(5);

/// Reads the files again and again.
pub(super) struct Reloads {
    tls: Tls,
    counter: IntCounterVec,
    /// A mistake is told once, not every few seconds.
    told: Option<String>,
}

impl Reloads {
    pub(super) fn new(tls: Tls, metrics: &Metrics) -> Result<Self, MetricsError> {
        let help = "New certificates of HTTP that were taken, and reads of its files that failed";
        let counter = metrics.counter_vec("mesh_tls_reloads_total", help, &["outcome"])?;
        for outcome in ["done", "failed"] {
            counter.with_label_values(&[outcome]).inc_by(0);
        }
        Ok(Self { tls, counter, told: None })
    }

    /// Until it is dropped.
    pub(super) async fn run(mut self) {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = tokio::select! {
                _ = every.tick() => false,
                Some(()) = async { hangup.as_mut()?.recv().await } => true,
            };
            self.reload(asked).await;
        }
    }

    async fn reload(&mut self, asked: bool) {
        let tls = self.tls.clone();
        let Ok(outcome) = tokio::task::spawn_blocking(move || tls.reload()).await else { return };
        match outcome {
            Ok(true) => {
                tracing::info!("new tls certificate in force");
                self.counter.with_label_values(&["done"]).inc();
                self.told = None;
            }
            Ok(false) if asked => tracing::info!("the tls certificate is the same as before"),
            Ok(false) => self.told = None,
            Err(error) => {
                self.counter.with_label_values(&["failed"]).inc();
                let error = error.to_string();
                if asked || self.told.as_ref() != Some(&error) {
                    tracing::error!(error, "the tls certificate before stays in force");
                }
                self.told = Some(error);
            }
        }
    }
}
