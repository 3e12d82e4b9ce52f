//! Payloads in one circular buffer. Positions only grow; a payload that would cross the end begins at the next round.

/// A circular byte buffer whose reader is the ring's tail.
#[derive(Debug, Default)]
pub(super) struct CircularBytes {
    data: Vec<u8>,
    /// Position where the next payload may begin.
    head: u64,
}

impl CircularBytes {
    pub(super) fn capacity(&self) -> usize {
        self.data.len()
    }

    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// Where `len` bytes would be put so that they lie in one piece.
    fn place(&self, len: usize) -> u64 {
        let capacity = self.data.len() as u64;
        if capacity == 0 {
            return self.head;
        }
        let room = capacity - self.head % capacity;
        if len as u64 <= room { self.head } else { self.head + room }
    }

    /// Whether `len` bytes fit without touching anything at or after position `tail`.
    pub(super) fn fits(&self, tail: u64, len: usize) -> bool {
        self.place(len) + len as u64 - tail <= self.data.len() as u64
    }

    /// Puts a payload that [`Self::fits`]; answers its position.
    pub(super) fn push(&mut self, payload: &[u8]) -> u64 {
        let position = self.place(payload.len());
        let start = self.offset(position);
        self.data[start..start + payload.len()].copy_from_slice(payload);
        self.head = position + payload.len() as u64;
        position
    }

    pub(super) fn get(&self, position: u64, len: usize) -> &[u8] {
        let start = self.offset(position);
        self.data.get(start..start + len).unwrap_or_default()
    }

    fn offset(&self, position: u64) -> usize {
        (position % (self.data.len() as u64).max(1)) as usize
    }

    /// A larger, empty buffer; the caller pushes what it still has from the old one.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { data: vec![0; capacity], head: 0 }
    }
}
