//! Bytes of the two state files.
//!
//! ```text
//! state.snapshot   "SFUTOPOS" | version u32 | crc u32 | length u64 | bincode (cluster, State)
//! commands.log     "SFUTOPOL" | version u32 | cluster u64 | records
//! record           length u32 | crc u32 of the rest | revision u64 | bincode Command
//! ```
//! Numbers are little endian; the checksum is CRC-32 (IEEE 802.3).

use super::checksum::crc32;
use super::store::StoreError;
use crate::limits::{RECORD_BYTES_MAX, SNAPSHOT_BYTES_MAX};
use crate::model::{Command, State};
use std::fs::File;
use std::io::Write;
use std::path::Path;

const SNAPSHOT_MAGIC: &[u8; 8] = b"SFUTOPOS";
const LOG_MAGIC: &[u8; 8] = b"SFUTOPOL";
const VERSION: u32 = 1;
const SNAPSHOT_HEADER: usize = 8 + 4 + 4 + 8;
pub(super) const LOG_HEADER: usize = 8 + 4 + 8;
const RECORD_HEADER: usize = 4 + 4;

fn config() -> impl bincode::config::Config {
    bincode::config::standard()
}

/// One record of the log.
pub(super) fn record(revision: u64, command: &Command) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; RECORD_HEADER];
    bytes.extend_from_slice(&revision.to_le_bytes());
    bincode::serde::encode_into_std_write(command, &mut bytes, config())
        .map_err(StoreError::encode)?;
    let len = bytes.len() - RECORD_HEADER;
    if len > RECORD_BYTES_MAX {
        return Err(StoreError::Encode(format!("a command of {len} bytes")));
    }
    let crc = crc32(&bytes[RECORD_HEADER..]);
    bytes[..4].copy_from_slice(&(len as u32).to_le_bytes());
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

pub(super) fn log_header(cluster: u64) -> Vec<u8> {
    [LOG_MAGIC.as_slice(), &VERSION.to_le_bytes(), &cluster.to_le_bytes()].concat()
}

/// Records of a log, and how many of its bytes are whole. What follows the last whole record must be the torn end of an
/// interrupted write; a broken record with others behind it is an error, because acknowledged commands would be lost.
pub(super) fn read_log(
    path: &Path,
    bytes: &[u8],
    cluster: u64,
) -> Result<(Vec<(u64, Command)>, usize), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt { path: path.to_owned(), what: what.to_owned() };
    if !bytes.starts_with(&log_header(cluster)) {
        return Err(corrupt("its head is of another format, version or cluster"));
    }
    let (mut records, mut at) = (Vec::new(), LOG_HEADER);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let Some((body, whole)) = split_record(rest) else {
            break;
        };
        if !whole {
            let end = at + RECORD_HEADER + body.len();
            if bytes[end..].iter().any(|b| *b != 0) {
                return Err(corrupt(&format!(
                    "the record at byte {at} is damaged, and others follow it"
                )));
            }
            break;
        }
        let (revision, command) = body.split_at(8);
        let revision =
            u64::from_le_bytes(revision.try_into().map_err(|_| corrupt("a short record"))?);
        let (command, _) = bincode::serde::decode_from_slice(command, config())
            .map_err(|e| corrupt(&e.to_string()))?;
        records.push((revision, command));
        at += RECORD_HEADER + body.len();
    }
    Ok((records, at))
}

/// The first record's body, and whether its checksum holds; nothing when there is no whole record.
fn split_record(rest: &[u8]) -> Option<(&[u8], bool)> {
    let len = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?);
    if !(9..=RECORD_BYTES_MAX).contains(&len) {
        return None;
    }
    let body = rest.get(RECORD_HEADER..RECORD_HEADER + len)?;
    Some((body, crc32(body) == crc))
}

/// Write a snapshot so that either the old or the new one is there after a crash.
pub(super) fn write_snapshot(path: &Path, cluster: u64, state: &State) -> Result<(), StoreError> {
    let body =
        bincode::serde::encode_to_vec((cluster, state), config()).map_err(StoreError::encode)?;
    let mut bytes = Vec::with_capacity(SNAPSHOT_HEADER + body.len());
    bytes.extend_from_slice(SNAPSHOT_MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32(&body).to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&body);
    replace(path, &bytes)
}

/// Cluster and state of a snapshot.
pub(super) fn read_snapshot(path: &Path) -> Result<(u64, State), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt { path: path.to_owned(), what: what.to_owned() };
    let size = std::fs::metadata(path).map_err(StoreError::io(path))?.len();
    if size > SNAPSHOT_BYTES_MAX {
        return Err(corrupt("it is larger than any state"));
    }
    let bytes = std::fs::read(path).map_err(StoreError::io(path))?;
    let head = [SNAPSHOT_MAGIC.as_slice(), &VERSION.to_le_bytes()].concat();
    if !bytes.starts_with(&head) || bytes.len() < SNAPSHOT_HEADER {
        return Err(corrupt("its head is of another format or version"));
    }
    let body = &bytes[SNAPSHOT_HEADER..];
    let crc = bytes[12..16].try_into().map(u32::from_le_bytes).map_err(|_| corrupt("too short"))?;
    let len = bytes[16..24].try_into().map(u64::from_le_bytes).map_err(|_| corrupt("too short"))?;
    if len != body.len() as u64 || crc != crc32(body) {
        return Err(corrupt("its checksum does not hold"));
    }
    let (state, _) =
        bincode::serde::decode_from_slice(body, config()).map_err(|e| corrupt(&e.to_string()))?;
    Ok(state)
}

/// Write beside, fsync, rename over, fsync the directory.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside).map_err(StoreError::io(&beside))?;
    file.write_all(bytes).map_err(StoreError::io(&beside))?;
    file.sync_all().map_err(StoreError::io(&beside))?;
    std::fs::rename(&beside, path).map_err(StoreError::io(path))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io(dir))
}
