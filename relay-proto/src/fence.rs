//! Epoch fencing: of each meeting the highest epoch ever seen; who acts under an older one is refused.

use crate::control::{Body, Control, Refusal};
use crate::ids::{Epoch, MeetingId};
use crate::limits::{FENCE_IDLE, FENCED_MEETINGS_MAX};
use std::collections::BTreeMap;
use std::time::Instant;

/// The highest epochs.
#[derive(Debug, Default)]
pub struct EpochFence {
    meetings: BTreeMap<MeetingId, (Epoch, Instant)>,
}

impl EpochFence {
    /// The highest epoch seen of a meeting.
    #[must_use]
    pub fn epoch(&self, meeting: MeetingId) -> Option<Epoch> {
        self.meetings.get(&meeting).map(|(epoch, _)| *epoch)
    }

    /// Learns an epoch (from topology, or our own takeover). Never goes back.
    ///
    /// # Errors
    /// `Full` when the table is, and nothing in it is idle.
    pub fn raise(&mut self, now: Instant, meeting: MeetingId, epoch: Epoch) -> Result<(), Refusal> {
        if !self.meetings.contains_key(&meeting) && self.meetings.len() >= FENCED_MEETINGS_MAX {
            self.meetings.retain(|_, (_, seen)| now.saturating_duration_since(*seen) < FENCE_IDLE);
            if self.meetings.len() >= FENCED_MEETINGS_MAX {
                return Err(Refusal::Full);
            }
        }
        let entry = self.meetings.entry(meeting).or_insert((epoch, now));
        *entry = (entry.0.max(epoch), now);
        Ok(())
    }

    /// Judges a message from a peer, and learns its epoch. A refusal is never refused: it is how news of a newer
    /// epoch travels, and answering it would never end.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn admit(&mut self, now: Instant, control: &Control) -> Result<(), Refusal> {
        match self.epoch(control.meeting) {
            Some(newest) if control.epoch < newest && !matches!(control.body, Body::Refused(_)) => {
                Err(Refusal::StaleEpoch(newest))
            }
            _ => self.raise(now, control.meeting, control.epoch),
        }
    }

    /// Forgets a meeting that is over.
    pub fn forget(&mut self, meeting: MeetingId) {
        self.meetings.remove(&meeting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn detach(meeting: u64, epoch: u64) -> Control {
        Control { meeting: MeetingId(meeting), epoch: Epoch(epoch), body: Body::Detach }
    }

    #[test]
    fn an_older_epoch_is_refused_with_the_one_in_force() {
        let (mut fence, now) = (EpochFence::default(), Instant::now());
        assert_eq!(fence.admit(now, &detach(1, 4)), Ok(()));
        assert_eq!(fence.admit(now, &detach(1, 2)), Err(Refusal::StaleEpoch(Epoch(4))));
        assert_eq!(fence.admit(now, &detach(2, 2)), Ok(()), "each meeting has its own");
        assert_eq!(fence.admit(now, &detach(1, 5)), Ok(()));
        let refused = Control { body: Body::Refused(Refusal::NotMine), ..detach(1, 0) };
        assert_eq!(fence.admit(now, &refused), Ok(()));
        assert_eq!(fence.epoch(MeetingId(1)), Some(Epoch(5)));
    }

    #[test]
    fn a_full_table_makes_room_of_idle_meetings_only() {
        let (mut fence, now) = (EpochFence::default(), Instant::now());
        for meeting in 0..FENCED_MEETINGS_MAX as u64 {
            fence.raise(now, MeetingId(meeting), Epoch(2)).unwrap();
        }
        assert_eq!(fence.raise(now, MeetingId(u64::MAX), Epoch(2)), Err(Refusal::Full));
        let later = now + FENCE_IDLE + Duration::from_secs(1);
        assert_eq!(fence.raise(later, MeetingId(u64::MAX), Epoch(2)), Ok(()));
    }
}
