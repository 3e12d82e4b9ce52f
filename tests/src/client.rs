//! One participant: an `rtc` peer connection over a real socket.

use crate::clock;
use crate::feedback::{self, KeyframeRequests};
use crate::publish::{Camera, Mic, RIDS, Turns, Wire};
use crate::record::{Record, Slot};
use crate::sdp::Answer;
use crate::socket::Socket;
use anyhow::{Context, ensure};
use bytes::BytesMut;
use edge_sfu::signal::{PublishLine, ServerMessage, TrackKindJson};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::interceptor::{Registry, Slot as Position};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_nack, configure_rtcp_reports, configure_simulcast_extension_headers, configure_twcc,
};
use rtc::peer_connection::configuration::media_engine::{
    MIME_TYPE_OPUS, MIME_TYPE_VP8, MediaEngine,
};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters,
    RTCRtpEncodingParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// Frames a second of every camera.
const FPS: u32 = 15;
/// Datagrams read in one go.
const BATCH: usize = 64;
/// Errors kept.
const ERRORS_MAX: usize = 8;

/// What a participant is to be.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Display name.
    pub name: String,
    /// A microphone, and when it is spoken into.
    pub mic: Option<Turns>,
    /// A camera in three encodings.
    pub camera: bool,
    /// Receive slots for voices.
    pub audio_slots: usize,
    /// Receive slots for pictures; the first is the main one.
    pub video_slots: usize,
}

impl Spec {
    /// Hears three voices, says nothing, sees nothing.
    #[must_use]
    pub fn listener(name: &str) -> Self {
        Self { name: name.to_owned(), mic: None, camera: false, audio_slots: 3, video_slots: 0 }
    }

    /// With a microphone.
    #[must_use]
    pub fn speaking(self, turns: Turns) -> Self {
        Self { mic: Some(turns), ..self }
    }

    /// With a camera.
    #[must_use]
    pub fn with_camera(self) -> Self {
        Self { camera: true, ..self }
    }

    /// With this many pictures to see.
    #[must_use]
    pub fn seeing(self, video_slots: usize) -> Self {
        Self { video_slots, ..self }
    }
}

/// One participant.
pub struct Client {
    /// The fleet's number of it; in all its stamps.
    pub number: u32,
    /// What it is.
    pub spec: Spec,
    /// Id in the meeting.
    pub participant: u32,
    /// Name of its edge.
    pub node: String,
    /// Its microphone.
    pub mic: Option<Mic>,
    /// Its camera.
    pub camera: Option<Camera>,
    /// What it received.
    pub record: Record,
    /// Its newest slot states, by mid.
    pub slots: std::collections::BTreeMap<String, edge_sfu::signal::SlotState>,
    /// Whom it knows of.
    pub roster: std::collections::BTreeMap<u32, edge_sfu::signal::MemberJson>,
    /// Who it thinks has the floor.
    pub main: Option<u32>,
    /// Complaints of the edge, and its own.
    pub errors: Vec<String>,
    /// The signalling socket is closed.
    pub closed: bool,
    /// DTLS is done.
    pub connected: bool,
    /// DTLS was done when this many microseconds had passed.
    pub connected_us: Option<u64>,
    /// The last datagrams sent, for those who want to send them again.
    pub sent: Option<std::collections::VecDeque<Vec<u8>>>,
    /// Its edge's ICE user name.
    pub edge_ufrag: String,
    pub(crate) pc: RTCPeerConnection,
    socket: Socket,
    addr: SocketAddr,
    senders: Vec<RTCRtpSenderId>,
    mic_wire: Wire,
    camera_wire: Wire,
    due: Option<Instant>,
}

fn codec(audio: bool) -> RTCRtpCodec {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback {
        typ: typ.to_owned(),
        parameter: parameter.to_owned(),
    };
    RTCRtpCodec {
        mime_type: if audio { MIME_TYPE_OPUS } else { MIME_TYPE_VP8 }.to_owned(),
        clock_rate: if audio { 48_000 } else { 90_000 },
        channels: if audio { 2 } else { 0 },
        sdp_fmtp_line: if audio { "minptime=10;useinbandfec=1" } else { "" }.to_owned(),
        rtcp_feedback: if audio { Vec::new() } else { vec![feedback("ccm", "fir")] },
    }
}

fn media_engine() -> anyhow::Result<MediaEngine> {
    let mut media = MediaEngine::default();
    let rtx = RTCRtpCodec {
        mime_type: "video/rtx".to_owned(),
        clock_rate: 90_000,
        sdp_fmtp_line: "apt=96".to_owned(),
        ..Default::default()
    };
    for (rtp_codec, payload_type, kind) in [
        (codec(true), 111, RtpCodecKind::Audio),
        (codec(false), 96, RtpCodecKind::Video),
        (rtx, 97, RtpCodecKind::Video),
    ] {
        media.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind)?;
    }
    let level = RTCRtpHeaderExtensionCapability { uri: LEVEL_URI.to_owned() };
    media.register_header_extension(level, RtpCodecKind::Audio, None)?;
    configure_simulcast_extension_headers(&mut media)?;
    Ok(media)
}

fn peer_connection(now: Instant, camera: bool) -> anyhow::Result<RTCPeerConnection> {
    let mut media = media_engine()?;
    let registry = configure_nack(Registry::new(), &mut media);
    let registry = configure_rtcp_reports(registry);
    let mut registry = configure_twcc(registry, &mut media)?;
    if camera {
        registry = registry.with(Position::from(feedback::SLOT), KeyframeRequests::default());
    }
    let settings = SettingEngineBuilder::new()
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .build();
    Ok(RTCPeerConnectionBuilder::new()
        .with_setting_engine(settings)
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .build(now)?)
}

fn track(audio: bool, number: u32, encodings: &[(&str, u32)]) -> MediaStreamTrack {
    let kind = if audio { RtpCodecKind::Audio } else { RtpCodecKind::Video };
    let coding = |(rid, ssrc): &(&str, u32)| RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            rid: (*rid).to_owned(),
            ssrc: Some(*ssrc),
            ..Default::default()
        },
        codec: codec(audio),
        ..Default::default()
    };
    let label = if audio { "mic" } else { "camera" };
    let encodings = encodings.iter().map(coding).collect();
    let stream = format!("s{number}");
    MediaStreamTrack::new(stream, format!("{label}{number}"), label.to_owned(), kind, encodings)
}

/// SSRCs of a client: its number, and what it is.
fn ssrc(number: u32, what: u32) -> u32 {
    0x1000_0000 | number << 4 | what
}

impl Client {
    /// A participant with its offer and what that publishes.
    ///
    /// # Errors
    /// When there is no socket, or `rtc` does not make an offer.
    pub fn new(
        number: u32,
        spec: Spec,
        ip: IpAddr,
    ) -> anyhow::Result<(Self, String, Vec<PublishLine>)> {
        let now = Instant::now();
        let socket = Socket::bind(ip)?;
        let addr = socket.addr()?;
        let mut pc = peer_connection(now, spec.camera)?;
        let mut senders = Vec::new();
        let (mut mic, mut camera) = (None, None);
        let phase_us = u64::from(number) * 1_713;
        if let Some(turns) = spec.mic {
            senders.push(pc.add_track(track(true, number, &[("", ssrc(number, 0))]))?);
            mic = Some(Mic::new(number, ssrc(number, 0), turns, phase_us));
        }
        if spec.camera {
            let ssrcs = [1, 2, 3].map(|what| ssrc(number, what));
            let encodings: Vec<_> = RIDS.into_iter().zip(ssrcs).collect();
            senders.push(pc.add_track(track(false, number, &encodings))?);
            camera = Some(Camera::new(number, ssrcs, FPS, phase_us));
        }
        let slots =
            [(RtpCodecKind::Audio, spec.audio_slots), (RtpCodecKind::Video, spec.video_slots)];
        for (kind, count) in slots {
            for _ in 0..count {
                let init = RTCRtpTransceiverInit {
                    direction: RTCRtpTransceiverDirection::Recvonly,
                    streams: vec![],
                    send_encodings: vec![],
                };
                pc.add_transceiver_from_kind(kind, Some(init))?;
            }
        }
        add_candidate(&mut pc, addr)?;
        let offer = pc.create_offer(None)?;
        pc.set_local_description(now, offer.clone())?;
        let publish = published(&offer.sdp, mic.is_some(), camera.is_some());
        let client = Self {
            number,
            spec,
            participant: 0,
            node: String::new(),
            mic,
            camera,
            record: Record::default(),
            slots: Default::default(),
            roster: Default::default(),
            main: None,
            errors: Vec::new(),
            closed: false,
            connected: false,
            connected_us: None,
            sent: None,
            edge_ufrag: String::new(),
            pc,
            socket,
            addr,
            senders,
            mic_wire: Wire::default(),
            camera_wire: Wire::default(),
            due: Some(now),
        };
        Ok((client, offer.sdp, publish))
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// When `rtc` does not take it, or something is missing in it.
    pub fn joined(&mut self, participant: u32, node: String, sdp: &str) -> anyhow::Result<()> {
        let answer = Answer::read(sdp);
        let pt = |name| answer.payload_types.get(name).copied().unwrap_or_default();
        let level = answer.extension(LEVEL_URI);
        self.mic_wire = Wire { pt: pt("opus"), level, ..Wire::default() };
        let camera_line = usize::from(self.mic.is_some());
        let mid = answer.lines.get(camera_line).map(|l| l.mid.clone()).unwrap_or_default();
        self.camera_wire = Wire {
            pt: pt("vp8"),
            mid: answer.extension(MID_URI).map(|id| (id, mid)),
            rid: answer.extension(RID_URI),
            ..Wire::default()
        };
        for line in answer.lines.iter().filter(|l| l.sends) {
            let ssrc = line.ssrc.with_context(|| format!("slot {} has no SSRC", line.mid))?;
            let slot = Slot { mid: line.mid.clone(), audio: line.audio, ..Slot::default() };
            self.record.slots.insert(ssrc, slot);
        }
        let slots = self.spec.audio_slots + self.spec.video_slots;
        ensure!(self.record.slots.len() == slots, "{} slots of {slots}", self.record.slots.len());
        self.edge_ufrag.clone_from(&answer.ufrag);
        let now = Instant::now();
        self.pc.set_remote_description(now, RTCSessionDescription::answer(sdp.to_owned())?)?;
        (self.participant, self.node, self.due) = (participant, node, Some(now));
        Ok(())
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Its address.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What the edge said on the WebSocket.
    pub fn told(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::Roster { snapshot, put, removed, .. } => {
                if snapshot {
                    self.roster.clear();
                }
                self.roster.extend(put.into_iter().map(|m| (m.id, m)));
                removed.iter().for_each(|id| drop(self.roster.remove(id)));
            }
            ServerMessage::Floor { main, .. } => self.main = main,
            ServerMessage::Slots { slots } => {
                self.slots.extend(slots.into_iter().map(|s| (s.mid.clone(), s)));
            }
            ServerMessage::Error { code, message, .. } => {
                self.error(format!("{code:?}: {message}"));
            }
            ServerMessage::Ended { reason } => self.error(format!("ended: {reason}")),
            _ => {}
        }
    }

    fn error(&mut self, text: String) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(text);
        }
    }

    /// Reads what has arrived; whether there was anything.
    pub fn read(&mut self, buffer: &mut [u8], kernel_offset_us: i64) -> bool {
        let mut any = false;
        for _ in 0..BATCH {
            let Some((len, from, kernel_us)) = self.socket.receive(buffer) else { break };
            any = true;
            let arrived_us = (kernel_us - kernel_offset_us).max(0) as u64;
            let transport = TransportContext {
                local_addr: self.addr,
                peer_addr: from,
                ecn: None,
                transport_protocol: TransportProtocol::UDP,
            };
            let message = BytesMut::from(&buffer[..len]);
            let now = Instant::now();
            let _ = self.pc.handle_read(TaggedBytesMut { now, transport, message });
            self.drain(arrived_us);
        }
        any
    }

    fn drain(&mut self, arrived_us: u64) {
        while let Some(event) = self.pc.poll_event() {
            if let RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) = event {
                self.connected = state == RTCPeerConnectionState::Connected;
                if self.connected {
                    self.connected_us.get_or_insert(arrived_us);
                } else if matches!(
                    state,
                    RTCPeerConnectionState::Failed | RTCPeerConnectionState::Disconnected
                ) {
                    self.error(format!("transport: {state}"));
                }
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.pc.poll_read() {
            match message {
                RTCMessage::RtpPacket(_, p) => {
                    self.record.take(arrived_us, p.header.ssrc, &p.header.csrc, &p.payload);
                }
                RTCMessage::RtcpPacket(_, packets) => self.feedback(&packets),
                _ => {}
            }
        }
    }

    fn feedback(&mut self, packets: &[Box<dyn rtc::rtcp::Packet>]) {
        let Some(camera) = &mut self.camera else { return };
        for packet in packets {
            let any = packet.as_any();
            let pli = any.downcast_ref::<PictureLossIndication>().map(|p| p.media_ssrc);
            let fir = any.downcast_ref::<FullIntraRequest>();
            let fir = fir.into_iter().flat_map(|f| f.fir.iter().map(|e| e.ssrc));
            for ssrc in pli.into_iter().chain(fir) {
                if let Some(encoding) = camera.encoding_of(ssrc) {
                    camera.requested(encoding);
                }
            }
        }
    }

    /// Sends what is due and lets the stack's timers run.
    pub fn work(&mut self, now_us: u64, packets: &mut Vec<rtc::rtp::packet::Packet>) {
        if self.connected {
            self.publish(now_us, packets);
        }
        let now = Instant::now();
        if self.due.is_some_and(|due| due <= now) {
            let _ = self.pc.handle_timeout(now);
            self.drain(now_us);
        }
    }

    fn publish(&mut self, now_us: u64, packets: &mut Vec<rtc::rtp::packet::Packet>) {
        packets.clear();
        let mut failed = None;
        let mut sender = 0;
        if let Some(mic) = &mut self.mic {
            while let Some(packet) = mic.poll(now_us, &self.mic_wire) {
                failed = write(&mut self.pc, self.senders[sender], packet).err().or(failed);
            }
            sender += 1;
        }
        if let Some(camera) = &mut self.camera {
            camera.poll(now_us, &self.camera_wire, packets);
            for packet in packets.drain(..) {
                failed = write(&mut self.pc, self.senders[sender], packet).err().or(failed);
            }
        }
        if let Some(error) = failed {
            self.error(format!("not sent: {error}"));
        }
    }

    /// Sends what the stack wants sent, and notes when it wants to be called again.
    pub fn write(&mut self) {
        while let Some(out) = self.pc.poll_write() {
            self.socket.send(&out.message, out.transport.peer_addr);
            if let Some(sent) = &mut self.sent {
                if sent.len() == sent.capacity() {
                    sent.pop_front();
                }
                sent.push_back(out.message.to_vec());
            }
        }
        self.due = self.pc.poll_timeout();
    }

    /// When something is due, on [`clock`].
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let mic = self.mic.as_ref().filter(|_| self.connected).map(Mic::due_us);
        let camera = self.camera.as_ref().filter(|_| self.connected).map(Camera::due_us);
        let media = [mic, camera].into_iter().flatten().min().map(clock::instant);
        [media, self.due].into_iter().flatten().min()
    }
}

fn write(
    pc: &mut RTCPeerConnection,
    sender: RTCRtpSenderId,
    packet: rtc::rtp::packet::Packet,
) -> anyhow::Result<()> {
    let mut sender = pc.rtp_sender(sender).context("no sender")?;
    Ok(sender.write_rtp(Instant::now(), packet)?)
}

fn add_candidate(pc: &mut RTCPeerConnection, addr: SocketAddr) -> anyhow::Result<()> {
    let base_config = CandidateConfig {
        network: "udp".to_owned(),
        address: addr.ip().to_string(),
        port: addr.port(),
        component: 1,
        ..Default::default()
    };
    let host = CandidateHostConfig { base_config, ..Default::default() }.new_candidate_host()?;
    pc.add_local_candidate(RTCIceCandidate::from(&host).to_json()?)?;
    Ok(())
}

/// The first m-lines are the own tracks.
fn published(offer: &str, mic: bool, camera: bool) -> Vec<PublishLine> {
    let mids = offer.lines().filter_map(|l| l.trim_end().strip_prefix("a=mid:"));
    let kinds = [(mic, TrackKindJson::Mic), (camera, TrackKindJson::Camera)];
    let kinds = kinds.into_iter().filter(|(has, _)| *has).map(|(_, kind)| kind);
    mids.zip(kinds).map(|(mid, kind)| PublishLine { mid: mid.to_owned(), kind }).collect()
}
