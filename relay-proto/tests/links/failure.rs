//! Peers that die, restart, fall silent or read too slowly.

use crate::harness::{A, B, VIDEO, World, config, rtp, up};
use relay_proto::control::{Body, Control};
use relay_proto::roles::MemberRole;
use relay_proto::{DownReason, Epoch, LinkDrop, LinkEvent, MeetingId};
use std::time::Duration;

#[test]
fn a_dead_peer_is_suspected_and_then_down_within_about_a_second() {
    let mut world = World::pair();
    world.link_up();
    world.run_ms(2_000);
    world.take(A);
    world.kill(B);
    let died = world.at;
    world
        .until(A, 2_000, |e| matches!(e, LinkEvent::Suspect { .. }).then_some(()))
        .expect("suspected");
    let suspected = world.at - died;
    assert!((400..=620).contains(&suspected.as_millis()), "{suspected:?}");
    let down = |e: &LinkEvent| match e {
        LinkEvent::Down { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    assert_eq!(world.until(A, 2_000, down), Some(DownReason::Silent));
    let dead = world.at - died;
    assert!((1_000..=1_220).contains(&dead.as_millis()), "{dead:?}");
}

#[test]
fn a_short_silence_is_only_a_suspicion() {
    let mut world = World::pair();
    world.link_up();
    world.run_ms(1_000);
    world.take(A);
    world.lose = Box::new(|from, _, _| from == B);
    world.run_ms(600);
    world.lose = Box::new(|_, _, _| false);
    world.run_ms(1_000);
    let events = world.take(A);
    assert!(
        matches!(events[..], [LinkEvent::Suspect { .. }, LinkEvent::Recovered { .. }]),
        "{events:?}"
    );
}

#[test]
fn a_link_comes_up_again_after_the_peer_restarts() {
    let mut world = World::pair();
    let (a, _) = world.link_up();
    world.run_ms(500);
    world.kill(B);
    world.run_ms(3_000);
    world.take(A);
    world.take(B);
    world.start(B, config(7, 2, 2));
    let again = world.until(A, 10_000, up).expect("up again");
    assert_eq!(again, a, "the same link");
    world.until(B, 1_000, up).expect("up at the new process");
    world.take(B);
    world.send(A, a, 1, &VIDEO, &rtp(1, 500));
    world.run_ms(100);
    assert!(world.take(B).iter().any(|e| matches!(e, LinkEvent::Media { .. })));
}

#[test]
fn a_quick_restart_of_the_dialler_replaces_its_old_link() {
    let mut world = World::pair();
    world.link_up();
    world.run_ms(500);
    world.take(A);
    world.take(B);
    world.start(A, config(7, 1, 2));
    world.connect(A, B);
    world.until(A, 2_000, up).expect("up at the new process");
    world.run_ms(50);
    let events = world.take(B);
    assert!(
        matches!(
            &events[..],
            [LinkEvent::Down { reason: DownReason::Replaced, .. }, LinkEvent::Up { .. }]
        ),
        "{events:?}"
    );
}

#[test]
fn disconnecting_tells_the_peer_and_frees_everything() {
    let mut world = World::pair();
    let (a, _) = world.link_up();
    world.take(B);
    world.with(A, |l, now| l.disconnect(now, a));
    world.run_ms(5_000);
    assert!(matches!(
        &world.take(B)[..],
        [LinkEvent::Down { reason: DownReason::ClosedByPeer(text), .. }] if text == "disconnected here"
    ));
    for node in [A, B] {
        let stats = world.links(node).stats();
        assert_eq!((stats.links, stats.connections), (0, 0));
        assert_eq!(relay_proto::Machine::deadline(world.links(node)), None);
    }
}

#[test]
fn a_peer_that_takes_no_control_is_closed_rather_than_forgotten() {
    let mut world = World::pair();
    let (a, _) = world.link_up();
    world.lose = Box::new(|from, _, _| from == B);
    let name = "x".repeat(64);
    let member = relay_proto::control::Member {
        id: relay_proto::ParticipantId(1),
        name,
        edge: relay_proto::NodeId(1),
        mic_muted: false,
        camera_off: false,
        role: MemberRole::Panelist,
        owner: false,
        identity: 0,
        hand: 0,
    };
    let body = Body::RosterSnapshot { seq: 1, members: vec![member; 200], first: true, last: true };
    let control = Control { meeting: MeetingId(1), epoch: Epoch(2), body };
    let mut taken = 0;
    let refused = (0..10_000).find_map(|_| {
        let sent = world.with(A, |l, now| l.send_control(now, a, &control));
        taken += usize::from(sent.is_ok());
        sent.err()
    });
    assert_eq!(refused, Some(LinkDrop::Backlog));
    assert!(taken < 200, "{taken} messages of 15 KB");
    assert!(
        world
            .take(A)
            .iter()
            .any(|e| matches!(e, LinkEvent::Down { reason: DownReason::Backlog, .. }))
    );
}

#[test]
fn redials_back_off() {
    let mut world = World::pair();
    world.kill(B);
    world.connect(A, B);
    world.run(Duration::from_secs(60));
    let fails = world.take(A).iter().filter(|e| matches!(e, LinkEvent::DialFailed { .. })).count();
    assert!((6..=20).contains(&fails), "{fails} attempts in a minute");
}
