//! What `mesh dev` says on the terminal.

use super::record::{DevRecord, RegionUrl};
use std::fmt::Write as _;
use std::io::Write as _;

/// One line on standard output; nobody listening is no error.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// One line beside the output: reports, warnings.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The banner of a mesh that is ready.
pub(crate) fn text(record: &DevRecord) -> String {
    let mut out = format!("{}\n\n", record.client);
    let width = record.regions.iter().map(|r| r.region.len()).max().unwrap_or(0).max(12);
    let list = |out: &mut String, title: &str, urls: &[RegionUrl]| {
        let _ = writeln!(out, "{title}");
        for url in urls {
            let _ = writeln!(out, "  {:width$}  {}", url.region, url.url);
        }
        out.push('\n');
    };
    list(&mut out, "Clients, by region", &record.regions);
    list(&mut out, &format!("Join meeting {} from", record.meeting.id), &record.meeting.links);
    let metrics: Vec<RegionUrl> = record
        .nodes
        .iter()
        .map(|n| RegionUrl { region: n.plan.name.clone(), url: n.metrics.clone() })
        .collect();
    let width = metrics.iter().map(|r| r.region.len()).max().unwrap_or(0);
    let _ = writeln!(out, "Metrics");
    for node in &metrics {
        let _ = writeln!(out, "  {:width$}  {}", node.region, node.url);
    }
    out.push('\n');
    out.push_str(&wan(record));
    if record.media_ip.is_loopback() {
        let _ = writeln!(
            out,
            "No network route: media goes over 127.0.0.1. Browsers must be started with \
             --allow-loopback-in-peer-connection\n"
        );
    }
    out.push_str(&commands(record));
    out
}

fn wan(record: &DevRecord) -> String {
    if record.wan.is_empty() {
        return "Wide-area network: off (or one region only): nodes reach each other directly\n\n"
            .to_owned();
    }
    let mut out = String::from("Wide-area network, emulated round trips\n");
    for pair in &record.wan {
        let _ = writeln!(out, "  {} - {}: {:.0} ms", pair.from, pair.to, pair.rtt_ms);
    }
    out.push('\n');
    out
}

fn commands(record: &DevRecord) -> String {
    // The usual directory needs no flag.
    let usual = std::env::current_dir().is_ok_and(|dir| dir.join(".dev") == record.state_dir);
    let state =
        if usual { String::new() } else { format!(" --state-dir {}", record.state_dir.display()) };
    let node = record.nodes.last().map_or("NODE", |n| n.plan.name.as_str());
    let client = record.client.trim_end_matches('/');
    let api = format!(
        "curl {client}/api/v1/meetings --json '{{}}' -H \"Authorization: Bearer $(mesh token --kind api --sub me{state})\""
    );
    let region = record.regions.last().map_or("REGION", |r| r.region.as_str());
    let rows = [
        ("Stop everything", "Ctrl-C".to_owned()),
        ("Kill a node", format!("mesh dev kill {node}{state}")),
        ("Add an edge", format!("mesh dev add-edge --region {region}{state}")),
        ("How it stands", format!("mesh dev status{state}")),
        ("Another meeting", format!("mesh meeting create{state}")),
        ("HTTP API", api),
        ("Logs", record.state_dir.join("logs").display().to_string()),
        ("Control", record.control.clone()),
    ];
    rows.iter().fold(String::new(), |mut out, (what, how)| {
        let _ = writeln!(out, "{what:16} {how}");
        out
    })
}
