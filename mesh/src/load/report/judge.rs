//! Whether the mesh carried the load, and whether the run can say so.

use super::build::FULL_FPS;
use super::{Group, Report};

/// The driver must have had time left: above this share of a core its own lateness is what would be measured.
const DRIVER_PERCENT_MAX: f64 = 90.0;
/// Packets in a thousand that may leave more than 20 ms late: virtual machines pause.
const LATE_PERMILLE_MAX: f64 = 10.0;
/// A processor is full.
const FULL_PERCENT: f64 = 95.0;

/// Adds the verdict.
pub(crate) fn judge(report: &mut Report) {
    report.void = void(report);
    report.failures = failures(report);
    if !report.failures.is_empty() {
        report.limit = Some(limit(report));
    }
}

fn void(report: &Report) -> Vec<String> {
    let (g, p) = (&report.generator, &report.publishers);
    let mut void = Vec::new();
    if g.cpu_percent > DRIVER_PERCENT_MAX {
        void.push(format!(
            "the generator's own thread used {:.0} % of a core: run it on another machine, or with fewer participants",
            g.cpu_percent
        ));
    }
    if g.dropped > 0 {
        void.push(format!(
            "{} datagrams were dropped because the generator did not read them in time: raise net.core.rmem_max",
            g.dropped
        ));
    }
    if p.late_permille > LATE_PERMILLE_MAX {
        void.push(format!(
            "{:.1} % of the publishers' packets left more than 20 ms late: the machine had no time for the generator",
            p.late_permille / 10.0
        ));
    }
    void
}

fn failures(report: &Report) -> Vec<String> {
    let mut failures = Vec::new();
    let j = &report.joins;
    if j.connected < u64::from(j.wanted) {
        failures.push(format!(
            "{} of {} are connected ({} joins failed)",
            j.connected, j.wanted, j.failed
        ));
    }
    group(report, &report.thin, "", &mut failures);
    if let Some(full) = &report.full {
        group(report, full, " (full clients)", &mut failures);
    }
    let s = &report.servers;
    if s.link_lost + s.link_queue > 0 {
        failures.push(format!(
            "{} packets were lost between nodes, {} more in their queues",
            s.link_lost, s.link_queue
        ));
    }
    if report.signalling.closed > 0 {
        failures.push(format!("{} sockets were closed by their edges", report.signalling.closed));
    }
    failures
}

fn group(report: &Report, g: &Group, which: &str, failures: &mut Vec<String>) {
    let mut must = |good: bool, text: String| {
        if !good {
            failures.push(format!("{text}{which}"));
        }
    };
    let spoken = report.run.spoken_s > 0.0;
    must(
        g.full_voice == g.viewers || !spoken,
        format!("{} of {} viewers heard a full voice throughout", g.full_voice, g.viewers),
    );
    must(
        g.full_picture == g.viewers || report.run.pictures == 0 || report.run.publishers < 2,
        format!(
            "{} of {} viewers saw {FULL_FPS} frames a second or more",
            g.full_picture, g.viewers
        ),
    );
    let [voices, pictures] = g.lost;
    must(
        voices + pictures == 0,
        format!("{voices} packets of voices and {pictures} of pictures never came"),
    );
    must(
        g.bad_starts == 0,
        format!("{} pictures began without a key frame or jumped", g.bad_starts),
    );
    must(g.mislabelled == 0, format!("{} packets carried somebody else's label", g.mislabelled));
    must(g.unopened == 0, format!("{} packets could not be opened", g.unopened));
}

/// What gave way first, as far as the figures tell.
fn limit(report: &Report) -> String {
    if let Some(void) = report.void.first() {
        return format!("the load generator: {void}");
    }
    let s = &report.servers;
    let shard = s.nodes.iter().max_by(|a, b| a.shard_percent.total_cmp(&b.shard_percent));
    if let Some(node) = shard.filter(|n| n.shard_percent >= FULL_PERCENT) {
        return format!("the media shard of {}: {:.0} % of a core", node.name, node.shard_percent);
    }
    if let Some(machine) = s.machine_percent.filter(|m| *m >= FULL_PERCENT) {
        return format!("this machine's processors: {machine:.0} % busy");
    }
    if let Some(node) = s.nodes.iter().find(|n| n.kernel_drops > 0) {
        return format!(
            "the receive buffer of {}: {} datagrams dropped",
            node.name, node.kernel_drops
        );
    }
    if let Some(node) = s.nodes.iter().find(|n| n.send_drops > 0) {
        return format!("the send buffer of {}: {} datagrams dropped", node.name, node.send_drops);
    }
    if s.link_queue > 0 {
        return format!("the queues of the links: {} packets dropped", s.link_queue);
    }
    if report.joins.busy > 0 || report.joins.failed > 0 {
        let (busy, failed) = (report.joins.busy, report.joins.failed);
        return format!("joins: {busy} refused as busy, {failed} failed");
    }
    format!("not a resource that is watched: {}", report.failures.join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::{NodeRow, Run};
    use super::*;

    fn good() -> Report {
        let mut report = Report {
            run: Run { publishers: 2, pictures: 1, spoken_s: 10.0, ..Run::default() },
            ..Report::default()
        };
        report.thin = Group { viewers: 5, full_voice: 5, full_picture: 5, ..Group::default() };
        (report.joins.wanted, report.joins.connected) = (5, 5);
        report
    }

    #[test]
    fn a_good_run_passes() {
        let mut report = good();
        judge(&mut report);
        assert_eq!((report.void.len(), report.failures.len(), report.limit), (0, 0, None));
    }

    #[test]
    fn a_run_whose_own_processor_was_short_says_that_it_is_void() {
        let mut report = good();
        report.generator.cpu_percent = 96.0;
        report.generator.dropped = 3;
        report.publishers.late_permille = 30.0;
        judge(&mut report);
        assert_eq!(report.void.len(), 3);
        assert!(report.failures.is_empty());
    }

    #[test]
    fn the_first_limit_has_a_name() {
        let mut report = good();
        report.thin.full_voice = 3;
        report.servers.nodes.push(NodeRow {
            name: "e1".into(),
            shard_percent: 99.0,
            ..NodeRow::default()
        });
        judge(&mut report);
        assert_eq!(report.failures, ["3 of 5 viewers heard a full voice throughout"]);
        assert!(report.limit.unwrap().contains("shard of e1"));
    }
}
