//! What a datagram costs, printed: `cargo test --profile ci -p node-io -- --ignored --nocapture cost`.

use crate::toy::{Order, config, started};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering::Relaxed;

/// CPU nanoseconds a datagram of a shard that sends `rounds` bursts of `burst` to each of `dests` in turn.
async fn send_cost(dests: &[SocketAddr], rounds: usize, burst: usize) -> u64 {
    let shard = started(config()).await;
    for _ in 0..rounds {
        for dest in dests {
            let order = Order::Burst {
                dest: *dest,
                count: burst,
                len: 1_100,
            };
            shard.commands.send(order).await.unwrap();
        }
    }
    let stats = std::sync::Arc::clone(&shard.stats);
    shard.join().unwrap();
    let sent = stats.relay.datagrams_out.load(Relaxed);
    assert!(sent > 0);
    stats.cpu_ns.load(Relaxed) / sent
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn cost_of_a_sent_datagram() {
    // Sinks with small buffers, so that what the kernel does after the send call is the drop.
    let sinks: Vec<_> = (0..100)
        .map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        .collect();
    let dests: Vec<_> = sinks.iter().map(|s| s.local_addr().unwrap()).collect();
    for burst in [1, 4, 16, 40] {
        println!(
            "bursts of {burst}: {} ns a datagram",
            send_cost(&dests, 200, burst).await
        );
    }
}
