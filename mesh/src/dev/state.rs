//! The state directory of `mesh dev`: who may use it, and what lies where.

use super::pki::Pem;
use anyhow::{Context, bail};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Paths in a state directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    /// Of this directory, which may not exist.
    pub(crate) fn of(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn record(&self) -> PathBuf {
        self.file("dev.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.file("dev.lock")
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.file("ca.crt")
    }

    pub(crate) fn token_key(&self) -> PathBuf {
        self.file("token.key")
    }

    pub(crate) fn token_public(&self) -> PathBuf {
        self.file("token.pub")
    }

    pub(crate) fn cert(&self, name: &str) -> PathBuf {
        self.0.join("nodes").join(format!("{name}.crt"))
    }

    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.0.join("nodes").join(format!("{name}.key"))
    }

    pub(crate) fn config(&self, name: &str) -> PathBuf {
        self.0.join("nodes").join(format!("{name}.toml"))
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.log"))
    }

    pub(crate) fn topology(&self) -> PathBuf {
        self.file("topology")
    }
}

/// A state directory that is ours until the process ends.
#[derive(Debug)]
pub(crate) struct StateDir {
    pub(crate) at: Layout,
    _lock: File,
}

impl StateDir {
    /// Takes the directory, and removes what an earlier run left: every run begins anew.
    pub(crate) fn take(dir: &Path) -> anyhow::Result<Self> {
        let shown = dir.display().to_string();
        let usable =
            || format!("cannot use the state directory {shown}: choose another with --state-dir");
        fs::create_dir_all(dir).with_context(usable)?;
        let at = Layout(fs::canonicalize(dir).with_context(usable)?);
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(at.lock())
            .with_context(usable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = lock.read_to_string(&mut pid);
                let pid = pid.trim();
                bail!(
                    "another `mesh dev` (pid {pid}) uses {shown}: stop it with `kill {pid}`, or choose another \
                     directory with --state-dir and other ports with --http-base"
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(usable),
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        for old in ["nodes", "logs", "topology"] {
            let path = at.file(old);
            if path.exists() {
                fs::remove_dir_all(&path).with_context(usable)?;
            }
        }
        let _ = fs::remove_file(at.record());
        for new in ["nodes", "logs"] {
            fs::create_dir_all(at.file(new)).with_context(usable)?;
        }
        Ok(Self { at, _lock: lock })
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    // A new file: the mode of an old one would stay.
    let _ = fs::remove_file(path);
    let written = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file whole, or not at all.
pub(crate) fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    write_secret(&new, text)?;
    fs::rename(&new, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a certificate and its key.
pub(crate) fn write_pem(cert: &Path, key: &Path, pem: &Pem) -> anyhow::Result<()> {
    write_secret(cert, &pem.cert)?;
    write_secret(key, &pem.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once_and_a_stale_lock_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("dev.lock"), "999999\n").unwrap();
        let first = StateDir::take(dir.path()).unwrap();
        let error = StateDir::take(dir.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        assert!(!error.contains('\n') && error.contains("--state-dir"), "{error}");
        drop(first);
        StateDir::take(dir.path()).unwrap();
    }

    #[test]
    fn a_path_that_is_no_directory_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = StateDir::take(&file).unwrap_err().to_string();
        assert!(error.contains("choose another with --state-dir"), "{error}");
    }
}
