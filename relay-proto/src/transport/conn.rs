//! One QUIC connection of a link, with its frames and stream packets.

use super::channel::{Channel, ChannelKind};
use super::endpoint::Side;
use super::identity::NodeName;
use super::tls::ALPN_NATIVE;
use crate::envelope::{StreamDecoder, WireError, write_stream_head};
use crate::frame::{Frame, FrameDecoder, FrameError};
use crate::ids::FlowId;
use crate::limits::CONTROL_BACKLOG_BYTES_MAX;
use crate::links_api::DownReason;
use bytes::Bytes;
use quinn_proto::crypto::rustls::HandshakeData;
use quinn_proto::{
    Connection, ConnectionError, Dir, Event, ReadError, StreamEvent, StreamId, VarInt,
};
use rustls::pki_types::CertificateDer;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Bytes taken from a stream at once.
const READ_BYTES: usize = 16 * 1024;
/// RoQ section 9: invalid payload.
const ROQ_PACKET_ERROR: u32 = 0x03;
/// RoQ section 9: frame is not wanted any more.
const ROQ_FRAME_CANCELLED: u32 = 0x05;

/// Application close codes. Below 0x100 they are those of RoQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum CloseCode {
    None = 0x00,
    StreamCreation = 0x04,
    Duplicate = 0x100,
    Replaced = 0x101,
    Version = 0x102,
    Identity = 0x103,
    Malformed = 0x104,
    Silent = 0x105,
    Backlog = 0x106,
    Timeout = 0x107,
}

/// What happened on a connection.
#[derive(Debug)]
pub(crate) enum ConnEvent {
    /// The handshake is done; the peer's certificate was verified.
    Connected { channel: Result<Channel, String>, name: Result<NodeName, String> },
    /// Datagrams can be read.
    Datagrams,
    /// Frames can be read.
    Frames,
    /// Stream packets can be read.
    Packets,
    /// The peer broke a rule of the protocol.
    Violation(&'static str),
    /// It is over. Its owner is told along, as the connection may be gone when the event is read.
    Lost(Option<(u32, Side)>, DownReason),
}

/// One connection.
pub(crate) struct Conn {
    pub(super) quinn: Connection,
    pub(super) side: Side,
    pub(super) channel: Option<Channel>,
    pub(super) timer: Option<Instant>,
    pub(super) dirty: bool,
    pub(super) connected: bool,
    /// Place of the link and side of the pair, while one owns this connection.
    pub(crate) tag: Option<(u32, Side)>,
    control: Option<StreamId>,
    decoder: FrameDecoder,
    backlog: VecDeque<Bytes>,
    backlog_bytes: usize,
    streams: BTreeMap<StreamId, StreamDecoder>,
    readable: VecDeque<StreamId>,
}

impl Conn {
    pub(super) fn new(quinn: Connection, side: Side, channel: Option<Channel>) -> Self {
        Self {
            quinn,
            side,
            channel,
            timer: None,
            dirty: true,
            connected: false,
            tag: None,
            control: None,
            decoder: FrameDecoder::default(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            streams: BTreeMap::new(),
            readable: VecDeque::new(),
        }
    }

    /// Translates one event of quinn.
    pub(super) fn translate(&mut self, event: Event) -> Option<ConnEvent> {
        match event {
            Event::Connected => {
                self.connected = true;
                let channel = self.peer_channel();
                self.channel = channel.as_ref().ok().copied();
                Some(ConnEvent::Connected { channel, name: self.peer_name() })
            }
            Event::ConnectionLost { reason } => {
                Some(ConnEvent::Lost(self.tag, down_reason(&reason)))
            }
            Event::DatagramReceived => Some(ConnEvent::Datagrams),
            Event::Stream(event) => self.translate_stream(event),
            Event::HandshakeDataReady | Event::DatagramsUnblocked => None,
        }
    }

    fn translate_stream(&mut self, event: StreamEvent) -> Option<ConnEvent> {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.quinn.streams().accept(dir) {
                    match (dir, self.channel.map(|c| c.kind)) {
                        (Dir::Bi, Some(ChannelKind::Control)) if self.control.is_none() => {
                            self.control = Some(id)
                        }
                        (Dir::Uni, Some(ChannelKind::Media)) => {
                            self.streams.insert(id, StreamDecoder::default());
                            self.readable.push_back(id);
                        }
                        _ => return Some(ConnEvent::Violation("stream where none belongs")),
                    }
                }
                Some(if dir == Dir::Bi { ConnEvent::Frames } else { ConnEvent::Packets })
            }
            StreamEvent::Readable { id } if Some(id) == self.control => Some(ConnEvent::Frames),
            StreamEvent::Readable { id } => {
                self.readable.push_back(id);
                Some(ConnEvent::Packets)
            }
            StreamEvent::Writable { id } if Some(id) == self.control => {
                self.write_backlog();
                None
            }
            StreamEvent::Stopped { id, .. } if Some(id) == self.control => {
                Some(ConnEvent::Violation("control stream stopped"))
            }
            _ => None,
        }
    }

    fn peer_channel(&self) -> Result<Channel, String> {
        let data = self.quinn.crypto_session().handshake_data();
        let data =
            data.and_then(|d| d.downcast::<HandshakeData>().ok()).ok_or("no handshake data")?;
        if data.protocol.as_deref() != Some(ALPN_NATIVE) {
            return Err("unknown ALPN".to_owned());
        }
        if let Some(channel) = self.channel {
            return Ok(channel);
        }
        let name = data.server_name.unwrap_or_default();
        name.parse().map_err(|()| format!("server name is no channel: {name}"))
    }

    fn peer_name(&self) -> Result<NodeName, String> {
        let chain = self.quinn.crypto_session().peer_identity();
        let chain = chain.and_then(|c| c.downcast::<Vec<CertificateDer<'static>>>().ok());
        let first = chain.and_then(|c| c.into_iter().next()).ok_or("no certificate")?;
        NodeName::of_certificate(&first)
    }

    /// Opens the control stream: the dialler's part.
    pub(crate) fn open_control(&mut self) {
        self.control = self.quinn.streams().open(Dir::Bi);
    }

    /// Takes a datagram that came.
    pub(crate) fn read_datagram(&mut self) -> Option<Bytes> {
        self.quinn.datagrams().recv()
    }

    /// Takes a frame that came.
    pub(crate) fn read_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(id) = self.control else { return Ok(None) };
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            let mut stream = self.quinn.recv_stream(id);
            let Ok(mut chunks) = stream.read(true) else { return Ok(None) };
            let chunk = chunks.next(READ_BYTES);
            let _ = chunks.finalize();
            match chunk {
                Ok(Some(chunk)) => self.decoder.push(&chunk.bytes),
                // The end of the stream, or a reset, comes with the end of the connection.
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    /// Frames of an unknown kind so far.
    pub(crate) fn unknown_frames(&self) -> u64 {
        self.decoder.unknown()
    }

    /// Takes a packet that came by a stream. After an error the next call goes on with the next stream.
    pub(crate) fn read_packet(&mut self) -> Result<Option<(FlowId, Bytes)>, WireError> {
        while let Some(id) = self.readable.front().copied() {
            let Some(decoder) = self.streams.get_mut(&id) else {
                self.readable.pop_front();
                continue;
            };
            match decoder.next_packet() {
                Ok(Some(packet)) => return Ok(Some(packet)),
                Ok(None) => {}
                Err(error) => {
                    let _ = self.quinn.recv_stream(id).stop(VarInt::from_u32(ROQ_PACKET_ERROR));
                    self.forget_stream(id);
                    return Err(error);
                }
            }
            let mut stream = self.quinn.recv_stream(id);
            let read = stream.read(true).map(|mut chunks| {
                let chunk = chunks.next(READ_BYTES);
                let _ = chunks.finalize();
                chunk
            });
            match read {
                Ok(Ok(Some(chunk))) => decoder.push(&chunk.bytes),
                Ok(Err(ReadError::Blocked)) => {
                    self.readable.pop_front();
                }
                Ok(Ok(None)) => {
                    let whole = decoder.finish();
                    self.forget_stream(id);
                    whole?;
                }
                Ok(Err(ReadError::Reset(_))) | Err(_) => self.forget_stream(id),
            }
        }
        Ok(None)
    }

    fn forget_stream(&mut self, id: StreamId) {
        self.streams.remove(&id);
        self.readable.retain(|other| *other != id);
    }

    /// Queues an encoded frame. False when the backlog is over its limit: the connection must be closed.
    pub(crate) fn write_frame(&mut self, frame: Vec<u8>) -> bool {
        self.backlog_bytes += frame.len();
        self.backlog.push_back(frame.into());
        self.write_backlog();
        self.backlog_bytes <= CONTROL_BACKLOG_BYTES_MAX
    }

    fn write_backlog(&mut self) {
        let Some(id) = self.control else { return };
        while !self.backlog.is_empty() {
            let (front, _) = self.backlog.as_mut_slices();
            // An error means blocked, or that the connection is ending, of which its own event tells.
            let Ok(written) = self.quinn.send_stream(id).write_chunks(front) else { return };
            self.backlog_bytes -= written.bytes;
            self.backlog.drain(..written.chunks);
        }
    }

    /// Bytes of datagrams that quinn takes now without dropping any.
    pub(crate) fn datagram_space(&mut self) -> usize {
        self.quinn.datagrams().send_buffer_space()
    }

    /// Largest datagram the path takes now.
    pub(crate) fn datagram_max(&mut self) -> usize {
        self.quinn.datagrams().max_size().unwrap_or(0)
    }

    /// Hands a datagram to quinn. False when it was not taken.
    pub(crate) fn send_datagram(&mut self, bytes: Bytes) -> bool {
        self.quinn.datagrams().send(bytes, false).is_ok()
    }

    /// Sends one packet by a unidirectional stream of its own. False when there is no credit for it.
    pub(crate) fn send_stream(&mut self, flow: FlowId, packet: &[u8]) -> bool {
        let mut head = [0; 16];
        let Some(len) = write_stream_head(&mut head, flow, packet.len()) else { return false };
        let Some(id) = self.quinn.streams().open(Dir::Uni) else { return false };
        let mut stream = self.quinn.send_stream(id);
        let whole =
            stream.write(&head[..len]) == Ok(len) && stream.write(packet) == Ok(packet.len());
        if whole && stream.finish().is_ok() {
            return true;
        }
        let _ = stream.reset(VarInt::from_u32(ROQ_FRAME_CANCELLED));
        false
    }

    /// Whether this is a media connection.
    pub(crate) fn is_media(&self) -> bool {
        self.channel.is_some_and(|c| c.kind == ChannelKind::Media)
    }

    /// Bytes that may be in flight.
    pub(crate) fn congestion_window(&self) -> u64 {
        self.quinn.congestion_state().window()
    }
}

/// What the end of a connection means to a link.
fn down_reason(error: &ConnectionError) -> DownReason {
    let ConnectionError::ApplicationClosed(close) = error else {
        return DownReason::Transport(error.to_string());
    };
    let text = String::from_utf8_lossy(&close.reason).into_owned();
    let is = |code: CloseCode| close.error_code == VarInt::from_u32(code as u32);
    if is(CloseCode::Duplicate) {
        DownReason::Duplicate
    } else if is(CloseCode::Version) {
        DownReason::Version(text)
    } else if is(CloseCode::Identity) {
        DownReason::Identity(text)
    } else {
        DownReason::ClosedByPeer(text)
    }
}
