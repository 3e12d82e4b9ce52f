//! A report for a terminal.

use super::{Group, Quantiles, Report};
use std::fmt::Write as _;

/// A number of milliseconds, or a dash.
pub(super) fn ms(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |v| if v < 10.0 { format!("{v:.1}") } else { format!("{v:.0}") },
    )
}

/// Rows of distributions: what, count, and their quantiles.
pub(super) fn distributions(r: &Report) -> Vec<(String, Quantiles)> {
    let mut rows = vec![
        ("join to answer".to_owned(), r.joins.answer),
        ("join to connection".to_owned(), r.joins.connection),
        ("join to first packet".to_owned(), r.joins.first_packet),
        ("join to first frame".to_owned(), r.joins.first_frame),
    ];
    rows.extend(r.delays.iter().map(|d| (format!("one way, {}, {}", d.what, d.way), d.delay)));
    rows.push(("switch of the main picture".to_owned(), r.switches));
    rows.push(("between two packets of a voice".to_owned(), r.gaps));
    rows.push(("longest of each viewer and voice".to_owned(), r.longest_gaps));
    rows.push(("publishers late".to_owned(), r.publishers.late));
    rows.push(("generator read late".to_owned(), r.generator.read_late));
    rows
}

/// What a group of viewers received: label and text.
pub(super) fn facts(g: &Group) -> Vec<(&'static str, String)> {
    let [q, h, f] = g.main_frames;
    let [voices, pictures] = g.lost;
    vec![
        (
            "received",
            format!("{:.0} packets/s, {:.1} Mbit/s", g.packets_per_second, g.mbit_per_second),
        ),
        (
            "full voice",
            format!(
                "{} of {}: {:.1} packets/s at least, {:.1} in the middle",
                g.full_voice, g.viewers, g.voice_pps.min, g.voice_pps.median
            ),
        ),
        (
            "full picture",
            format!(
                "{} of {}: {:.1} frames/s at least, {:.1} in the middle (q {q}, h {h}, f {f})",
                g.full_picture, g.viewers, g.main_fps.min, g.main_fps.median
            ),
        ),
        (
            "lost",
            format!(
                "{voices} packets of voices, {pictures} of pictures; {} came late or again, {} asked for",
                g.filled, g.asked
            ),
        ),
        (
            "voices",
            format!(
                "{} packets clipped at onsets, {} missing within, {} gaps above 60 ms",
                g.clipped, g.missing, g.gaps
            ),
        ),
        ("pictures", format!("{} frames with holes, {} bad starts", g.broken_frames, g.bad_starts)),
        (
            "wrong",
            format!(
                "{} mislabelled, {} strangers, {} could not be opened",
                g.mislabelled, g.strangers, g.unopened
            ),
        ),
    ]
}

/// One line on what was run.
pub(super) fn headline(r: &Report) -> String {
    format!(
        "{} participants ({} publish, {} full clients) in {} meeting(s), {} edges of {} regions, measured for {:.0} s",
        r.run.participants,
        r.run.publishers,
        r.run.full,
        r.run.meetings,
        r.run.edges.len(),
        r.run.regions,
        r.run.measured_s
    )
}

/// The verdict, in lines.
pub(super) fn verdict(r: &Report) -> Vec<String> {
    let mut lines: Vec<String> = r.void.iter().map(|v| format!("VOID: {v}")).collect();
    if r.failures.is_empty() {
        lines.push(
            "PASSED: every viewer had a voice and a picture throughout, and nothing was lost"
                .to_owned(),
        );
    }
    lines.extend(r.failures.iter().map(|f| format!("FAILED: {f}")));
    lines.extend(r.limit.iter().map(|l| format!("LIMIT: {l}")));
    lines
}

/// The facts that are not of a group: label and text.
pub(super) fn rest(r: &Report) -> Vec<(&'static str, String)> {
    let (j, s, p) = (&r.joins, &r.servers, &r.publishers);
    let machine =
        s.machine_percent.map_or_else(String::new, |m| format!("; this machine {m:.0} % busy"));
    vec![
        (
            "joins",
            format!(
                "{} of {} in {:.1} s: {:.0} joins/s; {} refused as busy, {} failed",
                j.connected, j.wanted, j.seconds, j.per_second, j.busy, j.failed
            ),
        ),
        (
            "publishers",
            format!(
                "{:.0} packets/s, {} lost on the way up, {} key frames asked for, {} packets sent again, {:.1} per mille late",
                p.packets_per_second, p.lost, p.key_requests, p.resent, p.late_permille
            ),
        ),
        (
            "servers",
            format!(
                "{:.2} cores ({:.2} of them control), {:.1} us of CPU a packet to a viewer{machine}",
                s.cores, s.control_cores, s.us_per_packet
            ),
        ),
        (
            "joining cost",
            format!(
                "{:.1} s of CPU, {:.1} s of it control",
                s.joining_cpu_s, s.joining_control_cpu_s
            ),
        ),
        (
            "between nodes",
            format!("{} lost on links, {} in their queues", s.link_lost, s.link_queue),
        ),
        (
            "signalling",
            format!(
                "{:.1} MB, {:.1} MB of it rosters, {:.0} kB at most to one; {} sockets closed",
                r.signalling.bytes as f64 / 1e6,
                r.signalling.roster_bytes as f64 / 1e6,
                r.signalling.most_bytes as f64 / 1e3,
                r.signalling.closed
            ),
        ),
        (
            "generator",
            format!(
                "{:.0} % of a core ({:.0} % with sockets and full clients), longest turn {:.0} ms, {} datagrams dropped unread",
                r.generator.cpu_percent,
                r.generator.process_percent,
                r.generator.longest_turn_ms,
                r.generator.dropped
            ),
        ),
    ]
}

/// The report as text.
pub(crate) fn table(r: &Report) -> String {
    let mut out = format!("{}\n\n", headline(r));
    // Writing to a String cannot fail.
    let mut line = |text: String| {
        let _ = writeln!(out, "{}", text.trim_end());
    };
    verdict(r).into_iter().for_each(&mut line);
    line(String::new());
    for (label, text) in facts(&r.thin) {
        line(format!("{label:16} {text}"));
    }
    if let Some(full) = &r.full {
        line(String::new());
        line(format!("{} full clients (the async `webrtc` crate)", full.viewers));
        for (label, text) in facts(full) {
            line(format!("{label:16} {text}"));
        }
    }
    line(String::new());
    for (label, text) in rest(r) {
        line(format!("{label:16} {text}"));
    }
    line(format!(
        "\n{:34} {:>10} {:>8} {:>8} {:>8} {:>8}",
        "milliseconds", "count", "p50", "p95", "p99", "max"
    ));
    for (what, q) in distributions(r) {
        let [p50, p95, p99, max] = [q.p50_ms, q.p95_ms, q.p99_ms, q.max_ms].map(ms);
        line(format!("{what:34} {:>10} {p50:>8} {p95:>8} {p99:>8} {max:>8}", q.count));
    }
    line(format!(
        "\n{:24} {:>6} {:>6} {:>7} {:>9} {:>9} {:>9} {:>7} {:>7} {:>6}",
        "node", "cpu %", "shard", "MB", "in/s", "slots/s", "links/s", "us/pkt", "resent", "drops"
    ));
    for n in &r.servers.nodes {
        let drops: u64 =
            n.drops.iter().map(|(_, n)| n).sum::<u64>() + n.kernel_drops + n.send_drops;
        line(format!(
            "{:24} {:>6.0} {:>6.0} {:>7.0} {:>9.0} {:>9.0} {:>9.0} {:>7.1} {:>7} {:>6}",
            n.name,
            n.cpu_percent,
            n.shard_percent,
            n.memory_mb,
            n.ingested_pps,
            n.forwarded_pps,
            n.relayed_pps,
            n.us_per_packet,
            n.resent,
            drops
        ));
        for (reason, count) in &n.drops {
            line(format!("{:26}{reason} {count}", ""));
        }
    }
    if !r.errors.is_empty() {
        line("\nerrors".to_owned());
        r.errors.iter().for_each(|e| line(format!("  {e}")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Delay, NodeRow, html, judge};
    use super::*;

    #[test]
    fn a_report_is_rendered_three_ways() {
        let mut report = Report::default();
        report.run.edges = vec!["e<1>".to_owned()];
        report.thin.viewers = 3;
        report.delays.push(Delay { what: "voice", way: "same edge", ..Delay::default() });
        report.servers.nodes.push(NodeRow {
            name: "e<1>".into(),
            drops: vec![("replay".into(), 5)],
            ..NodeRow::default()
        });
        report.run.spoken_s = 1.0;
        judge(&mut report);
        let text = table(&report);
        for part in
            ["FAILED: 0 of 3 viewers heard a full voice", "LIMIT:", "replay 5", "one way, voice"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().all(|l| l.trim_end() == l));
        let page = html(&report);
        assert!(page.contains("e&lt;1&gt;") && !page.contains("e<1>"), "{page}");
        assert!(page.contains("<meta charset"));
        let json: serde_json::Value = serde_json::to_value(&report).unwrap();
        assert_eq!(json["thin"]["viewers"], 3);
        assert_eq!(json["delays"][0]["way"], "same edge");
        assert_eq!(json["joins"]["firstFrame"]["p50Ms"], serde_json::Value::Null);
    }
}
