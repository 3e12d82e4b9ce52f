//! A topology service, an origin, edges in three regions, and the API of one of them on a free port.

use crate::api::{ApiConfig, ApiCounters, Problem, Turn, api_router};
use crate::dev::pki::Ca;
use crate::dev::state::write_pem;
use crate::signalling::{SignalCounters, Sockets};
use crate::token::{
    API_AUDIENCE, ApiClaims, ApiGrants, Bearer, Claims, Issuer, Verifier, generate_keys,
};
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use node_io::http::HttpServer;
use node_io::metrics::Metrics;
use relay_proto::NodeId;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use topology::model::{NodeRecord, Region, Role, RttTable};
use topology::service::{
    ClientConfig, Service, ServiceConfig, TlsIdentity, TopologyClient, load_identity,
};

const DOMAIN: &str = "mesh.test";
/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

/// One edge's API, and what is behind it.
pub(super) struct World {
    pub(super) url: String,
    pub(super) issuer: Issuer,
    pub(super) verifier: Arc<Verifier>,
    pub(super) sockets: Sockets,
    pub(super) metrics: Metrics,
    pub(super) service: Option<Service>,
    pub(super) topology: TopologyClient,
    private: String,
    http: Client<HttpConnector, Body>,
    servers: Vec<HttpServer>,
    _others: Vec<TopologyClient>,
    _dir: tempfile::TempDir,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> T {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {text}", self.status))
    }

    /// The problem it is, whose status, media type and page are what they should be.
    pub(super) fn problem(&self, name: &str) -> Problem {
        let problem: Problem = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json", "{problem:?}");
        assert_eq!(problem.status, self.status.as_u16(), "{problem:?}");
        assert_eq!(problem.kind, format!("/api/v1/problems/{name}"), "{problem:?}");
        assert!(problem.detail.len() > 10, "{problem:?}");
        let after = self.headers.get("retry-after").map(|v| v.to_str().unwrap().parse().unwrap());
        assert_eq!(problem.retry_after, after, "{problem:?}");
        problem
    }
}

fn identity(ca: &Ca, dir: &Path, path: &str) -> TlsIdentity {
    let name = path.replace('/', "-");
    let pem = ca.issue(&name, &format!("spiffe://{DOMAIN}/{path}")).unwrap();
    let [cert, key] = ["crt", "key"].map(|ending| dir.join(format!("{name}.{ending}")));
    write_pem(&cert, &key, &pem).unwrap();
    load_identity(&cert, &key, &dir.join("ca.crt")).unwrap()
}

fn record(id: u32, role: Role, at: &str) -> NodeRecord {
    NodeRecord {
        id: NodeId(id),
        name: format!("{at}-{id}"),
        role,
        region: region(at),
        http_url: format!("http://edge-{id}.test"),
        signal_url: format!("ws://edge-{id}.test/v1/signal"),
        media: "127.0.0.1:1".parse().unwrap(),
        relay: vec!["127.0.0.1:1".parse().unwrap()],
        instance: u64::from(id),
        capacity: 1_000,
    }
}

fn table() -> RttTable {
    RttTable::default()
        .with(region("eu"), region("us"), 80_000)
        .with(region("eu"), region("ap"), 160_000)
        .with(region("us"), region("ap"), 170_000)
}

impl World {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ca, pem) = Ca::generate().unwrap();
        std::fs::write(dir.path().join("ca.crt"), &pem.cert).unwrap();
        let config = ServiceConfig {
            identity: identity(&ca, dir.path(), "topology/single"),
            trust_domain: DOMAIN.to_owned(),
            state_dir: dir.path().join("state"),
            rtt: table(),
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let service = Service::start(config, socket).await.unwrap();
        let client = |path: &str| {
            TopologyClient::connect(ClientConfig {
                addrs: vec![service.local_addr()],
                identity: identity(&ca, dir.path(), path),
                trust_domain: DOMAIN.to_owned(),
            })
            .unwrap()
        };
        let nodes = [(1, Role::Origin, "eu"), (2, Role::Edge, "eu"), (3, Role::Edge, "us")];
        let mut others = Vec::new();
        for (id, role, at) in nodes.into_iter().chain([(4, Role::Edge, "ap")]) {
            let node = client(&format!("node/{at}/{id}"));
            node.register(record(id, role, at)).await.unwrap();
            others.push(node);
        }
        let topology = others.remove(1);
        let all = |v: &Arc<topology::service::TopologyView>| v.nodes.len() == 4;
        tokio::time::timeout(PATIENCE, topology.watch().wait_for(all)).await.unwrap().unwrap();
        let (private, public) = generate_keys().unwrap();
        let metrics = Metrics::new(&[]).unwrap();
        let mut world = Self {
            url: String::new(),
            issuer: Issuer::from_pem(private.as_bytes()).unwrap(),
            verifier: Arc::new(Verifier::from_pem(public.as_bytes()).unwrap()),
            sockets: Sockets::new(SignalCounters::new(&metrics).unwrap()),
            metrics,
            service: Some(service),
            topology,
            private,
            http: Client::builder(TokioExecutor::new()).build_http(),
            servers: Vec::new(),
            _others: others,
            _dir: dir,
        };
        let counters = ApiCounters::new(&world.metrics).unwrap();
        world.url = world.serve(Some(world.issuer()), counters).await;
        world
    }

    fn issuer(&self) -> Issuer {
        Issuer::from_pem(self.private.as_bytes()).unwrap()
    }

    async fn serve(&mut self, issuer: Option<Issuer>, counters: ApiCounters) -> String {
        let config = ApiConfig {
            issuer,
            verifier: self.verifier.clone(),
            topology: self.topology.clone(),
            sockets: self.sockets.clone(),
            region: region("eu"),
            url: "http://edge-2.test".to_owned(),
            rtt: table(),
            turn: Some(Turn::new(vec!["turn:turn.test:3478".to_owned()], b"secret")),
            creates_per_hour: 10,
            trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
            counters,
        };
        let router = api_router(config).unwrap();
        let server = HttpServer::start("test", "127.0.0.1:0".parse().unwrap(), router).await;
        let server = server.unwrap();
        let url = format!("http://{}", server.addr());
        self.servers.push(server);
        url
    }

    /// The API of one more edge, which has the private key or has not; from now on it is asked.
    pub(super) async fn go_to_another_edge(&mut self, has_key: bool) {
        let counters = ApiCounters::new(&Metrics::new(&[]).unwrap()).unwrap();
        let issuer = has_key.then(|| self.issuer());
        self.url = self.serve(issuer, counters).await;
    }

    /// An API token.
    pub(super) fn api_token(&self, sub: &str, grants: ApiGrants) -> String {
        let exp = 4_000_000_000;
        let name = Some(sub.to_uppercase());
        let claims = ApiClaims { aud: API_AUDIENCE.into(), sub: sub.into(), name, grants, exp };
        self.issuer.sign(&claims).unwrap()
    }

    /// Somebody who may create meetings.
    pub(super) fn creator(&self, sub: &str) -> String {
        self.api_token(sub, ApiGrants { create: true, admin: false })
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let exchange = async {
            let answer = self.http.request(request).await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = axum::body::to_bytes(Body::new(answer.into_body()), 1 << 22).await.unwrap();
            Answer { status, headers, body: body.to_vec() }
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap()
    }

    /// A request with a token and headers; `path` comes after `/api/v1/`.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("{}/api/v1/{path}", self.url));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, token, &[], Value::Null).await
    }

    pub(super) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, token, &[], body).await
    }

    pub(super) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::DELETE, path, token, &[], Value::Null).await
    }

    /// Creates a meeting; its id, and the tokens of its invitations by role.
    pub(super) async fn meeting(&self, token: &str, body: Value) -> (String, Value) {
        let made = self.post("meetings", token, body).await;
        assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
        let made: Value = made.json();
        let mut tokens = json!({});
        for invitation in made["invitations"].as_array().unwrap() {
            tokens[invitation["role"].as_str().unwrap()] = invitation["token"].clone();
        }
        (made["meeting"]["id"].as_str().unwrap().to_owned(), tokens)
    }

    /// Joins, which must go well; the claims of the join token, and the whole answer.
    pub(super) async fn join(&self, id: &str, token: &str, body: Value) -> (Claims, Value) {
        let answer = self.post(&format!("meetings/{id}/join"), token, body).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let joining: Value = answer.json();
        let claims = match self.verifier.verify_any(joining["token"].as_str().unwrap()) {
            Ok(Bearer::Join(claims)) => claims,
            other => panic!("{other:?}"),
        };
        (claims, joining)
    }
}
