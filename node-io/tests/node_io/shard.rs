//! A shard drives its machine as the contract says.

use crate::toy::{Order, Said, any_port, config, next, plain_socket, spawn, started};
use node_io::{MailboxFull, ShardConfig, ShardStats};
use relay_proto::machine::Socket;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

#[tokio::test]
async fn a_datagram_is_opened_in_place_and_answered_through_its_socket() {
    let mut shard = started(config()).await;
    let client = plain_socket();
    for (socket, to) in
        [(Socket::Media, shard.media_addr.unwrap()), (Socket::Relay, shard.relay_addr)]
    {
        client.send_to(b"abc", to).unwrap();
        assert_eq!(
            next(&mut shard).await,
            Some(Said::Got(socket, client.local_addr().unwrap(), 3))
        );
        let mut buffer = [0; 16];
        let (len, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], from), (&b"cba"[..], to));
    }
    assert_eq!(read(&shard.stats.media.datagrams_in), 1);
    assert_eq!(read(&shard.stats.relay.bytes_in), 3);
}

#[tokio::test]
async fn a_burst_is_one_call_and_arrives_as_separate_datagrams() {
    let shard = started(config()).await;
    let receiver = plain_socket();
    let (count, len) = (40, 1_100);
    let dest = receiver.local_addr().unwrap();
    shard.commands.try_send(Order::Burst { dest, count, len }).unwrap();
    let mut buffer = vec![0; 65_536];
    for left in (1..=count).rev() {
        let (got, _) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!((got, usize::from(buffer[0])), (len, left));
    }
    let stats = finished(shard);
    assert_eq!(read(&stats.relay.datagrams_out), count as u64);
    assert_eq!(read(&stats.relay.bytes_out), (count * len) as u64);
    assert_eq!(read(&stats.relay.send_errors) + read(&stats.relay.send_full), 0);
    assert!(read(&stats.relay.send_calls) <= 2, "{stats:?}");
}

#[tokio::test]
async fn datagrams_of_many_sizes_and_destinations_share_a_call_and_keep_their_order() {
    let shard = started(config()).await;
    let receivers = [plain_socket(), plain_socket(), plain_socket()];
    let nowhere = SocketAddr::from(([255, 255, 255, 255], 9)); // Broadcast without permission.
    let mut dests: Vec<SocketAddr> =
        (0..60).map(|i| receivers[i % 3].local_addr().unwrap()).collect();
    dests[20] = nowhere;
    shard.commands.try_send(Order::Spread(dests)).unwrap();
    let mut buffer = vec![0; 2_000];
    for (place, receiver) in receivers.iter().enumerate() {
        for i in (place..60).step_by(3).filter(|i| *i != 20) {
            let (len, _) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!((len, usize::from(buffer[0])), (100 + i, i));
        }
    }
    let stats = finished(shard);
    assert_eq!(read(&stats.relay.datagrams_out), 59);
    assert_eq!(read(&stats.relay.send_errors), 1, "the one that was refused took no other with it");
    // Two runs, and twice more where the refused one ended a call and was tried alone.
    assert!(read(&stats.relay.send_calls) <= 4, "{stats:?}");
}

#[tokio::test]
async fn a_coalesced_burst_reaches_the_other_shard_datagram_by_datagram() {
    let sender = started(config()).await;
    let mut receiver = started(config()).await;
    let (count, len) = (200, 1_000);
    sender.commands.try_send(Order::Burst { dest: receiver.relay_addr, count, len }).unwrap();
    for _ in 0..count {
        assert_eq!(
            next(&mut receiver).await,
            Some(Said::Got(Socket::Relay, sender.relay_addr, len))
        );
    }
    let stats = finished(receiver);
    assert_eq!(read(&stats.relay.datagrams_in), count as u64);
    assert!(read(&stats.relay.recv_calls) < count as u64, "some came together: {stats:?}");
    let stats = finished(sender);
    assert!(read(&stats.slices) >= (count / 64) as u64, "a long burst takes several slices");
}

/// The counters after the shard has ended, when none moves any more.
fn finished(shard: crate::toy::ToyShard) -> std::sync::Arc<ShardStats> {
    let stats = std::sync::Arc::clone(&shard.stats);
    shard.join().expect("no panic");
    stats
}

#[tokio::test]
async fn a_deadline_is_met_on_time_and_never_early() {
    let mut shard = started(config()).await;
    let mut lateness = Vec::new();
    for ms in [1, 3, 10, 25, 50] {
        shard.commands.try_send(Order::Arm(Duration::from_millis(ms))).unwrap();
        let Some(Said::Fired { early, late }) = next(&mut shard).await else { panic!("fires") };
        assert!(!early);
        lateness.push(late);
    }
    lateness.sort();
    // The median, because this may be a busy virtual machine that stops for a while.
    assert!(lateness[2] < Duration::from_millis(20), "{lateness:?}");
}

#[tokio::test]
async fn a_command_wakes_an_idle_shard() {
    let mut shard = started(config()).await;
    let mut took = Vec::new();
    for _ in 0..20 {
        let sent = Instant::now();
        shard.commands.try_send(Order::Count(1)).unwrap();
        assert_eq!(next(&mut shard).await, Some(Said::Number(0)));
        took.push(sent.elapsed());
    }
    took.sort();
    assert!(took[10] < Duration::from_millis(100), "an idle shard sleeps a second: {took:?}");
}

#[tokio::test]
async fn outputs_survive_a_control_runtime_that_is_behind() {
    let mut shard = started(config()).await;
    let count = 100_000; // The channel takes 65,536.
    shard.commands.try_send(Order::Count(count)).unwrap();
    for i in 0..count {
        assert_eq!(next(&mut shard).await, Some(Said::Number(i)));
    }
    let stats = finished(shard);
    assert_eq!(read(&stats.outputs), count as u64 + 1);
    assert_eq!(read(&stats.outputs_lost), 0);
}

#[tokio::test]
async fn stop_carries_out_what_was_sent_and_joins() {
    let mut shard = started(config()).await;
    let (commands, stopper) = (shard.commands.clone(), shard.stopper());
    commands.try_send(Order::Count(2)).unwrap();
    stopper.stop();
    assert_eq!(next(&mut shard).await, Some(Said::Number(0)));
    assert_eq!(next(&mut shard).await, Some(Said::Number(1)));
    assert_eq!(next(&mut shard).await, None);
    shard.join().unwrap();
    assert!(commands.is_closed());
    assert!(matches!(
        commands.try_send(Order::TellTime),
        Err(MailboxFull::Closed(Order::TellTime))
    ));
}

#[tokio::test]
async fn a_panic_ends_the_outputs_and_shows_at_join() {
    let mut shard = started(config()).await;
    shard.commands.try_send(Order::Panic).unwrap();
    assert_eq!(next(&mut shard).await, None);
    assert!(shard.join().is_err());
}

#[tokio::test]
async fn the_wall_clock_can_be_skewed() {
    let skew = -3_600_000_000;
    let mut honest = started(config()).await;
    let mut skewed = started(ShardConfig { wall_skew_us: skew, ..config() }).await;
    honest.commands.try_send(Order::TellTime).unwrap();
    skewed.commands.try_send(Order::TellTime).unwrap();
    let (Some(Said::Time(a)), Some(Said::Time(b))) =
        (next(&mut honest).await, next(&mut skewed).await)
    else {
        panic!("both tell")
    };
    let apart = b.wall.micros_since(a.wall) - skew;
    assert!(apart.abs() < 60_000_000, "{apart}");
}

#[tokio::test]
async fn a_wildcard_ipv6_shard_speaks_ipv4() {
    let wildcard = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let mut shard = started(ShardConfig::new("dual", None, wildcard)).await;
    let client = plain_socket();
    client.send_to(b"xy", ("127.0.0.1", shard.relay_addr.port())).unwrap();
    let from = client.local_addr().unwrap();
    assert_eq!(
        next(&mut shard).await,
        Some(Said::Got(Socket::Relay, from, 2)),
        "not a mapped address"
    );
    let mut buffer = [0; 4];
    assert_eq!(client.recv_from(&mut buffer).unwrap().0, 2);
}

#[tokio::test]
async fn a_datagram_the_kernel_refuses_is_counted_and_the_next_one_goes() {
    let mut shard = started(config()).await;
    let client = plain_socket();
    let nowhere = SocketAddr::from(([255, 255, 255, 255], 9)); // Broadcast without permission.
    shard.commands.try_send(Order::Burst { dest: nowhere, count: 3, len: 100 }).unwrap();
    client.send_to(b"x", shard.relay_addr).unwrap();
    assert!(matches!(next(&mut shard).await, Some(Said::Got(..))));
    let mut buffer = [0; 4];
    assert_eq!(client.recv_from(&mut buffer).unwrap().0, 1);
    let stats = finished(shard);
    assert_eq!(read(&stats.relay.send_errors), 3);
    assert_eq!(read(&stats.relay.datagrams_out), 1);
}

#[tokio::test]
async fn a_flood_on_one_socket_does_not_starve_the_other() {
    let mut shard = started(config()).await;
    let (flood, client) = (plain_socket(), plain_socket());
    let target = shard.media_addr.unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let flooder = std::thread::spawn(move || {
        while !stopped.load(Relaxed) {
            let _ = flood.send_to(&[0; 100], target);
        }
    });
    client.send_to(b"hello", shard.relay_addr).unwrap();
    loop {
        match next(&mut shard).await {
            Some(Said::Got(Socket::Relay, ..)) => break,
            Some(_) => {}
            None => panic!("the shard ended"),
        }
    }
    stop.store(true, Relaxed);
    flooder.join().unwrap();
}

#[test]
fn a_taken_port_is_reported_before_any_thread_starts() {
    let first = spawn(ShardConfig::new("first", None, any_port()));
    let error =
        node_io::spawn_shard(ShardConfig::new("second", None, first.relay_addr), |_, addrs| {
            crate::toy::Toy::new(addrs)
        })
        .expect_err("the port is taken");
    assert!(
        error.to_string().contains(&format!("UDP port {}", first.relay_addr.port())),
        "{error}"
    );
}

#[test]
fn a_machine_that_cannot_be_made_is_an_error_of_the_spawn() {
    let none = ShardConfig::new("none", None, any_port());
    let failed = node_io::try_spawn_shard(none.clone(), |_, _| Err::<crate::toy::Toy, _>("no key"));
    assert_eq!(failed.expect_err("fails").to_string(), "no key");
    let panicked = node_io::spawn_shard::<crate::toy::Toy, _, _>(none, |_, _| panic!("as ordered"));
    assert!(panicked.expect_err("fails").to_string().contains("panicked"));
}

#[tokio::test]
async fn taken_outputs_go_on_without_the_handle_having_them() {
    let mut shard = started(config()).await;
    let mut outputs = shard.take_outputs();
    shard.commands.try_send(Order::Count(1)).unwrap();
    assert_eq!(outputs.recv().await, Some(Said::Number(0)));
    assert_eq!(shard.outputs.recv().await, None);
}
