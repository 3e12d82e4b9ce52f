//! Offers after the first.

use crate::harness::*;
use edge_sfu::peer::SlotIndex;
use edge_sfu::sdp::OfferError;
use edge_sfu::signal::SlotRole;
use relay_proto::TrackKind;
use relay_proto::machine::Net;
use sfu_core::DropReason;

/// The offer with one more m-line: a copy of the last, under another mid.
fn with_one_more_slot() -> String {
    let last = &SDK[SDK.rfind("m=video").unwrap()..];
    let more = last.replace("a=mid:19", "a=mid:20");
    format!("{}{more}", SDK.replace("17 18 19\r\n", "17 18 19 20\r\n"))
}

fn ssrcs(pair: &Pair) -> Vec<(u32, u32)> {
    pair.peer.slots().iter().map(|s| (s.ssrc, s.rtx_ssrc)).collect()
}

#[test]
fn a_slot_keeps_its_ssrcs_when_slots_are_added() {
    let mut pair = Pair::connected();
    let before = ssrcs(&pair);
    let offer = with_one_more_slot();
    let answer =
        pair.peer.renegotiate(pair.now, &offer, &all_kinds(), true, &mut pair.rng).unwrap();
    assert_eq!(ssrcs(&pair)[..17], before);
    assert_eq!(pair.peer.slots().len(), 18);
    assert_eq!(answer.slots.last().unwrap().role, SlotRole::Strip, "there is a screen already");
    assert!(answer.sdp.contains(&format!("a=ssrc:{} cname", before[0].0)));
    assert_ne!(answer.sdp.lines().nth(1), pair.answer.sdp.lines().nth(1), "version counts up");
    let mut all: Vec<u32> = ssrcs(&pair).into_iter().flat_map(|(a, b)| [a, b]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 36, "no two alike");
}

#[test]
fn a_stopped_slot_comes_back_with_its_ssrc() {
    let mut pair = Pair::connected();
    let before = ssrcs(&pair);
    let at = SDK.rfind("a=recvonly").unwrap();
    let mut stopped = SDK.to_owned();
    stopped.replace_range(at..at + "a=recvonly".len(), "a=inactive");
    let answer =
        pair.peer.renegotiate(pair.now, &stopped, &all_kinds(), true, &mut pair.rng).unwrap();
    assert_eq!(answer.slots.len(), 16);
    let refused = pair.peer.write_rtp(pair.now, SlotIndex(16), &picture(1), &mut Net::new());
    assert_eq!(refused, Err(DropReason::NotConnected));
    let again = pair.peer.renegotiate(pair.now, SDK, &all_kinds(), true, &mut pair.rng).unwrap();
    assert_eq!((again.slots.len(), ssrcs(&pair)), (17, before));
}

#[test]
fn a_withdrawn_source_is_unknown_and_others_go_on() {
    let mut pair = Pair::connected();
    pair.send(&Sent::new(VP8, 50, 1, KEY).with(&[(MID, b"1"), (RID, b"q")]));
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 1, KEY));
    pair.events();
    let publish: Vec<_> = all_kinds().into_iter().take(2).collect();
    let answer = pair.peer.renegotiate(pair.now, SDK, &publish, true, &mut pair.rng).unwrap();
    let kinds: Vec<_> = answer.sources.iter().map(|s| s.kind).collect();
    assert_eq!(kinds, [TrackKind::Mic, TrackKind::Camera]);
    pair.packets();
    pair.send(&Sent::new(VP8, SCREEN_SSRC, 2, KEY));
    pair.send(&Sent::new(VP8, 50, 2, KEY));
    assert_eq!(pair.drops(), [DropReason::UnknownSource]);
    assert_eq!((pair.packets().len(), pair.events().len()), (1, 0), "not started anew");
}

#[test]
fn a_grant_that_is_withdrawn_ends_all_sources() {
    let mut pair = Pair::connected();
    let answer = pair.peer.renegotiate(pair.now, SDK, &all_kinds(), false, &mut pair.rng).unwrap();
    assert!(answer.sources.is_empty());
    pair.send(&Sent::new(OPUS, MIC_SSRC, 1, &[1]));
    assert_eq!(pair.drops(), [DropReason::NotGranted]);
}

#[test]
fn new_credentials_are_an_ice_restart() {
    let mut pair = Pair::connected();
    let before = pair.peer.local_ice().clone();
    let offer = SDK.replace("CyNK", "NewU").replace("actpass", "active");
    let answer =
        pair.peer.renegotiate(pair.now, &offer, &all_kinds(), true, &mut pair.rng).unwrap();
    let after = pair.peer.local_ice().clone();
    assert_ne!(before, after);
    assert!(answer.sdp.contains(&after.ufrag) && !answer.sdp.contains(&before.ufrag));
    assert!(pair.peer.is_connected(), "the old path serves until the new one is nominated");
    pair.client = client(pair.now, &after, "NewU");
    let mut net = Net::new();
    pair.client.on_deadline(pair.now, &mut net);
    let mut check = datagrams(&net).remove(0);
    let mut down = Net::new();
    pair.peer.handle_datagram(pair.now, addr(2), &mut check, &mut down, &mut pair.seen);
    assert_eq!(pair.peer.remote_addr(), Some(addr(2)));
}

#[test]
fn an_offer_that_cannot_be_changed_to_changes_nothing() {
    let mut pair = Pair::connected();
    let (ice, slots) = (pair.peer.local_ice().clone(), ssrcs(&pair));
    let mut refused = |offer: &str| {
        pair.peer.renegotiate(pair.now, offer, &all_kinds(), true, &mut pair.rng).unwrap_err()
    };
    let fewer = &SDK[..SDK.rfind("m=video").unwrap()];
    assert_eq!(refused(fewer), OfferError::LinesRemoved { lines: 19, before: 20 });
    let other = OfferError::TransportChanged { what: "certificate" };
    assert_eq!(refused(&SDK.replace("43:42:9E", "43:42:9F").replace("CyNK", "NewU")), other);
    assert!(matches!(refused("v=0"), OfferError::Syntax(_) | OfferError::NoMedia));
    assert_eq!(pair.peer.local_ice(), &ice);
    assert_eq!(ssrcs(&pair), slots);
    pair.send(&Sent::new(OPUS, MIC_SSRC, 1, &[1]));
    assert_eq!(pair.packets().len(), 1);
}
