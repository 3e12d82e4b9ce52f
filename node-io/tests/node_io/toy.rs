//! A toy machine: echoes datagrams backwards, bursts and fires on command.

use node_io::{ShardAddrs, ShardConfig, ShardHandle, spawn_shard};
use relay_proto::machine::{Machine, Outbox, Progress, ShardInput, Socket};
use relay_proto::time::Now;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// What the toy is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Send `count` datagrams of `len` bytes, a slice at a time.
    Burst { dest: SocketAddr, count: usize, len: usize },
    /// Send a datagram to each, one byte longer than the one before.
    Spread(Vec<SocketAddr>),
    /// Fire after this long.
    Arm(Duration),
    /// Say `Number(0)`, `Number(1)`, ...
    Count(usize),
    /// Say which wall clock it was told.
    TellTime,
    /// Fail.
    Panic,
}

/// What the toy says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Started(ShardAddrs),
    Got(Socket, SocketAddr, usize),
    Fired { early: bool, late: Duration },
    Number(usize),
    Time(Now),
}

pub(crate) struct Toy {
    greeting: Option<ShardAddrs>,
    armed: Option<Instant>,
    burst: Option<(SocketAddr, usize, usize)>,
}

impl Toy {
    pub(crate) fn new(addrs: ShardAddrs) -> Self {
        Self { greeting: Some(addrs), armed: None, burst: None }
    }
}

impl Machine for Toy {
    type Input<'a> = ShardInput<'a, Order>;
    type Output = Said;

    fn handle(&mut self, now: Now, input: Self::Input<'_>, out: &mut Outbox<Said>) {
        match input {
            ShardInput::Datagram { socket, from, ecn, data } => {
                // Long ones are bursts of another toy: no ping-pong.
                if data.len() < 1_000 {
                    data.reverse();
                    out.net.send(socket, from, ecn, data);
                }
                out.events.push(Said::Got(socket, from, data.len()));
            }
            ShardInput::Command(Order::Burst { dest, count, len }) => {
                self.burst = Some((dest, count, len))
            }
            ShardInput::Command(Order::Spread(dests)) => {
                for (i, dest) in dests.into_iter().enumerate() {
                    out.net.send(Socket::Relay, dest, 0, &vec![i as u8; 100 + i]);
                }
            }
            ShardInput::Command(Order::Arm(after)) => self.armed = Some(now.mono + after),
            ShardInput::Command(Order::Count(n)) => out.events.extend((0..n).map(Said::Number)),
            ShardInput::Command(Order::TellTime) => out.events.push(Said::Time(now)),
            ShardInput::Command(Order::Panic) => panic!("as ordered"),
        }
    }

    fn flush(&mut self, _: Now, out: &mut Outbox<Said>) -> Progress {
        out.events.extend(self.greeting.take().map(Said::Started));
        while let Some((dest, count, len)) = self.burst.take_if(|b| b.1 > 0) {
            if out.is_full() {
                self.burst = Some((dest, count, len));
                return Progress::More;
            }
            out.net.send(Socket::Relay, dest, 0, &vec![count as u8; len]);
            self.burst = Some((dest, count - 1, len));
        }
        Progress::Done
    }

    fn on_deadline(&mut self, now: Now, out: &mut Outbox<Said>) {
        if let Some(at) = self.armed.take() {
            let late = now.mono.saturating_duration_since(at);
            out.events.push(Said::Fired { early: now.mono < at, late });
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.armed
    }
}

pub(crate) type ToyShard = ShardHandle<Order, Said>;

pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn config() -> ShardConfig {
    ShardConfig::new("toy", Some(any_port()), any_port())
}

pub(crate) fn spawn(config: ShardConfig) -> ToyShard {
    spawn_shard(config, |_, addrs| Toy::new(addrs)).expect("shard")
}

/// The next thing the shard says; a hang is a failure.
pub(crate) async fn next(shard: &mut ToyShard) -> Option<Said> {
    tokio::time::timeout(Duration::from_secs(10), shard.outputs.recv())
        .await
        .expect("the shard says something")
}

/// A shard that has started.
pub(crate) async fn started(config: ShardConfig) -> ToyShard {
    let mut shard = spawn(config);
    assert!(matches!(next(&mut shard).await, Some(Said::Started(_))));
    shard
}

/// A plain socket without offloads.
pub(crate) fn plain_socket() -> UdpSocket {
    let socket = UdpSocket::bind(any_port()).expect("bind");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    socket
}
