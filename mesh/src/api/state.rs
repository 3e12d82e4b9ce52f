//! What the handlers share.

use super::counters::ApiCounters;
use super::ice::Turn;
use super::idempotency::Answers;
use super::limits::{ADDRESS_JOINS, MEETING_JOINS, WRONG_PASSWORDS};
use super::password::Passwords;
use super::rate::{Buckets, Windows};
use super::types::Created;
use crate::signalling::Sockets;
use crate::token::{Issuer, Verifier};
use relay_proto::MeetingId;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use topology::model::{Region, RttTable};
use topology::service::TopologyClient;

/// What the API needs of its edge.
pub struct ApiConfig {
    /// Signs tokens; none: this edge does not serve the API.
    pub issuer: Option<Issuer>,
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// Creates, finds and ends meetings.
    pub topology: TopologyClient,
    /// Who is here.
    pub sockets: Sockets,
    /// This edge's region.
    pub region: Region,
    /// This edge's URL.
    pub url: String,
    /// Round trips between regions, as the placement uses them.
    pub rtt: RttTable,
    /// The operator's TURN servers.
    pub turn: Option<Turn>,
    /// Meetings a person may create in an hour.
    pub creates_per_hour: u32,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// What was asked and refused.
    pub counters: ApiCounters,
}

/// The state of the API. Cloning gives the same one.
#[derive(Clone)]
pub(super) struct ApiState(Arc<Inner>);

/// What is behind it.
pub(super) struct Inner {
    pub(super) config: ApiConfig,
    pub(super) passwords: Passwords,
    pub(super) created: Answers<Created>,
    pub(super) creates: Mutex<Windows>,
    pub(super) meeting_joins: Mutex<Buckets<MeetingId>>,
    pub(super) address_joins: Mutex<Buckets<IpAddr>>,
    pub(super) wrong_passwords: Mutex<Buckets<(MeetingId, IpAddr)>>,
}

impl std::ops::Deref for ApiState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl ApiState {
    /// Nothing was asked yet.
    pub(super) fn new(config: ApiConfig) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Inner {
            config,
            passwords: Passwords::new()?,
            created: Answers::new(),
            creates: Mutex::default(),
            meeting_joins: Mutex::new(Buckets::new("join-meeting", MEETING_JOINS)),
            address_joins: Mutex::new(Buckets::new("join-address", ADDRESS_JOINS)),
            wrong_passwords: Mutex::new(Buckets::new("password", WRONG_PASSWORDS)),
        })))
    }
}

/// A lock whose holder cannot have left anything half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Since 1970.
pub(super) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
