//! The log store by itself: openraft's own suite, power cuts at every write, flipped bits.

use super::super::disk::Disk;
use super::super::log::LogStore;
use super::super::log_file::{Change, LogFile};
use super::super::machine::Machine;
use super::super::records::seal;
use super::super::types::{Entry, LogId, Outcome, Proposal, Runtime, Types, Vote};
use super::dice::Dice;
use super::platter::Platter;
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;
use std::time::Duration;

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
