//! The service in use: create, watch, restart, take over.

use crate::cluster::{Cluster, PATIENCE, refusal, until};
use crate::world::{near, record, region};
use relay_proto::NodeId;
use topology::model::*;
use topology::protocol::*;
use topology::service::*;

#[tokio::test]
async fn a_created_meeting_is_seen_by_every_watcher() {
    let c = Cluster::start().await;
    let _nodes = (c.origin(1, "eu").await, c.origin(2, "us").await);
    let watchers: Vec<_> = (0..20).map(|i| c.client(&format!("operator/w{i}"))).collect();
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
    assert!(cached.meeting(m.id).is_some(), "the cache outlives the service");

    c.resume().await;
    let view = until(&node, |v| v.live && v.node(NodeId(1)).is_some()).await;
    assert_eq!(**view.meeting(m.id).unwrap(), m, "same placement, same epoch");
    assert_eq!(view.node(NodeId(1)).unwrap().state, NodeState::Online);
    let again = node.create_meeting(near("eu")).await.unwrap();
    assert_ne!(again.id, m.id);
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
    let view = until(&second, |v| v.meeting(m.id).is_some_and(|now| now.epoch > m.epoch)).await;
    assert_eq!(view.node(NodeId(1)).unwrap().state, NodeState::Down);
    let now = view.meeting(m.id).unwrap();
    assert_eq!((now.origin, now.standby, now.epoch.0), (NodeId(2), None, 4));

    let _again = c.origin(1, "eu").await;
    let view = until(&second, |v| v.meeting(m.id).is_some_and(|m| m.standby.is_some())).await;
    assert_eq!(view.meeting(m.id).unwrap().epoch.0, 6);
}

#[tokio::test]
async fn a_goodbye_moves_meetings_at_once() {
    let c = Cluster::start().await;
    let (first, second) = (c.origin(1, "eu").await, c.origin(2, "us").await);
    let m = second.create_meeting(near("eu")).await.unwrap();
    let start = tokio::time::Instant::now();
    first.goodbye().await.unwrap();
    until(&second, |v| v.meeting(m.id).is_some_and(|m| m.origin == NodeId(2))).await;
    assert!(start.elapsed() < topology::limits::SUSPECT_AFTER);
}

#[tokio::test]
async fn watchers_are_not_told_the_hash_of_a_password_and_those_who_ask_are() {
    let c = Cluster::start().await;
    let node = c.origin(1, "eu").await;
    let hash = PasswordHash("$argon2id$secret".to_owned());
    let spec = MeetingSpec {
        password: Some(hash.clone()),
        kind: MeetingKind::Webinar,
        waiting_room: true,
        creator: "ada".to_owned(),
        ..near("eu")
    };
    let made = node.create_meeting(spec).await.unwrap();
    assert!(!format!("{made:?}").contains("secret"));
    let view = until(&node, |v| v.meeting(made.id).is_some()).await;
    let seen = view.meeting(made.id).unwrap();
    assert_eq!((seen.password.as_ref(), seen.has_password), (None, true));
    assert_eq!((seen.kind, seen.waiting_room, &*seen.creator), (MeetingKind::Webinar, true, "ada"));
    let late = c.client("node/us/9");
    let view = until(&late, |v| v.meeting(made.id).is_some()).await;
    assert_eq!(view.meeting(made.id).unwrap().password, None, "in a snapshot neither");
    assert_eq!(node.fetch_meeting(made.id).await.unwrap().password, Some(hash));
}

#[tokio::test]
async fn a_creation_asked_for_again_under_its_own_id_is_one_meeting() {
    let c = Cluster::start().await;
    let (node, other) = (c.origin(1, "eu").await, c.client("node/us/9"));
    let id = TopologyClient::request_id().unwrap();
    let first = node.create_meeting_once(id, near("eu")).await.unwrap();
    let again = other.create_meeting_once(id, near("eu")).await.unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn the_standby_may_take_over_and_a_stranger_may_not() {
    let c = Cluster::start().await;
    let (_first, standby) = (c.origin(1, "eu").await, c.origin(2, "us").await);
    let stranger = c.origin(3, "us").await;
    let spec = MeetingSpec { origin_region: Some(region("eu")), ..MeetingSpec::default() };
    let m = standby.create_meeting(spec).await.unwrap();
    let (takes, other) =
        if m.standby == Some(NodeId(2)) { (&standby, &stranger) } else { (&stranger, &standby) };
    let ask = || Request::ReplaceOrigin {
        request: TopologyClient::request_id().unwrap(),
        meeting: m.id,
        from_epoch: m.epoch,
        to: m.standby,
    };
    assert!(matches!(refusal(other.call(ask()).await), Refusal::NotAllowed { .. }));
    takes.call(ask()).await.unwrap();
    assert!(matches!(
        refusal(takes.call(ask()).await),
        Refusal::Apply(ApplyError::StaleEpoch { .. }) | Refusal::NotAllowed { .. }
    ));
}

#[tokio::test]
async fn a_second_process_with_the_same_number_fences_the_first() {
    let c = Cluster::start().await;
    let old = c.origin(1, "eu").await;
    let new = c.client("node/eu/1");
    new.register(record(1, Role::Origin, "eu", 2)).await.unwrap();
    let mut state = old.registration();
    let replaced = state.wait_for(|r| *r == Registration::Replaced);
    tokio::time::timeout(PATIENCE, replaced).await.unwrap().unwrap();
    let view = until(&new, |v| v.node(NodeId(1)).is_some_and(|n| n.record.instance == 2)).await;
    assert_eq!(view.node(NodeId(1)).unwrap().state, NodeState::Online);
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
