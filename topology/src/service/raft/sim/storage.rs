//! The log store by itself: openraft's own suite, power cuts at every write, flipped bits.

use super::super::disk::Disk;
use super::super::log::LogStore;
use super::super::log_file::{Change, LogFile};
use super::super::machine::Machine;
use super::super::records::seal;
use super::super::types::{Entry, LogId, Proposal, Runtime, Types, Vote};
use super::dice::Dice;
use super::platter::Platter;
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;

struct Fresh;

impl StoreBuilder<Types, LogStore, Machine, tempfile::TempDir> for Fresh {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, Machine), openraft::StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let (file, _, content) = LogFile::open(&dir.path().join("raft.redb"), 1).unwrap();
        let shelf = super::super::disk::FileShelf(dir.path().join("raft.snapshot"));
        let machine = Machine::open(Arc::new(shelf), Disk::Threads).unwrap();
        Ok((dir, LogStore::start(file, content, Disk::Threads), machine))
    }
}

/// All of openraft's cases, over real files.
#[test]
fn openrafts_storage_suite_passes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Runtime::scope(1, Suite::test_all(Fresh))).unwrap();
}

fn log_id(index: u64) -> LogId {
    openraft::testing::log_id::<Types>(1, 1, index)
}

fn entry(index: u64) -> (u64, Vec<u8>) {
    let mut entry: Entry = openraft::testing::blank_ent::<Types>(1, 1, index);
    entry.payload = openraft::EntryPayload::Normal(Proposal::Found { cluster: index });
    (index, seal(&entry).unwrap())
}

/// A batch of changes, and what must be there when it was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Acknowledged {
    vote: u64,
    last: u64,
    purged: u64,
}

fn batch(turn: u64, before: Acknowledged) -> (Vec<Change>, Acknowledged) {
    let mut after = before;
    let mut changes = Vec::new();
    if turn % 3 == 0 {
        after.vote += 1;
        changes.push(Change::Vote(Vote::new(after.vote, 1)));
    }
    let count = 1 + turn % 4;
    changes.push(Change::Append((after.last..after.last + count).map(entry).collect()));
    after.last += count;
    if turn % 5 == 4 {
        after.purged = after.last - 2;
        changes.push(Change::Purge(log_id(after.purged)));
    }
    changes.push(Change::Committed(Some(log_id(after.last - 1))));
    (changes, after)
}

fn found(content: &super::super::log_file::Content) -> Acknowledged {
    let last = content.entries.keys().next_back().map(|last| last + 1);
    let purged = content.purged.map_or(0, |p| p.index);
    Acknowledged {
        vote: content.vote.map_or(0, |vote| vote.leader_id.term),
        last: last.unwrap_or(if purged == 0 { 0 } else { purged + 1 }),
        purged,
    }
}

/// Whatever write the power fails in, what was acknowledged is there, and nothing but what was being written besides.
#[test]
fn a_power_cut_in_any_write_takes_back_nothing_that_was_acknowledged() {
    let mut cuts = 0;
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let platter = Platter::default();
        let mut acknowledged = Acknowledged::default();
        for _ in 0..3 {
            let (file, _, content) = LogFile::over(platter.handle(), 7).unwrap();
            let there = found(&content);
            assert_eq!(there, acknowledged, "seed {seed}");
            platter.light_fuse(&mut dice);
            for turn in 0..200 {
                let (changes, after) = batch(turn + dice.below(5), acknowledged);
                if file.commit(&changes).is_err() {
                    cuts += 1;
                    drop(file);
                    // All of the interrupted batch may be there, or none of it.
                    let (_, id, content) = LogFile::over(platter.handle(), 8).unwrap();
                    let there = found(&content);
                    assert!([acknowledged, after].contains(&there), "seed {seed}: {there:?}");
                    assert_eq!(id, 7);
                    acknowledged = there;
                    break;
                }
                acknowledged = after;
            }
        }
    }
    assert!(cuts > 800, "{cuts} power cuts");
}

/// A file over which a flipped bit goes unnoticed must read as it was.
#[test]
fn a_flipped_bit_is_noticed_or_changes_nothing() {
    let platter = Platter::default();
    let (file, _, _) = LogFile::over(platter.handle(), 7).unwrap();
    let mut acknowledged = Acknowledged::default();
    for turn in 0..20 {
        let (changes, after) = batch(turn, acknowledged);
        file.commit(&changes).unwrap();
        acknowledged = after;
    }
    let mut dice = Dice::new(1);
    platter.cut_power(&mut dice);
    drop(file);
    let (mut noticed, mut harmless) = (0, 0);
    for _ in 0..400 {
        let damaged = platter.copy();
        damaged.flip_a_bit(&mut dice);
        match LogFile::over(damaged.handle(), 8) {
            Err(_) => noticed += 1,
            Ok((_, id, content)) => {
                assert_eq!((id, found(&content)), (7, acknowledged));
                harmless += 1;
            }
        }
    }
    println!("{noticed} flipped bits noticed, {harmless} changed nothing");
    assert!(noticed > 0);
}
