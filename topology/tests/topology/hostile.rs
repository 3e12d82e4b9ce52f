//! Strangers, broken bytes, slow readers, damaged files.

use crate::cluster::{Ca, Cluster, DOMAIN, PATIENCE, refusal, until};
use crate::world::{near, record, region};
use relay_proto::NodeId;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;
use topology::model::*;
use topology::protocol::*;
use topology::service::*;

#[tokio::test]
async fn a_service_that_dies_without_a_word_has_kept_what_it_acknowledged() {
    let mut c = Cluster::start().await;
    let node = c.origin(1, "eu").await;
    let m = node.create_meeting(near("eu")).await.unwrap();
    drop(c.service.take());
    c.resume().await;
    let view = until(&node, |v| v.live).await;
    assert_eq!(**view.meeting(m.id).unwrap(), m);
}

#[tokio::test]
async fn a_client_of_another_ca_is_refused_and_refuses_the_service() {
    let c = Cluster::start().await;
    // A stranger that trusts the cluster's CA, so that the service is the one to refuse.
    let mut stranger = Ca::new().issue("operator/eve");
    stranger.ca = c.ca.issue("operator/x").ca;
    for identity in [stranger, Ca::new().issue("operator/eve")] {
        let client = c.client_with(identity);
        let result = client.call_within(Request::Status, Duration::from_secs(1)).await;
        match result {
            Err(CallError::Unreachable { last, .. }) => {
                assert!(last.contains("certificate") || last.contains("CA"), "{last}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_does_not_take_a_node_for_the_service() {
    let ca = Ca::new();
    let dir = tempfile::tempdir().unwrap();
    let config = ServiceConfig {
        identity: ca.issue("node/eu/1"),
        trust_domain: DOMAIN.into(),
        state_dir: dir.path().to_owned(),
        rtt: RttTable::default(),
    };
    let fake = Service::start(config, UdpSocket::bind("127.0.0.1:0").unwrap()).await.unwrap();
    let client = TopologyClient::connect(ClientConfig {
        addrs: vec![fake.local_addr()],
        identity: ca.issue("operator/alice"),
        trust_domain: DOMAIN.into(),
    })
    .unwrap();
    let result = client.call_within(Request::Status, Duration::from_secs(1)).await;
    assert!(result.unwrap_err().to_string().contains("not a topology service"));
}

#[tokio::test]
async fn a_node_speaks_only_for_itself() {
    let c = Cluster::start().await;
    let client = c.client("node/eu/1");
    for wrong in [record(2, Role::Origin, "eu", 1), record(1, Role::Origin, "us", 1)] {
        assert!(matches!(refusal(client.register(wrong).await), Refusal::NotAllowed { .. }));
    }
    client.register(record(1, Role::Origin, "eu", 1)).await.unwrap();
    let drain = Request::Drain {
        request: TopologyClient::request_id().unwrap(),
        node: NodeId(2),
        on: true,
    };
    assert!(matches!(refusal(client.call(drain).await), Refusal::NotAllowed { .. }));
    let operator = c.client("operator/alice");
    let me = record(1, Role::Origin, "eu", 1);
    assert!(matches!(refusal(operator.register(me).await), Refusal::NotAllowed { .. }));
}

#[tokio::test]
async fn oversize_and_garbled_requests_are_refused_and_harm_nobody() {
    let c = Cluster::start().await;
    let identity = c.ca.issue("operator/alice");
    let raw = raw_connection(&c, &identity).await;
    for bytes in [
        &[0x7f, 0xff, 0xff, 0xff, 1][..],
        &[0, 0, 0, 2, 1, 10, 10],
        &[0, 0, 0, 1, 9, 10],
        &[0, 0, 0, 1, 1, 200],
    ] {
        let (mut send, mut recv) = raw.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        send.finish().unwrap();
        let answer = recv.read_to_end(4_096).await.unwrap();
        let response: Response = decode(&answer[HEADER_BYTES..]).unwrap();
        assert!(matches!(response, Err(Refusal::Malformed(_))), "{response:?}");
    }
    let client = c.client("operator/alice");
    assert!(client.call(Request::Status).await.is_ok());
    let reports = vec![
        OccupancyReport {
            meeting: relay_proto::MeetingId(u64::MAX),
            occupancy: Occupancy::default()
        };
        4_000
    ];
    let large = client.call(Request::ReportOccupancy { reports }).await;
    assert!(matches!(large, Err(CallError::Frame(_))));
}

/// A connection without the client, for bytes a client would not send.
async fn raw_connection(c: &Cluster, identity: &TlsIdentity) -> quinn::Connection {
    let mut config = client_config(identity, DOMAIN).unwrap();
    // A small window: who does not read does not receive.
    let mut transport = quinn::TransportConfig::default();
    transport
        .stream_receive_window(4_096u32.into())
        .keep_alive_interval(Some(Duration::from_secs(1)));
    config.transport_config(Arc::new(transport));
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(config);
    endpoint.connect(c.address, "topology").unwrap().await.unwrap()
}

#[tokio::test]
async fn a_watcher_that_falls_behind_gets_a_new_snapshot() {
    let c = Cluster::start().await;
    let _node = c.origin(1, "eu").await;
    let raw = raw_connection(&c, &c.ca.issue("operator/slow")).await;
    let (mut send, mut recv) = raw.open_bi().await.unwrap();
    send.write_all(&encode(&Request::Watch).unwrap()).await.unwrap();
    let first = next_item(&mut recv).await;
    assert!(matches!(first, Some(WatchItem::SnapshotBegin { .. })), "{first:?}");

    let operator = c.client("operator/busy");
    let start = tokio::time::Instant::now();
    // One after the other, so that every one is an update of its own.
    for i in 0..2 * topology::limits::WATCH_BACKLOG {
        let request = TopologyClient::request_id().unwrap();
        let drain = Request::Drain { request, node: NodeId(1), on: i % 2 == 0 };
        operator.call_within(drain, PATIENCE).await.unwrap();
    }
    let last = operator.call(Request::Status).await.unwrap();
    let Reply::Status(last) = last else { panic!("{last:?}") };

    let mut snapshots = 0;
    loop {
        match next_item(&mut recv).await {
            Some(WatchItem::SnapshotBegin { .. }) => snapshots += 1,
            Some(WatchItem::Update { revision, .. } | WatchItem::SnapshotEnd { revision })
                if revision >= last.revision =>
            {
                return assert!(snapshots >= 1, "the lost updates were not made good");
            }
            Some(_) => {}
            // On a machine this slow the service gave the reader up instead; the client then connects again.
            None => return assert!(start.elapsed() >= topology::limits::WATCH_SILENCE_MAX),
        }
    }
}

/// The next item, or nothing when the stream has ended.
async fn next_item(recv: &mut quinn::RecvStream) -> Option<WatchItem> {
    let mut header = [0; HEADER_BYTES];
    recv.read_exact(&mut header).await.ok()?;
    let mut body = vec![0; body_length(header, topology::limits::FRAME_BYTES_MAX).unwrap()];
    recv.read_exact(&mut body).await.ok()?;
    Some(decode(&body).unwrap())
}

#[tokio::test]
async fn two_services_cannot_share_a_state_directory() {
    let c = Cluster::start().await;
    let config = ServiceConfig {
        identity: c.ca.issue("topology/t2"),
        trust_domain: DOMAIN.into(),
        state_dir: c.dir.path().to_owned(),
        rtt: RttTable::default(),
    };
    let second = Service::start(config, UdpSocket::bind("127.0.0.1:0").unwrap()).await;
    assert!(matches!(second, Err(ServiceError::Store(StoreError::InUse(_)))));
}

#[tokio::test]
async fn a_torn_write_is_cut_off_and_damage_inside_is_reported() {
    let mut c = Cluster::start().await;
    let node = c.origin(1, "eu").await;
    let m = node.create_meeting(near("eu")).await.unwrap();
    c.stop().await;
    let log = c.dir.path().join("commands.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend_from_slice(&[40, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&log, &bytes).unwrap();
    c.resume().await;
    let view = until(&node, |v| v.live).await;
    assert!(view.meeting(m.id).is_some());
    c.stop().await;

    let mut bytes = std::fs::read(&log).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let config = ServiceConfig {
        identity: c.ca.issue("topology/t1"),
        trust_domain: DOMAIN.into(),
        state_dir: c.dir.path().to_owned(),
        rtt: RttTable::default(),
    };
    let damaged = Service::start(config, UdpSocket::bind("127.0.0.1:0").unwrap()).await;
    assert!(matches!(damaged, Err(ServiceError::Store(StoreError::Corrupt { .. }))), "{damaged:?}");
}

#[test]
fn identities_are_read_strictly() {
    let of = |uri: &str| Identity::of_uri(uri, DOMAIN);
    let node = Identity::Node { region: region("eu"), node: NodeId(7) };
    assert_eq!(of("spiffe://mesh.test/node/eu/7"), Ok(node.clone()));
    assert_eq!(node.uri(DOMAIN), "spiffe://mesh.test/node/eu/7");
    assert_eq!(of("spiffe://mesh.test/operator/alice"), Ok(Identity::Operator("alice".into())));
    for bad in
        ["node/eu/07", "node/eu/0", "node/eu/4096", "node/EU/7", "node/eu/7/x", "operator/", ""]
    {
        let uri = format!("spiffe://mesh.test/{bad}");
        assert!(matches!(of(&uri), Err(IdentityError::UnknownForm(_))), "{bad}");
    }
    assert!(matches!(of("spiffe://other/node/eu/7"), Err(IdentityError::OtherDomain { .. })));
}
