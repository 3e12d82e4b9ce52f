//! An independent client: the `rtc` peer connection, which shares no line of ICE, DTLS or SRTP with us.

use bytes::{Bytes, BytesMut};
use edge_sfu::transport::{DtlsRole, LocalIce, RemoteIce};
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_VP8, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::RTCPeerConnectionEvent;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile as Srtp;

/// The SSRC of the client's picture.
pub(crate) const CLIENT_SSRC: u32 = 0x1122_3344;
/// The SSRC of the picture we send it.
pub(crate) const SERVER_SSRC: u32 = 0x5566_7788;

pub(crate) struct RtcClient {
    pc: RTCPeerConnection,
    sender: RTCRtpSenderId,
    pub(crate) addr: SocketAddr,
    offer: String,
    pub(crate) connected: bool,
    pub(crate) rtp: Vec<(u16, Bytes)>,
    pub(crate) reports: usize,
}

impl RtcClient {
    pub(crate) fn new(
        now: Instant,
        addr: SocketAddr,
        profiles: Vec<SrtpProtectionProfile>,
    ) -> Self {
        let codec = RTCRtpCodec {
            mime_type: MIME_TYPE_VP8.to_owned(),
            clock_rate: 90_000,
            ..Default::default()
        };
        let parameters = RTCRtpCodecParameters { rtp_codec: codec.clone(), payload_type: 96 };
        let mut media_engine = MediaEngine::default();
        media_engine.register_codec(parameters, RtpCodecKind::Video).unwrap();
        let settings = SettingEngineBuilder::new()
            .with_srtp_protection_profiles(profiles)
            .with_host_acceptance_min_wait(Some(Duration::ZERO))
            .build();
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_setting_engine(settings)
            .with_media_engine(media_engine)
            .build(now)
            .unwrap();
        let track = MediaStreamTrack::new(
            "stream".to_owned(),
            "track".to_owned(),
            "label".to_owned(),
            RtpCodecKind::Video,
            vec![RTCRtpEncodingParameters {
                rtp_coding_parameters: RTCRtpCodingParameters {
                    ssrc: Some(CLIENT_SSRC),
                    ..Default::default()
                },
                codec,
                ..Default::default()
            }],
        );
        let sender = pc.add_track(track).unwrap();
        let host = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: addr.ip().to_string(),
                port: addr.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        };
        let candidate = RTCIceCandidate::from(&host.new_candidate_host().unwrap());
        pc.add_local_candidate(candidate.to_json().unwrap()).unwrap();
        let offer = pc.create_offer(None).unwrap();
        pc.set_local_description(now, offer.clone()).unwrap();
        Self { pc, sender, addr, offer: offer.sdp, connected: false, rtp: Vec::new(), reports: 0 }
    }

    fn attribute(&self, name: &str) -> String {
        let prefix = format!("a={name}:");
        self.offer.lines().find_map(|l| l.strip_prefix(&prefix)).unwrap().trim().to_owned()
    }

    /// What its offer says, for a server in the role `setup`.
    pub(crate) fn remote_ice(&self, setup: DtlsRole) -> RemoteIce {
        RemoteIce {
            ufrag: self.attribute("ice-ufrag"),
            pwd: self.attribute("ice-pwd"),
            fingerprint: self.attribute("fingerprint").parse().unwrap(),
            setup,
        }
    }

    /// Takes the answer of the server at `server`.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        server: SocketAddr,
        local: &LocalIce,
        fingerprint: &str,
        setup: DtlsRole,
    ) {
        let setup = if setup == DtlsRole::Passive { "passive" } else { "active" };
        let lines = [
            "v=0".to_owned(),
            "o=- 1 1 IN IP4 0.0.0.0".to_owned(),
            "s=-".to_owned(),
            "t=0 0".to_owned(),
            "a=group:BUNDLE 0".to_owned(),
            "a=ice-lite".to_owned(),
            "m=video 9 UDP/TLS/RTP/SAVPF 96".to_owned(),
            "c=IN IP4 0.0.0.0".to_owned(),
            "a=mid:0".to_owned(),
            "a=sendrecv".to_owned(),
            "a=rtcp-mux".to_owned(),
            format!("a=ice-ufrag:{}", local.ufrag),
            format!("a=ice-pwd:{}", local.pwd),
            format!("a=fingerprint:{fingerprint}"),
            format!("a=setup:{setup}"),
            "a=rtpmap:96 VP8/90000".to_owned(),
            "a=msid:stream track".to_owned(),
            format!("a=ssrc:{SERVER_SSRC} cname:server"),
            format!("a=candidate:1 1 udp 2130706431 {} {} typ host", server.ip(), server.port()),
            "a=end-of-candidates".to_owned(),
        ];
        let answer = RTCSessionDescription::answer(lines.join("\r\n") + "\r\n").unwrap();
        self.pc.set_remote_description(now, answer).unwrap();
    }

    pub(crate) fn handle(&mut self, now: Instant, from: SocketAddr, data: &[u8]) {
        let transport = TransportContext {
            local_addr: self.addr,
            peer_addr: from,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let message = BytesMut::from(data);
        let _ = self.pc.handle_read(TaggedBytesMut { now, transport, message });
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.pc.poll_event() {
            if let RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) = event {
                self.connected = state == RTCPeerConnectionState::Connected;
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.pc.poll_read() {
            match message {
                RTCMessage::RtpPacket(_, packet) => {
                    self.rtp.push((packet.header.sequence_number, packet.payload));
                }
                RTCMessage::RtcpPacket(_, _) => self.reports += 1,
                _ => {}
            }
        }
    }

    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.pc.poll_timeout()
    }

    pub(crate) fn on_deadline(&mut self, now: Instant) {
        let _ = self.pc.handle_timeout(now);
        self.drain();
    }

    pub(crate) fn poll_write(&mut self) -> Option<Vec<u8>> {
        self.pc.poll_write().map(|m| m.message.to_vec())
    }

    pub(crate) fn send_rtp(&mut self, now: Instant, sequence: u16, payload: &[u8]) {
        let header = rtc::rtp::header::Header {
            version: 2,
            marker: true,
            payload_type: 96,
            sequence_number: sequence,
            timestamp: 90_000,
            ssrc: CLIENT_SSRC,
            ..Default::default()
        };
        let packet = rtc::rtp::packet::Packet { header, payload: Bytes::copy_from_slice(payload) };
        self.pc.rtp_sender(self.sender).unwrap().write_rtp(now, packet).unwrap();
    }

    pub(crate) fn close(&mut self) {
        self.pc.close().unwrap();
    }
}
