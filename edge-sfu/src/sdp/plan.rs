//! What each m-line of an offer becomes.

use super::offer::{Direction, Offer, OfferCodec, OfferLine, is_media};
use super::{Extension, OfferError};
use crate::signal::{PublishLine, SlotRole};
use relay_proto::{Encoding, EncodingSet, TrackKind, control::Codec};

/// An offer with at least this many video slots reserves the last for the shared screen: the SDK's default of one
/// main picture, twelve in the strip, and the screen.
pub const VIDEO_SLOTS_WITH_SCREEN: usize = 14;

/// One accepted codec with the offer's payload types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub codec: Codec,
    /// Its payload type.
    pub pt: u8,
    /// The payload type of its retransmissions.
    pub rtx: Option<u8>,
    /// Encoding name and rate for `a=rtpmap`, as offered.
    pub rtpmap: String,
    /// Format parameters, as offered.
    pub fmtp: String,
    /// Feedback messages, as offered.
    pub feedback: Vec<String>,
}

/// A source the participant may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePlan {
    /// Which track.
    pub kind: TrackKind,
    /// How it is coded.
    pub codec: Chosen,
    /// Simulcast rids and what they stand for; empty without simulcast.
    pub rids: Vec<(String, Encoding)>,
}

impl SourcePlan {
    /// The encodings to expect.
    #[must_use]
    pub fn encodings(&self) -> EncodingSet {
        let lowest = EncodingSet::NONE.with(Encoding::Q);
        if self.rids.is_empty() {
            return lowest;
        }
        self.rids.iter().fold(EncodingSet::NONE, |set, (_, e)| set.with(*e))
    }
}

/// What becomes of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinePlan {
    /// Port 0: data channels, stopped lines.
    Refused,
    /// Kept, but nothing flows.
    Inactive,
    /// From the participant.
    Source(SourcePlan),
    /// To the participant.
    Slot {
        /// What for.
        role: SlotRole,
        /// With which codecs, preferred first.
        codecs: Vec<Chosen>,
    },
}

/// Decides on every m-line. `known` gives the role of a slot that exists already, by mid.
///
/// # Errors
/// When `publish` does not fit the offer.
pub fn plan(
    offer: &Offer,
    publish: &[PublishLine],
    may_publish: bool,
    known: impl Fn(&str) -> Option<SlotRole>,
) -> Result<Vec<LinePlan>, OfferError> {
    check_publish(offer, publish)?;
    let published = |l: &OfferLine| publish.iter().find(|p| p.mid == l.mid);
    let is_slot = |l: &OfferLine| {
        let wanted = matches!(l.direction, Direction::RecvOnly | Direction::SendRecv);
        is_media(l) && !l.stopped && wanted && published(l).is_none()
    };
    let mut roles = VideoRoles::new(offer.lines.iter().filter(|l| is_slot(l)), &known);
    let plan_line = |line: &OfferLine| {
        if line.stopped || !is_media(line) || line.codecs.is_empty() {
            return LinePlan::Refused;
        }
        if let Some(published) = published(line) {
            let source = may_publish.then(|| source(line, published.kind.into())).flatten();
            return source.map_or(LinePlan::Inactive, LinePlan::Source);
        }
        if !is_slot(line) {
            return LinePlan::Inactive;
        }
        let role = if line.media == "audio" { SlotRole::Audio } else { roles.next(&line.mid) };
        let codecs = choose(line);
        if codecs.is_empty() { LinePlan::Inactive } else { LinePlan::Slot { role, codecs } }
    };
    Ok(offer.lines.iter().map(plan_line).collect())
}

fn check_publish(offer: &Offer, publish: &[PublishLine]) -> Result<(), OfferError> {
    for (i, p) in publish.iter().enumerate() {
        let kind: TrackKind = p.kind.into();
        let mid = || p.mid.chars().take(super::ID_BYTES_MAX).collect::<String>();
        let sends = |l: &&OfferLine| {
            l.mid == p.mid && matches!(l.direction, Direction::SendOnly | Direction::SendRecv)
        };
        let Some(line) = offer.lines.iter().find(sends) else {
            return Err(OfferError::UnknownMid { mid: mid() });
        };
        if line.media != if kind.is_audio() { "audio" } else { "video" } {
            return Err(OfferError::WrongKind { mid: mid(), kind });
        }
        if publish.iter().take(i).any(|other| other.kind == p.kind || other.mid == p.mid) {
            return Err(OfferError::TwoOfAKind { kind });
        }
    }
    Ok(())
}

/// The roles of video slots: the client says them by order. The first is the main picture; with at least
/// [`VIDEO_SLOTS_WITH_SCREEN`] of them the last is the screen; all others are the strip. A slot keeps its role for
/// life, so slots added later join the strip (or become the screen, if there is none yet and there are enough now).
struct VideoRoles<F> {
    known: F,
    main: bool,
    screen: bool,
    left: usize,
}

impl<F: Fn(&str) -> Option<SlotRole>> VideoRoles<F> {
    fn new<'a>(slots: impl Iterator<Item = &'a OfferLine>, known: F) -> Self {
        let mut roles = Self { known, main: false, screen: false, left: 0 };
        for line in slots.filter(|l| l.media == "video") {
            let role = (roles.known)(&line.mid);
            roles.left += 1;
            roles.main |= role == Some(SlotRole::Main);
            roles.screen |= role == Some(SlotRole::Screen);
        }
        roles.screen |= roles.left < VIDEO_SLOTS_WITH_SCREEN;
        roles
    }

    fn next(&mut self, mid: &str) -> SlotRole {
        self.left = self.left.saturating_sub(1);
        if let Some(role) = (self.known)(mid) {
            return role;
        }
        if !std::mem::replace(&mut self.main, true) {
            SlotRole::Main
        } else if self.left == 0 && !std::mem::replace(&mut self.screen, true) {
            SlotRole::Screen
        } else {
            SlotRole::Strip
        }
    }
}

fn source(line: &OfferLine, kind: TrackKind) -> Option<SourcePlan> {
    let codec = choose(line).into_iter().next()?;
    let rids = if kind.is_audio() { Vec::new() } else { encodings(&line.send_rids) };
    // Without the RID extension the encodings could not be told apart.
    let tellable = line.extensions.contains(&Extension::Rid);
    Some(SourcePlan { kind, codec, rids: if tellable { rids } else { Vec::new() } })
}

/// What simulcast rids stand for: q, h, f where all are named so, else by their order, lowest first.
fn encodings(rids: &[String]) -> Vec<(String, Encoding)> {
    let rids = &rids[..rids.len().min(Encoding::MAX_PER_TRACK)];
    let named: Option<Vec<_>> =
        rids.iter().map(|r| Encoding::from_rid(r).map(|e| (r.clone(), e))).collect();
    named.unwrap_or_else(|| {
        rids.iter().enumerate().map(|(i, r)| (r.clone(), Encoding(i as u8))).collect()
    })
}

fn codec_of(codec: &OfferCodec, audio: bool) -> Option<Codec> {
    match codec.name.as_str() {
        "opus" if audio && codec.rate == "48000/2" => Some(Codec::Opus),
        "vp8" if !audio => Some(Codec::Vp8),
        "vp9" if !audio => Some(Codec::Vp9),
        "h264" if !audio => Some(Codec::H264),
        "av1" if !audio => Some(Codec::Av1),
        _ => None,
    }
}

/// The codecs of a line that this edge carries: Opus; VP8; others only where VP8 is not offered, because
/// they pass unread (no layer switching inside them).
fn choose(line: &OfferLine) -> Vec<Chosen> {
    let audio = line.media == "audio";
    let mut chosen: Vec<Chosen> = Vec::new();
    for offered in &line.codecs {
        let Some(codec) = codec_of(offered, audio) else {
            continue;
        };
        if chosen.iter().any(|c| c.codec == codec) {
            continue;
        }
        let rtx = line.codecs.iter().find(|c| c.name == "rtx" && c.apt() == Some(offered.pt));
        chosen.push(Chosen {
            codec,
            pt: offered.pt,
            rtx: rtx.map(|c| c.pt),
            rtpmap: format!("{}/{}", rtpmap_name(codec), offered.rate),
            fmtp: offered.fmtp.clone(),
            feedback: offered.feedback.clone(),
        });
    }
    if chosen.iter().any(|c| c.codec == Codec::Vp8) {
        chosen.retain(|c| c.codec == Codec::Vp8);
    }
    chosen
}

fn rtpmap_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus",
        Codec::Vp8 => "VP8",
        Codec::Vp9 => "VP9",
        Codec::H264 => "H264",
        Codec::Av1 => "AV1",
    }
}
