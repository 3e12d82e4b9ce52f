//! An independent client: the `rtc` peer connection, which shares no line of ICE, DTLS or SRTP with us.

use bytes::{Bytes, BytesMut};
use rtc::interceptor::Registry;
use rtc::media_stream::MediaStreamTrack;
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
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpSenderId, RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub(crate) use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile as Srtp;

/// One client at one address, with what it received.
pub(crate) struct RtcClient {
    pub(crate) pc: RTCPeerConnection,
    senders: Vec<RTCRtpSenderId>,
    pub(crate) addr: SocketAddr,
    pub(crate) connected: bool,
    pub(crate) rtp: Vec<rtc::rtp::packet::Packet>,
}

/// Opus or VP8.
pub(crate) fn codec(kind: RtpCodecKind) -> RTCRtpCodec {
    let audio = kind == RtpCodecKind::Audio;
    RTCRtpCodec {
        mime_type: if audio { MIME_TYPE_OPUS } else { MIME_TYPE_VP8 }.to_owned(),
        clock_rate: if audio { 48_000 } else { 90_000 },
        channels: if audio { 2 } else { 0 },
        ..Default::default()
    }
}

impl RtcClient {
    /// Sends a track for each of `sends` (with its SSRC), and has a line for each of `receives`.
    pub(crate) fn new(
        now: Instant,
        addr: SocketAddr,
        profiles: Vec<Srtp>,
        (media, registry): (MediaEngine, Registry),
        sends: &[(RtpCodecKind, u32)],
        receives: &[RtpCodecKind],
    ) -> Self {
        let settings = SettingEngineBuilder::new()
            .with_srtp_protection_profiles(profiles)
            .with_host_acceptance_min_wait(Some(Duration::ZERO))
            .build();
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_setting_engine(settings)
            .with_media_engine(media)
            .with_interceptor_registry(registry)
            .build(now)
            .unwrap();
        let senders =
            sends.iter().map(|(kind, ssrc)| pc.add_track(track(*kind, *ssrc)).unwrap()).collect();
        for kind in receives {
            let direction = RTCRtpTransceiverDirection::Recvonly;
            let init = RTCRtpTransceiverInit { direction, streams: vec![], send_encodings: vec![] };
            pc.add_transceiver_from_kind(*kind, Some(init)).unwrap();
        }
        let base_config = CandidateConfig {
            network: "udp".to_owned(),
            address: addr.ip().to_string(),
            port: addr.port(),
            component: 1,
            ..Default::default()
        };
        let host = CandidateHostConfig { base_config, ..Default::default() };
        let candidate = RTCIceCandidate::from(&host.new_candidate_host().unwrap());
        pc.add_local_candidate(candidate.to_json().unwrap()).unwrap();
        Self { pc, senders, addr, connected: false, rtp: Vec::new() }
    }

    pub(crate) fn offer(&mut self, now: Instant) -> String {
        let offer = self.pc.create_offer(None).unwrap();
        self.pc.set_local_description(now, offer.clone()).unwrap();
        offer.sdp
    }

    pub(crate) fn answer(&mut self, now: Instant, sdp: &str) {
        let answer = RTCSessionDescription::answer(sdp.to_owned()).unwrap();
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
            if let RTCMessage::RtpPacket(_, packet) = message {
                self.rtp.push(packet);
            }
        }
    }

    /// When [`Self::on_deadline`] next has something to do.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        self.pc.poll_timeout()
    }

    /// Does what is due, if anything is.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now) {
            let _ = self.pc.handle_timeout(now);
        }
        self.drain();
    }

    pub(crate) fn poll_write(&mut self) -> Option<Vec<u8>> {
        self.pc.poll_write().map(|m| m.message.to_vec())
    }

    /// Sends one packet (payload type, SSRC, sequence number) of a track, by its place among those that are sent.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        track: usize,
        (pt, ssrc, seq): (u8, u32, u16),
        payload: &[u8],
    ) {
        let header = rtc::rtp::header::Header {
            version: 2,
            marker: true,
            payload_type: pt,
            sequence_number: seq,
            timestamp: 3_000 * u32::from(seq),
            ssrc,
            ..Default::default()
        };
        let packet = rtc::rtp::packet::Packet { header, payload: Bytes::copy_from_slice(payload) };
        self.pc.rtp_sender(self.senders[track]).unwrap().write_rtp(now, packet).unwrap();
    }
}

fn track(kind: RtpCodecKind, ssrc: u32) -> MediaStreamTrack {
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        codec: codec(kind),
        ..Default::default()
    };
    let (stream, label) = ("own".to_owned(), "label".to_owned());
    MediaStreamTrack::new(stream, ssrc.to_string(), label, kind, vec![coding])
}
