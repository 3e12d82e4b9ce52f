//! Health, readiness, metrics, and a port in use.

use crate::toy::{any_port, config, started};
use axum::Router;
use axum::routing::get;
use node_io::http::{HttpServer, Readiness, operations_router};
use node_io::metrics::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn get_text(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn serve(metrics: &Metrics, readiness: &Readiness) -> HttpServer {
    let router = operations_router(metrics.clone(), readiness.clone());
    HttpServer::start("test", any_port(), router).await.unwrap()
}

#[tokio::test]
async fn a_node_is_healthy_at_once_and_ready_when_it_says_so() {
    let (metrics, readiness) = (Metrics::new(&[]).unwrap(), Readiness::starting());
    let server = serve(&metrics, &readiness).await;
    assert!(get_text(server.addr(), "/healthz").await.starts_with("HTTP/1.1 200"));
    let answer = get_text(server.addr(), "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("not ready: starting"));
    readiness.ready();
    assert!(get_text(server.addr(), "/readyz").await.starts_with("HTTP/1.1 200"));
    readiness.not_ready("draining");
    assert!(get_text(server.addr(), "/readyz").await.contains("draining"));
    server.stop().await;
}

#[tokio::test]
async fn metrics_show_counters_and_shards() {
    let metrics = Metrics::new(&[("node", "edge-1")]).unwrap();
    let joins = metrics.counter_vec("mesh_joins_total", "Joins.", &["result"]).unwrap();
    joins.with_label_values(&["ok"]).inc_by(3);
    assert!(metrics.counter("mesh_joins_total", "Again.").is_err(), "a name is given once");
    let shard = started(config()).await;
    metrics.add_shard("toy-0", Arc::clone(&shard.stats));
    let server = serve(&metrics, &Readiness::starting()).await;
    let text = get_text(server.addr(), "/metrics").await;
    for line in [
        "mesh_joins_total{result=\"ok\",node=\"edge-1\"} 3",
        "mesh_udp_datagrams_in_total{",
        "process_open_fds{node=\"edge-1\"}",
        "mesh_udp_kernel_drops_total{shard=\"toy-0\",socket=\"media\",node=\"edge-1\"} 0",
        "socket=\"relay\"",
        "shard=\"toy-0\"",
        "# TYPE mesh_shard_turn_seconds histogram",
        "le=\"+Inf\"",
        "mesh_shard_outputs_total{shard=\"toy-0\",node=\"edge-1\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert_eq!(text.matches("le=\"+Inf\"").count(), 1, "one unbounded bucket\n{text}");
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let (metrics, readiness) = (Metrics::new(&[]).unwrap(), Readiness::starting());
    let server = serve(&metrics, &readiness).await;
    let error =
        HttpServer::start("edge-2 http", server.addr(), Router::new()).await.expect_err("taken");
    let text = error.to_string();
    assert!(
        text.contains(&format!("TCP port {}", server.addr().port())) && !text.contains('\n'),
        "{text}"
    );
}

#[tokio::test]
async fn stop_lets_an_open_request_finish() {
    let (started, go) =
        (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let (began, may_end) = (Arc::clone(&started), Arc::clone(&go));
    let slow = get(move || async move {
        began.notify_one();
        may_end.notified().await;
        "done"
    });
    let server =
        HttpServer::start("test", any_port(), Router::new().route("/slow", slow)).await.unwrap();
    let addr = server.addr();
    let mut stopping = server.stopping();
    let request = tokio::spawn(async move { get_text(addr, "/slow").await });
    started.notified().await;
    let stop = tokio::spawn(server.stop());
    stopping.wait_for(|s| *s).await.unwrap();
    go.notify_one();
    assert!(request.await.unwrap().ends_with("done"));
    stop.await.unwrap();
}

#[tokio::test]
async fn a_handler_knows_its_peer() {
    use axum::extract::ConnectInfo;
    let route =
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() });
    let server =
        HttpServer::start("test", any_port(), Router::new().route("/peer", route)).await.unwrap();
    assert!(get_text(server.addr(), "/peer").await.ends_with("127.0.0.1"));
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_and_a_place_is_given_again() {
    let metrics = Metrics::new(&[]).unwrap();
    let router = operations_router(metrics.clone(), Readiness::starting());
    let server = HttpServer::start_limited("test", any_port(), router, 1, None).await.unwrap();
    let mut first = TcpStream::connect(server.addr()).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 15];
    first.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 200 OK");
    let mut second = TcpStream::connect(server.addr()).await.unwrap();
    assert!(matches!(second.read(&mut buffer).await, Ok(0) | Err(_)), "closed at once");
    assert_eq!(server.refused(), 1);
    metrics.add_http(&server).unwrap();
    assert!(metrics.render().contains("mesh_http_refused_total 1"), "{}", metrics.render());
    drop(first);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let mut third = TcpStream::connect(server.addr()).await.unwrap();
        let _ = third.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        if third.read_exact(&mut buffer).await.is_ok() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the place was never given again");
    }
}
