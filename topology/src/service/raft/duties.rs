//! What a leader does by itself: names the cluster, gives silent nodes up, and has meetings placed anew.

use super::replica::{Leading, NotLeading, Replica};
use super::types::Proposal;
use crate::limits::{LEADER_WAIT, REPAIRS_PER_TURN, TICK};
use crate::model::CommandKind;
use crate::service::interpret::wanted_rtt;
use crate::service::random::random_u64;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Until the replica is dropped by everybody else; the task is ended by its owner.
pub(super) async fn run(replica: Arc<Replica>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut term = None;
    loop {
        let nudged = tokio::select! {
            _ = ticks.tick() => false,
            () = replica.nudge.notified() => true,
        };
        replica.machine.forget_old_snapshot();
        let metrics = replica.metrics();
        if !replica.leads() {
            term = None;
            continue;
        }
        if term.replace(metrics.current_term) != Some(metrics.current_term) {
            *replica.leading() = Leading::begin();
            tracing::info!(name = replica.me.name, term = metrics.current_term, "this member leads");
        }
        // A turn that is not over by then has lost its majority; what it proposed may still happen, and does no harm.
        let turn = timeout(LEADER_WAIT, replica.turn(nudged)).await;
        if !matches!(turn, Ok(Ok(()))) {
            tracing::debug!(name = replica.me.name, "a leader's turn was not finished");
        }
    }
}

impl Replica {
    async fn turn(&self, nudged: bool) -> Result<(), NotLeading> {
        self.settle_in().await?;
        let now = Instant::now();
        let verdicts = self.machine.read(|content| {
            let mut leading = self.leading();
            if !nudged {
                leading.settling.tick(now);
            }
            leading.detector.verdicts(content.state.nodes(), now)
        });
        for (node, instance, state) in verdicts {
            tracing::warn!(node = node.0, ?state, "node is silent");
            // The verdict is about an instance: it is void when another one registered meanwhile.
            let _ = self.propose(None, CommandKind::SetState { node, instance, state }).await?;
        }
        if !nudged && self.machine.read(|content| content.state.repairs_waiting()) > 0 {
            let _ = self.propose(None, CommandKind::Repair).await?;
        }
        for _ in 0..REPAIRS_PER_TURN {
            if self.machine.read(|content| content.state.broken()) == 0 {
                break;
            }
            let _ = self.propose(None, CommandKind::Repair).await?;
        }
        Ok(())
    }

    /// What the state must have before anything else.
    async fn settle_in(&self) -> Result<(), NotLeading> {
        if self.machine.read(|content| content.cluster) == 0
            && let Ok(cluster) = random_u64()
        {
            let founding = Proposal::Found { cluster: cluster.max(1) };
            self.raft.client_write(founding).await.map_err(|_| NotLeading)?;
        }
        if let Some(kind) = self.machine.read(|content| wanted_rtt(&content.state, &self.rtt))
            && let Err(refusal) = self.propose(None, kind).await?
        {
            tracing::error!(%refusal, "round-trip table");
        }
        Ok(())
    }
}
