//! Where blocking work is done, and where snapshots lie.

use std::io;
use std::path::PathBuf;

/// Who does what blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disk {
    /// A thread of the runtime made for it.
    Threads,
    /// The task itself, after this long: in a simulation no thread may run beside virtual time.
    #[cfg(test)]
    Inline(std::time::Duration),
}

impl Disk {
    /// Does `job`.
    pub(crate) async fn run<T: Send + 'static>(
        self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(job).await.map_err(io::Error::other),
            #[cfg(test)]
            Self::Inline(takes) => {
                tokio::time::sleep(takes).await;
                Ok(job())
            }
        }
    }
}

/// Holds the last snapshot. Blocks.
pub(crate) trait Shelf: Send + Sync + 'static {
    /// What was put there last; nothing at first.
    ///
    /// # Errors
    /// The disk's.
    fn read(&self) -> io::Result<Option<Vec<u8>>>;

    /// Replaces it. After a crash either the old or the new one is there; after a return, the new one.
    ///
    /// # Errors
    /// The disk's.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;
}

/// A file.
#[derive(Debug)]
pub(crate) struct FileShelf(pub(crate) PathBuf);

impl Shelf for FileShelf {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(&self.0) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        super::super::store_file::replace(&self.0, bytes).map_err(io::Error::other)
    }
}
