//! The emulator between real sockets.

use super::*;
use simulator::link_model::Loss;
use std::net::{Ipv4Addr, UdpSocket};

const NEAR: &str = "eu-west-1";
const FAR: &str = "us-east-1";

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("timeout");
    socket
}

fn proxy() -> WanProxy {
    WanProxy::start(default_matrix().expect("matrix"), false).expect("start")
}

/// A client in FAR, a node in NEAR, and the front between them.
struct Pair {
    proxy: WanProxy,
    client: UdpSocket,
    node: UdpSocket,
    front: SocketAddr,
}

fn pair() -> Pair {
    let (proxy, client, node) = (proxy(), socket(), socket());
    let front = proxy.front(FAR, "edge-1", NEAR, node.local_addr().expect("addr")).expect("front");
    Pair { proxy, client, node, front }
}

fn one_way() -> Duration {
    let matrix = default_matrix().expect("matrix");
    let [far, near] = [FAR, NEAR].map(|r| matrix.index_of(r).expect("known"));
    matrix.one_way(far, near).expect("known")
}

#[test]
fn a_datagram_takes_half_the_round_trip_each_way() {
    let Pair { proxy: _running, client, node, front } = pair();
    let (mut buffer, mut trips) = ([0; 64], Vec::new());
    for _ in 0..9 {
        let sent = Instant::now();
        client.send_to(b"ping", front).expect("send");
        let (len, session) = node.recv_from(&mut buffer).expect("there");
        let there = sent.elapsed();
        assert_eq!(&buffer[..len], b"ping");
        node.send_to(b"pong!", session).expect("send");
        let (len, from) = client.recv_from(&mut buffer).expect("back");
        assert_eq!(
            (&buffer[..len], from),
            (&b"pong!"[..], front),
            "the answer comes from the front"
        );
        trips.push((there, sent.elapsed()));
    }
    assert!(
        trips.iter().all(|(there, back)| *there >= one_way() && *back >= 2 * one_way()),
        "{trips:?}"
    );
    trips.sort();
    // The median: this may be a busy machine.
    let (there, back) = trips[trips.len() / 2];
    assert!(there < one_way() + Duration::from_millis(10), "{there:?} instead of {:?}", one_way());
    assert!(back < 2 * one_way() + Duration::from_millis(20), "{back:?}");
}

#[test]
fn bytes_are_counted_by_direction_exactly() {
    let Pair { proxy, client, node, front } = pair();
    let mut buffer = [0; 2_048];
    let mut session = None;
    for i in 1..=50 {
        client.send_to(&buffer[..i], front).expect("send");
    }
    for i in 1..=50 {
        let (len, from) = node.recv_from(&mut buffer).expect("there");
        assert_eq!(len, i, "in order");
        session = Some(from);
    }
    node.send_to(&[7; 1_200], session.expect("a session")).expect("send");
    assert_eq!(client.recv(&mut buffer).expect("back"), 1_200);
    let up = proxy.counters(FAR, NEAR).expect("pair").link;
    let down = proxy.counters(NEAR, FAR).expect("pair").link;
    assert_eq!((up.delivered, up.delivered_bytes), (50, (1..=50).sum()));
    assert_eq!((down.delivered, down.delivered_bytes), (1, 1_200));
    assert_eq!(proxy.all_counters().len(), 2);
}

#[test]
fn a_change_applies_at_once_and_to_one_direction() {
    let Pair { proxy, client, node, front } = pair();
    let mut buffer = [0; 64];
    proxy.set(FAR, NEAR, LinkParams::delay(Duration::ZERO)).expect("set");
    let sent = Instant::now();
    client.send_to(b"fast", front).expect("send");
    let (_, session) = node.recv_from(&mut buffer).expect("there");
    assert!(sent.elapsed() < one_way());
    let lossy = LinkChange { loss: Some(Loss::Random { p: 1.0 }), ..LinkChange::default() };
    proxy.change(FAR, NEAR, lossy).expect("change");
    client.send_to(b"lost", front).expect("send");
    proxy.isolate(NEAR, true).expect("isolate");
    node.send_to(b"cut", session).expect("send");
    proxy.wait_for(|p| p.counters(NEAR, FAR).expect("pair").link.down_dropped == 1);
    proxy.isolate(NEAR, false).expect("join");
    let params = proxy.reset(FAR, NEAR).expect("reset");
    assert_eq!(params.delay_us, one_way().as_micros() as u64);
    client.send_to(b"again", front).expect("send");
    assert_eq!(node.recv(&mut buffer).expect("there"), 5, "the lost one never comes");
    let link = proxy.counters(FAR, NEAR).expect("pair").link;
    assert_eq!((link.offered, link.delivered), (3, 2));
    assert_eq!(
        link.lost + link.down_dropped,
        1,
        "the emulator may have met the loss or the cut first"
    );
}

impl WanProxy {
    /// Waits, bounded, for what another thread is about to do.
    fn wait_for(&self, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < Duration::from_secs(10), "it never happened");
            std::thread::yield_now();
        }
    }
}

#[test]
fn most_datagrams_leave_within_a_millisecond_of_their_time() {
    let Pair { proxy, client, node, front } = pair();
    let (count, mut buffer) = (200, [0; 64]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // 1,000 a second: the waiting is done by a socket that nothing is sent to.
            let pacer = socket();
            pacer.set_read_timeout(Some(Duration::from_millis(1))).expect("timeout");
            for _ in 0..count {
                client.send_to(&[1; 60], front).expect("send");
                let _ = pacer.recv(&mut [0; 1]);
            }
        });
        for _ in 0..count {
            node.recv(&mut buffer).expect("there");
        }
    });
    let timing = proxy.timing();
    println!("{timing:?}, {} us late on average", timing.late_us_mean());
    assert_eq!(timing.sent, count);
    // The median: a virtual machine that stops for 50 ms is late for everything due meanwhile.
    assert!(timing.late_over_1ms < count / 2, "{timing:?}");
}

#[test]
fn each_client_has_its_own_session_and_a_restarted_node_is_found_again() {
    let Pair { proxy, client, node, front } = pair();
    let (other, mut buffer) = (socket(), [0; 64]);
    client.send_to(b"a", front).expect("send");
    let (_, first) = node.recv_from(&mut buffer).expect("there");
    other.send_to(b"b", front).expect("send");
    let (_, second) = node.recv_from(&mut buffer).expect("there");
    assert_ne!(first, second);
    node.send_to(b"to b", second).expect("send");
    assert_eq!(other.recv(&mut buffer).expect("back"), 4);

    let reborn = socket();
    drop(node);
    let again =
        proxy.front(FAR, "edge-1", NEAR, reborn.local_addr().expect("addr")).expect("front");
    assert_eq!(again, front, "nobody needs to learn a new address");
    client.send_to(b"hello", front).expect("send");
    assert_eq!(reborn.recv(&mut buffer).expect("there"), 5);
}

#[test]
fn a_node_that_is_away_does_not_disturb_the_others() {
    let Pair { proxy, client, node, front } = pair();
    let mut buffer = [0; 64];
    let away = socket().local_addr().expect("addr"); // Closed at once.
    let dead = proxy.front(FAR, "edge-2", NEAR, away).expect("front");
    for _ in 0..5 {
        client.send_to(b"x", dead).expect("send");
    }
    client.send_to(b"alive", front).expect("send");
    assert_eq!(node.recv(&mut buffer).expect("there"), 5);
}

#[test]
fn sessions_behind_a_front_are_bounded() {
    let Pair { proxy, front, .. } = pair();
    let clients: Vec<_> = (0..70).map(|_| socket()).collect();
    for client in &clients {
        client.send_to(b"x", front).expect("send");
    }
    proxy.wait_for(|p| {
        let c = p.counters(FAR, NEAR).expect("pair");
        (c.link.offered, c.overflowed) == (64, 6)
    });
}

#[test]
fn switched_off_it_stands_nowhere() {
    let off = WanProxy::start(default_matrix().expect("matrix"), true).expect("start");
    let addr = SocketAddr::from(([127, 0, 0, 1], 4_433));
    assert_eq!(off.front(FAR, "edge-1", NEAR, addr).expect("front"), addr);
    assert!(matches!(off.counters(FAR, NEAR), Err(WanError::Off)));
}

#[test]
fn an_unknown_region_is_named() {
    let error = proxy().params("atlantis", NEAR).expect_err("unknown");
    assert!(error.to_string().contains("atlantis"));
}
