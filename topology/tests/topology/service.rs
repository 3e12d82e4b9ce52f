//! The service over loopback QUIC with real certificates.

use crate::world::{near, record, region};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use relay_proto::NodeId;
use rustls::pki_types::PrivateKeyDer;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use topology::model::*;
use topology::protocol::*;
use topology::service::*;

const DOMAIN: &str = "mesh.test";
/// Longer than any of this takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, path: &str) -> TlsIdentity {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let uri = format!("spiffe://{DOMAIN}/{path}");
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        TlsIdentity::new(
            vec![cert.der().clone()],
            der,
            vec![self.0.as_ref().der().clone()],
        )
    }
}

/// A service that can be stopped and started again on the same port and directory.
struct Cluster {
    ca: Ca,
    dir: tempfile::TempDir,
    service: Option<Service>,
    address: SocketAddr,
}

impl Cluster {
    async fn start() -> Self {
        let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
        let service = start(&ca, dir.path(), "127.0.0.1:0".parse().unwrap()).await;
        let address = service.local_addr();
        Self {
            ca,
            dir,
            service: Some(service),
            address,
        }
    }

    async fn stop(&mut self) {
        self.service.take().unwrap().stop().await.unwrap();
    }

    async fn resume(&mut self) {
        self.service = Some(start(&self.ca, self.dir.path(), self.address).await);
    }

    fn client(&self, path: &str) -> TopologyClient {
        self.client_with(self.ca.issue(path))
    }

    fn client_with(&self, identity: TlsIdentity) -> TopologyClient {
        let config = ClientConfig {
            addrs: vec![self.address],
            identity,
            trust_domain: DOMAIN.into(),
        };
        TopologyClient::connect(config).unwrap()
    }

    /// A registered origin node of instance 1.
    async fn origin(&self, id: u32, at: &str) -> TopologyClient {
        let client = self.client(&format!("node/{at}/{id}"));
        client
            .register(record(id, Role::Origin, at, 1))
            .await
            .unwrap();
        client
    }
}

async fn start(ca: &Ca, dir: &Path, address: SocketAddr) -> Service {
    let config = ServiceConfig {
        identity: ca.issue("topology/t1"),
        trust_domain: DOMAIN.into(),
        state_dir: dir.to_owned(),
        rtt: RttTable::default().with(region("eu"), region("us"), 80_000),
    };
    Service::start(config, bind(address).await).await.unwrap()
}

/// The tasks of the service before let go of its socket on the runtime's next turns.
async fn bind(address: SocketAddr) -> UdpSocket {
    let free = async {
        loop {
            match UdpSocket::bind(address) {
                Ok(socket) => return socket,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap()
}

/// The first view for which `holds`.
async fn until(
    client: &TopologyClient,
    holds: impl Fn(&TopologyView) -> bool,
) -> Arc<TopologyView> {
    let mut view = client.watch();
    let found = tokio::time::timeout(PATIENCE, view.wait_for(|v| holds(v))).await;
    let found = found.unwrap_or_else(|_| panic!("never seen; last: {:?}", client.view()));
    found.unwrap().clone()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, CallError>) -> Refusal {
    match result {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_created_meeting_is_seen_by_every_watcher() {
    let c = Cluster::start().await;
    let _nodes = (c.origin(1, "eu").await, c.origin(2, "us").await);
    let watchers: Vec<_> = (0..20)
        .map(|i| c.client(&format!("operator/w{i}")))
        .collect();
    for w in &watchers {
        w.live(PATIENCE).await.unwrap();
    }
    let m = watchers[0].create_meeting(near("eu")).await.unwrap();
    assert_eq!((m.origin, m.standby), (NodeId(1), Some(NodeId(2))));
    for w in &watchers {
        let view = until(w, |v| v.meeting(m.id).is_some()).await;
        assert_eq!(**view.meeting(m.id).unwrap(), m);
        assert_eq!(view.nodes.len(), 2);
    }
    watchers[1].end_meeting(m.id).await.unwrap();
    until(&watchers[2], |v| v.meeting(m.id).is_some_and(|m| m.ended)).await;
}

#[tokio::test]
async fn a_restart_keeps_meetings_and_clients_come_back() {
    let mut c = Cluster::start().await;
    let node = c.origin(1, "eu").await;
    let m = node.create_meeting(near("eu")).await.unwrap();
    until(&node, |v| v.meeting(m.id).is_some()).await;

    c.stop().await;
    let cached = until(&node, |v| !v.live).await;
    assert!(
        cached.meeting(m.id).is_some(),
        "the cache outlives the service"
    );

    c.resume().await;
    let view = until(&node, |v| v.live && v.node(NodeId(1)).is_some()).await;
    assert_eq!(
        **view.meeting(m.id).unwrap(),
        m,
        "same placement, same epoch"
    );
    assert_eq!(view.node(NodeId(1)).unwrap().state, NodeState::Online);
    let again = node.create_meeting(near("eu")).await.unwrap();
    assert_ne!(again.id, m.id);
}

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
async fn a_call_made_during_an_outage_is_answered_after_it() {
    let mut c = Cluster::start().await;
    let node = c.origin(1, "eu").await;
    c.stop().await;
    let caller = node.clone();
    let call = tokio::spawn(async move { caller.call_within(Request::Status, PATIENCE).await });
    c.resume().await;
    assert!(matches!(call.await.unwrap().unwrap(), Reply::Status(s) if s.nodes == 1));
}

#[tokio::test]
async fn a_silent_origin_is_replaced_by_its_standby_and_may_come_back() {
    let c = Cluster::start().await;
    let (first, second) = (c.origin(1, "eu").await, c.origin(2, "us").await);
    let m = second.create_meeting(near("eu")).await.unwrap();
    assert_eq!(m.origin, NodeId(1));
    drop(first);
    let view = until(&second, |v| {
        v.meeting(m.id).is_some_and(|now| now.epoch > m.epoch)
    })
    .await;
    assert_eq!(view.node(NodeId(1)).unwrap().state, NodeState::Down);
    let now = view.meeting(m.id).unwrap();
    assert_eq!((now.origin, now.standby, now.epoch.0), (NodeId(2), None, 4));

    let _again = c.origin(1, "eu").await;
    let view = until(&second, |v| {
        v.meeting(m.id).is_some_and(|m| m.standby.is_some())
    })
    .await;
    assert_eq!(view.meeting(m.id).unwrap().epoch.0, 6);
}

#[tokio::test]
async fn a_goodbye_moves_meetings_at_once() {
    let c = Cluster::start().await;
    let (first, second) = (c.origin(1, "eu").await, c.origin(2, "us").await);
    let m = second.create_meeting(near("eu")).await.unwrap();
    let start = tokio::time::Instant::now();
    first.goodbye().await.unwrap();
    until(&second, |v| {
        v.meeting(m.id).is_some_and(|m| m.origin == NodeId(2))
    })
    .await;
    assert!(start.elapsed() < topology::limits::SUSPECT_AFTER);
}

#[tokio::test]
async fn the_standby_may_take_over_and_a_stranger_may_not() {
    let c = Cluster::start().await;
    let (_first, standby) = (c.origin(1, "eu").await, c.origin(2, "us").await);
    let stranger = c.origin(3, "us").await;
    let spec = MeetingSpec {
        origin_region: Some(region("eu")),
        ..MeetingSpec::default()
    };
    let m = standby.create_meeting(spec).await.unwrap();
    let (takes, other) = if m.standby == Some(NodeId(2)) {
        (&standby, &stranger)
    } else {
        (&stranger, &standby)
    };
    let ask = || Request::ReplaceOrigin {
        request: TopologyClient::request_id().unwrap(),
        meeting: m.id,
        from_epoch: m.epoch,
        to: m.standby,
    };
    assert!(matches!(
        refusal(other.call(ask()).await),
        Refusal::NotAllowed { .. }
    ));
    takes.call(ask()).await.unwrap();
    assert!(matches!(
        refusal(takes.call(ask()).await),
        Refusal::Apply(ApplyError::StaleEpoch { .. }) | Refusal::NotAllowed { .. }
    ));
}

#[tokio::test]
async fn a_client_of_another_ca_is_refused_and_refuses_the_service() {
    let c = Cluster::start().await;
    // A stranger that trusts the cluster's CA, so that the service is the one to refuse.
    let mut stranger = Ca::new().issue("operator/eve");
    stranger.ca = c.ca.issue("operator/x").ca;
    for identity in [stranger, Ca::new().issue("operator/eve")] {
        let client = c.client_with(identity);
        let result = client
            .call_within(Request::Status, Duration::from_secs(1))
            .await;
        match result {
            Err(CallError::Unreachable { last, .. }) => {
                assert!(
                    last.contains("certificate") || last.contains("CA"),
                    "{last}"
                );
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
    let fake = Service::start(config, UdpSocket::bind("127.0.0.1:0").unwrap())
        .await
        .unwrap();
    let client = TopologyClient::connect(ClientConfig {
        addrs: vec![fake.local_addr()],
        identity: ca.issue("operator/alice"),
        trust_domain: DOMAIN.into(),
    })
    .unwrap();
    let result = client
        .call_within(Request::Status, Duration::from_secs(1))
        .await;
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("not a topology service")
    );
}

#[tokio::test]
async fn a_node_speaks_only_for_itself() {
    let c = Cluster::start().await;
    let client = c.client("node/eu/1");
    for wrong in [
        record(2, Role::Origin, "eu", 1),
        record(1, Role::Origin, "us", 1),
    ] {
        assert!(matches!(
            refusal(client.register(wrong).await),
            Refusal::NotAllowed { .. }
        ));
    }
    client
        .register(record(1, Role::Origin, "eu", 1))
        .await
        .unwrap();
    let drain = Request::Drain {
        request: TopologyClient::request_id().unwrap(),
        node: NodeId(2),
        on: true,
    };
    assert!(matches!(
        refusal(client.call(drain).await),
        Refusal::NotAllowed { .. }
    ));
    let operator = c.client("operator/alice");
    let me = record(1, Role::Origin, "eu", 1);
    assert!(matches!(
        refusal(operator.register(me).await),
        Refusal::NotAllowed { .. }
    ));
}

#[tokio::test]
async fn a_second_process_with_the_same_number_fences_the_first() {
    let c = Cluster::start().await;
    let old = c.origin(1, "eu").await;
    let new = c.client("node/eu/1");
    new.register(record(1, Role::Origin, "eu", 2))
        .await
        .unwrap();
    let mut state = old.registration();
    let replaced = state.wait_for(|r| *r == Registration::Replaced);
    tokio::time::timeout(PATIENCE, replaced)
        .await
        .unwrap()
        .unwrap();
    let view = until(&new, |v| {
        v.node(NodeId(1)).is_some_and(|n| n.record.instance == 2)
    })
    .await;
    assert_eq!(view.node(NodeId(1)).unwrap().state, NodeState::Online);
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
        assert!(
            matches!(response, Err(Refusal::Malformed(_))),
            "{response:?}"
        );
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
    endpoint
        .connect(c.address, "topology")
        .unwrap()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_watcher_that_falls_behind_gets_a_new_snapshot() {
    let c = Cluster::start().await;
    let _node = c.origin(1, "eu").await;
    let raw = raw_connection(&c, &c.ca.issue("operator/slow")).await;
    let (mut send, mut recv) = raw.open_bi().await.unwrap();
    send.write_all(&encode(&Request::Watch).unwrap())
        .await
        .unwrap();
    let first = next_item(&mut recv).await;
    assert!(
        matches!(first, Some(WatchItem::SnapshotBegin { .. })),
        "{first:?}"
    );

    let operator = c.client("operator/busy");
    let start = tokio::time::Instant::now();
    // One after the other, so that every one is an update of its own.
    for i in 0..2 * topology::limits::WATCH_BACKLOG {
        let request = TopologyClient::request_id().unwrap();
        let drain = Request::Drain {
            request,
            node: NodeId(1),
            on: i % 2 == 0,
        };
        operator.call_within(drain, PATIENCE).await.unwrap();
    }
    let last = operator.call(Request::Status).await.unwrap();
    let Reply::Status(last) = last else {
        panic!("{last:?}")
    };

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
    assert!(matches!(
        second,
        Err(ServiceError::Store(StoreError::InUse(_)))
    ));
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
    assert!(
        matches!(
            damaged,
            Err(ServiceError::Store(StoreError::Corrupt { .. }))
        ),
        "{damaged:?}"
    );
}

#[tokio::test]
async fn a_large_state_reaches_a_new_watcher_in_parts() {
    let c = Cluster::start().await;
    let node = c.origin(1, "eu").await;
    let mut pending = tokio::task::JoinSet::new();
    for _ in 0..600 {
        let node = node.clone();
        pending.spawn(async move { node.create_meeting(near("eu")).await.unwrap() });
    }
    assert_eq!(pending.join_all().await.len(), 600);
    let late = c.client("operator/late");
    let view = late.live(PATIENCE).await.unwrap();
    assert_eq!(view.meetings.len(), 600);
}

#[test]
fn identities_are_read_strictly() {
    let of = |uri: &str| Identity::of_uri(uri, DOMAIN);
    let node = Identity::Node {
        region: region("eu"),
        node: NodeId(7),
    };
    assert_eq!(of("spiffe://mesh.test/node/eu/7"), Ok(node.clone()));
    assert_eq!(node.uri(DOMAIN), "spiffe://mesh.test/node/eu/7");
    assert_eq!(
        of("spiffe://mesh.test/operator/alice"),
        Ok(Identity::Operator("alice".into()))
    );
    for bad in [
        "node/eu/07",
        "node/eu/0",
        "node/eu/4096",
        "node/EU/7",
        "node/eu/7/x",
        "operator/",
        "",
    ] {
        let uri = format!("spiffe://mesh.test/{bad}");
        assert!(
            matches!(of(&uri), Err(IdentityError::UnknownForm(_))),
            "{bad}"
        );
    }
    assert!(matches!(
        of("spiffe://other/node/eu/7"),
        Err(IdentityError::OtherDomain { .. })
    ));
}
