//! The log on disk, in redb.
//!
//! ```text
//! entries   index -> checksum, entry        consecutive from the one after `purged`
//! meta      "id" | "vote" | "committed" | "purged" -> checksum, value
//! ```
//! Commits are two-phase: a committed page that does not verify later is damage, and redb says so instead of falling back
//! to the commit before, which would take back a vote or an entry that was acknowledged.

use super::records::{damaged, seal, unseal};
use super::types::{Entry, LogId, Vote};
use openraft::entry::RaftEntry;
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const ID: &str = "id";
const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// A change of the log.
#[derive(Debug)]
pub(super) enum Change {
    /// The vote.
    Vote(Vote),
    /// How far is known to be committed; a hint, so it may be lost.
    Committed(Option<LogId>),
    /// Entries by index, as they lie on disk.
    Append(Vec<(u64, Vec<u8>)>),
    /// Entries from here on are void.
    Truncate {
        /// The first void one.
        from: u64,
    },
    /// Entries up to here are in a snapshot.
    Purge(LogId),
}

/// What was read from a log file.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) entries: BTreeMap<u64, Entry>,
}

/// An open log file. Its calls block.
#[derive(Debug)]
pub(super) struct LogFile {
    db: Database,
}

impl LogFile {
    /// Opens or creates the file, and reads it. A new one gets `fresh_id`; the id it has is returned.
    ///
    /// # Errors
    /// The disk's, or what is damaged.
    pub(super) fn open(path: &Path, fresh_id: u64) -> io::Result<(Self, u64, Content)> {
        Self::read(Builder::new().create(path).map_err(io::Error::other)?, fresh_id)
    }

    /// The same over any bytes.
    #[cfg(test)]
    pub(super) fn over(
        backend: impl redb::StorageBackend,
        fresh_id: u64,
    ) -> io::Result<(Self, u64, Content)> {
        Self::read(Builder::new().create_with_backend(backend).map_err(io::Error::other)?, fresh_id)
    }

    fn read(mut db: Database, fresh_id: u64) -> io::Result<(Self, u64, Content)> {
        // A file that was closed well is not verified by opening it.
        if !db.check_integrity().map_err(io::Error::other)? {
            return Err(damaged("the log file had to be repaired"));
        }
        let id = own_id(&db, fresh_id)?;
        let content = read_all(&db)?;
        Ok((Self { db }, id, content))
    }

    /// Writes `changes` in order, all or none. When it returns they survive a power cut, unless there are none but hints.
    ///
    /// # Errors
    /// The disk's. The file must not be written again afterwards.
    pub(super) fn commit(&self, changes: &[Change]) -> io::Result<()> {
        let hints = changes.iter().all(|c| matches!(c, Change::Committed(_)));
        let mut txn = self.db.begin_write().map_err(io::Error::other)?;
        let durability = if hints { Durability::None } else { Durability::Immediate };
        txn.set_durability(durability).map_err(io::Error::other)?;
        txn.set_two_phase_commit(true);
        {
            let mut entries = txn.open_table(ENTRIES).map_err(io::Error::other)?;
            let mut meta = txn.open_table(META).map_err(io::Error::other)?;
            for change in changes {
                apply(change, &mut entries, &mut meta)?;
            }
        }
        txn.commit().map_err(io::Error::other)
    }
}

fn apply(
    change: &Change,
    entries: &mut redb::Table<'_, u64, &[u8]>,
    meta: &mut redb::Table<'_, &str, &[u8]>,
) -> io::Result<()> {
    match change {
        Change::Vote(vote) => put(meta, VOTE, vote),
        Change::Committed(Some(committed)) => put(meta, COMMITTED, committed),
        Change::Committed(None) => meta.remove(COMMITTED).map(drop).map_err(io::Error::other),
        Change::Append(records) => {
            for (index, bytes) in records {
                entries.insert(index, bytes.as_slice()).map_err(io::Error::other)?;
            }
            Ok(())
        }
        Change::Truncate { from } => {
            entries.retain_in::<u64, _>(*from.., |_, _| false).map_err(io::Error::other)
        }
        Change::Purge(upto) => {
            entries.retain_in::<u64, _>(..=upto.index, |_, _| false).map_err(io::Error::other)?;
            put(meta, PURGED, upto)
        }
    }
}

fn put<T: Serialize>(
    meta: &mut redb::Table<'_, &str, &[u8]>,
    key: &str,
    value: &T,
) -> io::Result<()> {
    meta.insert(key, seal(value)?.as_slice()).map(drop).map_err(io::Error::other)
}

/// The id in the file; a new file gets one.
fn own_id(db: &Database, fresh: u64) -> io::Result<u64> {
    let mut txn = db.begin_write().map_err(io::Error::other)?;
    txn.set_two_phase_commit(true);
    let id = {
        let entries = txn.open_table(ENTRIES).map_err(io::Error::other)?;
        let mut meta = txn.open_table(META).map_err(io::Error::other)?;
        match get(&meta, ID)? {
            Some(id) => id,
            None if entries.iter().map_err(io::Error::other)?.next().is_some() => {
                return Err(damaged("entries, but no id"));
            }
            None => {
                put(&mut meta, ID, &fresh)?;
                fresh
            }
        }
    };
    txn.commit().map_err(io::Error::other)?;
    Ok(id)
}

fn get<T: DeserializeOwned>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> io::Result<Option<T>> {
    let found = meta.get(key).map_err(io::Error::other)?;
    found.map(|bytes| unseal(bytes.value(), key)).transpose()
}

fn read_all(db: &Database) -> io::Result<Content> {
    let txn = db.begin_read().map_err(io::Error::other)?;
    let entries = txn.open_table(ENTRIES).map_err(io::Error::other)?;
    let meta = txn.open_table(META).map_err(io::Error::other)?;
    let mut content = Content {
        vote: get(&meta, VOTE)?,
        committed: get(&meta, COMMITTED)?,
        purged: get(&meta, PURGED)?,
        entries: BTreeMap::new(),
    };
    let mut expected = content.purged.as_ref().map_or(0, |p| p.index + 1);
    for found in entries.iter().map_err(io::Error::other)? {
        let (index, bytes) = found.map_err(io::Error::other)?;
        let index = index.value();
        let entry: Entry = unseal(bytes.value(), &format!("entry {index}"))?;
        if index != expected || entry.index() != index {
            let inside = entry.index();
            return Err(damaged(format_args!(
                "entry {inside} stands at {index}, expected {expected}"
            )));
        }
        content.entries.insert(index, entry);
        expected += 1;
    }
    Ok(content)
}
