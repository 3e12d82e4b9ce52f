//! The state on disk: a snapshot, and the commands since.

use super::random::random_u64;
use super::store_file::{log_header, read_log, read_snapshot, record, replace, write_snapshot};
use crate::limits::LOG_BYTES_MAX;
use crate::model::{Command, State};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system says no.
    #[error("{}: {source}: make the state directory writable and check the disk", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{} is in use: another topology service runs on this state directory, stop it", .0.display())]
    InUse(PathBuf),
    /// The content cannot be trusted.
    #[error("{} is damaged: {what}: restore the state directory from a backup", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A member's log or snapshot cannot be trusted, or not be opened.
    #[error(
        "{} cannot be used ({what}): if it is damaged, remove this member, empty its state directory, and take it in anew", path.display()
    )]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A value does not fit the format.
    #[error("cannot be encoded: {0}")]
    Encode(String),
}

impl StoreError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(super) fn encode(error: impl std::fmt::Display) -> Self {
        Self::Encode(error.to_string())
    }
}

/// The open state directory.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    cluster: u64,
    log: File,
    log_bytes: u64,
    /// Records not yet written.
    pending: Vec<u8>,
    /// A command could not be put down: the log would have a hole.
    poisoned: bool,
    /// Held for as long as this lives; the lock ends with the file.
    _lock: File,
}

impl Store {
    /// Open or create `dir`, and read the state in it.
    pub(super) fn open(dir: &Path) -> Result<(Self, State), StoreError> {
        std::fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
        let lock = take_lock(&dir.join("lock"))?;
        let member = dir.join("raft.redb");
        if member.try_exists().map_err(StoreError::io(&member))? {
            let what = "it is the log of a member of a group, and --single was given".to_owned();
            return Err(StoreError::Unusable { path: member, what });
        }
        let (snapshot, log_path) = (dir.join("state.snapshot"), dir.join("commands.log"));
        let exists = snapshot.try_exists().map_err(StoreError::io(&snapshot))?;
        let (cluster, mut state) = if exists {
            read_snapshot(&snapshot)?
        } else {
            let cluster = random_u64().map_err(|e| StoreError::Encode(e.to_string()))?;
            write_snapshot(&snapshot, cluster, &State::default())?;
            (cluster, State::default())
        };
        if !log_path.try_exists().map_err(StoreError::io(&log_path))? {
            replace(&log_path, &log_header(cluster))?;
        }
        let log_bytes = replay(&log_path, cluster, &mut state)?;
        let log = open_log(&log_path)?;
        // The torn end of an interrupted write goes, so that nothing is ever written behind it.
        log.set_len(log_bytes).and_then(|()| log.sync_all()).map_err(StoreError::io(&log_path))?;
        let dir = dir.to_owned();
        Ok((
            Self {
                dir,
                cluster,
                log,
                log_bytes,
                pending: Vec::new(),
                poisoned: false,
                _lock: lock,
            },
            state,
        ))
    }

    /// Names this history of the state.
    pub(super) fn cluster(&self) -> u64 {
        self.cluster
    }

    /// Add a command that brought the state to `revision`. It is on disk after [`Self::flush`].
    pub(super) fn append(&mut self, revision: u64, command: &Command) -> Result<(), StoreError> {
        self.pending.extend_from_slice(&record(revision, command)?);
        Ok(())
    }

    /// Whether something waits to be written.
    pub(super) fn is_dirty(&self) -> bool {
        self.poisoned || !self.pending.is_empty()
    }

    /// The state went on without its log: nothing may be acknowledged any more.
    pub(super) fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Write what was appended; with `sync`, return when it survives a power cut. Blocks.
    pub(super) fn flush(&mut self, sync: bool) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Encode("a command is too large for the log".to_owned()));
        }
        let path = self.dir.join("commands.log");
        self.log.write_all(&self.pending).map_err(StoreError::io(&path))?;
        self.log_bytes += self.pending.len() as u64;
        self.pending.clear();
        if sync {
            self.log.sync_data().map_err(StoreError::io(&path))?;
        }
        Ok(())
    }

    /// Whether the log should be folded into a snapshot.
    pub(super) fn wants_snapshot(&self) -> bool {
        self.log_bytes > LOG_BYTES_MAX
    }

    /// Fold the log into a snapshot of `state`, which must be what the log leads to. Blocks. A crash between the two steps
    /// leaves a log whose records the snapshot has already; reading skips them by revision.
    pub(super) fn fold(&mut self, state: &State) -> Result<(), StoreError> {
        write_snapshot(&self.dir.join("state.snapshot"), self.cluster, state)?;
        let path = self.dir.join("commands.log");
        let header = log_header(self.cluster);
        replace(&path, &header)?;
        self.log = open_log(&path)?;
        self.log_bytes = header.len() as u64;
        Ok(())
    }
}

pub(super) fn take_lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(StoreError::io(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.to_owned())),
        Err(TryLockError::Error(e)) => Err(StoreError::io(path)(e)),
    }
}

fn open_log(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().append(true).open(path).map_err(StoreError::io(path))
}

/// Apply the log to `state`; the length of its whole part.
fn replay(path: &Path, cluster: u64, state: &mut State) -> Result<u64, StoreError> {
    let corrupt = |what: String| StoreError::Corrupt { path: path.to_owned(), what };
    let bytes = std::fs::read(path).map_err(StoreError::io(path))?;
    let (records, whole) = read_log(path, &bytes, cluster)?;
    let mut changes = Vec::new();
    for (revision, command) in records {
        if revision <= state.revision() {
            continue;
        }
        let outcome = state.apply(&command, &mut changes);
        changes.clear();
        if outcome.is_err() || state.revision() != revision {
            return Err(corrupt(format!(
                "command {revision} does not follow {}",
                state.revision()
            )));
        }
    }
    Ok(whole as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommandKind, Region, RttTable};

    /// A command that changes something every time: the round trip between two regions.
    fn command(rtt_us: u32) -> Command {
        let [a, b] = ["a", "b"].map(|r| Region::new(r).unwrap());
        let kind = CommandKind::SetRtt(RttTable::default().with(a, b, rtt_us));
        Command { request: None, now_ms: u64::from(rtt_us), kind }
    }

    fn apply(store: &mut Store, state: &mut State, numbers: std::ops::Range<u32>) {
        for n in numbers {
            state.apply(&command(n), &mut Vec::new()).unwrap();
            store.append(state.revision(), &command(n)).unwrap();
        }
        store.flush(true).unwrap();
    }

    #[test]
    fn a_folded_log_and_what_follows_read_back_as_one_state() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, mut state) = Store::open(dir.path()).unwrap();
        apply(&mut store, &mut state, 1..50);
        store.fold(&state).unwrap();
        apply(&mut store, &mut state, 50..60);
        let cluster = store.cluster();
        drop(store);
        let (store, read) = Store::open(dir.path()).unwrap();
        assert_eq!((read, store.cluster()), (state, cluster));
    }

    #[test]
    fn a_crash_between_snapshot_and_empty_log_applies_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, mut state) = Store::open(dir.path()).unwrap();
        apply(&mut store, &mut state, 1..50);
        write_snapshot(&dir.path().join("state.snapshot"), store.cluster(), &state).unwrap();
        drop(store);
        let (mut store, mut read) = Store::open(dir.path()).unwrap();
        assert_eq!(read, state);
        apply(&mut store, &mut read, 50..51);
        drop(store);
        assert_eq!(Store::open(dir.path()).unwrap().1, read);
    }

    #[test]
    fn a_log_cut_anywhere_reads_back_to_its_last_whole_command() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, mut state) = Store::open(dir.path()).unwrap();
        apply(&mut store, &mut state, 1..5);
        drop(store);
        let log = dir.path().join("commands.log");
        let whole = std::fs::read(&log).unwrap();
        let mut last = 4;
        for len in (log_header(0).len()..=whole.len()).rev() {
            std::fs::write(&log, &whole[..len]).unwrap();
            let revision = Store::open(dir.path()).unwrap().1.revision();
            assert!(revision <= last, "{revision} commands in {len} bytes");
            last = revision;
        }
        assert_eq!(last, 0);
    }

    #[test]
    fn a_lost_command_in_the_middle_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, mut state) = Store::open(dir.path()).unwrap();
        apply(&mut store, &mut state, 1..3);
        state.apply(&command(3), &mut Vec::new()).unwrap();
        apply(&mut store, &mut state, 4..5);
        drop(store);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Corrupt { .. })));
    }
}
