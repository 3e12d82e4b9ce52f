//! An offer, read: only what the answer depends on.

use super::extension::{Extension, ExtensionMap};
use super::{MEDIA_LINES_MAX, OFFER_BYTES_MAX, OFFER_LINES_MAX, OfferError};
use crate::transport::{DtlsRole, Fingerprint, RemoteIce};
use rtc_sdp::description::common::Attribute;
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

/// Longest mid or rid that is read: both travel in header extensions of at most 16 bytes here.
pub const ID_BYTES_MAX: usize = 16;
/// Most codecs read of one m-line; an unrestricted Chromium offers 41.
const CODECS_MAX: usize = 64;

/// Which way an m-line's media flows, seen from the participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// From the participant.
    SendOnly,
    /// To the participant.
    RecvOnly,
    /// Not at all.
    Inactive,
}

/// One payload type of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferCodec {
    /// Payload type.
    pub pt: u8,
    /// Encoding name, lower case.
    pub name: String,
    /// Clock rate and, for sound, channels, as written: `48000/2`.
    pub rate: String,
    /// `a=fmtp` parameters as written.
    pub fmtp: String,
    /// `a=rtcp-fb` values.
    pub feedback: Vec<String>,
}

impl OfferCodec {
    /// The payload type that this RTX codec repairs.
    #[must_use]
    pub fn apt(&self) -> Option<u8> {
        self.fmtp.split(';').find_map(|p| p.trim().strip_prefix("apt=")?.trim().parse().ok())
    }
}

/// One m-line.
#[derive(Clone, Debug)]
pub struct OfferLine {
    /// Its mid.
    pub mid: String,
    /// `audio`, `video`, `application`.
    pub media: String,
    /// `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// Formats as written, to echo in a refusal.
    pub formats: Vec<String>,
    /// Refused by the participant (port 0 and not bundle-only).
    pub stopped: bool,
    /// Direction.
    pub direction: Direction,
    /// Codecs, in the order of preference.
    pub codecs: Vec<OfferCodec>,
    /// Known header extensions of this line.
    pub extensions: Vec<Extension>,
    /// Simulcast rids the participant sends, in their order.
    pub send_rids: Vec<String>,
    /// SSRCs announced, with the RTX SSRC of each (`a=ssrc-group:FID`).
    pub ssrcs: Vec<(u32, Option<u32>)>,
    /// Whether it is in the BUNDLE group.
    pub bundled: bool,
}

/// A whole offer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// ICE and DTLS.
    pub transport: RemoteIce,
    /// Header extension ids; one map for the bundle.
    pub extensions: ExtensionMap,
    /// The m-lines.
    pub lines: Vec<OfferLine>,
}

impl Offer {
    /// Reads an offer and checks what this edge insists on.
    ///
    /// # Errors
    /// See [`OfferError`]: each says what to do.
    pub fn parse(text: &str) -> Result<Self, OfferError> {
        if text.len() > OFFER_BYTES_MAX {
            return Err(OfferError::TooLong { bytes: text.len(), max: OFFER_BYTES_MAX });
        }
        if text.bytes().filter(|b| *b == b'\n').count() > OFFER_LINES_MAX {
            return Err(OfferError::TooManyLines { max: OFFER_LINES_MAX });
        }
        let media_lines = text.lines().filter(|l| l.starts_with("m=")).count();
        if media_lines > MEDIA_LINES_MAX {
            return Err(OfferError::TooManyMediaLines { lines: media_lines, max: MEDIA_LINES_MAX });
        }
        let sdp = SessionDescription::unmarshal(&mut std::io::Cursor::new(text.as_bytes()))
            .map_err(|e| OfferError::Syntax(e.to_string()))?;
        let bundle: Vec<&str> = values(&sdp.attributes, "group")
            .find_map(|v| v.strip_prefix("BUNDLE"))
            .map(|mids| mids.split_whitespace().collect())
            .unwrap_or_default();
        let mut extensions = ExtensionMap::default();
        let mut lines: Vec<OfferLine> = Vec::with_capacity(sdp.media_descriptions.len());
        for (index, media) in sdp.media_descriptions.iter().enumerate() {
            let line = read_line(index, media, &bundle, &mut extensions)?;
            if lines.iter().any(|l| l.mid == line.mid) {
                return Err(OfferError::BadMid { index });
            }
            if !line.stopped && is_media(&line) && !line.bundled {
                return Err(OfferError::NoBundle { mid: line.mid });
            }
            lines.push(line);
        }
        if !lines.iter().any(|l| !l.stopped && is_media(l)) {
            return Err(OfferError::NoMedia);
        }
        // RFC 8829 section 5.2.1: what describes the transport stands in the tagged m-section, the first of the group;
        // others may leave it out.
        let first = bundle.first().and_then(|mid| lines.iter().position(|l| l.mid == *mid));
        let tagged =
            first.and_then(|i| sdp.media_descriptions.get(i)).map_or(&[][..], |m| &m.attributes);
        if !has(tagged, "rtcp-mux") {
            let mid = bundle.first().map(|mid| (*mid).to_owned()).unwrap_or_default();
            return Err(OfferError::NoRtcpMux { mid });
        }
        let transport = read_transport(tagged, &sdp.attributes)?;
        Ok(Self { transport, extensions, lines })
    }
}

/// Whether a line carries RTP.
pub(super) fn is_media(line: &OfferLine) -> bool {
    line.protocol.ends_with("RTP/SAVPF") && (line.media == "audio" || line.media == "video")
}

fn values<'a>(attributes: &'a [Attribute], key: &'a str) -> impl Iterator<Item = &'a str> {
    attributes
        .iter()
        .filter(move |a| a.key == key)
        .filter_map(|a| a.value.as_deref())
        .map(str::trim)
}

fn has(attributes: &[Attribute], key: &str) -> bool {
    attributes.iter().any(|a| a.key == key)
}

/// Whether `id` can be a mid or rid: RFC 8843 and RFC 8851 token characters that fit a header extension.
fn is_id(id: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`{|}~".contains(&b);
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(token)
}

fn read_line(
    index: usize,
    media: &MediaDescription,
    bundle: &[&str],
    map: &mut ExtensionMap,
) -> Result<OfferLine, OfferError> {
    let attributes = &media.attributes;
    let mid = values(attributes, "mid").next().filter(|m| is_id(m));
    let mid = mid.ok_or(OfferError::BadMid { index })?.to_owned();
    let mut extensions = Vec::new();
    for value in values(attributes, "extmap") {
        if let Some((id, extension)) = super::extension::parse(value) {
            map.set(extension, id)?;
            extensions.push(extension);
        }
    }
    let direction = if has(attributes, "sendonly") {
        Direction::SendOnly
    } else if has(attributes, "recvonly") {
        Direction::RecvOnly
    } else if has(attributes, "inactive") {
        Direction::Inactive
    } else {
        Direction::SendRecv
    };
    let name = &media.media_name;
    Ok(OfferLine {
        bundled: bundle.contains(&mid.as_str()),
        media: name.media.clone(),
        protocol: name.protos.join("/"),
        formats: name.formats.clone(),
        stopped: name.port.value == 0 && !has(attributes, "bundle-only"),
        direction,
        codecs: read_codecs(attributes, &name.formats),
        extensions,
        send_rids: read_rids(attributes),
        ssrcs: read_ssrcs(attributes),
        mid,
    })
}

/// Codecs in the order of the m-line's formats.
fn read_codecs(attributes: &[Attribute], formats: &[String]) -> Vec<OfferCodec> {
    let mut codecs: Vec<OfferCodec> = Vec::new();
    for format in formats.iter().take(CODECS_MAX) {
        let Ok(pt) = format.parse::<u8>() else {
            continue;
        };
        let of_pt = |key: &'static str| {
            values(attributes, key).filter_map(move |v| {
                let (head, rest) = v.split_once(' ')?;
                (head.parse() == Ok(pt) || (key == "rtcp-fb" && head == "*")).then_some(rest.trim())
            })
        };
        let Some((name, rate)) = of_pt("rtpmap").next().and_then(|v| v.split_once('/')) else {
            continue;
        };
        if pt > 127 || codecs.iter().any(|c| c.pt == pt) {
            continue;
        }
        codecs.push(OfferCodec {
            pt,
            name: name.to_ascii_lowercase(),
            rate: rate.to_owned(),
            fmtp: of_pt("fmtp").next().unwrap_or_default().to_owned(),
            feedback: of_pt("rtcp-fb").map(str::to_owned).collect(),
        });
    }
    codecs
}

/// Rids of `a=simulcast:send`, first alternative each, pause marks removed; only those that have an `a=rid` line.
fn read_rids(attributes: &[Attribute]) -> Vec<String> {
    let declared = |rid: &str| {
        values(attributes, "rid").any(|v| {
            let mut words = v.split_whitespace();
            words.next() == Some(rid) && words.next() == Some("send")
        })
    };
    let Some(list) = values(attributes, "simulcast").find_map(|v| {
        let mut words = v.split_whitespace();
        words.by_ref().find(|w| *w == "send")?;
        words.next()
    }) else {
        return Vec::new();
    };
    let first = |group: &str| group.split(',').next().map(|r| r.trim_start_matches('~').to_owned());
    list.split(';').filter_map(first).filter(|r| is_id(r) && declared(r)).collect()
}

/// Announced SSRCs, RTX SSRCs paired with what they repair.
fn read_ssrcs(attributes: &[Attribute]) -> Vec<(u32, Option<u32>)> {
    let pairs: Vec<(u32, u32)> = values(attributes, "ssrc-group")
        .filter_map(|v| {
            let mut words = v.strip_prefix("FID ")?.split_whitespace().map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .take(crate::peer::limits::SSRCS_MAX)
        .collect();
    let mut ssrcs: Vec<(u32, Option<u32>)> = Vec::new();
    for value in values(attributes, "ssrc") {
        let Some(Ok(ssrc)) = value.split(' ').next().map(str::parse) else {
            continue;
        };
        let repairs = pairs.iter().any(|(_, rtx)| *rtx == ssrc);
        if repairs || ssrcs.iter().any(|(s, _)| *s == ssrc) {
            continue;
        }
        if ssrcs.len() == crate::peer::limits::SSRCS_MAX {
            break;
        }
        ssrcs.push((ssrc, pairs.iter().find(|(s, _)| *s == ssrc).map(|(_, rtx)| *rtx)));
    }
    ssrcs
}

fn read_transport(media: &[Attribute], session: &[Attribute]) -> Result<RemoteIce, OfferError> {
    let either = |key: &'static str| values(media, key).chain(values(session, key));
    let token = |v: &&str| v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    // RFC 8839 section 5.4: 4 to 256 and 22 to 256 ice-chars.
    let ufrag = either("ice-ufrag").next().filter(token).filter(|v| (4..=256).contains(&v.len()));
    let pwd = either("ice-pwd").next().filter(token).filter(|v| (22..=256).contains(&v.len()));
    let (Some(ufrag), Some(pwd)) = (ufrag, pwd) else {
        return Err(OfferError::NoIceCredentials);
    };
    let fingerprint = either("fingerprint")
        .find_map(|value| value.parse::<Fingerprint>().ok())
        .ok_or(OfferError::NoFingerprint)?;
    // RFC 8842 section 5.3: with `actpass` the answerer chooses, and waiting is what a server does.
    let insists = either("setup").next() == Some("passive");
    Ok(RemoteIce {
        ufrag: ufrag.to_owned(),
        pwd: pwd.to_owned(),
        fingerprint,
        setup: if insists { DtlsRole::Active } else { DtlsRole::Passive },
    })
}
