//! The bounded way out of a shard, which never makes it wait.

use crate::limits::OVERFLOW_OUTPUTS;
use crate::stats::{ShardStats, bump};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Sends outputs in order. What does not fit into the channel waits here, in order; beyond that limit it is lost and
/// counted, which the control runtime must take as "everything I know of this shard is stale".
#[derive(Debug)]
pub(crate) struct Outputs<O> {
    channel: mpsc::Sender<O>,
    overflow: VecDeque<O>,
}

impl<O> Outputs<O> {
    pub(crate) fn new(channel: mpsc::Sender<O>) -> Self {
        Self { channel, overflow: VecDeque::new() }
    }

    /// Whether something waits for room. While it does the shard takes no commands, so that the pressure reaches
    /// whoever sends them.
    pub(crate) fn is_behind(&self) -> bool {
        !self.overflow.is_empty()
    }

    /// Sends `events` behind what already waits.
    pub(crate) fn send(&mut self, events: &mut Vec<O>, stats: &ShardStats) {
        bump(&stats.outputs, events.len() as u64);
        self.retry(stats);
        for event in events.drain(..) {
            if self.is_behind() {
                self.keep(event, stats);
                continue;
            }
            match self.channel.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => self.keep(event, stats),
                Err(mpsc::error::TrySendError::Closed(_)) => bump(&stats.outputs_lost, 1),
            }
        }
    }

    /// Moves what waits into the channel as far as there is room.
    pub(crate) fn retry(&mut self, stats: &ShardStats) {
        while let Some(event) = self.overflow.pop_front() {
            match self.channel.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.overflow.push_front(event);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => bump(&stats.outputs_lost, 1),
            }
        }
    }

    /// The shard ends: a last try, and what still does not fit is lost.
    pub(crate) fn end(&mut self, stats: &ShardStats) {
        self.retry(stats);
        bump(&stats.outputs_lost, self.overflow.len() as u64);
        self.overflow.clear();
    }

    fn keep(&mut self, event: O, stats: &ShardStats) {
        if self.overflow.len() < OVERFLOW_OUTPUTS {
            self.overflow.push_back(event);
            bump(&stats.outputs_overflowed, 1);
        } else {
            bump(&stats.outputs_lost, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_full_channel_delays_outputs_and_keeps_their_order() {
        let stats = ShardStats::default();
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outputs = Outputs::new(sender);
        outputs.send(&mut vec![1, 2, 3, 4], &stats);
        assert!(outputs.is_behind());
        assert_eq!(stats.outputs_overflowed.load(Relaxed), 2);
        assert_eq!(receiver.try_recv(), Ok(1));
        outputs.send(&mut vec![5], &stats);
        let mut seen = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            seen.push(event);
            outputs.retry(&stats);
        }
        assert_eq!(seen, [2, 3, 4, 5]);
        assert!(!outputs.is_behind());
        assert_eq!(stats.outputs_lost.load(Relaxed), 0);
    }

    #[test]
    fn outputs_nobody_receives_are_counted() {
        let stats = ShardStats::default();
        let (sender, receiver) = mpsc::channel(2);
        drop(receiver);
        Outputs::new(sender).send(&mut vec![1, 2, 3], &stats);
        assert_eq!(stats.outputs_lost.load(Relaxed), 3);
    }
}
