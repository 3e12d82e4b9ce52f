//! Starts and stops a member of the replicated service.

use super::disk::{Disk, FileShelf};
use super::log::LogStore;
use super::log_file::LogFile;
use super::machine::Machine;
use super::network::Network;
use super::peers::Peers;
use super::replica::{Leading, Raft, Replica};
use super::types::{Member, Runtime};
use super::{ALPN, Profile, duties};
use crate::limits::CONNECTIONS_MAX;
use crate::model::RttTable;
use crate::protocol;
use crate::service::backend::Backend;
use crate::service::connection::{CLOSE_STOPPING, serve_connection};
use crate::service::random::random_u64;
use crate::service::store::{StoreError, take_lock};
use crate::service::tls::server_config;
use crate::service::{Identity, ServiceError, TlsIdentity};
use openraft::async_runtime::WatchReceiver;
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What a member needs to know.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// Its certificate, with the URI `spiffe://<trust-domain>/topology/<name>`; the name must be its own in the group.
    pub identity: TlsIdentity,
    /// The cluster's trust domain.
    pub trust_domain: String,
    /// Where its log and its snapshot lie. Created when absent; one member at a time.
    pub state_dir: PathBuf,
    /// Round-trip times between regions; a leader brings its own into force.
    pub rtt: RttTable,
    /// Where it stands.
    pub region: String,
    /// Where clients and other members reach it; none takes the socket's address.
    pub advertise: Option<SocketAddr>,
    /// Raft's timing; the same in all members.
    pub profile: Profile,
}

/// A running member. Dropping it stops it without waiting.
pub struct Group {
    endpoint: Endpoint,
    replica: Arc<Replica>,
    tasks: Vec<JoinHandle<()>>,
    local: SocketAddr,
    _lock: File,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("local", &self.local).finish_non_exhaustive()
    }
}

/// What lies in a state directory.
struct Opened {
    file: LogFile,
    id: u64,
    content: super::log_file::Content,
    machine: Machine,
    lock: File,
}

impl Group {
    /// Reads the log and serves on `socket`. A member with an empty directory waits to be initialised or taken in. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// What is wrong with certificate, state directory or socket. A damaged directory is not used: remove the member, empty
    /// the directory, and take it in anew.
    pub async fn start(config: GroupConfig, socket: UdpSocket) -> Result<Self, ServiceError> {
        let seed = random_u64().map_err(|e| ServiceError::Stopped(e.to_string()))?;
        // Everything that Raft spawns draws from this seed.
        Runtime::scope(seed, Self::start_scoped(config, socket)).await
    }

    async fn start_scoped(config: GroupConfig, socket: UdpSocket) -> Result<Self, ServiceError> {
        let name = own_name(&config)?;
        let tls = server_config(&config.identity, &[protocol::ALPN, ALPN])?;
        let dir = config.state_dir.clone();
        let opened = tokio::task::spawn_blocking(move || open(&dir)).await;
        let opened = opened.map_err(|e| ServiceError::Stopped(e.to_string()))??;
        let Opened { file, id, content, machine, lock } = opened;
        let endpoint =
            Endpoint::new(EndpointConfig::default(), Some(tls), socket, Arc::new(TokioRuntime))?;
        let local = endpoint.local_addr()?;
        let address = config.advertise.unwrap_or(local);
        let me = Member { name, region: config.region, address };
        let peers = Peers::new(id, endpoint.clone(), &config.identity, &config.trust_domain)?;
        let peers = Arc::new(peers);
        let log = LogStore::start(file, content, Disk::Threads);
        let settings =
            config.profile.config().map_err(|e| ServiceError::Stopped(e.to_string()))?;
        let network = Network(peers.clone());
        let raft = Raft::new(id, settings, network, log.clone(), machine.clone()).await;
        let raft = raft.map_err(|e| ServiceError::Stopped(e.to_string()))?;
        let trust_domain: Arc<str> = config.trust_domain.into();
        let replica = Arc::new(Replica {
            id,
            me,
            trust_domain: trust_domain.clone(),
            profile: config.profile,
            rtt: config.rtt,
            raft,
            machine,
            log,
            peers,
            leading: Mutex::new(Leading::begin()),
            heard: Mutex::default(),
            nudge: Notify::new(),
        });
        let accepting = accept(endpoint.clone(), trust_domain, replica.clone());
        let tasks = vec![tokio::spawn(duties::run(replica.clone())), tokio::spawn(accepting)];
        tracing::info!(%local, id = format_args!("{id:x}"), profile = %config.profile, "topology member serves");
        Ok(Self { endpoint, replica, tasks, local, _lock: lock })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The id of its state directory.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.replica.id
    }

    /// Until it fails: the disk, usually. It does not end otherwise.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn failed(&mut self) -> Result<(), ServiceError> {
        let mut metrics = self.replica.raft.metrics();
        loop {
            let running = metrics.borrow_watched().running_state.clone();
            if let Err(error) = running {
                self.endpoint.close(CLOSE_STOPPING, b"stopping");
                return Err(ServiceError::Stopped(error.to_string()));
            }
            if metrics.changed().await.is_err() {
                return Err(ServiceError::Stopped("Raft has ended".to_owned()));
            }
        }
    }

    /// Stops taking part, writes everything, closes all connections, and frees the state directory.
    ///
    /// # Errors
    /// Why the log could not be written.
    pub async fn stop(mut self) -> Result<(), ServiceError> {
        self.tasks.drain(..).for_each(|task| task.abort());
        let ended = self.replica.raft.shutdown().await;
        self.endpoint.close(CLOSE_STOPPING, b"stopping");
        self.replica.log.close().await;
        self.endpoint.wait_idle().await;
        ended.map_err(|e| ServiceError::Stopped(e.to_string()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.endpoint.close(CLOSE_STOPPING, b"stopping");
        self.tasks.iter().for_each(JoinHandle::abort);
        let (raft, log) = (self.replica.raft.clone(), self.replica.log.clone());
        // Without a runtime nothing runs any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = raft.shutdown().await;
                log.close().await;
            });
        }
    }
}

fn own_name(config: &GroupConfig) -> Result<String, ServiceError> {
    let cert = config.identity.cert_chain.first();
    let identity = cert.map(|cert| Identity::of_certificate(cert, &config.trust_domain));
    match identity {
        Some(Ok(Identity::Topology(name))) => Ok(name),
        Some(Ok(other)) => Err(ServiceError::Stopped(format!(
            "the certificate is {other}'s: a member of the topology needs one with /topology/<name>"
        ))),
        Some(Err(error)) => Err(ServiceError::Stopped(error.to_string())),
        None => Err(ServiceError::Stopped("there is no certificate".to_owned())),
    }
}

/// Opens or creates `dir`. Blocks.
fn open(dir: &Path) -> Result<Opened, ServiceError> {
    std::fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
    let lock = take_lock(&dir.join("lock"))?;
    let single = dir.join("commands.log");
    if single.try_exists().map_err(StoreError::io(&single))? {
        let what = "it is the log of a service with --single".to_owned();
        return Err(StoreError::Unusable { path: single, what }.into());
    }
    let fresh = random_u64().map_err(|e| ServiceError::Stopped(e.to_string()))?.max(1);
    let log = dir.join("raft.redb");
    let (file, id, content) = LogFile::open(&log, fresh).map_err(unusable(&log))?;
    let path = dir.join("raft.snapshot");
    let shelf = Arc::new(FileShelf(path.clone()));
    let machine = Machine::open(shelf, Disk::Threads).map_err(unusable(&path))?;
    machine.check_reaches(content.purged).map_err(unusable(&path))?;
    Ok(Opened { file, id, content, machine, lock })
}

fn unusable(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::Unusable { path, what: error.to_string() }
}

async fn accept(endpoint: Endpoint, trust_domain: Arc<str>, replica: Arc<Replica>) {
    while let Some(incoming) = endpoint.accept().await {
        if endpoint.open_connections() > CONNECTIONS_MAX {
            incoming.refuse();
            continue;
        }
        let backend = Backend::Member(replica.clone());
        tokio::spawn(serve_connection(incoming, trust_domain.clone(), backend));
    }
}
