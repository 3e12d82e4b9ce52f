//! The bounded way into a shard.

use rustix::event::{EventfdFlags, eventfd};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// Wakes a shard that sleeps in `ppoll`.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<WakerInner>);

#[derive(Debug)]
struct WakerInner {
    event: OwnedFd,
    /// Set while a wake is on its way, so that a storm of commands costs one write.
    pending: AtomicBool,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(WakerInner { event, pending: AtomicBool::new(false) })))
    }

    pub(crate) fn wake(&self) {
        if !self.0.pending.swap(true, Ordering::SeqCst) {
            // Fails only when the counter is full, and then the shard is already being woken.
            let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
        }
    }

    /// Called by the shard before it looks into the mailbox: whoever sends after this wakes it anew.
    pub(crate) fn clear(&self) {
        if self.0.pending.load(Ordering::SeqCst) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.0.event, &mut count);
            self.0.pending.store(false, Ordering::SeqCst);
        }
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

/// A command that was not taken, given back.
#[derive(Clone, PartialEq, Eq)]
pub enum MailboxFull<C> {
    /// The shard is behind. The caller decides: wait, mark its client as behind, or close it.
    Full(C),
    /// The shard has ended.
    Closed(C),
}

impl<C> MailboxFull<C> {
    /// The command.
    pub fn into_command(self) -> C {
        match self {
            Self::Full(c) | Self::Closed(c) => c,
        }
    }
}

impl<C> fmt::Debug for MailboxFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<C> fmt::Display for MailboxFull<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the shard's mailbox is full",
            Self::Closed(_) => "the shard has ended",
        })
    }
}

impl<C> std::error::Error for MailboxFull<C> {}

/// Sends commands to one shard. Cloning is cheap.
pub struct MailboxSender<C> {
    queue: mpsc::Sender<C>,
    waker: Waker,
}

impl<C> Clone for MailboxSender<C> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), waker: self.waker.clone() }
    }
}

impl<C> fmt::Debug for MailboxSender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailboxSender").field("room", &self.queue.capacity()).finish()
    }
}

impl<C> MailboxSender<C> {
    /// Hands over a command at once, or gives it back.
    ///
    /// # Errors
    /// The command, when the mailbox is full or the shard has ended.
    pub fn try_send(&self, command: C) -> Result<(), MailboxFull<C>> {
        self.queue.try_send(command).map_err(|e| match e {
            mpsc::error::TrySendError::Full(c) => MailboxFull::Full(c),
            mpsc::error::TrySendError::Closed(c) => MailboxFull::Closed(c),
        })?;
        self.waker.wake();
        Ok(())
    }

    /// Waits for room: control may wait for a shard, never the other way round.
    ///
    /// # Errors
    /// The command, when the shard has ended.
    pub async fn send(&self, command: C) -> Result<(), MailboxFull<C>> {
        self.queue.send(command).await.map_err(|e| MailboxFull::Closed(e.0))?;
        self.waker.wake();
        Ok(())
    }

    /// How many commands still fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.queue.capacity()
    }

    /// Whether the shard has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

/// The shard's end.
#[derive(Debug)]
pub(crate) struct Mailbox<C> {
    queue: mpsc::Receiver<C>,
    waker: Waker,
}

impl<C> Mailbox<C> {
    /// Both ends of a mailbox for `capacity` commands.
    pub(crate) fn new(capacity: usize) -> io::Result<(MailboxSender<C>, Self)> {
        let waker = Waker::new()?;
        let (sender, receiver) = mpsc::channel(capacity);
        let sender = MailboxSender { queue: sender, waker: waker.clone() };
        Ok((sender, Self { queue: receiver, waker }))
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Refuses further commands; what was accepted can still be taken.
    pub(crate) fn close(&mut self) {
        self.queue.close();
    }

    pub(crate) fn take(&mut self) -> Option<C> {
        self.queue.try_recv().ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_mailbox_gives_the_command_back() {
        let (sender, mut mailbox) = Mailbox::new(1).expect("mailbox");
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(MailboxFull::Full(2)));
        assert_eq!(mailbox.take(), Some(1));
        assert_eq!(sender.try_send(3), Ok(()));
        drop(mailbox);
        assert_eq!(sender.try_send(4), Err(MailboxFull::Closed(4)));
    }

    #[test]
    fn a_storm_of_commands_is_one_wake() {
        let (sender, mailbox) = Mailbox::new(8).expect("mailbox");
        for i in 0..5 {
            assert_eq!(sender.try_send(i), Ok(()));
        }
        let mut count = [0; 8];
        assert_eq!(rustix::io::read(mailbox.waker(), &mut count), Ok(8));
        assert_eq!(u64::from_ne_bytes(count), 1);
    }
}
