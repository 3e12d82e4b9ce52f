//! Runs: faults for a while, then none; then everything must be explained, equal, and there.

use super::dice::Dice;
use super::history::{Asked, History};
use super::world::{MEETINGS, World, origin};
use crate::model::NodeState;
use crate::service::raft::types::Runtime;
use openraft::AsyncRuntime;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Runs in a test, unless `TOPOLOGY_SEEDS` says otherwise.
const SEEDS: u64 = 200;
/// Faults per run.
const FAULTS: u64 = 10;
/// Clients that fight over meetings.
const CLIENTS: u64 = 3;
/// After the last fault everything must be well again by then, in virtual time.
const HEALED_AFTER: Duration = Duration::from_secs(60);

/// What a run showed.
#[derive(Debug, Default)]
struct Shown {
    answered: usize,
    crashes: u64,
    damaged: u64,
}

/// One fault, chosen by the dice.
async fn fault(world: &mut World, shown: &mut Shown, damaged: &mut Option<u64>) {
    let members = world.platters.len() as u64;
    let any = 1 + world.dice.below(members);
    let leader = world.leader().unwrap_or(any);
    match world.dice.below(12) {
        0 => world.ids().filter(|id| *id != any).for_each(|id| isolate(world, any, id)),
        1 => world.ids().filter(|id| *id != leader).for_each(|id| isolate(world, leader, id)),
        2 => world.air.cut(leader, any),
        3 => world.air.cut(any, leader),
        4 => bridge(world, leader),
        5 | 6 => {
            let victim = if world.dice.below(2) == 0 { leader } else { any };
            let mut dice = world.dice.split();
            world.platter(victim).light_fuse(&mut dice);
            sleep(Duration::from_millis(world.dice.below(400))).await;
            world.crash(victim).await;
            shown.crashes += 1;
            let flips = damaged.is_none() && world.dice.below(3) == 0;
            if flips {
                world.platter(victim).flip_a_bit(&mut dice);
            }
            sleep(Duration::from_millis(world.dice.below(3_000))).await;
            boot(world, victim, flips, shown, damaged).await;
        }
        7 => {
            // All at once.
            for id in world.air.running() {
                world.crash(id).await;
                shown.crashes += 1;
            }
            let away = *damaged;
            for id in world.ids().filter(|id| Some(*id) != away) {
                boot(world, id, false, shown, damaged).await;
            }
        }
        8 => world.air.lose(50 + world.dice.below(200)),
        9 => {
            let by = world.dice.below(600_000) as i64 - 300_000;
            world.clocks.step(any, by);
        }
        10 => {
            if let Some(raft) = world.air.member(leader) {
                let _ = raft.trigger().transfer_leader(any).await;
            }
        }
        _ => world.air.heal(),
    }
}

fn isolate(world: &World, one: u64, other: u64) {
    world.air.cut(one, other);
    world.air.cut(other, one);
}

/// The leader sees one other member only; that one sees everybody.
fn bridge(world: &World, leader: u64) {
    let others: Vec<u64> = world.ids().filter(|id| *id != leader).collect();
    others[1..].iter().for_each(|other| isolate(world, leader, *other));
}

/// Starts a member again. One whose bytes were flipped may notice, and then stays away.
async fn boot(
    world: &mut World,
    id: u64,
    flipped: bool,
    shown: &mut Shown,
    damaged: &mut Option<u64>,
) {
    match world.boot(id).await {
        Ok(()) => {}
        Err(error) if flipped => {
            assert!(damaged.replace(id).is_none(), "one member at a time: {error}");
            shown.damaged += 1;
        }
        Err(error) => panic!("member {id} does not start over an undamaged disk: {error}"),
    }
}

/// Members that died of their disks are started again, as a service manager does.
async fn revive(world: &mut World, damaged: Option<u64>, shown: &mut Shown) {
    for id in world.ids().filter(|id| Some(*id) != damaged) {
        let runs = match world.air.member(id) {
            Some(raft) => raft.is_initialized().await.is_ok(),
            None => false,
        };
        if !runs {
            world.crash(id).await;
            boot(world, id, false, shown, &mut None).await;
        }
    }
}

async fn run(seed: u64) -> Shown {
    let mut dice = Dice::new(seed);
    let members = if dice.below(3) == 0 { 5 } else { 3 };
    let mut world = World::new(dice.split(), members);
    let (mut shown, mut damaged) = (Shown::default(), None);
    world.found().await;
    let history = Arc::new(Mutex::new(History::default()));
    let over = Arc::new(Mutex::new(false));
    let mut first = world.client();
    for id in 1..=3 {
        first.command(origin(id)).await.unwrap();
    }
    for meeting in 1..=MEETINGS {
        first.operate(&history, meeting, Asked::Create).await;
    }
    let fights: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, history, over) = (world.client(), history.clone(), over.clone());
            Runtime::spawn(async move { client.fight(history, over).await })
        })
        .collect();
    for _ in 0..FAULTS {
        fault(&mut world, &mut shown, &mut damaged).await;
        sleep(Duration::from_millis(200 + world.dice.below(2_500))).await;
        revive(&mut world, damaged, &mut shown).await;
        if world.dice.below(2) == 0 {
            world.air.heal();
        }
    }
    world.air.heal();
    revive(&mut world, damaged, &mut shown).await;
    *over.lock().unwrap() = true;
    let healed = async {
        for fight in fights {
            fight.await.unwrap();
        }
        first.command(origin(9)).await.unwrap();
        agree(&world).await;
    };
    assert!(timeout(HEALED_AFTER, healed).await.is_ok(), "not well {HEALED_AFTER:?} after the last fault");
    judge(&world, &history.lock().unwrap());
    shown.answered = history.lock().unwrap().answered();
    shown
}

/// Until all members that run have the same state.
async fn agree(world: &World) {
    loop {
        let mut states = world.machines.values().map(|m| m.read(|content| content.clone()));
        let first = states.next();
        if states.all(|state| Some(&state) == first.as_ref()) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn judge(world: &World, history: &History) {
    assert_eq!(history.unexplained(), Vec::<u64>::new(), "no order explains what was heard");
    let machine = world.machines.values().next().unwrap();
    machine.read(|content| {
        for meeting in 1..=MEETINGS {
            let now = content.state.meeting(relay_proto::MeetingId(meeting)).unwrap();
            assert!(now.epoch.0 % 2 == 0 && now.standby != Some(now.origin));
        }
        assert!(content.state.nodes().all(|n| n.state == NodeState::Online));
    });
}

fn simulate(seed: u64) -> Shown {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(Runtime::scope(seed, run(seed)))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn simulated_groups_lose_nothing_and_agree() {
    let seeds = match number("TOPOLOGY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TOPOLOGY_SEEDS").unwrap_or(SEEDS),
    };
    let (start, mut sum) = (std::time::Instant::now(), Shown::default());
    for seed in seeds.clone() {
        let shown = std::panic::catch_unwind(|| simulate(seed));
        let shown = shown.unwrap_or_else(|_| panic!("seed {seed}: TOPOLOGY_SEED={seed} repeats it"));
        sum.answered += shown.answered;
        sum.crashes += shown.crashes;
        sum.damaged += shown.damaged;
    }
    println!("{} seeds in {:?}: {sum:?}", seeds.count(), start.elapsed());
}
