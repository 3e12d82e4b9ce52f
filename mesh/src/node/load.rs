//! How busy a node is: told to the topology, and the reason why an edge sheds joins.

use super::report::Reports;
use node_io::ShardStats;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use topology::model::Load;
use topology::service::{Registration, TopologyClient};

/// How often the shard's CPU time is read.
const EVERY: Duration = Duration::from_millis(500);
/// Above this share of a core, in thousandths, an edge takes no joins: at 85 % a burst of two frames still fits a turn.
const SHED_ABOVE_PERMILLE: u16 = 850;
/// ... until it is below this again.
const SHED_BELOW_PERMILLE: u16 = 700;

/// Decides from one reading to the next whether joins are shed.
fn sheds(before: bool, used_permille: u16) -> bool {
    if before { used_permille > SHED_BELOW_PERMILLE } else { used_permille > SHED_ABOVE_PERMILLE }
}

/// Smooths over about four readings, so that one turn of a garbage-collecting neighbour sheds nobody.
fn smooth(before: u16, now: u16) -> u16 {
    ((u32::from(before) * 3 + u32::from(now)) / 4) as u16
}

/// Watches the shard until the topology says that another process has this node's number.
pub(super) async fn watch(
    stats: Arc<ShardStats>,
    reports: Reports,
    topology: TopologyClient,
    shedding: Arc<AtomicBool>,
) {
    let mut every = tokio::time::interval(EVERY);
    let registration = topology.registration();
    let (mut cpu, mut at) = (stats.cpu_ns.load(Ordering::Relaxed), Instant::now());
    let mut used = 0;
    loop {
        every.tick().await;
        if *registration.borrow() == Registration::Replaced {
            tracing::error!("another process has this node's number: stopping");
            return;
        }
        let (cpu_now, now) = (stats.cpu_ns.load(Ordering::Relaxed), Instant::now());
        let wall = now.duration_since(at).as_nanos().max(1) as u64;
        let share = (cpu_now.saturating_sub(cpu) * 1_000 / wall).min(1_000) as u16;
        (cpu, at) = (cpu_now, now);
        used = smooth(used, share);
        let before = shedding.load(Ordering::Relaxed);
        let after = sheds(before, used);
        if before != after {
            tracing::warn!(used_permille = used, shedding = after, "joins");
            shedding.store(after, Ordering::Relaxed);
        }
        topology.set_load(Load { used_permille: used, carried: reports.carried() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shedding_begins_high_and_ends_low() {
        assert!(!sheds(false, 850));
        assert!(sheds(false, 851));
        assert!(sheds(true, 701));
        assert!(!sheds(true, 700));
    }

    #[test]
    fn one_busy_reading_sheds_nobody_a_second_of_them_does() {
        let mut used = 300;
        used = smooth(used, 1_000);
        assert!(!sheds(false, used));
        for _ in 0..8 {
            used = smooth(used, 1_000);
        }
        assert!(sheds(false, used));
    }
}
