//! What clients asked and heard, and whether one order of it all explains that.

use std::collections::{BTreeMap, BTreeSet};

/// What was asked of a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Create,
    /// Grant the epoch after this one.
    Replace {
        from: u64,
    },
    Read,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// This epoch is in force.
    Epoch(u64),
    /// Refused: this epoch is in force.
    Stale(u64),
    /// There is no such meeting.
    Unknown,
}

/// One request of one client, from its first attempt to its answer.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) meeting: u64,
    pub(super) asked: Asked,
    pub(super) from: u64,
    /// Never, while it is not answered.
    pub(super) until: u64,
    pub(super) heard: Option<Heard>,
}

/// All operations, in the order of their beginnings. Moments are counted, so no two are equal.
#[derive(Debug, Default)]
pub(super) struct History {
    moment: u64,
    pub(super) operations: Vec<Operation>,
}

impl History {
    pub(super) fn begin(&mut self, meeting: u64, asked: Asked) -> usize {
        self.moment += 1;
        let operation =
            Operation { meeting, asked, from: self.moment, until: u64::MAX, heard: None };
        self.operations.push(operation);
        self.operations.len() - 1
    }

    pub(super) fn end(&mut self, at: usize, heard: Heard) {
        self.moment += 1;
        let operation = &mut self.operations[at];
        (operation.until, operation.heard) = (self.moment, Some(heard));
    }

    pub(super) fn answered(&self) -> usize {
        self.operations.iter().filter(|o| o.heard.is_some()).count()
    }

    /// The meetings whose operations no order explains. Meetings do not concern each other.
    pub(super) fn unexplained(&self) -> Vec<u64> {
        let mut meetings: BTreeMap<u64, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            meetings.entry(operation.meeting).or_default().push(operation);
        }
        let unexplained = meetings.into_iter().filter(|(_, all)| !is_linearizable(all));
        unexplained.map(|(meeting, _)| meeting).collect()
    }
}

/// What one meeting answers: the model that the whole group must behave like.
fn step(epoch: Option<u64>, asked: Asked) -> (Option<u64>, Heard) {
    match (asked, epoch) {
        (Asked::Create, None) => (Some(2), Heard::Epoch(2)),
        (Asked::Create, Some(epoch)) => (Some(epoch), Heard::Stale(epoch)),
        (Asked::Replace { from }, Some(epoch)) if from == epoch => {
            (Some(epoch + 2), Heard::Epoch(epoch + 2))
        }
        (Asked::Replace { .. }, Some(epoch)) => (Some(epoch), Heard::Stale(epoch)),
        (Asked::Read, Some(epoch)) => (Some(epoch), Heard::Epoch(epoch)),
        (Asked::Replace { .. } | Asked::Read, None) => (None, Heard::Unknown),
    }
}

/// The search of Wing and Gong with the memory of Lowe: operations that may come next are tried in turn; a set of
/// operations that led to a state once need not be tried again. Operations without an answer may have happened or not.
fn is_linearizable(operations: &[&Operation]) -> bool {
    let words = operations.len().div_ceil(64);
    let answered = operations.iter().filter(|o| o.heard.is_some()).count();
    let mut seen = BTreeSet::new();
    let mut stack = vec![(vec![0u64; words], None, 0)];
    while let Some((done, epoch, count)) = stack.pop() {
        if count == answered {
            return true;
        }
        if !seen.insert((done.clone(), epoch)) {
            continue;
        }
        let is_done = |at: usize| done[at / 64] >> (at % 64) & 1 == 1;
        let open = operations.iter().enumerate().filter(|(at, _)| !is_done(*at));
        let first_end = open.clone().map(|(_, o)| o.until).min().unwrap_or(u64::MAX);
        for (at, operation) in open.filter(|(_, o)| o.from < first_end) {
            let (next, heard) = step(epoch, operation.asked);
            if operation.heard.is_some_and(|said| said != heard) {
                continue;
            }
            let mut done = done.clone();
            done[at / 64] |= 1 << (at % 64);
            stack.push((done, next, count + usize::from(operation.heard.is_some())));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(operations: &[(Asked, u64, u64, Option<Heard>)]) -> bool {
        let all: Vec<_> = operations
            .iter()
            .map(|(asked, from, until, heard)| Operation {
                meeting: 1,
                asked: *asked,
                from: *from,
                until: *until,
                heard: *heard,
            })
            .collect();
        is_linearizable(&all.iter().collect::<Vec<_>>())
    }

    #[test]
    fn what_can_be_put_in_order_is_accepted_and_what_cannot_is_not() {
        use Asked::{Create, Read, Replace};
        use Heard::{Epoch, Stale};
        let made = (Create, 1, 2, Some(Epoch(2)));
        let replaced = (Replace { from: 2 }, 3, 6, Some(Epoch(4)));
        // At the same time as the change, a read sees either.
        assert!(history(&[made, replaced, (Read, 4, 5, Some(Epoch(2)))]));
        assert!(history(&[made, replaced, (Read, 4, 5, Some(Epoch(4)))]));
        // After it, only the new.
        assert!(!history(&[made, replaced, (Read, 7, 8, Some(Epoch(2)))]));
        // One epoch is granted once.
        assert!(!history(&[made, replaced, (Replace { from: 2 }, 4, 5, Some(Epoch(4)))]));
        assert!(history(&[made, replaced, (Replace { from: 2 }, 4, 5, Some(Stale(4)))]));
        // Unanswered: it may have happened, at any later time, or never.
        let open = (Replace { from: 2 }, 3, u64::MAX, None);
        assert!(history(&[made, open, (Read, 4, 5, Some(Epoch(2)))]));
        assert!(history(&[made, open, (Read, 4, 5, Some(Epoch(4)))]));
        assert!(!history(&[made, open, (Read, 4, 5, Some(Epoch(4))), (Read, 6, 7, Some(Epoch(2)))]));
    }
}
