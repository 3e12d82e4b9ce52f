//! Real offers of Chromium 156 (`tests/fixtures/`), answered, and broken in every way that is refused.

use super::offer::Offer;
use super::plan::{LinePlan, plan};
use super::{Extension, OfferError};
use crate::signal::{PublishLine, SlotRole, TrackKindJson};
use crate::transport::DtlsRole;
use proptest::prelude::*;
use relay_proto::control::Codec;
use relay_proto::{Encoding, TrackKind};

/// Microphone, simulcast camera, screen; 3 audio and 14 video slots; restricted codecs.
const SDK: &str = include_str!("../../tests/fixtures/chromium_sdk.sdp");
/// As SDK, without own tracks.
const ATTENDEE: &str = include_str!("../../tests/fixtures/chromium_attendee.sdp");
/// All codecs, and a data channel.
const BARE: &str = include_str!("../../tests/fixtures/chromium_bare.sdp");

fn publish(lines: &[(&str, TrackKindJson)]) -> Vec<PublishLine> {
    lines.iter().map(|(mid, kind)| PublishLine { mid: (*mid).to_owned(), kind: *kind }).collect()
}

fn all_kinds() -> Vec<PublishLine> {
    publish(&[
        ("0", TrackKindJson::Mic),
        ("1", TrackKindJson::Camera),
        ("2", TrackKindJson::Screen),
    ])
}

fn planned(sdp: &str, lines: &[PublishLine]) -> Result<Vec<LinePlan>, OfferError> {
    plan(&Offer::parse(sdp)?, lines, true, |_| None)
}

fn roles(plans: &[LinePlan]) -> Vec<SlotRole> {
    let role = |p: &LinePlan| match p {
        LinePlan::Slot { role, .. } => Some(*role),
        _ => None,
    };
    plans.iter().filter_map(role).collect()
}

/// The SDK's offer without the lines that start with `prefix`.
fn without(prefix: &str) -> String {
    SDK.split_inclusive('\n').filter(|l| !l.starts_with(prefix)).collect()
}

#[test]
fn the_offer_of_the_sdk_is_read() {
    let offer = Offer::parse(SDK).unwrap();
    assert_eq!(offer.lines.len(), 20);
    assert_eq!(offer.transport.ufrag, "CyNK");
    assert_eq!(offer.transport.setup, DtlsRole::Passive, "actpass: we wait");
    assert_eq!(offer.extensions.id(Extension::TransportSequence), Some(3));
    assert_eq!(offer.extensions.id(Extension::RepairedRid), Some(11));
    assert_eq!(offer.extensions.id(Extension::CaptureTime), None);
    assert_eq!(offer.lines[1].send_rids, ["q", "h", "f"]);
    assert_eq!(offer.lines[2].ssrcs, [(84_320_963, Some(1_574_904_095))]);
}

#[test]
fn own_tracks_become_sources_and_the_rest_slots() {
    let plans = planned(SDK, &all_kinds()).unwrap();
    let sources: Vec<_> = plans
        .iter()
        .filter_map(|p| match p {
            LinePlan::Source(s) => Some((s.kind, s.codec.codec, s.codec.pt, s.encodings().0)),
            _ => None,
        })
        .collect();
    assert_eq!(
        sources,
        [
            (TrackKind::Mic, Codec::Opus, 111, 1),
            (TrackKind::Camera, Codec::Vp8, 96, 7),
            (TrackKind::Screen, Codec::Vp8, 96, 1)
        ]
    );
    let mut expected = vec![SlotRole::Audio; 3];
    expected.push(SlotRole::Main);
    expected.extend([SlotRole::Strip; 12]);
    expected.push(SlotRole::Screen);
    assert_eq!(roles(&plans), expected);
}

#[test]
fn few_video_slots_reserve_none_for_the_screen() {
    let plans = planned(BARE, &publish(&[("0", TrackKindJson::Mic)])).unwrap();
    assert_eq!(roles(&plans), [SlotRole::Audio, SlotRole::Main, SlotRole::Strip]);
    assert_eq!(plans[1], LinePlan::Inactive, "sends, but was not announced");
    assert_eq!(plans[6], LinePlan::Refused, "data channel");
}

#[test]
fn slots_added_later_leave_the_roles_of_the_others_alone() {
    let offer = Offer::parse(ATTENDEE).unwrap();
    let known = |mid: &str| match mid {
        "3" => Some(SlotRole::Main),
        "4" => Some(SlotRole::Screen),
        _ => None,
    };
    let roles = roles(&plan(&offer, &[], false, known).unwrap());
    assert_eq!(roles[3..5], [SlotRole::Main, SlotRole::Screen]);
    assert!(roles[5..].iter().all(|r| *r == SlotRole::Strip));
}

#[test]
fn without_a_grant_own_tracks_are_inactive() {
    let plans = plan(&Offer::parse(SDK).unwrap(), &all_kinds(), false, |_| None).unwrap();
    assert!(plans[..3].iter().all(|p| *p == LinePlan::Inactive));
    assert_eq!(roles(&plans).len(), 17);
}

#[test]
fn foreign_rids_are_ordered_as_offered_and_at_most_three() {
    let renamed = SDK
        .replace("a=rid:q send", "a=rid:lo send\r\na=rid:xx send")
        .replace("a=simulcast:send q;h;f", "a=simulcast:send lo,q;~h;f;xx");
    let plans = planned(&renamed, &all_kinds()).unwrap();
    let LinePlan::Source(camera) = &plans[1] else { panic!("{:?}", plans[1]) };
    let rids: Vec<_> = camera.rids.iter().map(|(r, e)| (r.as_str(), *e)).collect();
    assert_eq!(rids, [("lo", Encoding::Q), ("h", Encoding::H), ("f", Encoding::F)]);
}

#[test]
fn without_vp8_other_codecs_pass_unread() {
    let plans = planned(&BARE.replace("VP8/90000", "XYZ/90000"), &[]).unwrap();
    let LinePlan::Slot { codecs, .. } = &plans[4] else { panic!() };
    let names: Vec<_> = codecs.iter().map(|c| c.codec).collect();
    assert_eq!(names, [Codec::Vp9, Codec::H264, Codec::Av1]);
    assert!(codecs.iter().all(|c| c.rtx.is_some()));
}

#[test]
fn a_client_that_insists_on_being_dtls_server_is_dialled() {
    let offer = Offer::parse(&SDK.replace("a=setup:actpass", "a=setup:passive")).unwrap();
    assert_eq!(offer.transport.setup, DtlsRole::Active);
}

#[test]
fn transport_attributes_may_stand_once() {
    let (session, media) = SDK.split_at(SDK.find("m=").unwrap());
    let (first, rest) = media.split_at(media.find("m=video").unwrap());
    let transport = ["a=ice-", "a=fingerprint", "a=setup", "a=rtcp-mux"];
    let bare: String = rest
        .split_inclusive('\n')
        .filter(|l| !transport.iter().any(|t| l.starts_with(t)))
        .collect();
    assert!(Offer::parse(&format!("{session}{first}{bare}")).is_ok(), "RFC 8829 section 5.2.2");
}

#[test]
fn bad_offers_are_refused_with_a_reason() {
    let parse = |sdp: &str| Offer::parse(sdp).unwrap_err();
    let long = SDK.replace("s=-", &format!("s={}", "x".repeat(128 * 1024)));
    assert!(matches!(parse(&long), OfferError::TooLong { .. }));
    let lines = SDK.replace("s=-\r\n", &format!("s=-\r\n{}", "a=x\r\n".repeat(3_000)));
    assert!(matches!(parse(&lines), OfferError::TooManyLines { .. }));
    let many = format!("{SDK}{}", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(45));
    assert!(matches!(parse(&many), OfferError::TooManyMediaLines { lines: 65, .. }));
    assert!(matches!(parse("hello"), OfferError::Syntax(_)));
    assert!(matches!(parse(""), OfferError::Syntax(_) | OfferError::NoMedia));
    assert_eq!(parse(&without("a=group")), OfferError::NoBundle { mid: "0".into() });
    let outside = SDK.replace("a=group:BUNDLE 0 1 2 3 ", "a=group:BUNDLE 0 1 2 ");
    assert_eq!(parse(&outside), OfferError::NoBundle { mid: "3".into() });
    assert_eq!(parse(&without("a=rtcp-mux")), OfferError::NoRtcpMux { mid: "0".into() });
    assert_eq!(parse(&without("a=fingerprint")), OfferError::NoFingerprint);
    assert_eq!(parse(&SDK.replace("sha-256", "sha-1")), OfferError::NoFingerprint);
    assert_eq!(parse(&without("a=ice-ufrag")), OfferError::NoIceCredentials);
    assert_eq!(parse(&without("a=ice-pwd")), OfferError::NoIceCredentials);
    assert_eq!(parse(&SDK.replace("a=mid:4\r", "a=mid:3\r")), OfferError::BadMid { index: 4 });
    assert_eq!(parse(&without("a=mid")), OfferError::BadMid { index: 0 });
    let conflict = SDK.replacen("a=extmap:3 ", "a=extmap:10 ", 2);
    assert!(matches!(parse(&conflict), OfferError::ExtensionConflict { .. }));
}

#[test]
fn publish_lines_must_fit_the_offer() {
    let refused = |lines: &[(&str, TrackKindJson)]| planned(SDK, &publish(lines)).unwrap_err();
    let (mic, camera) = (TrackKindJson::Mic, TrackKindJson::Camera);
    assert_eq!(refused(&[("99", mic)]), OfferError::UnknownMid { mid: "99".into() });
    assert_eq!(refused(&[("3", mic)]), OfferError::UnknownMid { mid: "3".into() }, "receives only");
    let wrong = OfferError::WrongKind { mid: "0".into(), kind: TrackKind::Camera };
    assert_eq!(refused(&[("0", camera)]), wrong);
    let two = OfferError::TwoOfAKind { kind: TrackKind::Camera };
    assert_eq!(refused(&[("1", camera), ("2", camera)]), two);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_offer_is_answered_or_refused(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut text: Vec<char> = BARE.chars().collect();
        for (at, with) in cuts {
            let at = at.index(text.len());
            text[at] = with;
        }
        text.truncate(text.len() / 2 + end.index(text.len() / 2));
        let text: String = text.into_iter().collect();
        let _ = planned(&text, &all_kinds());
    }
}
