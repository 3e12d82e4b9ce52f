//! Packets are sealed where they are written: in the arena.

use super::{RTCP_OVERHEAD_MAX, RTP_OVERHEAD_MAX};
use relay_proto::machine::{DATAGRAM_BYTES_MAX, Net, Socket};
use sfu_core::drop_reason::DropReason;
use sfu_core::rtp::is_rtcp;
use std::net::SocketAddr;

/// Which of the two is sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Rtp,
    Rtcp,
}

impl Content {
    pub(super) fn of(data: &[u8]) -> Self {
        if is_rtcp(data) { Self::Rtcp } else { Self::Rtp }
    }

    /// The most that sealing adds.
    pub(super) fn overhead_max(self) -> usize {
        match self {
            Self::Rtp => RTP_OVERHEAD_MAX,
            Self::Rtcp => RTCP_OVERHEAD_MAX,
        }
    }
}

/// Lets `write` lay a packet of at most `max_len` bytes into the arena and `seal` finish it there.
pub(super) fn write_sealed(
    net: &mut Net,
    path: SocketAddr,
    max_len: usize,
    content: Content,
    write: impl FnOnce(&mut [u8]) -> Option<usize>,
    seal: impl FnOnce(&mut [u8], usize) -> Result<usize, DropReason>,
) -> Result<(), DropReason> {
    let space = max_len + content.overhead_max();
    if space > DATAGRAM_BYTES_MAX {
        return Err(DropReason::TooLarge);
    }
    let mut result = Err(DropReason::TooLarge);
    net.write(Socket::Media, path, space, |packet| {
        let len = write(&mut packet[..max_len]).filter(|len| *len <= max_len)?;
        result = seal(packet, len);
        result.ok()
    });
    result.map(|_| ())
}
