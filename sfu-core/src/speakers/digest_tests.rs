//! The ranking is told on change, and refreshed.

use super::*;
use crate::speakers::testing::at;

fn p(n: u32) -> ParticipantId {
    ParticipantId(n)
}

/// An edge with local voices, driven in steps of 5 ms.
#[derive(Default)]
struct Edge {
    source: DigestSource,
    voices: std::collections::BTreeMap<u32, Loudness>,
    sent: Vec<(u64, Vec<SpeakerLevel>)>,
}

impl Edge {
    /// In `from..to`: who speaks at which level, a packet each 20 ms.
    fn run(&mut self, from: u64, to: u64, speakers: &[(u32, u8)]) {
        for t in (from..to).step_by(5) {
            for (who, level) in speakers.iter().filter(|_| t % 20 == 0) {
                let voice = self.voices.entry(*who).or_default();
                voice.packet(at(t), Some(*level));
                self.source.local(at(t), p(*who), voice);
            }
            if let Some(digest) = self.source.poll(at(t)) {
                self.sent.push((t, digest));
            }
        }
    }

    fn times(&self) -> Vec<u64> {
        self.sent.iter().map(|s| s.0).collect()
    }
}

#[test]
fn the_first_loud_packet_is_reported_at_once_and_then_at_10_hz() {
    let mut edge = Edge::default();
    edge.run(0, 1_000, &[(1, 30)]);
    assert_eq!(edge.times(), (0..10).map(|i| i * 100).collect::<Vec<_>>());
    let last = edge.sent.last().unwrap().1[0];
    assert_eq!((last.participant, last.silent_ms, last.speaking_ms), (p(1), 0, 900));
    assert_eq!(last.loudness, 97);
}

#[test]
fn silence_is_reported_after_60_ms_and_soon_nothing_more_is_sent() {
    let mut edge = Edge::default();
    edge.run(0, 1_000, &[(1, 30)]);
    edge.sent.clear();
    edge.run(1_000, 10_000, &[]);
    assert_eq!(edge.sent[0].0, 1_000, "refresh");
    assert_eq!((edge.sent[1].0, edge.sent[1].1[0].silent_ms), (1_040, 60));
    let (gone, empty) = edge.sent.iter().find(|s| s.1.is_empty()).unwrap();
    assert_eq!((*gone, empty.len()), (1_980, 0));
    assert_eq!(edge.sent.iter().filter(|s| s.0 > *gone).map(|s| s.0).collect::<Vec<_>>(), [6_980]);
}

#[test]
fn nobody_speaking_sends_nothing() {
    let mut edge = Edge::default();
    edge.run(0, 5_000, &[(1, 127), (2, 90)]);
    assert!(edge.sent.is_empty());
    assert_eq!(edge.source.deadline(), None);
}

#[test]
fn a_change_of_rank_is_sent_within_20_ms() {
    let mut edge = Edge::default();
    edge.run(0, 500, &[(1, 40)]);
    edge.sent.clear();
    edge.run(510, 900, &[(1, 40), (2, 20)]);
    let both = edge.sent.iter().find(|s| s.1.len() == 2).unwrap();
    assert!((520..=540).contains(&both.0), "at {}", both.0);
    let lead = edge.sent.iter().find(|s| s.1[0].participant == p(2)).unwrap();
    assert!(lead.0 < 800, "twice as loud leads within the window, at {}", lead.0);
    for pair in edge.times().windows(2) {
        assert!(pair[1] - pair[0] >= 20);
    }
}

#[test]
fn at_most_four_are_named_the_loudest_first() {
    let mut edge = Edge::default();
    let speakers: Vec<(u32, u8)> = (0..20).map(|i| (i, 45 - i as u8)).collect();
    edge.run(0, 1_000, &speakers);
    let last: Vec<u32> = edge.sent.last().unwrap().1.iter().map(|l| l.participant.0).collect();
    assert_eq!(last, [19, 18, 17, 16]);
}

#[test]
fn a_head_merges_its_children() {
    let mut edge = Edge::default();
    let child =
        |loudness| SpeakerLevel { participant: p(5), loudness, silent_ms: 0, speaking_ms: 800 };
    edge.run(0, 500, &[(1, 40)]);
    edge.source.child(at(500), NodeId(2), &[child(100)]);
    edge.run(500, 600, &[(1, 40)]);
    let merged = &edge.sent.last().unwrap().1;
    assert_eq!(merged.iter().map(|l| l.participant.0).collect::<Vec<_>>(), [5, 1]);
    assert!((800..1_000).contains(&merged[0].speaking_ms));
    edge.source.child(at(600), NodeId(2), &[]);
    edge.run(600, 700, &[(1, 40)]);
    assert_eq!(edge.sent.last().unwrap().1.len(), 1, "an empty digest clears the child");
}

#[test]
fn a_child_that_is_not_heard_ages_out_after_1_s() {
    let mut edge = Edge::default();
    let level = SpeakerLevel { participant: p(5), loudness: 90, silent_ms: 0, speaking_ms: 100 };
    edge.source.child(at(0), NodeId(2), &[level]);
    edge.run(0, 1_200, &[]);
    let emptied = edge.sent.iter().find(|s| s.1.is_empty()).unwrap();
    assert_eq!(emptied.0, 1_000);
}

#[test]
fn somebody_who_left_is_named_no_more() {
    let mut edge = Edge::default();
    edge.run(0, 500, &[(1, 40), (2, 40)]);
    edge.source.forget(p(1));
    edge.run(505, 600, &[(2, 40)]);
    assert!(edge.sent.last().unwrap().1.iter().all(|l| l.participant == p(2)));
}

#[test]
fn the_deadline_is_never_more_than_a_look_behind() {
    let mut edge = Edge::default();
    for t in (0..3_000).step_by(5) {
        let speakers: &[(u32, u8)] = if t < 1_500 { &[(1, 30)] } else { &[] };
        edge.run(t, t + 5, speakers);
        if let Some(deadline) = edge.source.deadline() {
            assert!(deadline > at(t).mono, "polled at {t}, so nothing can be due");
        }
    }
}
