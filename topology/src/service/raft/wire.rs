//! What members say to each other over QUIC: ALPN `topo-raft/1`, mutual TLS, a bidirectional stream per exchange.
//!
//! ```text
//!  0               4                    4 + N
//!  +---------------+--------------------+
//!  | N (big endian)| body (bincode 2)   |      N <= RAFT_FRAME_BYTES_MAX
//!  +---------------+--------------------+
//! ```
//! Whoever opens a stream writes one [`Envelope`]; the other side writes one [`Answer`]. After [`Ask::Appends`] frames of
//! append requests and results follow in both directions until either side ends. After [`Ask::Snapshot`] its bytes follow.
//! New variants are added at the end; a change of existing ones takes another ALPN.

use super::types::{Member, Types, Vote};
use crate::limits::RAFT_FRAME_BYTES_MAX;
use crate::protocol::{Request, Response};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use quinn::{RecvStream, SendStream};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;

/// Names the protocol in the TLS handshake.
pub(crate) const ALPN: &[u8] = b"topo-raft/1";

/// The first frame of a stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// Who asks.
    pub(super) from: u64,
    /// Who is meant; 0 in [`Ask::WhoAreYou`]. A member whose directory was wiped has another id and answers nothing.
    pub(super) to: u64,
    pub(super) ask: Ask,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Append(AppendEntriesRequest<Types>),
    /// A long-lived stream of append requests, not one waiting for the other.
    Appends,
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    Transfer(TransferLeaderRequest<Types>),
    Snapshot {
        vote: Vote,
        bytes: u64,
    },
    /// A client's request that came to a member that does not lead.
    Forward {
        /// The identity in the client's certificate, as a URI.
        who: String,
        request: Request,
    },
    WhoAreYou,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    Transferred(TransferLeaderResponse<Types>),
    Snapshot(SnapshotResponse<Types>),
    Forwarded(Response),
    /// Who answers, and whether it has never taken part in anything.
    Me {
        id: u64,
        member: Member,
        empty: bool,
    },
    /// Nothing is done for the asker.
    Refused(String),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<RAFT_FRAME_BYTES_MAX>()
}

/// One frame.
///
/// # Errors
/// It does not fit.
pub(super) fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    bincode::serde::encode_into_std_write(message, &mut frame, config())
        .map_err(io::Error::other)?;
    let len = frame.len() - 4;
    if len > RAFT_FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {len} bytes")));
    }
    frame[..4].copy_from_slice(&(len as u32).to_be_bytes());
    Ok(frame)
}

/// Writes one frame.
pub(super) async fn send<T: Serialize>(stream: &mut SendStream, message: &T) -> io::Result<()> {
    Ok(stream.write_all(&frame(message)?).await?)
}

/// Reads one frame; nothing when the stream ended before it.
///
/// # Errors
/// The stream's, or what is wrong with the frame.
pub(super) async fn receive<T: DeserializeOwned>(stream: &mut RecvStream) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match stream.read_exact(&mut head).await {
        Ok(()) => {}
        Err(quinn::ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    }
    let len = u32::from_be_bytes(head) as usize;
    if len > RAFT_FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {len} bytes")));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.map_err(io::Error::other)?;
    let (message, used) =
        bincode::serde::decode_from_slice(&body, config()).map_err(io::Error::other)?;
    if used == len { Ok(Some(message)) } else { Err(io::Error::other("bytes left over")) }
}

/// The answer to what was asked.
///
/// # Errors
/// There is none, or a refusal.
pub(super) async fn answer(stream: &mut RecvStream) -> io::Result<Answer> {
    match receive(stream).await? {
        Some(Answer::Refused(why)) => Err(io::Error::other(why)),
        Some(answer) => Ok(answer),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// An answer to another question.
pub(super) fn mismatch() -> io::Error {
    io::Error::other("an answer to another question: the members may be of different versions")
}
