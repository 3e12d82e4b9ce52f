//! Who stands in which slot, in which encoding, within which rate.

use super::*;
use crate::speakers::testing::at;
use proptest::prelude::*;

fn p(n: u32) -> ParticipantId {
    ParticipantId(n)
}

/// A meeting seen by participant 0.
struct Scene {
    layout: Layout,
    floor: Floor,
    publishers: Vec<Publisher>,
    pin: Option<ParticipantId>,
    kbps: u64,
}

impl Scene {
    fn of(cameras: u32) -> Self {
        let publishers = (0..cameras).map(|n| publisher(n, Rates::simulcast())).collect();
        Self {
            layout: Layout::new(12),
            floor: Floor::default(),
            publishers,
            pin: None,
            kbps: 4_000,
        }
    }

    fn spoke(mut self, recent: &[u32]) -> Self {
        self.floor.main = recent.first().copied().map(p);
        self.floor.recent = recent.iter().copied().map(p).collect();
        self
    }

    fn at(&mut self, t: u64) -> View {
        let input = LayoutInput {
            own: p(0),
            floor: &self.floor,
            pin: self.pin,
            screen_pin: None,
            publishers: &self.publishers,
            strip: STRIP_MAX,
            rate_bps: self.kbps * 1_000,
        };
        let before = self.layout.view().clone();
        let changed = self.layout.update(at(t), &input);
        assert_eq!(changed, before != *self.layout.view());
        self.layout.view().clone()
    }
}

fn publisher(n: u32, camera: Rates) -> Publisher {
    Publisher { participant: p(n), camera, screen: Rates::NONE, screen_order: 0 }
}

fn strip(view: &View) -> Vec<u32> {
    view.strip.iter().flatten().map(|s| s.participant.0).collect()
}

fn main(view: &View) -> Option<(u32, Option<&'static str>)> {
    view.main.map(|s| (s.participant.0, s.encoding.map(Encoding::rid)))
}

#[test]
fn the_default_is_the_speaker_large_and_twelve_small() {
    let view = Scene::of(20).spoke(&[7, 3, 15]).at(0);
    assert_eq!(main(&view), Some((7, Some("f"))));
    assert_eq!(strip(&view), [3, 15, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12]);
    assert!(view.strip.iter().flatten().all(|s| s.encoding == Some(Encoding::Q)));
}

#[test]
fn three_and_a_half_megabits_carry_the_default() {
    let mut scene = Scene::of(20).spoke(&[7]);
    scene.kbps = 3_450;
    assert_eq!(strip(&scene.at(0)).len(), 12);
}

#[test]
fn nobody_sees_themselves() {
    let mut scene = Scene::of(5).spoke(&[3]);
    scene.at(0);
    scene.floor.main = Some(p(0));
    scene.floor.recent.insert(0, p(0));
    let view = scene.at(10);
    assert_eq!(main(&view), Some((3, Some("f"))), "who was there stays");
    assert!(!strip(&view).contains(&0));
}

#[test]
fn a_pin_beats_the_speaker_and_a_leaver_frees_the_slot() {
    let mut scene = Scene::of(5).spoke(&[3]);
    scene.pin = Some(p(4));
    assert_eq!(main(&scene.at(0)).map(|m| m.0), Some(4));
    scene.publishers.retain(|q| q.participant != p(4));
    assert_eq!(main(&scene.at(10)).map(|m| m.0), Some(3));
    scene.pin = Some(p(0));
    assert_eq!(main(&scene.at(20)).map(|m| m.0), Some(3), "not oneself");
}

#[test]
fn before_anybody_spoke_the_first_to_join_is_shown() {
    assert_eq!(main(&Scene::of(5).at(0)).map(|m| m.0), Some(1));
    assert_eq!(Scene::of(1).at(0).main, None);
}

#[test]
fn a_speaker_without_a_camera_is_named() {
    let mut scene = Scene::of(5).spoke(&[9]);
    let view = scene.at(0);
    assert_eq!(main(&view), Some((9, None)));
    assert_eq!(strip(&view), [1, 2, 3, 4]);
}

#[test]
fn whoever_stays_in_the_strip_keeps_the_slot() {
    let mut scene = Scene::of(6).spoke(&[1]);
    let before = scene.at(0);
    scene.floor.main = Some(p(4));
    scene.floor.recent = vec![p(4), p(1)];
    let after = scene.at(10);
    assert_eq!(strip(&before), [2, 3, 4, 5]);
    assert_eq!(strip(&after), [2, 3, 1, 5], "1 takes the slot that 4 left");
}

#[test]
fn tiles_are_shed_from_the_least_recent_and_come_back_after_2_s() {
    let mut scene = Scene::of(6).spoke(&[1, 5, 4]);
    assert_eq!(strip(&scene.at(0)), [5, 4, 2, 3]);
    scene.kbps = 150 + 550 + 3 * 150; // main picture falls to h, three tiles fit
    assert_eq!(strip(&scene.at(10)), [5, 4, 2]);
    scene.kbps = 150 + 550 + 150;
    assert_eq!(strip(&scene.at(20)), [5]);
    scene.kbps = 150 + 550 + 3 * 150;
    assert_eq!(strip(&scene.at(30)), [5]);
    assert_eq!(scene.layout.deadline(), Some(at(2_030).mono));
    assert_eq!(strip(&scene.at(2_030)), [5, 4, 2]);
}

#[test]
fn below_200_kbps_only_names_are_left() {
    let mut scene = Scene::of(6).spoke(&[1]);
    scene.kbps = 199;
    let view = scene.at(0);
    assert!(view.audio_only);
    assert_eq!((main(&view), strip(&view).len()), (Some((1, None)), 0));
    let mut scene = Scene::of(6).spoke(&[1]);
    scene.kbps = 200;
    assert_eq!(main(&scene.at(0)), Some((1, Some("q"))));
}

#[test]
fn the_newest_share_takes_the_screen_slot_and_sheds_the_strip_first() {
    let mut scene = Scene::of(8).spoke(&[1]);
    scene.kbps = 3_500;
    assert_eq!(strip(&scene.at(0)).len(), 6);
    let screen = Rates::NONE.with(Encoding::Q, 2_500_000);
    (scene.publishers[2].screen, scene.publishers[2].screen_order) = (screen, 1);
    (scene.publishers[5].screen, scene.publishers[5].screen_order) = (screen, 2);
    let view = scene.at(10);
    assert_eq!(view.screen.map(|s| s.participant), Some(p(5)));
    assert_eq!(main(&view), Some((1, Some("h"))));
    assert_eq!(strip(&view).len(), 2);
}

#[test]
fn own_share_is_not_shown_to_oneself() {
    let mut scene = Scene::of(3);
    scene.publishers[0].screen = Rates::NONE.with(Encoding::Q, 1_000_000);
    assert_eq!(scene.at(0).screen, None);
}

#[test]
fn a_share_too_large_for_the_rate_is_only_named() {
    let mut scene = Scene::of(3);
    scene.publishers[1].screen = Rates::NONE.with(Encoding::Q, 2_500_000);
    scene.kbps = 600;
    let view = scene.at(0);
    assert_eq!(view.screen, Some(Shown { participant: p(1), encoding: None }));
    assert!(main(&view).is_some_and(|m| m.1 == Some("q")));
}

#[test]
fn a_missing_encoding_is_replaced_by_the_nearest_lower_or_the_lowest() {
    let only = |e, bps| Rates::NONE.with(e, bps);
    assert_eq!(only(Encoding::Q, 0).with(Encoding::F, 0).nearest(Encoding::H), Some(Encoding::Q));
    assert_eq!(only(Encoding::H, 0).nearest(Encoding::Q), Some(Encoding::H));
    assert_eq!(Rates::NONE.nearest(Encoding::Q), None);
    let mut scene = Scene::of(3).spoke(&[1]);
    scene.publishers[1].camera = only(Encoding::Q, 2_000_000);
    scene.kbps = 1_500;
    assert_eq!(main(&scene.at(0)), Some((1, Some("q"))), "somewhat too large is shown");
    scene.kbps = 500;
    assert_eq!(main(&scene.at(10)), Some((1, None)), "four times too large is not");
}

#[test]
fn a_source_without_a_small_encoding_does_not_block_the_strip() {
    let mut scene = Scene::of(5).spoke(&[1, 2]);
    scene.publishers[2].camera = Rates::NONE.with(Encoding::Q, 2_000_000);
    scene.kbps = 1_200;
    assert_eq!(strip(&scene.at(0)), [3, 4]);
}

#[test]
fn fewer_tiles_on_request() {
    let mut layout = Layout::new(12);
    let scene = Scene::of(20);
    let input = LayoutInput {
        own: p(0),
        floor: &scene.floor,
        pin: None,
        screen_pin: None,
        publishers: &scene.publishers,
        strip: 2,
        rate_bps: 4_000_000,
    };
    layout.update(at(0), &input);
    assert_eq!(strip(layout.view()).len(), 2);
    layout.set_strip_slots(1);
    layout.update(at(0), &input);
    assert_eq!(strip(layout.view()), [2]);
}

proptest! {
    #[test]
    fn slots_are_stable_unique_and_within_the_rate(
        steps in prop::collection::vec((0u64..1_000, 0u64..5_000, prop::collection::vec(0u32..16, 0..8)), 1..60),
    ) {
        let mut scene = Scene::of(14);
        let mut t = 0;
        let mut before = View::default();
        for (gap, kbps, mut recent) in steps {
            t += gap;
            scene.kbps = kbps;
            let mut seen = std::collections::BTreeSet::new();
            recent.retain(|r| seen.insert(*r));
            scene = scene.spoke(&recent);
            let view = scene.at(t);
            let shown = strip(&view);
            let unique: std::collections::BTreeSet<_> = shown.iter().collect();
            prop_assert_eq!(unique.len(), shown.len());
            prop_assert!(!shown.contains(&0));
            prop_assert!(view.main.is_none_or(|m| m.participant != p(0) && !shown.contains(&m.participant.0)));
            for (i, slot) in before.strip.iter().enumerate() {
                let Some(slot) = slot else { continue };
                if shown.contains(&slot.participant.0) { prop_assert_eq!(view.strip[i], Some(*slot)); }
            }
            let camera = Rates::simulcast();
            let spent: u64 = view.main.iter().chain(view.strip.iter().flatten())
                .filter_map(|s| s.encoding).map(|e| camera.bps(e)).sum();
            prop_assert!(spent == 0 || spent <= (kbps * 1_000).saturating_sub(VOICES_BPS).max(Q_BPS));
            prop_assert_eq!(view.audio_only, view.audio_only && spent == 0);
            before = view;
        }
    }
}
