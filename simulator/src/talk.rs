//! Who speaks when.

use crate::random::{Entity, Purpose, between, stream};
use crate::time::SimTime;

/// One turn of one speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its place in the schedule.
    pub number: usize,
    /// The speaker's place in the world.
    pub speaker: usize,
    /// First moment.
    pub start: SimTime,
    /// First moment after it.
    pub end: SimTime,
    /// RFC 6464 level of the loudest packets, in -dBov; others are up to 6 dB quieter.
    pub level: u8,
}

impl Turn {
    /// A turn; [`number`] gives it its place.
    #[must_use]
    pub fn new(speaker: usize, start: SimTime, end: SimTime, level: u8) -> Self {
        Self { number: 0, speaker, start, end, level }
    }
}

/// Puts turns in order and numbers them.
#[must_use]
pub fn number(mut turns: Vec<Turn>) -> Vec<Turn> {
    turns.sort_by_key(|t| (t.start, t.speaker));
    for (i, turn) in turns.iter_mut().enumerate() {
        turn.number = i;
    }
    turns
}

/// How people take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakingTurns {
    /// The first one begins.
    pub from: SimTime,
    /// None begins so late that it would end after this.
    pub until: SimTime,
    /// Shortest and longest turn, ms.
    pub turn_ms: (u64, u64),
    /// Shortest and longest silence between two, ms.
    pub gap_ms: (u64, u64),
}

/// Round after round in which everybody speaks once, in random order; nobody speaks twice in a row.
#[must_use]
pub fn taking_turns(seed: u64, speakers: &[usize], how: &TakingTurns) -> Vec<Turn> {
    let mut rng = stream(seed, Entity::World, Purpose::Talk);
    let mut turns: Vec<Turn> = Vec::new();
    let mut round: Vec<usize> = Vec::new();
    let mut start = how.from;
    while !speakers.is_empty() {
        if round.is_empty() {
            round.extend_from_slice(speakers);
        }
        let mut choice = between(&mut rng, 0, round.len() as u64 - 1) as usize;
        let ms = between(&mut rng, how.turn_ms.0, how.turn_ms.1);
        let gap = between(&mut rng, how.gap_ms.0, how.gap_ms.1);
        let level = between(&mut rng, 20, 32) as u8;
        if turns.last().is_some_and(|t| t.speaker == round[choice]) {
            choice = (choice + 1) % round.len();
        }
        let end = SimTime(start.0 + SimTime::from_ms(ms).0);
        if end > how.until {
            break;
        }
        turns.push(Turn::new(round.swap_remove(choice), start, end, level));
        start = SimTime(end.0 + SimTime::from_ms(gap).0);
    }
    number(turns)
}

/// What is wrong with a file of turns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnsError {
    /// A line cannot be read.
    #[error("line {line}: expected meeting,speaker,start_s,dur_s")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// The meeting is not in the file.
    #[error("there is no meeting {0:?}")]
    NoMeeting(String),
}

/// Turns of a recorded meeting, from lines `meeting,speaker,start_s,dur_s` (the AMI corpus in `data/`). Its speakers, by
/// name, become `speakers` in their order; what lies before `skip` or after `until` is left out.
///
/// # Errors
/// [`TurnsError`] with the line.
pub fn recorded(
    csv: &str,
    meeting: &str,
    speakers: &[usize],
    skip: SimTime,
    how: &TakingTurns,
) -> Result<Vec<Turn>, TurnsError> {
    let mut rows: Vec<(&str, SimTime, SimTime)> = Vec::new();
    for (i, line) in csv.lines().enumerate().skip(1).filter(|(_, l)| !l.trim().is_empty()) {
        let cells: Vec<&str> = line.trim().split(',').collect();
        let time = |at: usize| cells.get(at).and_then(|c| c.parse::<f64>().ok());
        let (Some(start), Some(length)) = (time(2), time(3)) else {
            return Err(TurnsError::Line { line: i + 1 });
        };
        if cells[0] == meeting {
            let (start, end) =
                (SimTime::from_secs_f64(start), SimTime::from_secs_f64(start + length));
            rows.push((cells[1], start, end));
        }
    }
    let mut names: Vec<&str> = rows.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(TurnsError::NoMeeting(meeting.to_owned()));
    }
    let shift = |t: SimTime| SimTime((t.0 + how.from.0).saturating_sub(skip.0));
    let turns = rows.into_iter().filter_map(|(name, start, end)| {
        let place = names.iter().position(|n| *n == name)?;
        let (start, end) = (shift(start).max(how.from), shift(end).min(how.until));
        let speaker = *speakers.get(place)?;
        (start < end).then(|| Turn::new(speaker, start, end, 24 + place as u8))
    });
    Ok(number(turns.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: TakingTurns = TakingTurns {
        from: SimTime::from_ms(2_000),
        until: SimTime::from_ms(60_000),
        turn_ms: (1_000, 3_000),
        gap_ms: (100, 500),
    };

    #[test]
    fn turns_follow_each_other_and_nobody_speaks_twice_in_a_row() {
        let turns = taking_turns(1, &[3, 5, 8], &HOW);
        assert!(turns.len() > 15);
        assert_eq!(turns[0].start, HOW.from);
        for pair in turns.windows(2) {
            assert!(pair[1].start > pair[0].end && pair[0].speaker != pair[1].speaker);
            assert_eq!(pair[1].number, pair[0].number + 1);
        }
        for round in turns.chunks_exact(3) {
            let mut who: Vec<usize> = round.iter().map(|t| t.speaker).collect();
            who.sort_unstable();
            assert_eq!(who, [3, 5, 8], "everybody once a round");
        }
        assert_eq!(turns, taking_turns(1, &[3, 5, 8], &HOW), "the seed decides");
        assert_ne!(turns, taking_turns(2, &[3, 5, 8], &HOW));
    }

    #[test]
    fn a_recorded_meeting_is_played() {
        let csv =
            "meeting,speaker,start_s,dur_s\nA,bob,10.0,2.0\nB,eve,0,1\nA,ann,11.5,1\nA,ann,100,1\n";
        let turns = recorded(csv, "A", &[7, 9], SimTime::from_ms(9_000), &HOW).unwrap();
        let times: Vec<_> =
            turns.iter().map(|t| (t.speaker, t.start.0 / 1_000_000, t.end.0 / 1_000_000)).collect();
        assert_eq!(times, [(9, 3_000, 5_000), (7, 4_500, 5_500)]);
        assert_eq!(
            recorded(csv, "C", &[1], SimTime::ZERO, &HOW),
            Err(TurnsError::NoMeeting("C".into()))
        );
        let broken = recorded("h\nA,b,c\n", "A", &[1], SimTime::ZERO, &HOW);
        assert_eq!(broken, Err(TurnsError::Line { line: 2 }));
    }
}
