//! The log store and the state machine by themselves: openraft's own suite.

use super::disk::FileShelf;
use super::log::LogStore;
use super::log_file::LogFile;
use super::machine::Machine;
use super::types::{Runtime, Types};
use openraft::testing::log::{StoreBuilder, Suite};
use std::sync::Arc;

struct Fresh;

impl StoreBuilder<Types, LogStore, Machine, tempfile::TempDir> for Fresh {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, Machine), openraft::StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let (file, _, content) = LogFile::open(&dir.path().join("raft.redb"), 1).unwrap();
        let shelf = FileShelf(dir.path().join("raft.snapshot"));
        let machine = Machine::open(Arc::new(shelf)).unwrap();
        Ok((dir, LogStore::start(file, content), machine))
    }
}

/// All of openraft's cases, over real files.
#[test]
fn openrafts_storage_suite_passes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Runtime::scope(1, Suite::test_all(Fresh))).unwrap();
}
