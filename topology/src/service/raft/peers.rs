//! Connections to the other members: one each, kept up in the background.

use super::types::Member;
use super::wire::{ALPN, Answer, Ask, Envelope, answer, mismatch, send};
use crate::limits::{CONNECT_TIMEOUT, PEER_REDIAL, PEER_SILENCE_MAX};
use crate::service::identity::Identity;
use crate::service::tls::{self, TlsError, peer_certificate};
use crate::service::TlsIdentity;
use quinn::{ClientConfig, Connection, Endpoint, VarInt};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How others are reached.
#[derive(Clone, Debug)]
struct Dialer {
    endpoint: Endpoint,
    tls: ClientConfig,
    trust_domain: Arc<str>,
}

/// All other members that were ever needed.
#[derive(Debug)]
pub(super) struct Peers {
    me: u64,
    dialer: Dialer,
    known: Mutex<BTreeMap<u64, Arc<Peer>>>,
}

/// One of them. Its connection is made, and made again, until this is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    me: u64,
    id: u64,
    member: Member,
    connection: watch::Receiver<Option<Connection>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peers {
    pub(super) fn new(
        me: u64,
        endpoint: Endpoint,
        identity: &TlsIdentity,
        trust_domain: &str,
    ) -> Result<Self, TlsError> {
        let tls = tls::client_config_for(identity, trust_domain, ALPN, PEER_SILENCE_MAX)?;
        let dialer = Dialer { endpoint, tls, trust_domain: trust_domain.into() };
        Ok(Self { me, dialer, known: Mutex::default() })
    }

    /// The member with this id. Where it is may have changed.
    pub(super) fn peer(&self, id: u64, member: &Member) -> Arc<Peer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = known.get(&id).filter(|p| p.member == *member) {
            return peer.clone();
        }
        let (sender, connection) = watch::channel(None);
        let task = tokio::spawn(keep_up(self.dialer.clone(), member.clone(), sender));
        let peer = Arc::new(Peer { me: self.me, id, member: member.clone(), connection, task });
        known.insert(id, peer.clone());
        peer
    }

    /// Lets go of members that are no more.
    pub(super) fn keep_only(&self, members: &BTreeMap<u64, Member>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| members.contains_key(id));
    }

    /// The round trip to a member that is connected.
    pub(super) fn round_trip(&self, id: u64) -> Option<Duration> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id)?.connection.borrow().as_ref().map(Connection::rtt)
    }

    /// Who is at an address, and whether it has never taken part in anything.
    ///
    /// # Errors
    /// It is not reached, or is no member of a topology service.
    pub(super) async fn who_is(&self, address: SocketAddr) -> io::Result<(u64, Member, bool)> {
        let connection = self.dialer.dial(address).await?;
        let name = self.dialer.name_of(&connection)?;
        let ask = Envelope { from: self.me, to: 0, ask: Ask::WhoAreYou };
        let exchange = async {
            let (mut out, mut back) = connection.open_bi().await?;
            send(&mut out, &ask).await?;
            out.finish().map_err(io::Error::other)?;
            answer(&mut back).await
        };
        let answered = timeout(CONNECT_TIMEOUT, exchange).await;
        connection.close(VarInt::from_u32(0), b"");
        match answered.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            Answer::Me { id, member, empty } if member.name == name => Ok((id, member, empty)),
            _ => Err(mismatch()),
        }
    }
}

impl Dialer {
    async fn dial(&self, address: SocketAddr) -> io::Result<Connection> {
        let connecting = self.endpoint.connect_with(self.tls.clone(), address, "topology");
        let connecting = connecting.map_err(io::Error::other)?;
        let connected = timeout(CONNECT_TIMEOUT, connecting).await;
        Ok(connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??)
    }

    /// The name in the other side's certificate.
    fn name_of(&self, connection: &Connection) -> io::Result<String> {
        let cert = peer_certificate(connection).ok_or_else(|| io::Error::other("no certificate"))?;
        match Identity::of_certificate(&cert, &self.trust_domain) {
            Ok(Identity::Topology(name)) => Ok(name),
            Ok(other) => Err(io::Error::other(format!("{other} is no topology service"))),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// Connects, waits until the connection ends, and connects again.
async fn keep_up(dialer: Dialer, member: Member, connection: watch::Sender<Option<Connection>>) {
    loop {
        let dialed = dialer.dial(member.address).await;
        let dialed = dialed.and_then(|c| dialer.name_of(&c).map(|name| (c, name)));
        match dialed {
            Ok((made, name)) if name == member.name => {
                tracing::debug!(peer = member.name, "connected to a member");
                connection.send_replace(Some(made.clone()));
                let why = made.closed().await;
                connection.send_replace(None);
                tracing::debug!(peer = member.name, %why, "connection to a member lost");
            }
            Ok((made, name)) => {
                tracing::warn!(expected = member.name, name, "another member is at this address");
                made.close(VarInt::from_u32(0), b"");
            }
            Err(error) => {
                tracing::debug!(peer = member.name, %error, "a member is not reached");
            }
        }
        sleep(PEER_REDIAL).await;
    }
}

impl Peer {
    /// A stream whose first frame asks `ask`. Waits for a connection; the caller limits the time.
    pub(super) async fn open(&self, ask: Ask) -> io::Result<(quinn::SendStream, quinn::RecvStream)> {
        let mut connection = self.connection.clone();
        let current = connection.wait_for(Option::is_some).await.map(|c| c.clone());
        let current = current.ok().flatten();
        let current = current.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        let (mut out, back) = current.open_bi().await?;
        send(&mut out, &Envelope { from: self.me, to: self.id, ask }).await?;
        Ok((out, back))
    }

    /// One exchange on a stream of its own.
    pub(super) async fn ask(&self, ask: Ask) -> io::Result<Answer> {
        let (mut out, mut back) = self.open(ask).await?;
        out.finish().map_err(io::Error::other)?;
        answer(&mut back).await
    }
}
