//! A real service on loopback, and clients with real certificates.

use crate::world::{record, region};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::pki_types::PrivateKeyDer;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use topology::model::*;
use topology::protocol::Refusal;
use topology::service::*;

pub(crate) const DOMAIN: &str = "mesh.test";
/// Longer than any of this takes; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn issue(&self, path: &str) -> TlsIdentity {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let uri = format!("spiffe://{DOMAIN}/{path}");
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        TlsIdentity::new(vec![cert.der().clone()], der, vec![self.0.as_ref().der().clone()])
    }
}

/// A service that can be stopped and started again on the same port and directory.
pub(crate) struct Cluster {
    pub(crate) ca: Ca,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) service: Option<Service>,
    pub(crate) address: SocketAddr,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
        let service = start(&ca, dir.path(), "127.0.0.1:0".parse().unwrap()).await;
        let address = service.local_addr();
        Self { ca, dir, service: Some(service), address }
    }

    pub(crate) async fn stop(&mut self) {
        self.service.take().unwrap().stop().await.unwrap();
    }

    pub(crate) async fn resume(&mut self) {
        self.service = Some(start(&self.ca, self.dir.path(), self.address).await);
    }

    pub(crate) fn client(&self, path: &str) -> TopologyClient {
        self.client_with(self.ca.issue(path))
    }

    pub(crate) fn client_with(&self, identity: TlsIdentity) -> TopologyClient {
        let config =
            ClientConfig { addrs: vec![self.address], identity, trust_domain: DOMAIN.into() };
        TopologyClient::connect(config).unwrap()
    }

    /// A registered origin node of instance 1.
    pub(crate) async fn origin(&self, id: u32, at: &str) -> TopologyClient {
        let client = self.client(&format!("node/{at}/{id}"));
        client.register(record(id, Role::Origin, at, 1)).await.unwrap();
        client
    }
}

pub(crate) async fn start(ca: &Ca, dir: &Path, address: SocketAddr) -> Service {
    let config = ServiceConfig {
        identity: ca.issue("topology/t1"),
        trust_domain: DOMAIN.into(),
        state_dir: dir.to_owned(),
        rtt: RttTable::default().with(region("eu"), region("us"), 80_000),
    };
    Service::start(config, bind(address).await).await.unwrap()
}

/// The tasks of the service before let go of its socket on the runtime's next turns.
pub(crate) async fn bind(address: SocketAddr) -> UdpSocket {
    let free = async {
        loop {
            match UdpSocket::bind(address) {
                Ok(socket) => return socket,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap()
}

/// The first view for which `holds`.
pub(crate) async fn until(
    client: &TopologyClient,
    holds: impl Fn(&TopologyView) -> bool,
) -> Arc<TopologyView> {
    let mut view = client.watch();
    let found = tokio::time::timeout(PATIENCE, view.wait_for(|v| holds(v))).await;
    let found = found.unwrap_or_else(|_| panic!("never seen; last: {:?}", client.view()));
    found.unwrap().clone()
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, CallError>) -> Refusal {
    match result {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}
