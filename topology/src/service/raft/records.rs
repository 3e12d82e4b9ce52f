//! Values as they lie in the log file: a checksum, then bincode.

use crate::limits::RAFT_RECORD_BYTES_MAX;
use crate::service::checksum::crc32;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;

const CHECKSUM_BYTES: usize = 4;

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<RAFT_RECORD_BYTES_MAX>()
}

/// What is on disk cannot be trusted.
pub(crate) fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("damaged: {what}"))
}

/// Checksum and bytes of a value.
pub(crate) fn seal<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; CHECKSUM_BYTES];
    bincode::serde::encode_into_std_write(value, &mut bytes, config()).map_err(io::Error::other)?;
    if bytes.len() > RAFT_RECORD_BYTES_MAX {
        return Err(io::Error::other(format!("a record of {} bytes", bytes.len())));
    }
    let crc = crc32(&bytes[CHECKSUM_BYTES..]);
    bytes[..CHECKSUM_BYTES].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// The value in `bytes`; `what` names it in errors.
pub(crate) fn unseal<T: DeserializeOwned>(bytes: &[u8], what: &str) -> io::Result<T> {
    let (crc, body) =
        bytes.split_first_chunk().ok_or_else(|| damaged(format_args!("{what} is too short")))?;
    if u32::from_le_bytes(*crc) != crc32(body) {
        return Err(damaged(format_args!("the checksum of {what} does not hold")));
    }
    let (value, used) = bincode::serde::decode_from_slice(body, config())
        .map_err(|e| damaged(format_args!("{what}: {e}")))?;
    if used == body.len() { Ok(value) } else { Err(damaged(format_args!("{what} is too long"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let whole = seal(&(7u64, "eu-west-1".to_owned())).unwrap();
        assert_eq!(unseal::<(u64, String)>(&whole, "it").unwrap(), (7, "eu-west-1".to_owned()));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal::<(u64, String)>(&flipped, "it").is_err(), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(unseal::<(u64, String)>(&whole[..len], "it").is_err(), "{len} bytes");
        }
    }
}
