//! One connection: a counted socket, requests that know their peer.

use super::tls::Tls;
use crate::limits::{HTTP_HEADERS, TLS_HANDSHAKE};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// A socket that holds its place until it is closed, also after it became a WebSocket.
pub(super) struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        // Signalling is small messages: none may wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        Self { stream, _place: place }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The router, with the peer's address in every request.
struct Requests {
    router: TowerToHyperService<Router>,
    peer: SocketAddr,
}

impl Service<Request<Incoming>> for Requests {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.router.call(request)
    }
}

/// Does the handshake, then the same as [`serve`]. A client that is slow holds its place and nothing else.
pub(super) async fn serve_tls(
    connection: Connection,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<bool>,
    tls: Tls,
) {
    let handshake = tokio::time::timeout(TLS_HANDSHAKE, tls.acceptor().accept(connection));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        _ = stopped.wait_for(|stop| *stop) => return,
    };
    match shaken {
        Ok(Ok(stream)) => serve(stream, peer, router, stopped).await,
        Ok(Err(error)) => tracing::trace!(%peer, %error, "no tls handshake"),
        Err(_) => tracing::trace!(%peer, "tls handshake too slow"),
    }
}

/// Serves requests until the peer leaves or, after a stop, the open one is answered.
pub(super) async fn serve(
    connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let requests = Requests { router: TowerToHyperService::new(router), peer };
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEADERS)
        .serve_connection(TokioIo::new(connection), requests)
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => Some(ended),
        _ = stopped.wait_for(|stop| *stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%peer, %error, "connection ended");
    }
}
