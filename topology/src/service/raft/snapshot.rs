//! A snapshot as bytes: what lies on disk is also what is sent to members that are far behind.
//!
//! ```text
//! "SFUTOPOR" | version u32 | crc u32 of the body | length u64 of the body | bincode (Meta, Content)
//! ```
//! Numbers are little endian; the checksum is CRC-32 (IEEE 802.3).

use super::records::damaged;
use super::types::{LogId, StoredMembership};
use crate::limits::SNAPSHOT_BYTES_MAX;
use crate::model::State;
use crate::service::checksum::crc32;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;

const MAGIC: &[u8; 8] = b"SFUTOPOR";
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 4 + 8;

/// Which entries a snapshot stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) last: Option<LogId>,
    pub(super) membership: StoredMembership,
}

/// What all members agree on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// Names the state's history; 0 before it was founded.
    pub(crate) cluster: u64,
    /// Members that were removed: nothing they say counts any more.
    pub(crate) retired: BTreeSet<u64>,
    /// Nodes and meetings.
    pub(crate) state: State,
}

/// The bytes of a snapshot.
pub(super) fn encode(meta: &Meta, content: &Content) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    let config = bincode::config::standard();
    bincode::serde::encode_into_std_write((meta, content), &mut bytes, config)
        .map_err(io::Error::other)?;
    let body = &bytes[HEADER..];
    if body.len() as u64 > SNAPSHOT_BYTES_MAX {
        return Err(io::Error::other(format!("a snapshot of {} bytes", body.len())));
    }
    let (crc, len) = (crc32(body), body.len() as u64);
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes[16..24].copy_from_slice(&len.to_le_bytes());
    Ok(bytes)
}

/// What is in the bytes.
///
/// # Errors
/// What is damaged.
pub(super) fn decode(bytes: &[u8]) -> io::Result<(Meta, Content)> {
    let (head, body) =
        bytes.split_at_checked(HEADER).ok_or_else(|| damaged("the snapshot is too short"))?;
    let head_of = |version: u32| [MAGIC.as_slice(), &version.to_le_bytes()].concat();
    if !head.starts_with(&head_of(VERSION)) {
        return Err(damaged("the snapshot is of another format or version"));
    }
    let said = [crc32(body).to_le_bytes().as_slice(), &(body.len() as u64).to_le_bytes()].concat();
    if head[12..] != said[..] {
        return Err(damaged("the checksum of the snapshot does not hold"));
    }
    let (value, _) = bincode::serde::decode_from_slice(body, bincode::config::standard())
        .map_err(|e| damaged(format_args!("the snapshot: {e}")))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_snapshot_is_noticed() {
        let content = Content { cluster: 7, retired: [1, 2].into(), state: State::default() };
        let whole = encode(&Meta::default(), &content).unwrap();
        assert_eq!(decode(&whole).unwrap(), (Meta::default(), content));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(decode(&whole[..len]).is_err(), "{len} bytes");
        }
    }
}
