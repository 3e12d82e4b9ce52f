//! The answer's text (RFC 8829 section 5.3).

use super::extension::Extension;
use super::offer::{Offer, OfferLine};
use super::plan::{Chosen, LinePlan, SourcePlan};
use crate::transport::{DtlsRole, Fingerprint, LocalIce};
use relay_proto::control::Codec;
use std::fmt::Write;
use std::net::SocketAddr;

/// Canonical name of everything this edge sends: one clock, so voices and pictures can be synchronised.
pub const CNAME: &str = "mesh";

/// This edge's side of ICE and DTLS.
#[derive(Clone, Copy, Debug)]
pub struct LocalTransport<'a> {
    /// ICE credentials.
    pub ice: &'a LocalIce,
    /// Of this edge's certificate.
    pub fingerprint: &'a Fingerprint,
    /// Who sends the first hello.
    pub role: DtlsRole,
    /// Where this shard's media socket is reached.
    pub candidates: &'a [SocketAddr],
}

/// What the text needs besides the plan.
#[derive(Debug)]
pub struct AnswerParts<'a> {
    /// The offer answered.
    pub offer: &'a Offer,
    /// One a line.
    pub plans: &'a [LinePlan],
    /// ICE and DTLS.
    pub transport: LocalTransport<'a>,
    /// `o=` session id; stays for the peer's life.
    pub session_id: u64,
    /// `o=` session version; counts the answers.
    pub version: u64,
}

/// Writes the answer. `ssrcs` gives the SSRC and RTX SSRC of the slot with a mid.
#[must_use]
pub fn write_answer(
    parts: &AnswerParts<'_>,
    ssrcs: impl Fn(&str) -> Option<(u32, Option<u32>)>,
) -> String {
    let mut text = Text(String::with_capacity(512 + 900 * parts.plans.len()));
    let lines = || parts.offer.lines.iter().zip(parts.plans);
    let bundle = lines().filter(|(_, p)| **p != LinePlan::Refused).fold(
        String::from("BUNDLE"),
        |mut mids, (line, _)| {
            mids.push(' ');
            mids.push_str(&line.mid);
            mids
        },
    );
    text.line(format_args!("v=0"));
    let (id, version) = (parts.session_id >> 1, parts.version);
    text.line(format_args!("o=- {id} {version} IN IP4 127.0.0.1"));
    text.line(format_args!("s=-"));
    text.line(format_args!("t=0 0"));
    text.line(format_args!("a=group:{bundle}"));
    text.line(format_args!("a=extmap-allow-mixed"));
    text.line(format_args!("a=ice-lite"));
    text.line(format_args!("a=msid-semantic: WMS *"));
    let mut first = true;
    for (line, plan) in lines() {
        if *plan == LinePlan::Refused {
            text.refused(line);
            continue;
        }
        text.head(line, plan);
        text.transport(&parts.transport, std::mem::take(&mut first));
        text.line(format_args!("a=mid:{}", line.mid));
        match plan {
            LinePlan::Refused => {}
            LinePlan::Inactive => text.inactive(line),
            LinePlan::Source(source) => text.source(parts.offer, line, source),
            LinePlan::Slot { codecs, .. } => {
                text.slot(parts.offer, line, codecs, ssrcs(&line.mid));
            }
        }
    }
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(line);
        self.0.push_str("\r\n");
    }

    fn refused(&mut self, line: &OfferLine) {
        let formats = line.formats.join(" ");
        self.line(format_args!("m={} 0 {} {formats}", line.media, line.protocol));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=mid:{}", line.mid));
    }

    fn head(&mut self, line: &OfferLine, plan: &LinePlan) {
        let chosen: &[Chosen] = match plan {
            LinePlan::Source(source) => std::slice::from_ref(&source.codec),
            LinePlan::Slot { codecs, .. } => codecs,
            LinePlan::Inactive | LinePlan::Refused => &[],
        };
        let mut formats = String::new();
        for pt in chosen.iter().flat_map(|c| [Some(c.pt), c.rtx]).flatten() {
            let _ = write!(formats, " {pt}");
        }
        if let (true, Some(codec)) = (chosen.is_empty(), line.codecs.first()) {
            let _ = write!(formats, " {}", codec.pt);
        }
        self.line(format_args!("m={} 9 {}{formats}", line.media, line.protocol));
        self.line(format_args!("c=IN IP4 0.0.0.0"));
        self.line(format_args!("a=rtcp:9 IN IP4 0.0.0.0"));
    }

    fn transport(&mut self, transport: &LocalTransport<'_>, with_candidates: bool) {
        if with_candidates {
            for (i, address) in transport.candidates.iter().enumerate() {
                // RFC 8445 section 5.1.2.1: type preference 126 (host), local preference by order, component 1.
                let priority = (126 << 24) | (65_535_u32.saturating_sub(i as u32) << 8) | 255;
                let (ip, port) = (address.ip(), address.port());
                self.line(format_args!(
                    "a=candidate:{} 1 udp {priority} {ip} {port} typ host",
                    i + 1
                ));
            }
            self.line(format_args!("a=end-of-candidates"));
        }
        self.line(format_args!("a=ice-ufrag:{}", transport.ice.ufrag));
        self.line(format_args!("a=ice-pwd:{}", transport.ice.pwd));
        self.line(format_args!("a=fingerprint:{}", transport.fingerprint));
        let setup = if transport.role == DtlsRole::Active { "active" } else { "passive" };
        self.line(format_args!("a=setup:{setup}"));
    }

    fn inactive(&mut self, line: &OfferLine) {
        self.line(format_args!("a=inactive"));
        self.line(format_args!("a=rtcp-mux"));
        if let Some(c) = line.codecs.first() {
            self.line(format_args!("a=rtpmap:{} {}/{}", c.pt, c.name, c.rate));
            if !c.fmtp.is_empty() {
                self.line(format_args!("a=fmtp:{} {}", c.pt, c.fmtp));
            }
        }
    }

    fn extensions(&mut self, offer: &Offer, line: &OfferLine, wanted: impl Fn(Extension) -> bool) {
        for extension in line.extensions.iter().copied().filter(|e| wanted(*e)) {
            if let Some(id) = offer.extensions.id(extension) {
                self.line(format_args!("a=extmap:{id} {}", extension.uri()));
            }
        }
    }

    fn source(&mut self, offer: &Offer, line: &OfferLine, source: &SourcePlan) {
        let audio = source.kind.is_audio();
        self.extensions(offer, line, |e| e.in_sources(audio));
        self.line(format_args!("a=recvonly"));
        self.rtcp();
        // Without discontinuous transmission silence would cost as much as speech.
        self.codec(line, &source.codec, ";usedtx=1", false);
        for (rid, _) in &source.rids {
            self.line(format_args!("a=rid:{rid} recv"));
        }
        if !source.rids.is_empty() {
            let rids: Vec<&str> = source.rids.iter().map(|(rid, _)| rid.as_str()).collect();
            self.line(format_args!("a=simulcast:recv {}", rids.join(";")));
        }
    }

    fn slot(
        &mut self,
        offer: &Offer,
        line: &OfferLine,
        codecs: &[Chosen],
        ssrcs: Option<(u32, Option<u32>)>,
    ) {
        let audio = line.media == "audio";
        let mid = &line.mid;
        self.extensions(offer, line, |e| e.in_slots(audio));
        self.line(format_args!("a=sendonly"));
        // One stream a slot: voices and pictures of different people must not be synchronised with each other.
        self.line(format_args!("a=msid:slot-{mid} slot-{mid}"));
        self.rtcp();
        for codec in codecs {
            self.codec(line, codec, "", true);
        }
        let Some((ssrc, rtx)) = ssrcs else { return };
        let rtx = rtx.filter(|_| codecs.iter().any(|c| c.rtx.is_some()));
        if let Some(rtx) = rtx {
            self.line(format_args!("a=ssrc-group:FID {ssrc} {rtx}"));
        }
        for ssrc in [Some(ssrc), rtx].into_iter().flatten() {
            self.line(format_args!("a=ssrc:{ssrc} cname:{CNAME}"));
            self.line(format_args!("a=ssrc:{ssrc} msid:slot-{mid} slot-{mid}"));
        }
    }

    fn rtcp(&mut self) {
        self.line(format_args!("a=rtcp-mux"));
        self.line(format_args!("a=rtcp-rsize"));
    }

    /// `goog-remb` is agreed on for slots only: nothing here sends one.
    fn codec(&mut self, line: &OfferLine, chosen: &Chosen, opus_extra: &str, slot: bool) {
        let pt = chosen.pt;
        self.line(format_args!("a=rtpmap:{pt} {}", chosen.rtpmap));
        let audio = chosen.codec == Codec::Opus;
        for feedback in &chosen.feedback {
            let wanted = match feedback.as_str() {
                "transport-cc" => line.extensions.contains(&Extension::TransportSequence),
                "goog-remb" => slot && !audio,
                "ccm fir" | "nack" | "nack pli" => !audio,
                _ => false,
            };
            if wanted {
                self.line(format_args!("a=rtcp-fb:{pt} {feedback}"));
            }
        }
        if audio {
            self.line(format_args!("a=fmtp:{pt} minptime=10;useinbandfec=1{opus_extra}"));
        } else if !chosen.fmtp.is_empty() {
            self.line(format_args!("a=fmtp:{pt} {}", chosen.fmtp));
        }
        if let Some(rtx) = chosen.rtx {
            self.line(format_args!("a=rtpmap:{rtx} rtx/90000"));
            self.line(format_args!("a=fmtp:{rtx} apt={pt}"));
        }
    }
}
