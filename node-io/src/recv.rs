//! One receive buffer: what a `recvmmsg` brought, handed out datagram by datagram.

use crate::limits::{RECV_MESSAGE_BYTES, RECV_MESSAGES};
use quinn_udp::RecvMeta;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

/// A datagram in the receive buffer.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) ecn: u8,
    pub(crate) data: &'a mut [u8],
}

/// The messages of one receive call. A message is several equal datagrams when the kernel coalesced them (GRO).
pub(crate) struct RecvBatch {
    bytes: Vec<u8>,
    meta: [RecvMeta; RECV_MESSAGES],
    messages: usize,
    /// The message handed out next, and how far into it.
    next: usize,
    offset: usize,
}

impl RecvBatch {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; RECV_MESSAGES * RECV_MESSAGE_BYTES],
            meta: [RecvMeta::default(); RECV_MESSAGES],
            messages: 0,
            next: 0,
            offset: 0,
        }
    }

    /// Whether everything was handed out.
    pub(crate) fn is_empty(&self) -> bool {
        self.next >= self.messages
    }

    /// Whether the last call filled every message, so that more may wait.
    pub(crate) fn is_full(&self) -> bool {
        self.messages == RECV_MESSAGES
    }

    /// Replaces the contents by what `receive` fills in. Returns datagrams and bytes.
    pub(crate) fn fill(
        &mut self,
        receive: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<(u64, u64)> {
        (self.messages, self.next, self.offset) = (0, 0, 0);
        let mut chunks = self.bytes.chunks_exact_mut(RECV_MESSAGE_BYTES);
        let mut slices: [IoSliceMut<'_>; RECV_MESSAGES] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        self.messages = receive(&mut slices, &mut self.meta)?;
        let filled = &self.meta[..self.messages];
        let datagrams = filled.iter().map(|m| m.len.div_ceil(m.stride.max(1)) as u64).sum();
        Ok((datagrams, filled.iter().map(|m| m.len as u64).sum()))
    }

    /// The next datagram. Empty ones are skipped: nothing that a node speaks is empty.
    pub(crate) fn next(&mut self) -> Option<Received<'_>> {
        while self.next < self.messages {
            let (index, meta) = (self.next, self.meta[self.next]);
            let stride = if meta.stride == 0 { meta.len } else { meta.stride };
            let (start, end) = (self.offset, (self.offset + stride).min(meta.len));
            self.offset = end;
            if end >= meta.len {
                (self.next, self.offset) = (index + 1, 0);
            }
            if end > start {
                let base = index * RECV_MESSAGE_BYTES;
                let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
                let ecn = meta.ecn.map_or(0, |e| e as u8);
                return Some(Received {
                    from,
                    ecn,
                    data: &mut self.bytes[base + start..base + end],
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(messages: &[(usize, usize)]) -> RecvBatch {
        let mut batch = RecvBatch::new();
        let counted = batch.fill(|slices, meta| {
            for (i, (len, stride)) in messages.iter().enumerate() {
                slices[i][..*len].fill(i as u8 + 1);
                meta[i] = RecvMeta { len: *len, stride: *stride, ..RecvMeta::default() };
            }
            Ok(messages.len())
        });
        assert!(counted.is_ok());
        batch
    }

    #[test]
    fn a_coalesced_message_comes_out_as_its_datagrams() {
        let mut batch = filled(&[(250, 100), (40, 40)]);
        let mut seen = Vec::new();
        while let Some(datagram) = batch.next() {
            seen.push((datagram.data.len(), datagram.data[0]));
        }
        assert_eq!(seen, [(100, 1), (100, 1), (50, 1), (40, 2)]);
        assert!(batch.is_empty());
    }

    #[test]
    fn an_empty_datagram_is_skipped() {
        let mut batch = filled(&[(0, 0), (7, 7)]);
        assert_eq!(batch.next().map(|d| d.data.len()), Some(7));
        assert!(batch.next().is_none());
    }
}
