//! QUIC variable-length integers (RFC 9000 section 16): 1, 2, 4 or 8 bytes, the top two bits say which.

/// The largest value: 62 bits.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// Bytes of the shortest encoding of `value`; values above [`VARINT_MAX`] have none and count as 8.
#[must_use]
pub fn varint_len(value: u64) -> usize {
    match value {
        0..=0x3f => 1,
        0x40..=0x3fff => 2,
        0x4000..=0x3fff_ffff => 4,
        _ => 8,
    }
}

/// Writes the shortest encoding to the start of `buf`; says how many bytes it took. `None` when the value or the
/// encoding does not fit.
pub fn write_varint(buf: &mut [u8], value: u64) -> Option<usize> {
    if value > VARINT_MAX {
        return None;
    }
    let len = varint_len(value);
    // 1, 2, 4, 8 bytes are prefixes 0, 1, 2, 3.
    let prefix = (len.trailing_zeros() as u64) << (8 * len - 2);
    let bytes = (prefix | value).to_be_bytes();
    buf.get_mut(..len)?.copy_from_slice(&bytes[8 - len..]);
    Some(len)
}

/// Reads an encoding, minimal or not, from the start of `buf`: the value and its length. `None` when truncated.
#[must_use]
pub fn read_varint(buf: &[u8]) -> Option<(u64, usize)> {
    let first = *buf.first()?;
    let len = 1_usize << (first >> 6);
    let rest = buf.get(1..len)?;
    let value =
        rest.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte));
    Some((value, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_9000_read_as_printed() {
        let cases: [(&[u8], u64); 6] = [
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
            (&[0x7b, 0xbd], 15_293),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x40, 0x00], 0),
        ];
        for (bytes, value) in cases {
            assert_eq!(read_varint(bytes), Some((value, bytes.len())));
        }
    }

    #[test]
    fn a_truncated_varint_is_none() {
        for bytes in [&[][..], &[0x40], &[0x80, 0, 0], &[0xc0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(read_varint(bytes), None);
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        assert_eq!(write_varint(&mut [0; 8], VARINT_MAX + 1), None);
        assert_eq!(write_varint(&mut [0; 1], 64), None);
    }

    proptest! {
        #[test]
        fn a_varint_reads_back_as_written(value in 0..=VARINT_MAX, shift in 0_u32..62) {
            let value = value >> shift;
            let mut buf = [0; 8];
            let len = write_varint(&mut buf, value).unwrap();
            prop_assert_eq!(len, varint_len(value));
            prop_assert_eq!(read_varint(&buf), Some((value, len)));
        }
    }
}
