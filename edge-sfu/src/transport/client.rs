//! What both transports know of their client: who it is, where it is, whether it consents, and where things stand.

use super::ice::IceLite;
use super::{
    CloseReason, Fingerprint, LocalIce, Opened, RemoteIce, RestartRefused, TransportEvent,
    TransportState,
};
use relay_proto::time::Now;
use sfu_core::drop_reason::DropReason;
use std::net::SocketAddr;
use std::time::Instant;

/// The client behind a transport. Secrets are the transport's own.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) ice: IceLite,
    /// Of the certificate that its offer named.
    pub(super) fingerprint: Fingerprint,
    /// Never [`TransportState::Paused`]: that is ICE's to say.
    state: TransportState,
}

impl Client {
    pub(super) fn new(now: Now, local: &LocalIce, remote: &RemoteIce) -> Self {
        Self {
            ice: IceLite::new(now.mono, local, &remote.ufrag),
            fingerprint: remote.fingerprint.clone(),
            state: TransportState::Connecting,
        }
    }

    pub(super) fn state(&self) -> TransportState {
        match self.state {
            TransportState::Connected if self.ice.is_paused() => TransportState::Paused,
            state => state,
        }
    }

    /// Whether the handshake is done, paused or not.
    pub(super) fn is_established(&self) -> bool {
        self.state == TransportState::Connected
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == TransportState::Closed
    }

    /// Where it is, whether or not anything may be sent there.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.ice.path()
    }

    /// Where packets leave to: the address must be known, the handshake done and the client heard from lately.
    pub(super) fn path(&self) -> Result<SocketAddr, DropReason> {
        let sends = self.is_established() && !self.ice.is_paused();
        self.ice.path().filter(|_| sends).ok_or(DropReason::NotConnected)
    }

    /// Passes on what was opened of a packet from `from`: an authentic one renews consent.
    pub(super) fn heard(&mut self, now: Now, from: SocketAddr, opened: Opened) -> Opened {
        if !matches!(opened, Opened::Dropped(_)) {
            self.ice.heard(now.mono, from);
        }
        opened
    }

    /// The handshake is done.
    pub(super) fn establish(&mut self, now: Now) -> TransportEvent {
        self.ice.connected(now.mono);
        self.state = TransportState::Connected;
        TransportEvent::Connected
    }

    /// It is over.
    pub(super) fn end(&mut self, reason: CloseReason) -> TransportEvent {
        self.state = TransportState::Closed;
        TransportEvent::Closed(reason)
    }

    /// When consent is to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.is_closed()).then(|| self.ice.deadline())
    }

    pub(super) fn restart(
        &mut self,
        local: &LocalIce,
        remote: &RemoteIce,
    ) -> Result<(), RestartRefused> {
        if remote.fingerprint != self.fingerprint {
            return Err(RestartRefused);
        }
        self.ice.restart(local, &remote.ufrag);
        Ok(())
    }
}
