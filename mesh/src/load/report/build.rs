//! From what was measured to figures.

use super::{
    Delay, Generator, Group, Joins, NodeRow, Publishers, Quantiles, Report, Run, Servers,
    Signalling, Spread,
};
use crate::load::directory::Way;
use crate::load::fleet::{Measured, Outcome};
use crate::load::histogram::Histogram;
use crate::load::join::Shared;
use crate::load::servers::{Counters, Reading, Watched};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

/// Packets a second of a voice.
const VOICE_PPS: f64 = 50.0;
/// What was sent in the last half second may still be under way.
const UNDER_WAY_US: u64 = 500_000;
/// A full voice: at most one packet in a hundred is missing.
const FULL_VOICE: f64 = 0.99;
/// Frames a second of a picture that counts.
pub(super) const FULL_FPS: f64 = 15.0;

/// What a report is made of.
pub(crate) struct Inputs<'a> {
    pub(crate) shared: &'a Shared,
    /// How many of the plan's members were let in.
    pub(crate) admitted: usize,
    /// When the last of them began to be let in.
    pub(crate) joined_since_us: u64,
    pub(crate) measured: &'a Measured,
    pub(crate) nodes: &'a [Watched],
    /// Before the first join, at the beginning of the measurement, at its end.
    pub(crate) readings: [&'a Reading; 3],
}

/// Makes a report, without a verdict.
pub(crate) fn build(inputs: &Inputs<'_>) -> Report {
    let (shared, measured) = (inputs.shared, inputs.measured);
    let seconds = (measured.until_us - measured.from_us) as f64 / 1e6;
    let of = |full: bool| measured.outcomes.iter().filter(move |o| o.full == full);
    let full: Vec<&Outcome> = of(true).collect();
    let errors = shared.errors.lock().unwrap_or_else(PoisonError::into_inner);
    let mut longest = Histogram::default();
    for heard in measured.outcomes.iter().flat_map(|o| o.record.voices.values()) {
        longest.add(heard.longest_gap_us);
    }
    let totals = &measured.totals;
    Report {
        run: run(inputs, seconds),
        joins: joins(inputs),
        thin: group(inputs, &of(false).collect::<Vec<_>>(), seconds),
        full: (!full.is_empty()).then(|| group(inputs, &full, seconds)),
        delays: delays(measured),
        switches: Quantiles::of(&totals.switch),
        gaps: Quantiles::of(&totals.gap),
        longest_gaps: Quantiles::of(&longest),
        publishers: publishers(measured, seconds),
        servers: servers(inputs),
        signalling: Signalling {
            bytes: shared.signal.bytes.load(Relaxed),
            roster_bytes: shared.signal.roster_bytes.load(Relaxed),
            most_bytes: shared.signal.most.load(Relaxed),
            closed: shared.signal.closed.load(Relaxed),
        },
        generator: Generator {
            cpu_percent: 100.0 * measured.cpu.as_secs_f64() / seconds.max(0.001),
            process_percent: 100.0 * measured.process_cpu.as_secs_f64() / seconds.max(0.001),
            longest_turn_ms: measured.longest_turn.as_secs_f64() * 1e3,
            dropped: measured.dropped,
            read_late: Quantiles::of(&totals.read_late),
        },
        errors: errors.iter().chain(&measured.errors).cloned().collect(),
        ..Report::default()
    }
}

fn run(inputs: &Inputs<'_>, seconds: f64) -> Run {
    let (shared, members) = (inputs.shared, &inputs.shared.plan.members[..inputs.admitted]);
    let mut regions: Vec<&str> = shared.edges.iter().map(|e| e.region.as_str()).collect();
    regions.sort_unstable();
    regions.dedup();
    let measured = inputs.measured;
    let spoken = shared.plan.schedules.iter();
    let spoken = spoken.map(|s| s.spoken_us(measured.from_us, measured.until_us, None)).min();
    Run {
        participants: members.len() as u32,
        publishers: members.iter().filter(|m| m.speaker.is_some()).count() as u32,
        full: members.iter().filter(|m| m.full).count() as u32,
        meetings: shared.options.meetings,
        edges: shared.edges.iter().map(|e| e.name.clone()).collect(),
        regions: regions.len(),
        voices: shared.options.voices,
        pictures: shared.options.pictures,
        measured_s: seconds,
        spoken_s: spoken.unwrap_or_default() as f64 / 1e6,
    }
}

fn joins(inputs: &Inputs<'_>) -> Joins {
    let (shared, outcomes) = (inputs.shared, &inputs.measured.outcomes);
    let mut hists = [const { None::<Histogram> }; 4].map(|_| Histogram::default());
    let (mut first, mut last, mut connected, mut newly) = (u64::MAX, 0, 0, 0);
    for times in outcomes.iter().map(|o| &o.times) {
        connected += u64::from(times.connected_us.is_some());
        if times.asked_us < inputs.joined_since_us {
            continue;
        }
        newly += u64::from(times.connected_us.is_some());
        first = first.min(times.asked_us);
        last = last.max(times.connected_us.unwrap_or(0));
        let marks = [times.answered_us, times.connected_us, times.packet_us, times.frame_us];
        for (hist, mark) in hists.iter_mut().zip(marks) {
            if let Some(mark) = mark {
                hist.add(mark.saturating_sub(times.asked_us));
            }
        }
    }
    let seconds = last.saturating_sub(first) as f64 / 1e6;
    let [answer, connection, first_packet, first_frame] = hists.map(|h| Quantiles::of(&h));
    Joins {
        wanted: inputs.admitted as u32,
        connected,
        failed: shared.progress.failed.load(Relaxed),
        busy: shared.signal.busy.load(Relaxed),
        seconds,
        per_second: if seconds > 0.0 { newly as f64 / seconds } else { 0.0 },
        answer,
        connection,
        first_packet,
        first_frame,
    }
}

/// Packets of speech that a participant received a second of speech of others, by when they were sent; none: nobody spoke.
fn voice_pps(inputs: &Inputs<'_>, outcome: &Outcome) -> Option<f64> {
    let plan = &inputs.shared.plan;
    let member = plan.members.get(outcome.number as usize)?;
    let from = outcome.record.from_us?;
    let (packets, until) = outcome.record.spoken(inputs.measured.until_us - UNDER_WAY_US);
    let spoken_us = plan.schedules[member.meeting].spoken_us(from, until, member.speaker);
    (spoken_us > 0).then(|| packets as f64 * 1e6 / spoken_us as f64)
}

fn group(inputs: &Inputs<'_>, outcomes: &[&Outcome], seconds: f64) -> Group {
    let mut g = Group { viewers: outcomes.len(), ..Group::default() };
    let (mut voices, mut pictures, mut packets, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    for outcome in outcomes {
        let r = &outcome.record;
        let (clipped, missing) = r.speech_missing();
        let pps = voice_pps(inputs, outcome).unwrap_or(VOICE_PPS);
        let holes = (clipped + missing) as f64 <= (1.0 - FULL_VOICE) * r.packets[0] as f64;
        let fps = r.main() as f64 / seconds.max(0.001);
        g.full_voice += usize::from(pps >= FULL_VOICE * VOICE_PPS && holes);
        g.full_picture += usize::from(fps >= FULL_FPS);
        voices.push(pps);
        pictures.push(fps);
        packets += r.packets[0] + r.packets[1];
        bytes += r.bytes;
        for (all, own) in g.main_frames.iter_mut().zip(r.main_frames) {
            *all += own;
        }
        for (lost, counts) in g.lost.iter_mut().zip(outcome.counts) {
            *lost += counts.lost;
        }
        g.filled += outcome.counts.iter().map(|c| c.filled).sum::<u64>();
        g.asked += outcome.asked.0;
        g.clipped += clipped;
        g.missing += missing;
        g.gaps += r.voices.values().map(|v| v.gaps).sum::<u64>();
        g.broken_frames += r.broken;
        g.bad_starts += r.bad_starts;
        g.mislabelled += r.mislabelled;
        g.strangers += r.strangers;
        g.unopened += r.unopened;
    }
    g.packets_per_second = packets as f64 / seconds.max(0.001);
    g.mbit_per_second = bytes as f64 * 8e-6 / seconds.max(0.001);
    g.voice_pps = Spread::of(voices);
    g.main_fps = Spread::of(pictures);
    g
}

fn delays(measured: &Measured) -> Vec<Delay> {
    let totals = &measured.totals;
    let kinds = [("voice", &totals.voice_delay), ("picture", &totals.picture_delay)];
    let rows = kinds.into_iter().flat_map(|(what, hists)| {
        Way::ALL.into_iter().zip(hists).map(move |(way, hist)| Delay {
            what,
            way: way.name(),
            delay: Quantiles::of(hist),
        })
    });
    rows.filter(|d| d.delay.count > 0).collect()
}

fn publishers(measured: &Measured, seconds: f64) -> Publishers {
    let mut p = Publishers { late: Quantiles::of(&measured.totals.late), ..Publishers::default() };
    let (mut sent, mut late) = (0, 0);
    for published in measured.outcomes.iter().filter_map(|o| o.published) {
        sent += published.sent;
        late += published.late;
        p.lost += published.lost;
        p.key_requests += published.key_requests;
        p.resent += published.resent;
    }
    p.packets_per_second = sent as f64 / seconds.max(0.001);
    p.late_permille = if sent > 0 { late as f64 * 1e3 / sent as f64 } else { 0.0 };
    p
}

fn servers(inputs: &Inputs<'_>) -> Servers {
    let [start, begun, ended] = inputs.readings;
    let (nodes, seconds) = ended.since(begun);
    let (joining, _) = begun.since(start);
    let mut s = Servers {
        machine_percent: ended.busy_since(begun).map(|b| b * 100.0),
        ..Servers::default()
    };
    for c in joining.iter().flatten() {
        s.joining_cpu_s += c.cpu_s;
        s.joining_control_cpu_s += c.cpu_s - c.shard_cpu_s;
    }
    let (mut cpu_s, mut forwarded) = (0.0, 0.0);
    for (node, counters) in inputs.nodes.iter().zip(&nodes) {
        let Some(c) = counters else { continue };
        cpu_s += c.cpu_s;
        s.control_cores += (c.cpu_s - c.shard_cpu_s) / seconds;
        s.link_lost += c.link_lost as u64;
        s.link_queue += c.link_queue as u64;
        if node.edge {
            forwarded += c.forwarded;
        }
        s.nodes.push(row(node, c, seconds));
    }
    s.cores = cpu_s / seconds;
    s.us_per_packet = if forwarded > 0.0 { cpu_s * 1e6 / forwarded } else { 0.0 };
    s
}

fn row(node: &Watched, c: &Counters, seconds: f64) -> NodeRow {
    let packets = c.ingested + c.forwarded + c.relayed;
    NodeRow {
        name: node.name.clone(),
        cpu_percent: 100.0 * c.cpu_s / seconds,
        shard_percent: 100.0 * c.shard_cpu_s / seconds,
        memory_mb: c.memory_bytes / 1e6,
        ingested_pps: c.ingested / seconds,
        forwarded_pps: c.forwarded / seconds,
        relayed_pps: c.relayed / seconds,
        us_per_packet: if packets > 0.0 { c.cpu_s * 1e6 / packets } else { 0.0 },
        resent: c.resent as u64,
        key_requests: c.key_requests as u64,
        kernel_drops: c.kernel_drops as u64,
        send_drops: c.send_drops as u64,
        drops: c.drops.iter().map(|(reason, n)| (reason.clone(), *n as u64)).collect(),
    }
}
