//! Who the participants of a run are: where they join, what they bring, when.

use super::turns::{NoMeeting, Schedule};
use std::time::Duration;

/// What a run is to be.
#[derive(Clone, Debug)]
pub(crate) struct LoadOptions {
    /// Participants in all.
    pub(crate) participants: u32,
    /// Those of them with microphone and camera.
    pub(crate) publishers: u32,
    /// Those of them on the async `webrtc` crate; they only watch.
    pub(crate) full: u32,
    /// Meetings they are spread over.
    pub(crate) meetings: u32,
    /// People who speak at any time, a meeting.
    pub(crate) talkers: usize,
    /// Shortest and longest turn.
    pub(crate) turn: (Duration, Duration),
    /// A recorded meeting to be played instead.
    pub(crate) recorded: Option<String>,
    /// Voices each can hear.
    pub(crate) voices: usize,
    /// Pictures each can see; the first is the main one.
    pub(crate) pictures: usize,
    /// What each wants to receive at most, bit/s; none: what the edge gives.
    pub(crate) max_bps: Option<u32>,
    /// Frames a second of each camera.
    pub(crate) fps: u32,
    /// Joins a second; none: all at once.
    pub(crate) joins_per_second: Option<f64>,
    /// How long is measured.
    pub(crate) duration: Duration,
    /// From the last join to the beginning of the measurement.
    pub(crate) settle: Duration,
    /// Decides who speaks when.
    pub(crate) seed: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            participants: 100,
            publishers: 10,
            full: 0,
            meetings: 1,
            talkers: 1,
            turn: (Duration::from_secs(3), Duration::from_secs(6)),
            recorded: None,
            voices: 3,
            pictures: 1,
            max_bps: Some(450_000),
            fps: 20,
            joins_per_second: Some(50.0),
            duration: Duration::from_secs(30),
            settle: Duration::from_secs(3),
            seed: 1,
        }
    }
}

/// An edge.
#[derive(Clone, Debug)]
pub(super) struct EdgePlace {
    pub(super) name: String,
    pub(super) region: String,
    /// Its HTTP.
    pub(super) url: String,
}

/// One participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Its number in the run.
    pub(super) number: u32,
    pub(super) meeting: usize,
    /// Its edge.
    pub(super) edge: usize,
    /// Its place among the speakers of its meeting.
    pub(super) speaker: Option<usize>,
    /// On the async `webrtc` crate.
    pub(super) full: bool,
}

/// Everybody.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) members: Vec<Member>,
    /// By meeting.
    pub(super) schedules: Vec<Schedule>,
}

impl Plan {
    /// Publishers come first, as on a stage, and are spread over edges and meetings as everybody is.
    ///
    /// # Errors
    /// When there is no such recorded meeting.
    pub(super) fn new(options: &LoadOptions, edges: usize) -> Result<Self, NoMeeting> {
        let meetings = options.meetings.max(1) as usize;
        let publishers = options.publishers.min(options.participants);
        let watchers = options.participants - publishers;
        // Full clients are spread among those who watch.
        let every = watchers.checked_div(options.full.min(watchers));
        let mut speakers = vec![0; meetings];
        let members = (0..options.participants).map(|number| {
            let meeting = number as usize % meetings;
            let speaker = (number < publishers).then(|| {
                speakers[meeting] += 1;
                speakers[meeting] - 1
            });
            let watcher = number.saturating_sub(publishers);
            let full = speaker.is_none()
                && every.is_some_and(|e| watcher % e == 0 && watcher / e < options.full);
            // Whole meetings are not to sit on one edge.
            let edge = (number as usize / meetings + meeting) % edges.max(1);
            Member { number, meeting, edge, speaker, full }
        });
        let members = members.collect();
        let ms = |d: Duration| d.as_millis() as u64;
        let turn_ms = (ms(options.turn.0), ms(options.turn.1));
        let schedule = |(meeting, speakers): (usize, &usize)| match &options.recorded {
            Some(name) => Schedule::recorded(name, *speakers),
            None => {
                let seed = options.seed.wrapping_add(meeting as u64);
                Ok(Schedule::lanes(seed, *speakers, options.talkers, turn_ms))
            }
        };
        let schedules = speakers.iter().enumerate().map(schedule).collect::<Result<_, _>>()?;
        Ok(Self { members, schedules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_place() {
        let options =
            LoadOptions { participants: 103, publishers: 10, full: 20, ..LoadOptions::default() };
        let plan = Plan::new(&options, 4).unwrap();
        assert_eq!(plan.members.len(), 103);
        for edge in 0..4 {
            let at = plan.members.iter().filter(|m| m.edge == edge);
            assert!((25..=26).contains(&at.clone().count()));
            assert!((2..=3).contains(&at.filter(|m| m.speaker.is_some()).count()));
        }
        assert_eq!(plan.members.iter().filter(|m| m.full).count(), 20);
        assert!(plan.members.iter().all(|m| !(m.full && m.speaker.is_some())));
        let speakers: Vec<_> = plan.members.iter().filter_map(|m| m.speaker).collect();
        assert_eq!(speakers, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn many_small_meetings_span_the_edges() {
        let options = LoadOptions {
            participants: 40,
            publishers: 40,
            meetings: 10,
            ..LoadOptions::default()
        };
        let plan = Plan::new(&options, 4).unwrap();
        for meeting in 0..10 {
            let of: Vec<_> = plan.members.iter().filter(|m| m.meeting == meeting).collect();
            let mut edges: Vec<_> = of.iter().map(|m| m.edge).collect();
            edges.sort_unstable();
            edges.dedup();
            assert_eq!((of.len(), edges.len()), (4, 4));
            assert_eq!(of.iter().filter_map(|m| m.speaker).max(), Some(3));
        }
        assert_eq!(plan.schedules.len(), 10);
    }
}
