//! Offers as the SDK's are, and what a participant reads of the answer.

use super::camera::RIDS;
use super::mic::ids;
use anyhow::Context;
use edge_sfu::signal::{PublishLine, TrackKindJson};
use std::fmt::Write as _;
use std::net::SocketAddrV4;

const OPUS: u8 = 111;
const VP8: u8 = 96;
const VP8_RTX: u8 = 97;
const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const TRANSPORT_SEQ: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// What a participant brings and wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines {
    pub(super) mic: bool,
    pub(super) camera: bool,
    pub(super) audio_slots: usize,
    pub(super) video_slots: usize,
}

/// What stands for the participant's transport in the offer.
#[derive(Clone, Debug)]
pub(super) struct LocalSide {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) fingerprint: String,
    pub(super) addr: SocketAddrV4,
    pub(super) mic_ssrc: u32,
}

/// An offer, and what its first m-lines publish. Payload types and header extension ids are the ones it names: an edge answers with
/// the same.
pub(super) fn offer(lines: &Lines, local: &LocalSide) -> (String, Vec<PublishLine>) {
    let count =
        usize::from(lines.mic) + usize::from(lines.camera) + lines.audio_slots + lines.video_slots;
    let mids: Vec<String> = (0..count).map(|i| i.to_string()).collect();
    let mut text = format!(
        "v=0\r\no=- {} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=extmap-allow-mixed\r\n\
         a=msid-semantic: WMS\r\n",
        local.mic_ssrc,
        mids.join(" ")
    );
    let mut publish = Vec::new();
    let mut mids = mids.into_iter();
    if let (true, Some(mid)) = (lines.mic, mids.next_if(lines.mic)) {
        audio(&mut text, local, &mid, true);
        publish.push(PublishLine { mid, kind: TrackKindJson::Mic });
    }
    if let (true, Some(mid)) = (lines.camera, mids.next_if(lines.camera)) {
        video(&mut text, local, &mid, true);
        publish.push(PublishLine { mid, kind: TrackKindJson::Camera });
    }
    for (i, mid) in mids.enumerate() {
        if i < lines.audio_slots {
            audio(&mut text, local, &mid, false);
        } else {
            video(&mut text, local, &mid, false);
        }
    }
    (text, publish)
}

/// Takes the next one only where it is wanted.
trait NextIf: Iterator {
    fn next_if(&mut self, wanted: bool) -> Option<Self::Item>;
}

impl<I: Iterator> NextIf for I {
    fn next_if(&mut self, wanted: bool) -> Option<Self::Item> {
        if wanted { self.next() } else { None }
    }
}

fn head(text: &mut String, local: &LocalSide, media: &str, formats: &str, mid: &str) {
    let (ip, port) = (local.addr.ip(), local.addr.port());
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "m={media} {port} UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 {ip}\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2122260223 {ip} {port} typ host generation 0\r\n\
         a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\na=fingerprint:sha-256 {}\r\n\
         a=setup:actpass\r\na=mid:{mid}\r\n",
        local.ufrag, local.pwd, local.fingerprint
    );
}

fn extension(text: &mut String, id: u8, uri: &str) {
    let _ = write!(text, "a=extmap:{id} {uri}\r\n");
}

fn direction(text: &mut String, send: bool) {
    let direction = if send { "sendonly" } else { "recvonly" };
    let _ = write!(text, "a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n");
}

fn audio(text: &mut String, local: &LocalSide, mid: &str, send: bool) {
    head(text, local, "audio", &OPUS.to_string(), mid);
    extension(text, ids::LEVEL, LEVEL);
    extension(text, ids::TRANSPORT_SEQ, TRANSPORT_SEQ);
    extension(text, ids::MID, MID);
    direction(text, send);
    let _ = write!(
        text,
        "a=rtpmap:{OPUS} opus/48000/2\r\na=rtcp-fb:{OPUS} transport-cc\r\n\
         a=fmtp:{OPUS} minptime=10;useinbandfec=1\r\n"
    );
    if send {
        let _ = write!(text, "a=ssrc:{} cname:load\r\n", local.mic_ssrc);
    }
}

fn video(text: &mut String, local: &LocalSide, mid: &str, send: bool) {
    head(text, local, "video", &format!("{VP8} {VP8_RTX}"), mid);
    extension(text, ids::TRANSPORT_SEQ, TRANSPORT_SEQ);
    extension(text, ids::MID, MID);
    extension(text, ids::RID, RID);
    extension(text, ids::REPAIRED_RID, REPAIRED_RID);
    direction(text, send);
    let _ = write!(text, "a=rtpmap:{VP8} VP8/90000\r\n");
    for feedback in ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"] {
        let _ = write!(text, "a=rtcp-fb:{VP8} {feedback}\r\n");
    }
    let _ = write!(text, "a=rtpmap:{VP8_RTX} rtx/90000\r\na=fmtp:{VP8_RTX} apt={VP8}\r\n");
    if send {
        for rid in RIDS {
            let _ = write!(text, "a=rid:{rid} send\r\n");
        }
        let _ = write!(text, "a=simulcast:send {}\r\n", RIDS.join(";"));
    }
}

/// Payload types of the offer: Opus, VP8, retransmissions.
pub(super) const PAYLOAD_TYPES: (u8, u8, u8) = (OPUS, VP8, VP8_RTX);

/// A slot of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnswerSlot {
    pub(super) mid: String,
    pub(super) audio: bool,
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    /// SHA-256, as written.
    pub(super) fingerprint: String,
    /// The edge's media address.
    pub(super) remote: SocketAddrV4,
    pub(super) slots: Vec<AnswerSlot>,
}

impl Answer {
    /// Reads it.
    ///
    /// # Errors
    /// What is missing in it.
    pub(super) fn read(sdp: &str) -> anyhow::Result<Self> {
        let value = |key: &str| sdp.lines().find_map(|l| l.trim_end().strip_prefix(key));
        let candidate = value("a=candidate:").and_then(|c| {
            let words: Vec<&str> = c.split(' ').collect();
            format!("{}:{}", words.get(4)?, words.get(5)?).parse().ok()
        });
        let text = |key: &str| value(key).map(str::to_owned);
        Ok(Self {
            ufrag: text("a=ice-ufrag:").context("no ICE user in the answer")?,
            pwd: text("a=ice-pwd:").context("no ICE password in the answer")?,
            fingerprint: text("a=fingerprint:sha-256 ")
                .context("no SHA-256 fingerprint in the answer")?,
            remote: candidate.context("no IPv4 candidate in the answer")?,
            slots: slots(sdp),
        })
    }
}

fn slots(sdp: &str) -> Vec<AnswerSlot> {
    let sections = sdp.split("\r\nm=").skip(1);
    sections
        .filter(|s| s.lines().any(|l| l == "a=sendonly"))
        .filter_map(|section| {
            let value = |key: &str| section.lines().find_map(|l| l.strip_prefix(key));
            let number = |text: &str| text.split(' ').next()?.parse().ok();
            let pair = value("a=ssrc-group:FID ").and_then(|v| v.split_once(' '));
            Some(AnswerSlot {
                mid: value("a=mid:")?.to_owned(),
                audio: section.starts_with("audio"),
                ssrc: number(value("a=ssrc:")?)?,
                rtx_ssrc: pair.and_then(|(_, rtx)| number(rtx)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use edge_sfu::sdp::offer::Offer;

    fn local() -> LocalSide {
        LocalSide {
            ufrag: "abcd".into(),
            pwd: "abcdefghijklmnopqrstuv".into(),
            fingerprint: ["AB"; 32].join(":"),
            addr: "127.100.1.1:4000".parse().unwrap(),
            mic_ssrc: 77,
        }
    }

    #[test]
    fn the_edge_reads_a_publishers_offer() {
        let lines = Lines { mic: true, camera: true, audio_slots: 3, video_slots: 2 };
        let (text, publish) = offer(&lines, &local());
        let read = Offer::parse(&text).unwrap();
        assert_eq!(read.lines.len(), 7);
        assert_eq!(publish.iter().map(|p| p.mid.as_str()).collect::<Vec<_>>(), ["0", "1"]);
        assert_eq!(read.lines[0].ssrcs, [(77, None)]);
        assert_eq!(read.lines[1].send_rids, RIDS);
        assert_eq!(read.lines[1].codecs[1].apt(), Some(VP8));
        let media: Vec<&str> = read.lines.iter().map(|l| l.media.as_str()).collect();
        assert_eq!(media, ["audio", "video", "audio", "audio", "audio", "video", "video"]);
        let (text, publish) = offer(&Lines { mic: false, camera: false, ..lines }, &local());
        assert_eq!((Offer::parse(&text).unwrap().lines.len(), publish.len()), (5, 0));
    }

    #[test]
    fn the_answers_slots_are_read() {
        let answer = "v=0\r\ns=-\r\nm=audio 9 X 111\r\na=candidate:1 1 udp 2 192.0.2.2 5000 typ host\r\n\
            a=ice-ufrag:u\r\na=ice-pwd:p\r\na=fingerprint:sha-256 AA:BB\r\na=mid:0\r\na=recvonly\r\n\
            m=audio 9 X 111\r\na=mid:1\r\na=sendonly\r\na=ssrc:5 cname:mesh\r\n\
            m=video 9 X 96 97\r\na=mid:2\r\na=sendonly\r\na=ssrc-group:FID 6 7\r\na=ssrc:6 cname:mesh\r\n";
        let read = Answer::read(answer).unwrap();
        assert_eq!((read.remote, read.ufrag.as_str()), ("192.0.2.2:5000".parse().unwrap(), "u"));
        let slot = |mid: &str, audio, ssrc, rtx_ssrc| AnswerSlot {
            mid: mid.into(),
            audio,
            ssrc,
            rtx_ssrc,
        };
        assert_eq!(read.slots, [slot("1", true, 5, None), slot("2", false, 6, Some(7))]);
        assert!(Answer::read("v=0\r\n").is_err());
    }
}
