//! Whatever is lost, late, switched and paced.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A frame of a source, of so many packets; a mask says which are lost, another which come only with the source's next frame.
    Frame {
        source: usize,
        packets: usize,
        lost: u8,
        late: u8,
    },
    Select(usize),
    Clear,
    Wait(u64),
    Room(usize),
    Resend(u64),
}

fn step(lossy: bool) -> impl Strategy<Value = Step> {
    let mask = if lossy { (0..=255_u8).boxed() } else { Just(0).boxed() };
    let sparse = (mask.clone(), mask.clone(), mask).prop_map(|(a, b, c)| a & b & c);
    prop_oneof![
        30 => (0..3_usize, 1..5_usize, sparse.clone(), sparse)
            .prop_map(|(source, packets, lost, late)| Step::Frame { source, packets, lost, late }),
        3 => (0..3_usize).prop_map(Step::Select),
        1 => Just(Step::Clear),
        20 => (1..40_u64).prop_map(Step::Wait),
        2 => (0..6_usize).prop_map(Step::Room),
        4 => (0..80_u64).prop_map(Step::Resend),
    ]
}

/// Runs the steps; a source makes a key frame when the slot waits for one, as the arbiter would order it.
fn run(kind: SlotKind, steps: Vec<Step>, sources: &[(u32, u8)], layered: bool) -> World {
    let mut world = World::new(kind, sources, layered);
    let mut late: Vec<Made> = Vec::new();
    let mut keys = [true; 3];
    for step in steps {
        match step {
            Step::Frame { source, packets, lost, late: slow } => {
                let made =
                    world.sources[source].frame(source, std::mem::take(&mut keys[source]), packets);
                for (i, made) in made.into_iter().enumerate() {
                    match (lost >> i & 1, slow >> i & 1) {
                        (1, _) => {}
                        (_, 1) => late.push(made),
                        _ => world.arrive(&made),
                    }
                }
                let (now_due, later) =
                    late.drain(..).partition(|made: &Made| made.source != source);
                late = later;
                let now_due: Vec<Made> = now_due;
                now_due.iter().for_each(|made| world.arrive(made));
            }
            Step::Select(source) => world.select(source),
            Step::Clear => world.slot.select(None),
            Step::Wait(ms) => world.wait_ms(ms),
            Step::Room(room) => world.room = room,
            Step::Resend(back) => check_resend(&mut world, back),
        }
        world.pull();
        world.room = usize::MAX;
        if let Some(wanted) = world.slot.wanted().filter(|_| world.slot.is_waiting_for_key()) {
            keys[wanted.ring.index as usize] = true;
        }
    }
    world
}

/// An answer to a NACK is what was sent under that number, if anything was.
fn check_resend(world: &mut World, back: u64) {
    let Some(seq) = world.got.last().and_then(|last| last.seq.checked_sub(back)) else {
        return;
    };
    let sent = world.got.iter().find(|got| got.seq == seq).cloned();
    let again = world.resend(seq);
    if let (Some(sent), Some(again)) = (sent, again) {
        assert_eq!((sent.payload, sent.timestamp), (again.payload, again.timestamp));
    }
}

const CAMERAS: &[(u32, u8)] = &[(1, 0), (2, 0), (3, 0)];
const SIMULCAST: &[(u32, u8)] = &[(1, 0), (1, 1), (1, 2)];

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn without_loss_every_frame_can_be_decoded_and_no_number_is_missing(
        steps in proptest::collection::vec(step(false), 1..400),
        simulcast: bool,
        layered: bool,
    ) {
        let world = run(SlotKind::Video, steps, if simulcast { SIMULCAST } else { CAMERAS }, layered);
        check_numbering(&world.got);
        check_pictures(&world.got, 1);
        check_decodable(&world.got);
    }

    #[test]
    fn a_voice_slot_keeps_its_numbers_and_its_time_whoever_speaks(
        steps in proptest::collection::vec(step(true), 1..400),
    ) {
        let world = run(SlotKind::Audio, steps, CAMERAS, false);
        check_numbering(&world.got);
        let mut speaker = None;
        for got in &world.got {
            prop_assert!(got.marker || speaker == Some(got.source), "a new voice begins with a marker");
            speaker = Some(got.source);
        }
    }

    #[test]
    fn with_loss_no_number_stands_for_two_packets_and_time_goes_on(
        steps in proptest::collection::vec(step(true), 1..400),
        simulcast: bool,
        layered: bool,
    ) {
        let world = run(SlotKind::Video, steps, if simulcast { SIMULCAST } else { CAMERAS }, layered);
        check_numbering(&world.got);
        check_pictures(&world.got, 400);
    }
}
