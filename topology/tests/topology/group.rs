//! A group of three members over loopback: any of them serves, one may die, one may come back, one may be lost.

use crate::cluster::{Ca, DOMAIN, PATIENCE, bind, until};
use crate::world::{near, record, region};
use relay_proto::NodeId;
use std::net::SocketAddr;
use topology::model::*;
use topology::protocol::*;
use topology::service::*;

/// A member that can be stopped and started again.
struct Seat {
    dir: tempfile::TempDir,
    address: SocketAddr,
    identity: TlsIdentity,
    group: Option<Group>,
}

impl Seat {
    async fn take(ca: &Ca, name: &str) -> Self {
        let identity = ca.issue(&format!("topology/{name}"));
        let mut seat = Self {
            dir: tempfile::tempdir().unwrap(),
            address: "127.0.0.1:0".parse().unwrap(),
            identity,
            group: None,
        };
        seat.start().await;
        seat.address = seat.group().local_addr();
        seat
    }

    async fn start(&mut self) {
        let config = GroupConfig {
            identity: self.identity.clone(),
            trust_domain: DOMAIN.into(),
            state_dir: self.dir.path().to_owned(),
            rtt: RttTable::default().with(region("eu"), region("us"), 80_000),
            region: "eu".to_owned(),
            advertise: None,
            profile: Profile::Lan,
        };
        self.group = Some(Group::start(config, bind(self.address).await).await.unwrap());
    }

    async fn stop(&mut self) {
        self.group.take().unwrap().stop().await.unwrap();
    }

    fn group(&self) -> &Group {
        self.group.as_ref().unwrap()
    }
}

struct Three {
    ca: Ca,
    seats: Vec<Seat>,
}

impl Three {
    /// Three members that were just started, and know nothing of each other.
    async fn strangers() -> Self {
        let ca = Ca::new();
        let mut seats = Vec::new();
        for name in ["t1", "t2", "t3"] {
            seats.push(Seat::take(&ca, name).await);
        }
        Self { ca, seats }
    }

    async fn start() -> Self {
        let three = Self::strangers().await;
        let others = three.seats[1..].iter().map(|s| s.address).collect();
        let status = three.members(0, MembersRequest::Init { others }).await.unwrap();
        assert_eq!(status.members.iter().filter(|m| m.voter).count(), 3);
        three
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.seats.iter().map(|s| s.address).collect()
    }

    /// A client that tries `first` first, then all others.
    fn client(&self, path: &str, first: usize) -> TopologyClient {
        let mut addrs = self.addresses();
        addrs.rotate_left(first);
        self.client_of(path, addrs)
    }

    fn client_of(&self, path: &str, addrs: Vec<SocketAddr>) -> TopologyClient {
        let identity = self.ca.issue(path);
        let config = ClientConfig { addrs, identity, trust_domain: DOMAIN.into() };
        TopologyClient::connect(config).unwrap()
    }

    async fn origin(&self, id: u32, at: &str, first: usize) -> TopologyClient {
        let client = self.client(&format!("node/{at}/{id}"), first);
        client.register(record(id, Role::Origin, at, 1)).await.unwrap();
        client
    }

    /// Asks member `seat`, and nobody else.
    async fn members(
        &self,
        seat: usize,
        request: MembersRequest,
    ) -> Result<ServiceStatus, CallError> {
        ask(&self.operator(seat), request).await
    }

    fn operator(&self, seat: usize) -> TopologyClient {
        self.client_of("operator/o", vec![self.seats[seat].address])
    }

    /// The seat of whoever leads.
    async fn leader(&self) -> usize {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            for (seat, _) in self.seats.iter().enumerate().filter(|(_, s)| s.group.is_some()) {
                let status = self.members(seat, MembersRequest::Status).await.unwrap();
                if status.leader == Some(status.teller) {
                    return seat;
                }
            }
            assert!(tokio::time::Instant::now() < deadline, "nobody leads");
        }
    }
}

async fn ask(client: &TopologyClient, request: MembersRequest) -> Result<ServiceStatus, CallError> {
    match client.call_within(Request::Members(request), PATIENCE).await? {
        Reply::Members(status) => Ok(*status),
        other => panic!("another answer: {other:?}"),
    }
}

fn why<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    match result {
        Err(CallError::Refused(Refusal::Members(why))) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn every_member_takes_requests_and_shows_what_the_others_took() {
    let three = Three::start().await;
    let _nodes = (three.origin(1, "eu", 0).await, three.origin(2, "us", 1).await);
    let clients: Vec<_> = (0..3).map(|i| three.client(&format!("operator/w{i}"), i)).collect();
    let mut made = Vec::new();
    for client in &clients {
        client.live(PATIENCE).await.unwrap();
        made.push(client.create_meeting(near("eu")).await.unwrap());
    }
    for client in &clients {
        for meeting in &made {
            let view = until(client, |v| v.meeting(meeting.id).is_some()).await;
            assert_eq!(**view.meeting(meeting.id).unwrap(), *meeting);
            assert_eq!(view.nodes.len(), 2);
        }
    }
    let histories: Vec<u64> = clients.iter().map(|c| c.view().cluster).collect();
    assert!(histories[0] != 0 && histories.iter().all(|h| *h == histories[0]), "{histories:?}");
}

#[tokio::test]
async fn a_dead_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut three = Three::start().await;
    let node = three.origin(1, "eu", 0).await;
    let before = node.create_meeting(near("eu")).await.unwrap();
    let dead = three.leader().await;
    three.seats[dead].stop().await;
    let other = three.client("operator/o", (dead + 1) % 3);
    // Whoever was connected to the dead one finds another before anybody gives it up for dead.
    let online = |v: &TopologyView| v.node(NodeId(1)).is_some_and(|n| n.state == NodeState::Online);
    until(&other, |v| v.live && online(v)).await;
    let request = Request::CreateMeeting {
        request: TopologyClient::request_id().unwrap(),
        spec: near("eu"),
    };
    let after = other.call_within(request, PATIENCE).await.unwrap();
    let Reply::Meeting { meeting: after, .. } = after else { panic!("{after:?}") };
    let view = until(&other, |v| v.meeting(after.id).is_some()).await;
    assert_eq!(**view.meeting(before.id).unwrap(), before);

    // It comes back with what it had, and learns the rest.
    three.seats[dead].start().await;
    let back = three.client_of("operator/b", vec![three.seats[dead].address]);
    let view = until(&back, |v| v.meeting(after.id).is_some()).await;
    assert_eq!(**view.meeting(before.id).unwrap(), before);
}

#[tokio::test]
async fn all_members_stopped_and_started_have_what_they_had() {
    let mut three = Three::start().await;
    let node = three.origin(1, "eu", 0).await;
    let meeting = node.create_meeting(near("eu")).await.unwrap();
    for seat in 0..3 {
        three.members(seat, MembersRequest::Snapshot).await.unwrap();
    }
    let later = node.create_meeting(near("eu")).await.unwrap();
    let cluster = until(&node, |v| v.meeting(later.id).is_some()).await.cluster;
    for seat in &mut three.seats {
        seat.stop().await;
    }
    let cached = until(&node, |v| !v.live).await;
    assert!(cached.meeting(meeting.id).is_some(), "the cache outlives the service");
    for seat in &mut three.seats {
        seat.start().await;
    }
    let view = until(&node, |v| v.live && v.meeting(later.id).is_some()).await;
    assert_eq!(**view.meeting(meeting.id).unwrap(), meeting);
    assert_eq!(view.cluster, cluster);
}

#[tokio::test]
async fn a_member_without_a_majority_says_so_and_makes_nothing_up() {
    let mut three = Three::start().await;
    let node = three.origin(1, "eu", 0).await;
    let meeting = node.create_meeting(near("eu")).await.unwrap();
    let alone = three.client_of("operator/a", vec![three.seats[0].address]);
    until(&alone, |v| v.meeting(meeting.id).is_some()).await;
    three.seats[1].group = None;
    three.seats[2].group = None;
    let cached = until(&alone, |v| !v.live).await;
    assert!(cached.meeting(meeting.id).is_some());
    let made = alone.create_meeting(near("eu")).await;
    assert!(matches!(made, Err(CallError::Unreachable { .. })), "{made:?}");
}

#[tokio::test]
async fn members_join_one_by_one_are_removed_and_a_wiped_one_is_a_stranger() {
    let mut three = Three::strangers().await;
    let [_, second, third] = three.addresses()[..] else { panic!("three seats") };
    three.members(0, MembersRequest::Init { others: vec![] }).await.unwrap();
    let node = three.origin(1, "eu", 0).await;
    let meeting = node.create_meeting(near("eu")).await.unwrap();
    let join = |address| MembersRequest::Join { address, voter: true };
    three.members(0, join(second)).await.unwrap();
    // Any member passes it on, and asking twice is no harm.
    three.members(1, join(third)).await.unwrap();
    let status = three.members(1, join(third)).await.unwrap();
    assert_eq!(status.members.iter().filter(|m| m.voter).count(), 3);
    let seen = three.client_of("operator/t", vec![third]);
    until(&seen, |v| v.meeting(meeting.id).is_some()).await;

    // The third loses its disk: it is nobody now, and the other two go on.
    let before = three.seats[2].group().id();
    three.seats[2].stop().await;
    three.seats[2].dir = tempfile::tempdir().unwrap();
    three.seats[2].start().await;
    assert_ne!(three.seats[2].group().id(), before);
    node.create_meeting(near("eu")).await.unwrap();
    let refused = why(three.members(0, join(third)).await);
    assert!(refused.contains("already: remove it first"), "{refused}");
    let leader = three.leader().await;
    let status =
        three.members(leader, MembersRequest::Remove { member: "t3".into() }).await.unwrap();
    assert_eq!(status.members.len(), 2);
    let status = three.members(leader, join(third)).await.unwrap();
    assert_eq!(status.members.iter().filter(|m| m.voter).count(), 3);
    assert!(status.members.iter().all(|m| m.id != before));
}

#[tokio::test]
async fn a_removed_member_that_runs_on_disturbs_nobody() {
    let three = Three::start().await;
    let leader = three.leader().await;
    let removed = (leader + 1) % 3;
    let name = format!("t{}", removed + 1);
    let before = three.members(leader, MembersRequest::Remove { member: name }).await.unwrap();
    // Several election timeouts of the removed one.
    let until_then = tokio::time::Instant::now() + Profile::Lan.stale_after() * 2;
    let node = three.origin(1, "eu", leader).await;
    while tokio::time::Instant::now() < until_then {
        node.create_meeting(near("eu")).await.unwrap();
    }
    let after = three.members(leader, MembersRequest::Status).await.unwrap();
    assert_eq!((after.term, after.leader), (before.term, before.leader));
    assert!(!why(three.members(leader, MembersRequest::Remove {
        member: format!("t{}", leader + 1)
    }).await).is_empty());
}

#[tokio::test]
async fn the_lead_is_handed_over_when_asked_for() {
    let three = Three::start().await;
    let leader = three.leader().await;
    let to = (leader + 1) % 3;
    let name = format!("t{}", to + 1);
    let status = three.members(leader, MembersRequest::Transfer { to: name.clone() }).await.unwrap();
    assert_eq!(status.leader, status.member(&name).map(|m| m.id));
    assert_eq!(three.leader().await, to);
    let node = three.origin(1, "eu", leader).await;
    node.create_meeting(near("eu")).await.unwrap();
}

#[tokio::test]
async fn what_belongs_to_one_cluster_is_not_taken_into_another() {
    let three = Three::start().await;
    let stranger = Seat::take(&three.ca, "s1").await;
    let of = |address| three.client_of("operator/s", vec![address]);
    ask(&of(stranger.address), MembersRequest::Init { others: vec![] }).await.unwrap();
    let join = MembersRequest::Join { address: stranger.address, voter: true };
    let refused = why(three.members(0, join).await);
    assert!(refused.contains("has been in a cluster before"), "{refused}");
    let init = MembersRequest::Init { others: vec![stranger.address] };
    let refused = why(three.members(0, init).await);
    assert!(refused.contains("there is a cluster already"), "{refused}");
}

#[tokio::test]
async fn only_operators_change_members_and_one_process_has_none() {
    let three = Three::start().await;
    let node = three.origin(1, "eu", 0).await;
    let asked = node.call(Request::Members(MembersRequest::Status)).await;
    assert!(matches!(asked, Err(CallError::Refused(Refusal::NotAllowed { .. }))), "{asked:?}");
    let single = crate::cluster::Cluster::start().await;
    let asked = single.client("operator/o").call(Request::Members(MembersRequest::Status)).await;
    assert!(matches!(asked, Err(CallError::Refused(Refusal::NotReplicated))), "{asked:?}");
}
