//! Frames on QUIC streams.

use crate::protocol::{FrameError, HEADER_BYTES, body_length, decode};
use quinn::{ReadExactError, RecvStream};
use serde::de::DeserializeOwned;

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// The stream or its connection is gone.
    #[error("stream: {0}")]
    Stream(#[from] ReadExactError),
    /// The frame is not acceptable.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Read one frame with a body of at most `max` bytes.
pub(super) async fn receive<T: DeserializeOwned>(
    stream: &mut RecvStream,
    max: usize,
) -> Result<T, ReceiveError> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let mut body = vec![0; body_length(header, max)?];
    stream.read_exact(&mut body).await?;
    Ok(decode(&body)?)
}
