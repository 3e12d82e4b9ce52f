//! What the client and the server write down for each other: one picture each way.

use crate::client::{RtcClient, Srtp, codec};
use edge_sfu::transport::{DtlsRole, LocalIce, RemoteIce};
use rtc::interceptor::Registry;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpCodecParameters, RtpCodecKind};
use std::net::SocketAddr;
use std::time::Instant;

/// The SSRC of the client's picture.
pub(crate) const CLIENT_SSRC: u32 = 0x1122_3344;
/// The SSRC of the picture we send it.
pub(crate) const SERVER_SSRC: u32 = 0x5566_7788;

/// A client that sends one picture.
pub(crate) fn client(now: Instant, addr: SocketAddr, profiles: &[Srtp]) -> RtcClient {
    let mut media = MediaEngine::default();
    let kind = RtpCodecKind::Video;
    let parameters = RTCRtpCodecParameters { rtp_codec: codec(kind), payload_type: 96 };
    media.register_codec(parameters, kind).unwrap();
    let engine = (media, Registry::new());
    RtcClient::new(now, addr, profiles.to_vec(), engine, &[(kind, CLIENT_SSRC)], &[])
}

/// What an offer says, for a server in the role `setup`.
pub(crate) fn remote_ice(offer: &str, setup: DtlsRole) -> RemoteIce {
    let attribute = |name: &str| {
        let prefix = format!("a={name}:");
        offer.lines().find_map(|l| l.strip_prefix(&prefix)).unwrap().trim().to_owned()
    };
    RemoteIce {
        ufrag: attribute("ice-ufrag"),
        pwd: attribute("ice-pwd"),
        fingerprint: attribute("fingerprint").parse().unwrap(),
        setup,
    }
}

/// The answer of the server at `server`.
pub(crate) fn answer(
    server: SocketAddr,
    local: &LocalIce,
    fingerprint: &str,
    setup: DtlsRole,
) -> String {
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
    lines.join("\r\n") + "\r\n"
}
