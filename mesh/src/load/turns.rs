//! Who speaks when: lanes in which people take turns, or a recorded meeting.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;

/// A turn begins so much before the last one of its lane ends: somebody is always heard, and people do interrupt.
const OVERLAP_US: u64 = 100_000;
/// A schedule of lanes repeats after so long.
const LANES_PERIOD_US: u64 = 600_000_000;
/// Levels of voices, in -dBov: from a raised voice to a quiet one.
const LEVELS: std::ops::RangeInclusive<u8> = 20..=30;
/// Turns of recorded meetings: `meeting,speaker,start_s,dur_s`.
const AMI: &str = include_str!("../../data/ami_segments_a.csv");

/// One turn, on the schedule's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) from_us: u64,
    pub(super) until_us: u64,
    /// In -dBov (RFC 6464).
    pub(super) level: u8,
}

/// The turns of everybody in a meeting; they repeat.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    speakers: Vec<Arc<[Turn]>>,
    period_us: u64,
}

/// The turns of one speaker.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    turns: Arc<[Turn]>,
    period_us: u64,
}

/// Why a recorded meeting cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no recorded meeting {wanted:?}: choose one of {known}")]
pub(super) struct NoMeeting {
    wanted: String,
    known: String,
}

impl Schedule {
    /// `lanes` people speak at any time, in turns of `turn_ms` each; each speaker belongs to one lane.
    pub(super) fn lanes(seed: u64, speakers: usize, lanes: usize, turn_ms: (u64, u64)) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); speakers];
        let lanes = lanes.min(speakers);
        for lane in 0..lanes {
            let members: Vec<usize> = (lane..speakers).step_by(lanes).collect();
            // Lanes do not change hands all at once.
            let mut from_us = 0;
            let mut at = rng.random_range(0..members.len());
            while from_us < LANES_PERIOD_US {
                let ms = rng.random_range(turn_ms.0..=turn_ms.1.max(turn_ms.0));
                let until_us = (from_us + ms * 1_000).min(LANES_PERIOD_US);
                turns[members[at]].push(Turn {
                    from_us,
                    until_us,
                    level: rng.random_range(LEVELS),
                });
                if until_us == LANES_PERIOD_US {
                    break;
                }
                from_us = until_us - OVERLAP_US.min(ms * 500);
                at = (at + 1) % members.len();
            }
        }
        Self { speakers: turns.into_iter().map(Arc::from).collect(), period_us: LANES_PERIOD_US }
    }

    /// A meeting of the AMI corpus; its four or five speakers become the first ones, the others listen.
    ///
    /// # Errors
    /// When there is no such meeting.
    pub(super) fn recorded(meeting: &str, speakers: usize) -> Result<Self, NoMeeting> {
        let rows = || AMI.lines().skip(1).filter_map(row);
        let mut names: Vec<&str> = rows().filter(|r| r.0 == meeting).map(|r| r.1).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            let mut known: Vec<&str> = rows().map(|r| r.0).collect();
            known.dedup();
            return Err(NoMeeting { wanted: meeting.to_owned(), known: known.join(", ") });
        }
        let mut turns: Vec<Vec<Turn>> = vec![Vec::new(); speakers];
        let mut period_us = 0;
        for (_, name, from_us, until_us) in rows().filter(|r| r.0 == meeting) {
            let place = names.iter().position(|n| *n == name).unwrap_or(0);
            if let Some(own) = turns.get_mut(place) {
                let level = (*LEVELS.start() + 3 * place as u8).min(*LEVELS.end());
                own.push(Turn { from_us, until_us, level });
                period_us = period_us.max(until_us);
            }
        }
        turns.iter_mut().for_each(|t| t.sort_by_key(|t| t.from_us));
        Ok(Self {
            speakers: turns.into_iter().map(Arc::from).collect(),
            period_us: period_us.max(1),
        })
    }

    /// The turns of one speaker.
    pub(super) fn voice(&self, speaker: usize) -> Voice {
        let turns = self.speakers.get(speaker).cloned().unwrap_or_default();
        Voice { turns, period_us: self.period_us }
    }

    /// For how long between two moments somebody speaks who is not `except`.
    pub(super) fn spoken_us(&self, from_us: u64, until_us: u64, except: Option<usize>) -> u64 {
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for round in from_us / self.period_us..=until_us / self.period_us {
            let shift = round * self.period_us;
            let others = self.speakers.iter().enumerate().filter(|(i, _)| Some(*i) != except);
            let turns = others.flat_map(|(_, turns)| turns.iter());
            let cut = turns
                .map(|t| ((t.from_us + shift).max(from_us), (t.until_us + shift).min(until_us)));
            spans.extend(cut.filter(|(from, until)| from < until));
        }
        spans.sort_unstable();
        let (mut total, mut end) = (0, 0);
        for (from, until) in spans {
            total += until.saturating_sub(from.max(end));
            end = end.max(until);
        }
        total
    }
}

fn row(line: &str) -> Option<(&str, &str, u64, u64)> {
    let mut cells = line.trim().split(',');
    let (meeting, speaker) = (cells.next()?, cells.next()?);
    let mut us = || Some((cells.next()?.parse::<f64>().ok()? * 1e6) as u64);
    let (from, length) = (us()?, us()?);
    Some((meeting, speaker, from, from + length))
}

impl Voice {
    /// Nobody ever hears it.
    #[cfg(test)]
    pub(super) fn silent() -> Self {
        Self { turns: Arc::from([]), period_us: 1 }
    }

    /// The turn in which it speaks at that moment, with its beginning on the same clock.
    pub(super) fn at(&self, us: u64) -> Option<Turn> {
        let round = us / self.period_us * self.period_us;
        let within = us - round;
        let next = self.turns.partition_point(|t| t.from_us <= within);
        let turn = self.turns.get(next.checked_sub(1)?)?;
        let shifted =
            Turn { from_us: turn.from_us + round, until_us: turn.until_us + round, ..*turn };
        (within < turn.until_us).then_some(shifted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    #[test]
    fn in_each_lane_somebody_speaks_at_any_time_and_nobody_twice_at_once() {
        let schedule = Schedule::lanes(7, 9, 2, (1_000, 3_000));
        let voices: Vec<Voice> = (0..9).map(|i| schedule.voice(i)).collect();
        for ms in (0..600_000).step_by(50) {
            let speaking = voices.iter().filter(|v| v.at(ms * 1_000).is_some()).count();
            assert!((2..=4).contains(&speaking), "{speaking} speak at {ms} ms");
        }
        assert!(voices.iter().all(|v| v.turns.len() > 10), "everybody has turns");
        assert_eq!(schedule.spoken_us(5 * S, 65 * S, None), 60 * S);
        assert_eq!(schedule.spoken_us(590 * S, 650 * S, None), 60 * S, "over the repetition");
    }

    #[test]
    fn with_one_lane_the_speaker_alone_hears_nobody() {
        let schedule = Schedule::lanes(1, 4, 1, (2_000, 2_000));
        let own = schedule.spoken_us(0, 60 * S, Some(2));
        assert!((40 * S..52 * S).contains(&own), "{own}");
        assert_eq!(schedule.spoken_us(0, 60 * S, Some(77)), 60 * S);
    }

    #[test]
    fn a_voice_knows_its_turn() {
        let turn = Turn { from_us: 10, until_us: 20, level: 25 };
        let voice = Voice { turns: Arc::from([turn]), period_us: 100 };
        assert_eq!([voice.at(9), voice.at(20), voice.at(110 + 10)], [None; 3]);
        assert_eq!(voice.at(115), Some(Turn { from_us: 110, until_us: 120, level: 25 }));
        assert_eq!(Voice::silent().at(5), None);
    }

    #[test]
    fn a_recorded_meeting_has_its_pauses() {
        let schedule = Schedule::recorded("ES2004a", 50).unwrap();
        let voices = (0..50).filter(|i| !schedule.voice(*i).turns.is_empty()).count();
        assert_eq!(voices, 4);
        let spoken = schedule.spoken_us(60 * S, 360 * S, None);
        assert!((150 * S..300 * S).contains(&spoken), "{} s of 300", spoken / S);
        let error = Schedule::recorded("X", 2).unwrap_err().to_string();
        assert!(error.contains("EN2002a, EN2002c"), "{error}");
    }
}
