//! Link control datagrams: flow 0 of a connection. So far one type, the heartbeat; drawn in docs/relay-wire.md.

use crate::time::NtpTime;

/// Flow 0, type, reserved, count, three times, two counters.
pub const HEARTBEAT_BYTES: usize = 1 + 1 + 1 + 2 + 3 * 8 + 2 * 4;

/// Type of a heartbeat. Other types are skipped: a later version may send them.
const TYPE_HEARTBEAT: u8 = 1;

/// Sent on both connections of a link, every [`crate::limits::HEARTBEAT_EVERY`]: liveness, clock comparison
/// (four timestamps, as RFC 5905 section 8 has them) and a receiver report of the connection it travels on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// Counts heartbeats of this connection, modulo 2^16.
    pub count: u16,
    /// T1: `sent` of the last heartbeat received here; 0 before the first.
    pub origin: NtpTime,
    /// T2: this node's wall clock when it came.
    pub received: NtpTime,
    /// T3: this node's wall clock now.
    pub sent: NtpTime,
    /// Datagrams with a link sequence that should have come on this connection so far, modulo 2^32.
    pub expected: u32,
    /// How many of them did not, modulo 2^32.
    pub lost: u32,
}

impl Heartbeat {
    /// Encodes, flow id included.
    #[must_use]
    pub fn to_datagram(self) -> [u8; HEARTBEAT_BYTES] {
        let mut bytes = [0; HEARTBEAT_BYTES];
        bytes[1] = TYPE_HEARTBEAT;
        bytes[3..5].copy_from_slice(&self.count.to_be_bytes());
        bytes[5..13].copy_from_slice(&self.origin.0.to_be_bytes());
        bytes[13..21].copy_from_slice(&self.received.0.to_be_bytes());
        bytes[21..29].copy_from_slice(&self.sent.0.to_be_bytes());
        bytes[29..33].copy_from_slice(&self.expected.to_be_bytes());
        bytes[33..37].copy_from_slice(&self.lost.to_be_bytes());
        bytes
    }

    /// Decodes the part after the flow id. `None` for another type, or when truncated; bytes after the known ones
    /// are ignored.
    #[must_use]
    pub fn from_link_datagram(body: &[u8]) -> Option<Self> {
        if *body.first()? != TYPE_HEARTBEAT {
            return None;
        }
        let u16_at = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let u32_at = |at: usize| Some(u32::from_be_bytes(*body.get(at..)?.first_chunk()?));
        let time_at =
            |at: usize| Some(NtpTime(u64::from_be_bytes(*body.get(at..)?.first_chunk()?)));
        Some(Self {
            count: u16_at(2)?,
            origin: time_at(4)?,
            received: time_at(12)?,
            sent: time_at(20)?,
            expected: u32_at(28)?,
            lost: u32_at(32)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_heartbeat() {
        let beat = Heartbeat {
            count: 0x0102,
            origin: NtpTime(0x1112_1314_1516_1718),
            received: NtpTime(0x2122_2324_2526_2728),
            sent: NtpTime(0x3132_3334_3536_3738),
            expected: 0x4142_4344,
            lost: 0x5152_5354,
        };
        let golden = "00010001021112131415161718212223242526272831323334353637384142434451525354";
        let hex: String = beat.to_datagram().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, golden);
    }

    proptest! {
        #[test]
        fn a_heartbeat_reads_back(count: u16, t: [u64; 3], expected: u32, lost: u32, cut in 0_usize..36) {
            let [origin, received, sent] = t.map(NtpTime);
            let beat = Heartbeat { count, origin, received, sent, expected, lost };
            let bytes = beat.to_datagram();
            prop_assert_eq!(Heartbeat::from_link_datagram(&bytes[1..]), Some(beat));
            prop_assert_eq!(Heartbeat::from_link_datagram(&bytes[1..1 + cut]), None);
        }
    }
}
