//! A disk that loses power: what was not synced may be there afterwards, in part, or torn in the middle of a sector.

use super::super::disk::Shelf;
use super::dice::Dice;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A write that ends at a power cut keeps a whole number of these, from its start.
const SECTOR: usize = 512;

/// One thing written since the last sync.
#[derive(Clone, Debug)]
enum Unsynced {
    Bytes { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Debug, Default)]
struct State {
    /// What a reader sees.
    seen: Vec<u8>,
    /// What survives.
    durable: Vec<u8>,
    unsynced: Vec<Unsynced>,
    snapshot: Option<Vec<u8>>,
    /// Power cuts so far: handles of the time before can do nothing.
    life: u64,
    /// The power goes during this many writes and syncs from now.
    fuse: Option<(u64, Dice)>,
}

/// One member's disk: a log file and a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Platter(Arc<Mutex<State>>);

/// The disk as one run of the member holds it.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    platter: Platter,
    life: u64,
}

fn change(to: &mut Vec<u8>, write: &Unsynced) {
    match write {
        Unsynced::Length(len) => to.resize(*len, 0),
        Unsynced::Bytes { at, bytes } => {
            let end = at + bytes.len();
            if to.len() < end {
                to.resize(end, 0);
            }
            to[*at..end].copy_from_slice(bytes);
        }
    }
}

impl Platter {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handle(&self) -> Handle {
        Handle { platter: self.clone(), life: self.lock().life }
    }

    /// Another disk with the same bytes.
    pub(super) fn copy(&self) -> Self {
        let state = self.lock();
        let bytes = state.durable.clone();
        let copy = State { seen: bytes.clone(), durable: bytes, ..State::default() };
        Self(Arc::new(Mutex::new(copy)))
    }

    /// The power goes now: each unsynced write is there, is not, or is torn.
    pub(super) fn cut_power(&self, dice: &mut Dice) {
        self.lock().cut_power(dice);
    }

    /// The power goes in the middle of what is written next.
    pub(super) fn light_fuse(&self, dice: &mut Dice) {
        let writes = dice.below(40);
        self.lock().fuse = Some((writes, dice.split()));
    }

    /// Flips one bit of the log file, or of the snapshot when there is one. Not of what is zero anyway.
    pub(super) fn flip_a_bit(&self, dice: &mut Dice) {
        let state = &mut *self.lock();
        let bytes = match &mut state.snapshot {
            Some(snapshot) if dice.below(2) == 0 => snapshot,
            _ => &mut state.durable,
        };
        for _ in 0..256 {
            let at = dice.below(bytes.len() as u64) as usize;
            if bytes.get(at).is_some_and(|byte| *byte != 0) {
                bytes[at] ^= 1 << dice.below(8);
                break;
            }
        }
        state.seen.clone_from(&state.durable);
    }
}

impl State {
    fn cut_power(&mut self, dice: &mut Dice) {
        let state = self;
        state.life += 1;
        state.fuse = None;
        let lucky = dice.below(4);
        for write in std::mem::take(&mut state.unsynced) {
            match (dice.below(4) < lucky, write) {
                (true, Unsynced::Bytes { at, mut bytes }) if dice.below(3) == 0 => {
                    let sectors = dice.below((bytes.len() / SECTOR + 1) as u64) as usize;
                    bytes.truncate(sectors * SECTOR);
                    change(&mut state.durable, &Unsynced::Bytes { at, bytes });
                }
                (true, write) => change(&mut state.durable, &write),
                // A file that did not grow cannot have what was written behind its end; bytes that were written are
                // as good as lost when their length is.
                (false, _) => {}
            }
        }
        state.seen.clone_from(&state.durable);
    }

    /// One more write or sync.
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some((0, dice)) => {
                let mut dice = dice.clone();
                self.cut_power(&mut dice);
                Err(io::Error::other("no power"))
            }
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Handle {
    fn live(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.platter.lock();
        if state.life == self.life { Ok(state) } else { Err(io::Error::other("no power")) }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.live()?.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.live()?;
        let at = offset as usize;
        let found = state.seen.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let state = &mut *self.live()?;
        state.burn()?;
        let write = Unsynced::Length(len as usize);
        change(&mut state.seen, &write);
        state.unsynced.push(write);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = &mut *self.live()?;
        state.burn()?;
        for write in std::mem::take(&mut state.unsynced) {
            change(&mut state.durable, &write);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let state = &mut *self.live()?;
        let write = Unsynced::Bytes { at: offset as usize, bytes: data.to_vec() };
        // What the power cut interrupts may be there in part.
        if state.fuse.as_ref().is_some_and(|(left, _)| *left == 0) {
            state.unsynced.push(write.clone());
        }
        state.burn()?;
        change(&mut state.seen, &write);
        state.unsynced.push(write);
        Ok(())
    }
}

impl Shelf for Handle {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.live()?.snapshot.clone())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.live()?.snapshot = Some(bytes.to_vec());
        Ok(())
    }
}
