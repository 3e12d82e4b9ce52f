//! A peer and its participant in memory: the clear transport carries plaintext, so tests see the bytes.

use edge_sfu::peer::{Peer, PeerConfig, PeerEvent, PeerSink, SlotIndex};
use edge_sfu::sdp::Answer;
use edge_sfu::signal::{PublishLine, TrackKindJson};
use edge_sfu::transport::{ClearClient, LocalIce, Opened, TransportConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_proto::control::Codec;
use relay_proto::machine::Net;
use relay_proto::{Encoding, NodeId, Now, NtpTime, PacketFacts, ParticipantId, TrackKind};
use sfu_core::rtp::{HeaderFields, write_header};
use sfu_core::{DropReason, Packet, SlotPacket};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Microphone 0, simulcast camera 1, screen 2; audio slots 3 to 5, video slots 6 to 19; all ids as Chromium chose them.
pub(crate) const SDK: &str = include_str!("../fixtures/chromium_sdk.sdp");
pub(crate) const OPUS: u8 = 111;
pub(crate) const VP8: u8 = 96;
pub(crate) const RTX: u8 = 97;
pub(crate) const LEVEL: u8 = 1;
pub(crate) const TRANSPORT: u8 = 3;
pub(crate) const MID: u8 = 4;
pub(crate) const RID: u8 = 10;
pub(crate) const REPAIRED: u8 = 11;
/// The screen's SSRCs, announced in the offer.
pub(crate) const SCREEN_SSRC: u32 = 84_320_963;
pub(crate) const SCREEN_RTX: u32 = 1_574_904_095;
pub(crate) const MIC_SSRC: u32 = 2_307_650_693;

/// First and later packets of VP8 frames: S bit, then a header with P = 0 (key) or 1.
pub(crate) const KEY: &[u8] = &[0x10, 0x00, 1, 2, 3];
pub(crate) const DELTA: &[u8] = &[0x10, 0x01, 4, 5];

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) kind: TrackKind,
    pub(crate) encoding: Encoding,
    pub(crate) seq: u16,
    pub(crate) key: bool,
    pub(crate) level: Option<u8>,
    pub(crate) payload: Vec<u8>,
}

/// Owned copies of what a peer said.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Connected,
    Active(TrackKind, Encoding, u32),
    SenderReport(TrackKind, Encoding, NtpTime, u32),
    Nack(SlotIndex, Vec<u16>),
    Keyframe(SlotIndex),
    Remb(u64),
    Report(SlotIndex, u8, Option<Duration>),
    Twcc(Vec<u8>),
    Other(String),
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) packets: Vec<Got>,
    pub(crate) events: Vec<Event>,
    pub(crate) drops: Vec<DropReason>,
}

impl PeerSink for Seen {
    fn packet(&mut self, p: Packet<'_>) {
        self.packets.push(Got {
            kind: p.track.kind,
            encoding: p.encoding,
            seq: p.seq,
            key: p.facts.key,
            level: p.level,
            payload: p.payload.to_vec(),
        });
    }

    fn event(&mut self, event: PeerEvent<'_>) {
        self.events.push(match event {
            PeerEvent::Connected => Event::Connected,
            PeerEvent::SourceActive { kind, encoding, ssrc } => Event::Active(kind, encoding, ssrc),
            PeerEvent::SenderReport { kind, encoding, ntp, rtp, .. } => {
                Event::SenderReport(kind, encoding, ntp, rtp)
            }
            PeerEvent::Nack { slot, seqs } => Event::Nack(slot, seqs.to_vec()),
            PeerEvent::KeyframeRequest { slot } => Event::Keyframe(slot),
            PeerEvent::Remb { bps } => Event::Remb(bps),
            PeerEvent::ReceiverReport { slot, fraction_lost, round_trip, .. } => {
                Event::Report(slot, fraction_lost, round_trip)
            }
            PeerEvent::TwccFeedback(fci) => Event::Twcc(fci.to_vec()),
            other => Event::Other(format!("{other:?}")),
        });
    }

    fn dropped(&mut self, reason: DropReason) {
        self.drops.push(reason);
    }
}

/// A packet that the participant sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) pt: u8,
    pub(crate) ssrc: u32,
    pub(crate) seq: u16,
    pub(crate) extensions: &'a [(u8, &'a [u8])],
    pub(crate) payload: &'a [u8],
    /// Padding bytes to append, and the number to say they are.
    pub(crate) padding: Option<(usize, u8)>,
}

impl<'a> Sent<'a> {
    pub(crate) fn new(pt: u8, ssrc: u32, seq: u16, payload: &'a [u8]) -> Self {
        Self { pt, ssrc, seq, extensions: &[], payload, padding: None }
    }

    pub(crate) fn with(self, extensions: &'a [(u8, &'a [u8])]) -> Self {
        Self { extensions, ..self }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let fields = HeaderFields {
            marker: true,
            payload_type: self.pt,
            seq: self.seq,
            timestamp: u32::from(self.seq) * 3_000,
            ssrc: self.ssrc,
            csrc: None,
        };
        let mut bytes = vec![0; 200];
        let len = write_header(&mut bytes, &fields, self.extensions).unwrap();
        bytes.truncate(len);
        bytes.extend_from_slice(self.payload);
        if let Some((count, says)) = self.padding {
            bytes[0] |= 0x20;
            bytes.resize(bytes.len() + count, 0);
            *bytes.last_mut().unwrap() = says;
        }
        bytes
    }
}

pub(crate) struct Pair {
    pub(crate) now: Now,
    pub(crate) peer: Peer,
    pub(crate) answer: Answer,
    pub(crate) client: ClearClient,
    pub(crate) rng: StdRng,
    pub(crate) seen: Seen,
}

pub(crate) fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

pub(crate) fn all_kinds() -> Vec<PublishLine> {
    let kinds = [TrackKindJson::Mic, TrackKindJson::Camera, TrackKindJson::Screen];
    kinds.into_iter().zip(0..).map(|(kind, i)| PublishLine { mid: i.to_string(), kind }).collect()
}

pub(crate) fn datagrams(net: &Net) -> Vec<Vec<u8>> {
    let bursts = net.transmits();
    bursts.flat_map(|(t, bytes)| bytes.chunks(t.segment).map(<[u8]>::to_vec)).collect()
}

impl Pair {
    /// Connected, with what happened on the way forgotten.
    pub(crate) fn connected() -> Self {
        Self::with_offer(SDK, &all_kinds(), true)
    }

    pub(crate) fn with_offer(offer: &str, publish: &[PublishLine], may_publish: bool) -> Self {
        let wall = NtpTime::from_unix(Duration::from_secs(1_790_000_000));
        let now = Now { mono: Instant::now(), wall };
        let mut rng = StdRng::seed_from_u64(7);
        let config = PeerConfig { transport: TransportConfig::clear(vec![addr(5_000)]) };
        let participant = ParticipantId::new(NodeId(1), 9);
        let (peer, answer) =
            Peer::accept(now, &config, participant, offer, publish, may_publish, &mut rng).unwrap();
        let client = client(now, peer.local_ice(), "CyNK");
        let mut pair = Self { now, peer, answer, client, rng, seen: Seen::default() };
        let mut net = Net::new();
        pair.client.on_deadline(now, &mut net);
        pair.carry(net);
        assert_eq!(std::mem::take(&mut pair.seen.events), [Event::Connected]);
        pair
    }

    /// Carries datagrams back and forth until all is quiet; answers the plaintext packets the participant got.
    pub(crate) fn carry(&mut self, mut up: Net) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        loop {
            let mut down = Net::new();
            for mut data in datagrams(&up) {
                self.peer.handle_datagram(self.now, addr(1), &mut data, &mut down, &mut self.seen);
            }
            if down.is_empty() {
                return received;
            }
            up.clear();
            received.extend(self.deliver(&down, &mut up));
        }
    }

    /// Opens what the peer sent.
    fn deliver(&mut self, down: &Net, up: &mut Net) -> Vec<Vec<u8>> {
        let mut received = Vec::new();
        for mut data in datagrams(down) {
            match self.client.handle(self.now, &mut data, up) {
                Opened::Rtp(len) | Opened::Rtcp(len) => received.push(data[..len].to_vec()),
                _ => {}
            }
        }
        received
    }

    /// The participant sends a packet; answers nothing: look into `seen`.
    pub(crate) fn send(&mut self, packet: &Sent<'_>) {
        self.send_bytes(&packet.bytes());
    }

    pub(crate) fn send_bytes(&mut self, plaintext: &[u8]) {
        let mut net = Net::new();
        self.client.send(&mut net, plaintext).unwrap();
        self.carry(net);
    }

    /// The peer writes; answers the plaintext of what it sent.
    pub(crate) fn written(&mut self, write: impl FnOnce(&mut Peer, Now, &mut Net)) -> Vec<Vec<u8>> {
        let mut down = Net::new();
        write(&mut self.peer, self.now, &mut down);
        self.deliver(&down, &mut Net::new())
    }

    /// Lets time pass; answers the plaintext packets the participant got.
    pub(crate) fn wait(&mut self, by: Duration) -> Vec<Vec<u8>> {
        let end = self.now.plus(by);
        let mut received = Vec::new();
        while let Some(due) = self.peer.deadline().filter(|due| *due <= end.mono) {
            self.now = self.now.plus(due.saturating_duration_since(self.now.mono));
            let mut down = Net::new();
            self.peer.on_deadline(self.now, &mut down, &mut self.seen);
            received.extend(self.deliver(&down, &mut Net::new()));
            assert!(
                self.peer.deadline().is_none_or(|at| at > self.now.mono),
                "a deadline that was served must move"
            );
        }
        self.now = end;
        received
    }

    pub(crate) fn packets(&mut self) -> Vec<Got> {
        std::mem::take(&mut self.seen.packets)
    }

    pub(crate) fn drops(&mut self) -> Vec<DropReason> {
        std::mem::take(&mut self.seen.drops)
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.seen.events)
    }
}

pub(crate) fn client(now: Now, local: &LocalIce, ufrag: &str) -> ClearClient {
    ClearClient::new(now, addr(5_000), ufrag, local)
}

/// A voice for a slot.
pub(crate) fn voice(seq: u16) -> SlotPacket<'static> {
    SlotPacket {
        marker: false,
        seq,
        timestamp: 960,
        csrc: ParticipantId(0x0010_0007),
        codec: Codec::Opus,
        facts: PacketFacts::VOICE,
        vp8: None,
        capture: None,
        level: Some(30),
        retransmission: false,
        payload: &[7, 8, 9],
    }
}

/// A picture for a slot.
pub(crate) fn picture(seq: u16) -> SlotPacket<'static> {
    SlotPacket {
        marker: true,
        codec: Codec::Vp8,
        level: None,
        payload: &[0x90, 0x80, 0x92, 0x34, 0x00, 5],
        ..voice(seq)
    }
}
