//! The participant's side of offer and answer, as little of it as an edge insists on.

use edge_sfu::signal::{PublishLine, SlotLine, SlotRole, TrackKindJson};
use edge_sfu::transport::LocalIce;
use std::fmt::Write;
use std::net::SocketAddr;

/// Ids of header extensions; Chromium's where it has one.
pub(crate) mod extension {
    pub(crate) const LEVEL: u8 = 1;
    pub(crate) const TRANSPORT_SEQUENCE: u8 = 3;
    pub(crate) const MID: u8 = 4;
    pub(crate) const RID: u8 = 10;
    pub(crate) const CAPTURE: u8 = 12;
}

pub(crate) const OPUS: u8 = 111;
pub(crate) const VP8: u8 = 96;
const RTX: u8 = 97;
pub(crate) const MIC_MID: &str = "mic";
pub(crate) const CAMERA_MID: &str = "cam";
pub(crate) const UFRAG: &str = "simu";

/// How many receive slots are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) audio: usize,
    pub(crate) video: usize,
}

fn extensions(text: &mut String, audio: bool, sends: bool) {
    let uri = "urn:ietf:params:rtp-hdrext";
    if audio {
        let _ = write!(text, "a=extmap:{} {uri}:ssrc-audio-level\r\n", extension::LEVEL);
    }
    let twcc = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let _ = write!(text, "a=extmap:{} {twcc}\r\n", extension::TRANSPORT_SEQUENCE);
    let _ = write!(text, "a=extmap:{} {uri}:sdes:mid\r\n", extension::MID);
    if sends && !audio {
        let _ = write!(text, "a=extmap:{} {uri}:sdes:rtp-stream-id\r\n", extension::RID);
    }
    if !sends {
        let capture = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
        let _ = write!(text, "a=extmap:{} {capture}\r\n", extension::CAPTURE);
    }
}

fn line(text: &mut String, mid: &str, audio: bool, sends: bool) {
    if audio {
        let _ = write!(text, "m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}\r\n");
    } else {
        let _ = write!(text, "m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}\r\n");
    }
    text.push_str("c=IN IP4 0.0.0.0\r\n");
    let _ = write!(text, "a=ice-ufrag:{UFRAG}\r\na=ice-pwd:simulatorsimulatorsimu\r\n");
    let _ = write!(text, "a=fingerprint:sha-256 {}\r\n", ["00"; 32].join(":"));
    let _ = write!(text, "a=setup:actpass\r\na=mid:{mid}\r\n");
    extensions(text, audio, sends);
    text.push_str(if sends { "a=sendonly\r\n" } else { "a=recvonly\r\n" });
    text.push_str("a=rtcp-mux\r\na=rtcp-rsize\r\n");
    if audio {
        let _ = write!(text, "a=rtpmap:{OPUS} opus/48000/2\r\na=rtcp-fb:{OPUS} transport-cc\r\n");
        let _ = write!(text, "a=fmtp:{OPUS} minptime=10;useinbandfec=1\r\n");
        return;
    }
    let _ = write!(text, "a=rtpmap:{VP8} VP8/90000\r\n");
    for feedback in ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"] {
        let _ = write!(text, "a=rtcp-fb:{VP8} {feedback}\r\n");
    }
    let _ = write!(text, "a=rtpmap:{RTX} rtx/90000\r\na=fmtp:{RTX} apt={VP8}\r\n");
    if sends {
        text.push_str("a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n");
    }
}

/// The offer: own microphone and camera, if any, then receive slots.
pub(crate) fn offer(mic: bool, camera: bool, slots: Slots) -> (String, Vec<PublishLine>) {
    let line_of = |mid: &str, kind| PublishLine { mid: mid.to_owned(), kind };
    let mic = mic.then(|| line_of(MIC_MID, TrackKindJson::Mic));
    let camera = camera.then(|| line_of(CAMERA_MID, TrackKindJson::Camera));
    let publish: Vec<PublishLine> = mic.into_iter().chain(camera).collect();
    let own = publish.iter().map(|p| p.mid.clone());
    let receive = (0..slots.audio + slots.video).map(|i| i.to_string());
    let mids: Vec<String> = own.chain(receive).collect();
    let mut text = String::from("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    let _ = write!(text, "a=group:BUNDLE {}\r\n", mids.join(" "));
    for (i, mid) in mids.iter().enumerate() {
        let slot = i.checked_sub(publish.len());
        let is_mic = publish.get(i).is_some_and(|p| p.kind == TrackKindJson::Mic);
        let audio = slot.map_or(is_mic, |n| n < slots.audio);
        line(&mut text, mid, audio, slot.is_none());
    }
    (text, publish)
}

/// One receive slot, as the answer describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) mid: String,
    pub(crate) role: SlotRole,
    pub(crate) ssrc: u32,
}

/// What a participant needs of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) server: SocketAddr,
    pub(crate) ice: LocalIce,
    pub(crate) slots: Vec<Slot>,
}

fn value<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.lines().find_map(|l| l.strip_prefix(prefix)).map(str::trim)
}

/// Reads the answer; `lines` are the slots as signalled with it.
pub(crate) fn read_answer(sdp: &str, lines: &[SlotLine]) -> Option<Answer> {
    let candidate = value(sdp, "a=candidate:")?;
    let mut words = candidate.split(' ').skip(4);
    let server = SocketAddr::new(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let ice = LocalIce {
        ufrag: value(sdp, "a=ice-ufrag:")?.to_owned(),
        pwd: value(sdp, "a=ice-pwd:")?.to_owned(),
    };
    let sections: Vec<&str> = sdp.split("\r\nm=").skip(1).collect();
    let slot = |l: &SlotLine| {
        let section = sections.iter().find(|s| value(s, "a=mid:") == Some(&l.mid))?;
        let ssrc = value(section, "a=ssrc:")?.split(' ').next()?.parse().ok()?;
        Some(Slot { mid: l.mid.clone(), role: l.role, ssrc })
    };
    let slots = lines.iter().map(slot).collect::<Option<Vec<Slot>>>()?;
    Some(Answer { server, ice, slots })
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_sfu::peer::{Peer, PeerConfig};
    use edge_sfu::transport::TransportConfig;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use relay_proto::{NodeId, Now, NtpTime, ParticipantId};
    use std::time::Instant;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any instant will do")]
    fn an_edge_answers_the_offer_with_all_slots() {
        let server = SocketAddr::from(([10, 0, 0, 3], 5_000));
        let config = PeerConfig { transport: TransportConfig::clear(vec![server]) };
        let now = Now { mono: Instant::now(), wall: NtpTime(1 << 62) };
        let (text, publish) = offer(true, true, Slots { audio: 3, video: 14 });
        let who = ParticipantId::new(NodeId(1), 1);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (peer, answer) =
            Peer::accept(now, &config, who, &text, &publish, true, &mut rng).unwrap();
        assert_eq!(answer.sources.len(), 2);
        assert_eq!(answer.sources[1].encodings.iter().count(), 3);
        let read = read_answer(&answer.sdp, &answer.slots).unwrap();
        assert_eq!((read.server, &read.ice), (server, peer.local_ice()));
        let ssrcs: Vec<u32> = peer.slots().iter().map(|s| s.ssrc).collect();
        assert_eq!(read.slots.iter().map(|s| s.ssrc).collect::<Vec<_>>(), ssrcs);
        let roles: Vec<SlotRole> = read.slots.iter().map(|s| s.role).collect();
        assert_eq!(roles[..4], [SlotRole::Audio, SlotRole::Audio, SlotRole::Audio, SlotRole::Main]);
        assert_eq!((roles.len(), roles.last()), (17, Some(&SlotRole::Screen)));
    }
}
