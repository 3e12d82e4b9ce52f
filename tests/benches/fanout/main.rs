//! What forwarding costs: one shard of an edge in a process of its own, over loopback, 1 publisher to 50, 200 and 1,000 DTLS-SRTP
//! subscribers, beside the least that the same packets can cost on this machine at the same time. Prints, judges nothing.
//!
//! `cargo bench -p mesh-tests --bench fanout [-- SUBSCRIBERS...]`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench: what cannot be ends it, and figures are printed"
)]

mod child;
mod drain;
mod floor;
mod pattern;
mod publisher;
mod serve;
#[path = "../../../edge-sfu/tests/shard/thin.rs"]
#[allow(dead_code, unreachable_pub, reason = "the bench uses a part")]
mod thin;

use child::{Child, Stats};
use drain::Drain;
use floor::Floor;
use pattern::Pattern;
use publisher::Publisher;
use relay_proto::{Now, NtpTime};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// How often floor and server take turns.
const REPEATS: usize = 3;
/// One measurement of the server; a method of the floor takes a third.
const MEASURE: Duration = Duration::from_secs(2);
/// Time for what is on its way, and for the shard to read its CPU clock.
const SETTLE: Duration = Duration::from_millis(150);
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// This moment. The clients of the bench need no wall clock.
fn now() -> Now {
    Now { mono: Instant::now(), wall: NtpTime(1 << 62) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One repeat.
struct Measured {
    server_ns: f64,
    floor_ns: f64,
    method: &'static str,
    spread_ms: f64,
    lost: f64,
    per_round: f64,
    busy: f64,
    per_call: f64,
}

fn measure(
    pattern: Pattern,
    child: &mut Child,
    publishers: &mut [Publisher],
    drain: &Drain,
    floor: &mut Floor,
) -> Measured {
    let interval = pattern.interval(drain.len());
    let (method, floor_ns) = floor.best(pattern, interval, MEASURE / 3);
    // What one round after a pause brings tells each subscriber's timestamps apart from the others'.
    std::thread::sleep(SETTLE);
    drain.calibrate();
    pattern.round(publishers);
    std::thread::sleep(SETTLE.max(interval));
    drain.reset();
    publishers.iter_mut().for_each(Publisher::listen);
    let heard = |all: &[Publisher]| all.iter().map(|p| p.received).sum::<u64>();
    let own_before = heard(publishers);
    let before: Stats = child.stats();
    let (begin, mut rounds) = (Instant::now(), 0_u32);
    while begin.elapsed() < MEASURE {
        pattern.round(publishers);
        rounds += 1;
        publisher::wait_until(begin + interval * rounds);
    }
    let took = begin.elapsed();
    std::thread::sleep(SETTLE);
    let after = child.stats();
    let seen = drain.report();
    publishers.iter_mut().for_each(Publisher::listen);
    let received = seen.received + heard(publishers) - own_before;
    let viewers = drain.len() + publishers.len() - 1;
    let out = (after.datagrams_out - before.datagrams_out) as f64;
    let cpu = (after.cpu_ns - before.cpu_ns) as f64;
    Measured {
        server_ns: cpu / out,
        floor_ns,
        method,
        spread_ms: median(seen.spreads_ms),
        lost: 1.0 - received as f64 / out,
        per_round: out / f64::from(rounds) / viewers as f64,
        busy: cpu / took.as_nanos() as f64,
        per_call: out / (after.send_calls - before.send_calls).max(1) as f64,
    }
}

fn row(pattern: Pattern, subscribers: usize, measured: &[Measured]) {
    let of = |f: fn(&Measured) -> f64| median(measured.iter().map(f).collect());
    println!(
        "| {subscribers:>5} | {:<16} | {:>6.0} | {:>6.0} {:<8} | {:>5.2} | {:>7.2} | {:>6.2} % | {:>6.1} | {:>4.1} | {:>3.0} % |",
        pattern.name(),
        of(|m| m.server_ns),
        of(|m| m.floor_ns),
        measured[measured.len() / 2].method,
        of(|m| m.server_ns / m.floor_ns),
        of(|m| m.spread_ms),
        of(|m| m.lost) * 100.0,
        of(|m| m.per_round),
        of(|m| m.per_call),
        of(|m| m.busy) * 100.0,
    );
}

/// One server with its publishers and subscribers.
fn run(subscribers: usize, patterns: &[Pattern], joins: &mut Vec<String>) {
    let mut child = Child::start();
    let identity = std::sync::Arc::new(thin::Identity::generate());
    let publishers = patterns[0].publishers();
    let mut publishers: Vec<Publisher> =
        (0..publishers).map(|i| Publisher::join(&mut child, &identity, i)).collect();
    let (before, begin) = (child.stats(), Instant::now());
    let drain = Drain::join(subscribers, &mut child, &identity);
    let took = begin.elapsed();
    std::thread::sleep(SETTLE);
    let after = child.stats();
    let count = subscribers as f64;
    joins.push(format!(
        "| {subscribers:>5} | {:>7.0} | {:>10.0} | {:>6.0} |",
        count / took.as_secs_f64(),
        count * 1e9 / (after.cpu_ns - before.cpu_ns) as f64,
        (after.rss_kb as f64 - before.rss_kb as f64) / count,
    ));
    // Until every slot shows its picture.
    let warm = Instant::now();
    while warm.elapsed() < Duration::from_secs(2) {
        patterns[0].round(&mut publishers);
        std::thread::sleep(patterns[0].interval(subscribers));
    }
    let mut floor = Floor::new(drain.addrs());
    let mut all: Vec<Vec<Measured>> = patterns.iter().map(|_| Vec::new()).collect();
    for _ in 0..REPEATS {
        for (pattern, measured) in patterns.iter().zip(&mut all) {
            measured.push(measure(*pattern, &mut child, &mut publishers, &drain, &mut floor));
        }
    }
    for (pattern, measured) in patterns.iter().zip(&all) {
        row(*pattern, subscribers, measured);
    }
    drain.stop();
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.first().is_some_and(|a| a == "--serve") {
        return serve::serve();
    }
    let sizes: Vec<usize> = args.iter().filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![50, 200, 1_000] } else { sizes };
    println!(
        "CPU of the shard's thread per datagram it sends, beside the least of sendto, sendmmsg(64) and GSO with one AES-256-GCM seal."
    );
    println!(
        "| viewers | arrivals | server ns | floor ns | ratio | first to last receiver ms | lost | datagrams a round and viewer | datagrams a send | shard busy |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut joins = Vec::new();
    for subscribers in sizes {
        run(subscribers, &[Pattern::Paced, Pattern::Burst], &mut joins);
        run(subscribers, &[Pattern::Default], &mut Vec::new());
    }
    println!(
        "\nJoins with the SDK's offer (17 slots), ICE and DTLS included, 64 under way at a time."
    );
    println!(
        "| viewers | joins/s on the clock | joins/s of a core | RSS kB a peer |\n|---|---|---|---|"
    );
    joins.iter().for_each(|line| println!("{line}"));
}
