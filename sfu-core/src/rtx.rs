//! RTX (RFC 4588): a retransmission's payload is the original sequence number and the original payload.

/// Bytes of the original sequence number.
pub const OSN_BYTES: usize = 2;

/// Writes the original sequence number at the start of `buf`; the payload follows it.
#[must_use]
pub fn write_osn(buf: &mut [u8], seq: u16) -> Option<usize> {
    buf.get_mut(..OSN_BYTES)?.copy_from_slice(&seq.to_be_bytes());
    Some(OSN_BYTES)
}

/// Takes an RTX payload apart: the original sequence number and the original payload. `None` for a payload that is too short, which
/// padding probes are.
#[must_use]
pub fn decapsulate(payload: &[u8]) -> Option<(u16, &[u8])> {
    match payload {
        [high, low, rest @ ..] if !rest.is_empty() => {
            Some((u16::from_be_bytes([*high, *low]), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encapsulated_comes_back() {
        let mut buf = [9; 4];
        assert_eq!(write_osn(&mut buf, 0xfffe), Some(2));
        assert_eq!(decapsulate(&buf), Some((0xfffe, &[9, 9][..])));
        assert_eq!(decapsulate(&buf[..2]), None, "a padding probe");
        assert_eq!(write_osn(&mut buf[..1], 0), None);
    }
}
