//! What holds whatever is commanded.

use crate::world::{near, record, region};
use proptest::prelude::*;
use relay_proto::{Epoch, MeetingId, NodeId};
use std::collections::BTreeMap;
use topology::model::*;

const REGIONS: [&str; 3] = ["eu", "us", "ap"];

fn spec() -> impl Strategy<Value = MeetingSpec> {
    (0..3usize, prop::option::of(0..3usize)).prop_map(|(hint, only)| MeetingSpec {
        allowed_regions: only.into_iter().map(|i| region(REGIONS[i])).collect(),
        ..near(REGIONS[hint])
    })
}

fn kind() -> impl Strategy<Value = CommandKind> {
    let node = || (0..6u32).prop_map(NodeId);
    let meeting = || (0..8u64).prop_map(MeetingId);
    let state = prop_oneof![
        Just(NodeState::Online),
        Just(NodeState::Suspect),
        Just(NodeState::Down),
        Just(NodeState::Draining)
    ];
    prop_oneof![
        4 => (0..6u32, 0..3usize, 1..3u64, prop::bool::weighted(0.9)).prop_map(|(id, r, instance, origin)| {
            let role = if origin { Role::Origin } else { Role::Edge };
            CommandKind::RegisterNode(record(id, role, REGIONS[r], instance))
        }),
        2 => (node(), 1..3u64, 0..1_100u16, 0..1_200u32).prop_map(|(node, instance, used, carried)| {
            CommandKind::NodeHeartbeat { node, instance, load: Load { used_permille: used, carried } }
        }),
        4 => (node(), 1..3u64, state).prop_map(|(node, instance, state)| {
            CommandKind::SetState { node, instance, state }
        }),
        2 => (node(), any::<bool>()).prop_map(|(node, on)| CommandKind::Drain { node, on }),
        1 => node().prop_map(|node| CommandKind::Forget { node }),
        4 => (meeting(), spec()).prop_map(|(meeting, spec)| CommandKind::CreateMeeting { meeting, spec }),
        1 => meeting().prop_map(|meeting| CommandKind::EndMeeting { meeting }),
        2 => (meeting(), 1..6u64, prop::option::of(node())).prop_map(|(meeting, e, to)| {
            CommandKind::ReplaceOrigin { meeting, from_epoch: Epoch(2 * e), to }
        }),
        2 => (node(), meeting(), 0..50u32).prop_map(|(node, meeting, participants)| {
            let occupancy = Occupancy { participants, talk_permille: 100 };
            CommandKind::ReportOccupancy { node, reports: vec![OccupancyReport { meeting, occupancy }] }
        }),
        4 => Just(CommandKind::Repair),
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let command = (prop::option::weighted(0.5, 0..40u128), 0..1_000u64, kind()).prop_map(
        |(request, now_ms, kind)| Command { request: request.map(RequestId), now_ms, kind },
    );
    prop::collection::vec(command, 0..120)
}

/// Origin, standby, and which processes they were.
type Holders = (NodeId, Option<NodeId>);

fn check(state: &State, epochs: &mut BTreeMap<MeetingId, (Epoch, Holders)>) {
    for m in state.meetings() {
        assert_eq!(m.epoch.0 % 2, 0, "granted epochs are even");
        assert_ne!(m.standby, Some(m.origin), "the standby is never the origin");
        let holders = (m.origin, m.standby);
        if let Some((before, held)) = epochs.insert(m.id, (m.epoch, holders)) {
            assert!(m.epoch >= before, "epochs never go back");
            assert!(
                m.epoch > before || held == holders,
                "one epoch names one origin and one standby"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn epochs_fence_and_refusals_change_nothing(commands in commands()) {
        let mut state = State::default();
        let mut epochs = BTreeMap::new();
        for command in &commands {
            let before = state.clone();
            let mut changes = Vec::new();
            if state.apply(command, &mut changes).is_err() {
                prop_assert_eq!(&state, &before);
                prop_assert!(changes.is_empty());
            }
            check(&state, &mut epochs);
            for m in state.meetings().filter(|m| before.meeting(m.id).is_none()) {
                for node in [Some(m.origin), m.standby].into_iter().flatten() {
                    let node = state.node(node).unwrap();
                    prop_assert_eq!((node.state, node.record.role), (NodeState::Online, Role::Origin));
                    prop_assert!(m.allowed_regions.is_empty() || m.allowed_regions.contains(&node.record.region));
                }
            }
            for m in state.meetings() {
                // Watchers hear of everything that is different.
                let told = changes.contains(&Change::Meeting(m.id));
                prop_assert!(told || before.meeting(m.id) == Some(m), "{command:?}");
            }
            for n in state.nodes() {
                let (placed, quiet) = (n.placed_since_report, before.node(n.id()));
                let same = quiet.is_some_and(|q| Node { placed_since_report: placed, ..q.clone() } == *n);
                prop_assert!(same || changes.contains(&Change::Node(n.id())), "{command:?}");
            }
        }
    }

    #[test]
    fn the_same_commands_give_the_same_state_also_by_way_of_a_snapshot(commands in commands(), cut in 0..120usize) {
        let (mut a, mut b) = (State::default(), State::default());
        let config = bincode::config::standard();
        for (i, command) in commands.iter().enumerate() {
            let bytes = bincode::serde::encode_to_vec(command, config).unwrap();
            let (copy, _): (Command, usize) = bincode::serde::decode_from_slice(&bytes, config).unwrap();
            if i == cut {
                let bytes = bincode::serde::encode_to_vec(&b, config).unwrap();
                b = bincode::serde::decode_from_slice(&bytes, config).unwrap().0;
            }
            let (mut ca, mut cb) = (Vec::new(), Vec::new());
            prop_assert_eq!(a.apply(command, &mut ca), b.apply(&copy, &mut cb));
            prop_assert_eq!(ca, cb);
        }
        prop_assert_eq!(a, b);
    }

    #[test]
    fn a_command_repeated_by_its_request_id_has_one_effect(commands in commands()) {
        let (mut once, mut twice) = (State::default(), State::default());
        for (i, command) in commands.iter().enumerate() {
            let command = Command { request: Some(RequestId(i as u128)), ..command.clone() };
            let first = once.apply(&command, &mut Vec::new());
            prop_assert_eq!(&twice.apply(&command, &mut Vec::new()), &first);
            if first.is_ok() {
                prop_assert_eq!(&twice.apply(&command, &mut Vec::new()), &first);
            }
        }
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn repair_ends_and_leaves_no_meeting_on_a_dead_node_while_another_lives(commands in commands()) {
        let mut state = State::default();
        for command in &commands {
            let _ = state.apply(command, &mut Vec::new());
        }
        let fresh = CommandKind::RegisterNode(record(9, Role::Origin, "eu", 1));
        let command = |kind| Command { request: None, now_ms: 0, kind };
        state.apply(&command(fresh), &mut Vec::new()).unwrap();
        for _ in 0..20 {
            state.apply(&command(CommandKind::Repair), &mut Vec::new()).unwrap();
        }
        prop_assert_eq!(state.repairs_waiting(), 0);
        for m in state.meetings().filter(|m| !m.ended && m.allowed_regions.is_empty()) {
            let origin = state.node(m.origin).unwrap();
            prop_assert!(origin.state != NodeState::Down, "{m:?}");
            prop_assert!(m.standby.is_none_or(|s| state.node(s).unwrap().state != NodeState::Down), "{m:?}");
        }
    }
}
