//! Full participants: the async `webrtc` crate with its own sockets, its own handshake, its own buffers. They only watch, and what
//! they receive is counted as it is for thin ones.

use super::clock;
use super::continuity::Counts;
use super::fleet::{Measured, Outcome, counts};
use super::join::{Joined, Shared, Signal, ask, stay, wish};
use super::plan::Member;
use super::sdp::Answer;
use super::totals::Totals;
use super::viewer::{Opened, Viewer};
use anyhow::Context;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::rtp::packet::Packet;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCIceGatheringState, RTCPeerConnectionState, RTCSessionDescription, Registry, configure_nack,
    configure_rtcp_reports, configure_twcc,
};
use webrtc::runtime::default_runtime;

const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// Candidates of one known address are there at once.
const GATHER: Duration = Duration::from_secs(5);

/// One full participant, as far as it is counted.
pub(super) struct FullViewer {
    viewer: Viewer,
    totals: Totals,
}

/// All of them.
#[derive(Clone, Default)]
pub(super) struct Fulls(Arc<Mutex<Vec<Arc<Mutex<FullViewer>>>>>);

impl Fulls {
    fn all(&self) -> Vec<Arc<Mutex<FullViewer>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Measures from now on.
    pub(super) fn begin(&self) {
        let now_us = clock::now_us();
        for full in self.all() {
            let mut full = full.lock().unwrap_or_else(PoisonError::into_inner);
            full.viewer.begin(now_us);
            full.totals = Totals::default();
        }
    }

    /// Adds what was measured. Their delays include the time until a task read the packet, so they stay apart.
    pub(super) fn add_to(&self, measured: &mut Measured) {
        for full in self.all() {
            let full = full.lock().unwrap_or_else(PoisonError::into_inner);
            measured.outcomes.push(Outcome {
                number: full.viewer.number,
                times: full.viewer.times,
                record: full.viewer.record.clone(),
                counts: counts(&full.viewer).map(|c| Counts { known: 0, ..c }),
                asked: (0, 0),
                published: None,
                full: true,
            });
        }
    }

    /// How many have heard, and seen something.
    pub(super) fn arrived(&self) -> (u64, u64, u64) {
        let mut arrived = (0, 0, 0);
        for full in self.all() {
            let full = full.lock().unwrap_or_else(PoisonError::into_inner);
            let times = &full.viewer.times;
            arrived.0 += u64::from(times.connected_us.is_some());
            arrived.1 += u64::from(times.voice_us.is_some());
            arrived.2 += u64::from(times.frame_us.is_some());
        }
        arrived
    }
}

struct Handler {
    gathered: Notify,
    full: Arc<Mutex<FullViewer>>,
    shared: Arc<Shared>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.notify_one();
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if state == RTCPeerConnectionState::Connected {
            full.viewer.times.connected_us.get_or_insert(clock::now_us());
        } else if state == RTCPeerConnectionState::Failed {
            self.shared.error(format!("full participant {}: transport failed", full.viewer.number));
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let (full, shared) = (self.full.clone(), self.shared.clone());
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    take(&full, &shared, &packet);
                }
            }
        });
    }
}

fn take(full: &Mutex<FullViewer>, shared: &Shared, packet: &Packet) {
    let arrived_us = clock::now_us();
    let mut full = full.lock().unwrap_or_else(PoisonError::into_inner);
    let FullViewer { viewer, totals } = &mut *full;
    let header = &packet.header;
    let Some((slot, _)) = viewer.slot(header.ssrc).filter(|_| !packet.payload.is_empty()) else {
        return;
    };
    let csrc = match header.csrc[..] {
        [csrc] => Some(csrc),
        _ => None,
    };
    let opened = Opened {
        arrived_us,
        seq: header.sequence_number,
        timestamp: header.timestamp,
        marker: header.marker,
        csrc,
        payload: &packet.payload,
    };
    viewer.take(slot, &opened, &shared.directory, totals);
}

fn codec(mime: &str, rate: u32, channels: u16, fmtp: &str, feedback: bool) -> RTCRtpCodec {
    let fir = RTCPFeedback { typ: "ccm".to_owned(), parameter: "fir".to_owned() };
    RTCRtpCodec {
        mime_type: mime.to_owned(),
        clock_rate: rate,
        channels,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback: if feedback { vec![fir] } else { Vec::new() },
    }
}

fn media_engine() -> anyhow::Result<MediaEngine> {
    let mut media = MediaEngine::default();
    let opus = codec(MIME_TYPE_OPUS, 48_000, 2, "minptime=10;useinbandfec=1", false);
    let vp8 = codec(MIME_TYPE_VP8, 90_000, 0, "", true);
    let rtx = codec("video/rtx", 90_000, 0, "apt=96", false);
    for (rtp_codec, payload_type, kind) in [
        (opus, 111, RtpCodecKind::Audio),
        (vp8, 96, RtpCodecKind::Video),
        (rtx, 97, RtpCodecKind::Video),
    ] {
        media.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type }, kind)?;
    }
    let level = RTCRtpHeaderExtensionCapability { uri: LEVEL.to_owned() };
    media.register_header_extension(level, RtpCodecKind::Audio, None)?;
    Ok(media)
}

async fn connection(
    addr: SocketAddr,
    handler: Arc<Handler>,
) -> anyhow::Result<Arc<dyn PeerConnection>> {
    let mut media = media_engine()?;
    let registry = configure_nack(Registry::new(), &mut media);
    let registry = configure_rtcp_reports(registry);
    let registry = configure_twcc(registry, &mut media)?;
    let settings = SettingEngineBuilder::new()
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_include_loopback_candidate(true)
        .build();
    let built = PeerConnectionBuilder::new()
        .with_setting_engine(settings)
        .with_media_engine(media)
        .with_interceptor_registry(registry)
        .with_handler(handler)
        .with_runtime(default_runtime().context("no runtime for webrtc")?)
        .with_udp_addrs(vec![addr])
        .build()
        .await?;
    Ok(Arc::new(built))
}

/// A full participant: joins, and stays until everybody is to leave.
pub(super) async fn attend(shared: Arc<Shared>, member: Member, hold: OwnedSemaphorePermit) {
    match enter(&shared, &member).await {
        Ok((signal, connection)) => {
            drop(hold);
            stay(&shared, &member, signal).await;
            let _ = connection.close().await;
        }
        Err(error) => {
            shared.progress.failed.fetch_add(1, Relaxed);
            shared.error(format!("full participant {}: {error:#}", member.number));
        }
    }
}

async fn enter(
    shared: &Arc<Shared>,
    member: &Member,
) -> anyhow::Result<(Signal, Arc<dyn PeerConnection>)> {
    let viewer = Viewer::new(member.number, &[], Default::default());
    let full = Arc::new(Mutex::new(FullViewer { viewer, totals: Totals::default() }));
    let handler =
        Arc::new(Handler { gathered: Notify::new(), full: full.clone(), shared: shared.clone() });
    let addr = SocketAddr::new(shared.pool.own(), 0);
    let connection = connection(addr, handler.clone()).await?;
    let options = &shared.options;
    let slots = [(RtpCodecKind::Audio, options.voices), (RtpCodecKind::Video, options.pictures)];
    for (kind, count) in slots {
        for _ in 0..count {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                streams: vec![],
                send_encodings: vec![],
            };
            connection.add_transceiver_from_kind(kind, Some(init)).await?;
        }
    }
    let offer = connection.create_offer(None).await?;
    connection.set_local_description(offer).await?;
    tokio::time::timeout(GATHER, handler.gathered.notified()).await.context("no candidates")?;
    let offer = connection.local_description().await.context("no offer")?;
    let Joined { mut signal, participant, sdp, times } =
        ask(shared, member, &offer.sdp, &[]).await?;
    shared.directory.joined(member.number, participant);
    let answer = Answer::read(&sdp)?;
    {
        let mut full = full.lock().unwrap_or_else(PoisonError::into_inner);
        full.viewer = Viewer::new(member.number, &answer.slots, times);
    }
    shared.fulls.0.lock().unwrap_or_else(PoisonError::into_inner).push(full);
    connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
    shared.progress.answered.fetch_add(1, Relaxed);
    wish(shared, &mut signal).await?;
    Ok((signal, connection))
}
