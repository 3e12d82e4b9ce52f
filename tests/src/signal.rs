//! The signalling of one participant: a WebSocket, its messages both ways.

use anyhow::{Context, bail};
use edge_sfu::signal::{ClientMessage, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A connection to an edge takes at most this long.
const CONNECT: Duration = Duration::from_secs(5);

/// The socket.
pub struct Signal {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Signal {
    /// Opens a socket to the edge at `http://...`.
    ///
    /// # Errors
    /// When the edge does not take it.
    pub async fn open(edge: &str) -> anyhow::Result<Self> {
        let url = format!("{}/v1/signal", edge.trim_end_matches('/').replacen("http", "ws", 1));
        let connecting = tokio_tungstenite::connect_async(&url);
        let (socket, _) = tokio::time::timeout(CONNECT, connecting)
            .await
            .with_context(|| format!("{url} does not answer"))?
            .with_context(|| format!("cannot open {url}"))?;
        Ok(Self { socket })
    }

    /// Says something.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn say(&mut self, message: &ClientMessage) -> anyhow::Result<()> {
        self.say_text(serde_json::to_string(message)?).await
    }

    /// Says something that may be nonsense.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn say_text(&mut self, text: String) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// Says something that is not even text.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn say_bytes(&mut self, bytes: Vec<u8>) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::binary(Bytes::from(bytes))).await?)
    }

    /// The next message; `None`: the socket has been closed.
    ///
    /// # Errors
    /// Something that is not of the protocol.
    pub async fn next(&mut self) -> anyhow::Result<Option<ServerMessage>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Ok(Some(serde_json::from_str(&text).context(text.to_string())?));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
                Some(Ok(other)) => bail!("a message that is not text: {other:?}"),
            }
        }
    }
}
