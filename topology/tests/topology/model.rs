//! The state machine, command by command.

use crate::world::{World, near, record, region};
use relay_proto::{Epoch, MeetingId, NodeId};
use topology::model::*;

#[test]
fn a_meeting_starts_near_its_hint_with_a_standby_elsewhere() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "eu"), (3, "us")]);
    let m = w.create(7, near("eu"));
    assert!(m.origin == NodeId(1) || m.origin == NodeId(2));
    assert_eq!(m.standby, Some(NodeId(3)));
    assert_eq!(m.epoch, Meeting::FIRST_EPOCH);
}

#[test]
fn with_one_region_the_standby_is_another_node_and_with_one_node_there_is_none() {
    let mut w = World::with_origins(&[(1, "eu")]);
    assert_eq!(w.create(7, near("eu")).standby, None);
    w.ok(CommandKind::RegisterNode(record(2, Role::Origin, "eu", 1)));
    w.repair();
    assert_eq!(w.placement(7), (1, 2, 4), "a standby is named as soon as there is one");
}

#[test]
fn edges_are_never_origins() {
    let mut w = World::default();
    w.ok(CommandKind::RegisterNode(record(1, Role::Edge, "eu", 1)));
    let kind = CommandKind::CreateMeeting { meeting: MeetingId(7), spec: near("eu") };
    assert!(matches!(w.apply(kind), Err(ApplyError::NoOrigin { .. })));
}

#[test]
fn a_meeting_stays_in_its_allowed_regions() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us"), (3, "eu")]);
    let spec = MeetingSpec { allowed_regions: [region("eu")].into(), ..near("us") };
    let m = w.create(7, spec);
    assert_eq!([m.origin, m.standby.unwrap()].map(|n| n.0 == 2), [false, false]);
    w.down(m.origin.0);
    w.down(m.standby.unwrap().0);
    assert_eq!(w.meeting(7).origin, m.standby.unwrap(), "nobody is left, nobody else is named");
    assert_eq!(w.state.status().unplaced, 1);
}

#[test]
fn an_origin_region_outside_of_the_allowed_ones_is_refused() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    let spec = MeetingSpec {
        allowed_regions: [region("eu")].into(),
        origin_region: Some(region("us")),
        ..MeetingSpec::default()
    };
    let refused = w.apply(CommandKind::CreateMeeting { meeting: MeetingId(7), spec });
    assert_eq!(refused, Err(ApplyError::RegionNotAllowed(region("us"))));
}

#[test]
fn the_same_request_twice_is_one_meeting() {
    let mut w = World::with_origins(&[(1, "eu")]);
    let id = Some(RequestId(99));
    let create = |m| CommandKind::CreateMeeting { meeting: MeetingId(m), spec: near("eu") };
    let first = w.apply_as(id, create(7)).unwrap();
    let revision = w.state.revision();
    assert_eq!(w.apply_as(id, create(8)).unwrap(), first);
    assert_eq!((w.state.revision(), w.state.meetings().count()), (revision, 1));
}

#[test]
fn when_the_origin_dies_the_standby_follows_under_the_next_even_epoch() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us"), (3, "ap")]);
    let before = w.create(7, near("eu"));
    w.down(1);
    let m = w.meeting(7);
    assert_eq!(Some(m.origin), before.standby);
    assert_eq!(m.epoch, Epoch(4));
    assert!(m.standby.is_some_and(|s| s != m.origin && s != NodeId(1)));
}

#[test]
fn when_the_standby_dies_another_is_named_under_a_new_epoch() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us"), (3, "us")]);
    let before = w.create(7, near("eu"));
    let standby = before.standby.unwrap().0;
    w.down(standby);
    assert_eq!(w.placement(7), (1, 5 - standby, 4));
}

#[test]
fn an_origin_that_restarted_hands_over_to_its_warm_standby() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    assert_eq!((w.create(7, near("eu")).origin, w.placement(7).1), (NodeId(1), 2));
    w.ok(CommandKind::RegisterNode(record(1, Role::Origin, "eu", 2)));
    w.repair();
    assert_eq!(w.placement(7), (2, 1, 4));
}

#[test]
fn a_lone_origin_that_restarted_keeps_its_meeting_under_a_new_epoch() {
    let mut w = World::with_origins(&[(1, "eu")]);
    w.create(7, near("eu"));
    w.ok(CommandKind::RegisterNode(record(1, Role::Origin, "eu", 2)));
    w.repair();
    assert_eq!(w.placement(7), (1, 0, 4));
}

#[test]
fn a_standby_that_restarted_cannot_act_twice_under_one_epoch() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    w.create(7, near("eu"));
    w.ok(CommandKind::RegisterNode(record(2, Role::Origin, "us", 2)));
    w.repair();
    assert_eq!(w.placement(7), (1, 2, 4));
}

#[test]
fn the_same_process_registering_again_moves_nothing() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    w.create(7, near("eu"));
    w.ok(CommandKind::RegisterNode(record(1, Role::Origin, "eu", 1)));
    assert!(w.changes.is_empty());
    w.repair();
    assert_eq!(w.placement(7), (1, 2, 2));
}

#[test]
fn a_node_that_was_only_away_gets_its_unplaced_meeting_back_unchanged() {
    let mut w = World::with_origins(&[(1, "eu")]);
    w.create(7, near("eu"));
    w.down(1);
    assert_eq!((w.placement(7), w.state.status().unplaced), ((1, 0, 2), 1));
    let online = CommandKind::SetState { node: NodeId(1), instance: 1, state: NodeState::Online };
    w.ok(online);
    w.repair();
    assert_eq!(w.placement(7), (1, 0, 2));
}

#[test]
fn a_meeting_whose_nodes_all_died_is_placed_when_another_comes() {
    let mut w = World::with_origins(&[(1, "eu")]);
    w.create(7, near("eu"));
    w.down(1);
    w.ok(CommandKind::RegisterNode(record(2, Role::Origin, "us", 1)));
    w.repair();
    assert_eq!(w.placement(7), (2, 0, 4));
}

#[test]
fn draining_moves_meetings_away_and_lets_none_in() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us"), (3, "ap")]);
    w.create(7, near("eu"));
    w.ok(CommandKind::Drain { node: NodeId(1), on: true });
    w.repair();
    let m = w.meeting(7);
    assert!(!m.names(NodeId(1)), "{m:?}");
    assert_eq!(m.epoch, Epoch(4));
    assert!(!w.create(8, near("eu")).names(NodeId(1)));
    w.ok(CommandKind::RegisterNode(record(1, Role::Origin, "eu", 1)));
    assert_eq!(
        w.state.node(NodeId(1)).unwrap().state,
        NodeState::Draining,
        "a reconnect does not end it"
    );
    w.ok(CommandKind::Drain { node: NodeId(1), on: false });
    assert_eq!(w.create(9, near("eu")).origin, NodeId(1));
}

#[test]
fn a_last_node_that_drains_keeps_what_it_has() {
    let mut w = World::with_origins(&[(1, "eu")]);
    w.create(7, near("eu"));
    w.ok(CommandKind::Drain { node: NodeId(1), on: true });
    w.repair();
    assert_eq!(w.placement(7), (1, 0, 2));
}

#[test]
fn only_who_knows_the_epoch_may_replace_the_origin() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us"), (3, "ap")]);
    let m = w.create(7, near("eu"));
    let takes =
        |from| CommandKind::ReplaceOrigin { meeting: m.id, from_epoch: Epoch(from), to: m.standby };
    w.ok(takes(2));
    assert_eq!(w.meeting(7).origin, m.standby.unwrap());
    assert_eq!(w.apply(takes(2)), Err(ApplyError::StaleEpoch { meeting: m.id, current: Epoch(4) }));
}

#[test]
fn a_suspect_standby_may_take_over_because_it_acts_already() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    let m = w.create(7, near("eu"));
    let suspect = CommandKind::SetState { node: NodeId(2), instance: 1, state: NodeState::Suspect };
    w.ok(suspect);
    w.ok(CommandKind::ReplaceOrigin { meeting: m.id, from_epoch: m.epoch, to: m.standby });
    assert_eq!(w.placement(7), (2, 1, 4));
}

#[test]
fn a_verdict_about_an_older_process_is_void() {
    let mut w = World::with_origins(&[(1, "eu")]);
    w.ok(CommandKind::RegisterNode(record(1, Role::Origin, "eu", 2)));
    let late = CommandKind::SetState { node: NodeId(1), instance: 1, state: NodeState::Down };
    assert_eq!(w.apply(late), Err(ApplyError::InstanceReplaced { node: NodeId(1) }));
    let beat = CommandKind::NodeHeartbeat { node: NodeId(1), instance: 1, load: Load::default() };
    assert_eq!(w.apply(beat), Err(ApplyError::InstanceReplaced { node: NodeId(1) }));
}

#[test]
fn occupancy_adds_up_over_nodes_and_goes_with_them() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    let m = w.create(7, near("eu"));
    for (node, participants) in [(1, 3), (2, 4)] {
        let occupancy = Occupancy { participants, talk_permille: 500 };
        let reports = vec![OccupancyReport { meeting: m.id, occupancy }];
        w.ok(CommandKind::ReportOccupancy { node: NodeId(node), reports });
    }
    assert_eq!(w.state.participants(m.id), 7);
    w.down(2);
    assert_eq!(w.state.participants(m.id), 3);
    w.ok(CommandKind::EndMeeting { meeting: m.id });
    assert_eq!(w.state.participants(m.id), 0);
}

#[test]
fn an_ended_meeting_is_remembered_and_not_placed_again() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    let m = w.create(7, near("eu"));
    w.ok(CommandKind::EndMeeting { meeting: m.id });
    w.down(1);
    assert_eq!(w.placement(7), (1, 2, 2));
    let replace = CommandKind::ReplaceOrigin { meeting: m.id, from_epoch: m.epoch, to: None };
    assert_eq!(w.apply(replace), Err(ApplyError::MeetingEnded(m.id)));
    assert_eq!(w.state.status().meetings, 0);
}

#[test]
fn a_node_is_forgotten_only_when_down_and_unnamed() {
    let mut w = World::with_origins(&[(1, "eu")]);
    w.create(7, near("eu"));
    let forget = || CommandKind::Forget { node: NodeId(1) };
    assert_eq!(w.apply(forget()), Err(ApplyError::NotDown(NodeId(1))));
    w.down(1);
    assert_eq!(w.apply(forget()), Err(ApplyError::StillNamed(NodeId(1))));
    w.ok(CommandKind::EndMeeting { meeting: MeetingId(7) });
    w.ok(forget());
    assert_eq!(w.state.nodes().count(), 0);
}

#[test]
fn a_node_without_a_number_gets_the_lowest_free_one() {
    let mut w = World::with_origins(&[(1, "eu"), (3, "eu")]);
    match w.ok(CommandKind::RegisterNode(record(0, Role::Edge, "eu", 5))) {
        Reply::Node(node) => assert_eq!(node.id(), NodeId(2)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_large_nodes_death_is_worked_off_in_bounded_steps() {
    let mut w = World::with_origins(&[(1, "eu"), (2, "us")]);
    for id in 1..=600 {
        w.create(id, near(if id % 2 == 0 { "eu" } else { "us" }));
    }
    let kind = CommandKind::SetState { node: NodeId(1), instance: 1, state: NodeState::Down };
    w.ok(kind);
    let mut steps = 0;
    while w.state.repairs_waiting() > 0 {
        w.ok(CommandKind::Repair);
        assert!(w.changes.len() <= topology::limits::REPAIRS_PER_COMMAND);
        steps += 1;
    }
    assert_eq!(steps, 3);
    assert!(w.state.meetings().all(|m| m.origin == NodeId(2) && m.standby.is_none()));
}

#[test]
fn too_long_things_are_refused_with_their_limit() {
    let mut w = World::with_origins(&[(1, "eu")]);
    let spec = MeetingSpec { name: "x".repeat(257), ..near("eu") };
    let refused = w.apply(CommandKind::CreateMeeting { meeting: MeetingId(7), spec });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "meeting name is 257, the limit is 256: make it shorter"
    );
    for bad in ["", "EU", "a b", &"x".repeat(33)] {
        assert!(Region::new(bad).is_err(), "{bad:?}");
    }
}
