//! A report as a page that needs nothing else.

use super::table::{distributions, facts, headline, ms, rest, verdict};
use super::{Quantiles, Report};
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;\
background:#fff}h1{font-size:1.3rem}h2{font-size:1.05rem;margin-top:2rem}table{border-collapse:collapse}td,th{padding:.2rem \
.8rem;border-bottom:1px solid #d8dee4;text-align:right}td:first-child,th:first-child{text-align:left}.facts td{text-align:left}\
.good{color:#116329}.bad{color:#a40e26}.void{color:#7d4e00}.bar{display:inline-block;height:.7em;background:#0969da}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}td,th{border-color:#30363d}.good{color:#4ac26b}\
.bad{color:#ff8182}.void{color:#e3b341}}";
/// Width of the longest bar.
const BAR_REM: f64 = 12.0;

/// Text that stands in a page as it is.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn rows(out: &mut String, facts: &[(&str, String)]) {
    out.push_str("<table class=facts>");
    for (label, text) in facts {
        let _ = write!(out, "<tr><td>{}<td>{}", escape(label), escape(text));
    }
    out.push_str("</table>\n");
}

fn times(out: &mut String, distributions: &[(String, Quantiles)]) {
    out.push_str(
        "<h2>Milliseconds</h2><table><tr><th>what<th>count<th>p50<th>p95<th>p99<th>max<th>p95\n",
    );
    let of = |q: &Quantiles| q.p95_ms.unwrap_or_default();
    let most = distributions.iter().map(|(_, q)| of(q)).fold(1.0, f64::max);
    for (what, q) in distributions {
        let [p50, p95, p99, max] = [q.p50_ms, q.p95_ms, q.p99_ms, q.max_ms].map(ms);
        let _ = writeln!(
            out,
            "<tr><td>{}<td>{}<td>{p50}<td>{p95}<td>{p99}<td>{max}<td style=text-align:left><span class=bar \
             style=\"width:{:.2}rem\"></span>",
            escape(what),
            q.count,
            BAR_REM * of(q) / most
        );
    }
    out.push_str("</table>\n");
}

fn nodes(out: &mut String, r: &Report) {
    out.push_str(
        "<h2>Nodes</h2><table><tr><th>node<th>cpu %<th>shard %<th>MB<th>in/s<th>slots/s<th>links/s<th>us/packet\
         <th>resent<th>kernel drops<th>drops\n",
    );
    for n in &r.servers.nodes {
        let drops: Vec<String> =
            n.drops.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let _ = writeln!(
            out,
            "<tr><td>{}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.1}<td>{}<td>{}<td>{}",
            escape(&n.name),
            n.cpu_percent,
            n.shard_percent,
            n.memory_mb,
            n.ingested_pps,
            n.forwarded_pps,
            n.relayed_pps,
            n.us_per_packet,
            n.resent,
            n.kernel_drops,
            escape(&drops.join(", "))
        );
    }
    out.push_str("</table>\n");
}

/// The report as a page.
pub(crate) fn html(r: &Report) -> String {
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>mesh load</title><style>{STYLE}</style><h1>mesh load</h1><p>{}</p>\n",
        escape(&headline(r))
    );
    for line in verdict(r) {
        let class = match line.split(':').next() {
            Some("PASSED") => "good",
            Some("VOID") => "void",
            _ => "bad",
        };
        let _ = writeln!(out, "<p class={class}><strong>{}</strong></p>", escape(&line));
    }
    out.push_str("<h2>Viewers</h2>");
    rows(&mut out, &facts(&r.thin));
    if let Some(full) = &r.full {
        let _ = write!(
            out,
            "<h2>{} full clients (the async <code>webrtc</code> crate)</h2>",
            full.viewers
        );
        rows(&mut out, &facts(full));
    }
    out.push_str("<h2>The run</h2>");
    rows(&mut out, &rest(r));
    times(&mut out, &distributions(r));
    nodes(&mut out, r);
    if !r.errors.is_empty() {
        out.push_str("<h2>Errors</h2><ul>");
        for error in &r.errors {
            let _ = write!(out, "<li>{}", escape(error));
        }
        out.push_str("</ul>");
    }
    out
}
