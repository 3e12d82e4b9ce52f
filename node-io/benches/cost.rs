//! What a datagram costs a shard, by the length of its burst: `cargo bench -p node-io`. On an idle machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement: what must not be ends it, and figures are printed"
)]

#[path = "../tests/node_io/toy.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod toy;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use toy::{Order, config, started};

/// CPU nanoseconds a datagram of a shard that sends `rounds` bursts of `burst` to each of `dests` in turn.
async fn send_cost(dests: &[SocketAddr], rounds: usize, burst: usize) -> u64 {
    let shard = started(config()).await;
    for _ in 0..rounds {
        for dest in dests {
            let order = Order::Burst { dest: *dest, count: burst, len: 1_100 };
            shard.commands.send(order).await.unwrap();
        }
    }
    let stats = Arc::clone(&shard.stats);
    shard.join().unwrap();
    stats.cpu_ns.load(Relaxed) / stats.relay.datagrams_out.load(Relaxed).max(1)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    // Sinks that nobody reads: what the kernel does after the send call is the drop.
    let sinks: Vec<_> =
        (0..100).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    let dests: Vec<_> = sinks.iter().map(|s| s.local_addr().unwrap()).collect();
    for burst in [1, 4, 16, 40] {
        let cost = runtime.block_on(send_cost(&dests, 200, burst));
        println!("bursts of {burst}: {cost} ns a datagram");
    }
}
