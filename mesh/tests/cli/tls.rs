//! An edge that ends TLS itself: real processes, real handshakes, a certificate that is exchanged under an open WebSocket.

use super::harness::{PATIENCE, mesh, send, stdout, until};
use edge_sfu::signal::{ClientMessage, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

/// A topology service and an edge, ended with this.
struct Nodes(Vec<Child>);

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in &mut self.0 {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

/// A new certificate for `localhost`, written over the one before as a renewal does it.
fn renew(dir: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap();
    for (name, text) in [("tls.crt", cert.pem()), ("tls.key", key.serialize_pem())] {
        std::fs::write(dir.join("new"), text).unwrap();
        std::fs::rename(dir.join("new"), dir.join(name)).unwrap();
    }
    cert.der().clone()
}

fn start(dir: &Path, topology: SocketAddr, http: SocketAddr) -> Nodes {
    let certs = |arguments: &[&str]| {
        stdout(mesh().arg("certs").args(arguments).arg("--dir").arg(dir));
    };
    certs(&["ca"]);
    certs(&["topology"]);
    certs(&["node", "--node", "3", "--region", "eu-west-1"]);
    certs(&["token-keys"]);
    let file = |name: &str| dir.join(name).into_os_string();
    let identity = |name: &str| {
        let (cert, key) = (file(&format!("{name}.crt")), file(&format!("{name}.key")));
        ["--cert".into(), cert, "--key".into(), key, "--ca".into(), file("ca.crt")]
    };
    let node = |role: &str, name: &str, rest: &[String]| {
        let mut command = mesh();
        command.arg(role).args(rest).args(["--trust-domain", "mesh.dev"]).args(identity(name));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if role == "edge" {
            command.arg("--token-key").arg(file("token.pub"));
            command.arg("--tls-cert").arg(file("tls.crt")).arg("--tls-key").arg(file("tls.key"));
        } else {
            command.arg("--single").arg("--state-dir").arg(file("state"));
        }
        command.spawn().unwrap()
    };
    let words = |text: String| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let service = node("topology", "topology-single", &words(format!("--listen {topology}")));
    let edge = format!(
        "--node 3 --region eu-west-1 --http {http} --topology {topology} --media-ip 127.0.0.1"
    );
    Nodes(vec![service, node("edge", "node-3", &words(edge))])
}

/// A client that trusts exactly this certificate.
fn client(cert: &CertificateDer<'static>, tls13: bool) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let version = if tls13 { &rustls::version::TLS13 } else { &rustls::version::TLS12 };
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// What is answered to a GET over a new connection.
fn get(http: SocketAddr, path: &str, config: Arc<ClientConfig>) -> std::io::Result<String> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut tls = rustls::ClientConnection::new(config, name).map_err(std::io::Error::other)?;
    let mut socket = std::net::TcpStream::connect(http)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = rustls::Stream::new(&mut tls, &mut socket);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    // A server may close the socket without a word of TLS.
    match stream.read_to_string(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_rustls::client::TlsStream<tokio::net::TcpStream>>;

async fn open(http: SocketAddr, config: Arc<ClientConfig>) -> Socket {
    let tcp = tokio::net::TcpStream::connect(http).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.unwrap();
    let url = format!("wss://localhost:{}/v1/signal", http.port());
    tokio_tungstenite::client_async(url, tls).await.unwrap().0
}

async fn ping(socket: &mut Socket, id: u32) {
    let said = serde_json::to_string(&ClientMessage::Ping { id }).unwrap();
    socket.send(Message::text(said)).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    let answer: ServerMessage = serde_json::from_str(answer.to_text().unwrap()).unwrap();
    assert_eq!(answer, ServerMessage::Pong { id });
}

#[test]
fn a_certificate_is_renewed_under_an_open_websocket() {
    let dir = tempfile::tempdir().unwrap();
    let first = renew(dir.path());
    let topology = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nodes = start(dir.path(), topology, http);
    let known = client(&first, true);
    until("the edge is ready, over TLS 1.3", || {
        let answer = get(http, "/readyz", known.clone()).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
    let page = get(http, "/", known.clone()).unwrap();
    assert!(page.contains("connect-src 'self'"), "{page}");
    let older = get(http, "/readyz", client(&first, false)).unwrap_err().to_string();
    assert!(older.contains("ProtocolVersion"), "TLS 1.2 is refused: {older}");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut socket = runtime.block_on(open(http, known.clone()));
    runtime.block_on(ping(&mut socket, 1));

    let second = renew(dir.path());
    let edge = u64::from(nodes.0[1].id());
    send(edge, Signal::HUP);
    let renewed = client(&second, true);
    until("new connections see the new certificate", || {
        get(http, "/healthz", renewed.clone()).ok()
    });
    // A client that has no session to resume.
    get(http, "/healthz", client(&first, true)).unwrap_err();
    runtime.block_on(ping(&mut socket, 2));
    let metrics = get(http, "/metrics", renewed.clone()).unwrap();
    assert!(metrics.contains("mesh_tls_reloads_total{") && metrics.contains("outcome=\"done\""));

    std::fs::write(dir.path().join("tls.key"), "no key").unwrap();
    send(edge, Signal::HUP);
    until("a file that cannot be used is counted", || {
        let metrics = get(http, "/metrics", renewed.clone()).unwrap();
        let line = metrics.lines().find(|l| l.contains("outcome=\"failed\""))?;
        (!line.ends_with(" 0")).then_some(())
    });
    runtime.block_on(ping(&mut socket, 3));

    let third = renew(dir.path());
    let renewed = client(&third, true);
    until("new files are seen without a signal", || get(http, "/healthz", renewed.clone()).ok());
}
