//! How long the floor took to follow the speakers.

use super::Report;
use crate::time::SimTime;
use std::time::Duration;

/// ARCHITECTURE section 6: from the onset of speech to the floor at a viewer's edge, besides both ways.
const DECISION: Duration = Duration::from_millis(300);
/// Digest pacing and what else is rounded.
const SLACK: Duration = Duration::from_millis(30);

/// How long one edge took to learn that a speaker has the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloorDelay {
    /// The turn.
    pub turn: usize,
    /// The edge's place.
    pub edge: usize,
    /// From the first loud packet's arrival at the speaker's edge to the floor message at this edge.
    pub took: Duration,
    /// ARCHITECTURE section 6: 300 ms + one-way(speaker's edge, origin) + one-way(origin, this edge) + 30 ms.
    pub bound: Duration,
}

impl Report {
    /// Every change of the floor, as every edge with participants learnt of it. A speaker who had the floor before the
    /// turn, or never got it, gives none.
    #[must_use]
    pub fn floor_delays(&self) -> Vec<FloorDelay> {
        let turns = 0..self.turns.len();
        turns.flat_map(|turn| self.delays_of(turn)).collect()
    }

    fn delays_of(&self, turn: usize) -> Vec<FloorDelay> {
        let Some((speaker, spoken)) = self.spoken(turn) else { return Vec::new() };
        let row = &self.participants[speaker];
        // With jitter the first packet may be that late, but no later.
        let onset = spoken.onset.plus(Duration::from_micros(row.access.delay_us));
        let end = self.turns[turn].end.plus(Duration::from_secs(1));
        let mut edges: Vec<usize> = self.participants.iter().map(|p| p.edge).collect();
        edges.sort_unstable();
        edges.dedup();
        let one = |edge: usize| {
            if self.main_at(edge, onset) == row.id {
                return None;
            }
            let first = self
                .log
                .floors
                .iter()
                .find(|f| f.edge == edge && f.main == row.id && f.at >= onset && f.at <= end)?;
            let ways = self.longest_one_way(row.edge, self.origin)
                + self.longest_one_way(self.origin, edge);
            let jitter = Duration::from_micros(row.access.jitter_us);
            Some(FloorDelay {
                turn,
                edge,
                took: first.at.since(onset),
                bound: DECISION + ways + jitter + SLACK,
            })
        };
        edges.into_iter().filter_map(one).collect()
    }

    /// Who had the main picture at an edge at some moment.
    #[must_use]
    pub fn main_at(&self, edge: usize, at: SimTime) -> Option<relay_proto::ParticipantId> {
        let before = self.log.floors.iter().rev().find(|f| f.edge == edge && f.at <= at);
        before.and_then(|f| f.main)
    }
}
