//! The whole path with an independent client: offer, answer, ICE, DTLS, SRTP, media and feedback both ways. Virtual time.

use crate::client::{RtcClient, Srtp};
use crate::harness::{Event, Seen, addr, datagrams};
use edge_sfu::gate::Gate;
use edge_sfu::peer::{Peer, PeerConfig, SlotIndex};
use edge_sfu::sdp::Answer;
use edge_sfu::signal::{PublishLine, TrackKindJson};
use edge_sfu::transport::{DtlsIdentity, TransportConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;
use relay_proto::control::Codec;
use relay_proto::machine::Net;
use relay_proto::{Now, NtpTime, PacketFacts, ParticipantId, TrackKind};
use rtc::interceptor::Registry;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_nack, configure_rtcp_reports, configure_twcc,
};
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use sfu_core::SlotPacket;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const MIC: u32 = 0x1111;
const CAMERA: u32 = 0x2222;
const KEY: usize = 3;
/// How far the network is away, one way: nothing happens faster, so time always moves on.
const STEP: Duration = Duration::from_millis(5);

static CONFIG: LazyLock<PeerConfig> = LazyLock::new(|| PeerConfig {
    transport: TransportConfig::dtls(DtlsIdentity::generate().unwrap(), vec![addr(5_000)]),
});

/// Publishes a microphone and a camera; receives in one audio and two video slots.
fn client(now: Instant) -> RtcClient {
    let mut media = MediaEngine::default();
    media.register_default_codecs().unwrap();
    let registry = configure_nack(Registry::new(), &mut media);
    let registry = configure_rtcp_reports(registry);
    let registry = configure_twcc(registry, &mut media).unwrap();
    RtcClient::new(
        now,
        addr(4_000),
        vec![Srtp::Srtp_Aead_Aes_128_Gcm],
        (media, registry),
        &[(RtpCodecKind::Audio, MIC), (RtpCodecKind::Video, CAMERA)],
        &[RtpCodecKind::Audio, RtpCodecKind::Video, RtpCodecKind::Video],
    )
}

struct World {
    now: Now,
    gate: Gate,
    peer: Peer,
    answer: Answer,
    client: RtcClient,
    seen: Seen,
    net: Net,
    /// Of the datagrams to the peer, how many more are let through before one is lost.
    lose_after: Option<usize>,
}

impl World {
    fn connected() -> Self {
        let wall = NtpTime::from_unix(Duration::from_secs(1_790_000_000));
        let now = Now { mono: Instant::now(), wall };
        let mut client = client(now.mono);
        let offer = client.offer(now.mono);
        let kinds = [TrackKindJson::Mic, TrackKindJson::Camera];
        let mids = offer.lines().filter_map(|l| l.strip_prefix("a=mid:"));
        let publish: Vec<_> =
            mids.zip(kinds).map(|(mid, kind)| PublishLine { mid: mid.to_owned(), kind }).collect();
        let mut rng = StdRng::seed_from_u64(3);
        let id = ParticipantId(0x0010_0001);
        let (peer, answer) =
            Peer::accept(now, &CONFIG, id, &offer, &publish, true, &mut rng).unwrap();
        client.answer(now.mono, &answer.sdp);
        let mut gate = Gate::new();
        gate.register(KEY, peer.local_ice()).unwrap();
        let seen = Seen::default();
        let mut world =
            Self { now, gate, peer, answer, client, seen, net: Net::new(), lose_after: None };
        for _ in 0..400 {
            if world.client.connected && world.peer.is_connected() {
                break;
            }
            world.step();
        }
        assert!(world.client.connected && world.peer.is_connected(), "no connection after 2 s");
        assert!(world.seen.events.contains(&Event::Connected));
        world.seen.events.clear();
        world
    }

    /// Carries all datagrams one way each, and lets time pass.
    fn step(&mut self) {
        let down = datagrams(&self.net);
        self.net.clear();
        while let Some(mut data) = self.client.poll_write() {
            match &mut self.lose_after {
                Some(0) => {
                    self.lose_after = None;
                    continue;
                }
                Some(left) => *left -= 1,
                None => {}
            }
            self.gate.route(self.now, self.client.addr, &data).unwrap();
            let Self { peer, net, seen, .. } = self;
            peer.handle_datagram(self.now, self.client.addr, &mut data, net, seen);
        }
        for data in down {
            self.client.handle(self.now.mono, addr(5_000), &data);
        }
        self.now = self.now.plus(STEP);
        let Self { peer, net, seen, .. } = self;
        if peer.deadline().is_some_and(|at| at <= self.now.mono) {
            peer.on_deadline(self.now, net, seen);
        }
        self.client.on_deadline(self.now.mono);
    }

    fn steps(&mut self, count: usize) {
        (0..count).for_each(|_| self.step());
    }

    /// The payload type of a codec's first m-line in the answer.
    fn pt(&self, name: &str) -> u8 {
        let line = self.answer.sdp.lines().find(|l| l.contains(name)).unwrap();
        let pt = line.trim_start_matches("a=rtpmap:").split(' ').next();
        pt.unwrap().parse().unwrap()
    }
}

#[test]
fn a_client_publishes_and_receives() {
    let mut world = World::connected();
    assert_eq!((world.answer.slots.len(), world.answer.sources.len()), (3, 2));
    let (opus, vp8) = (world.pt("opus/48000"), world.pt("VP8/90000"));
    for seq in 1..=20 {
        let now = world.now.mono;
        world.client.send(now, 0, (opus, MIC, seq), &[9, 9]);
        world.client.send(now, 1, (vp8, CAMERA, seq), &[0x10, 0x00, 1, 2]);
        world.step();
    }
    world.steps(2);
    assert_eq!(world.seen.drops, []);
    let count = |kind| world.seen.packets.iter().filter(|p| p.kind == kind).count();
    assert_eq!((count(TrackKind::Mic), count(TrackKind::Camera)), (20, 20));
    assert!(world.seen.packets.iter().filter(|p| p.kind == TrackKind::Camera).all(|p| p.key));

    let packet = SlotPacket {
        marker: true,
        seq: 500,
        timestamp: 9_000,
        csrc: ParticipantId(0x0020_0002),
        codec: Codec::Vp8,
        facts: PacketFacts::VOICE,
        vp8: None,
        capture: None,
        level: None,
        retransmission: false,
        payload: &[0x10, 0x00, 3, 4, 5],
    };
    for seq in 500..520 {
        let packet = SlotPacket { seq, ..packet };
        world.peer.write_rtp(world.now, SlotIndex(1), &packet, &mut world.net).unwrap();
        let voice = SlotPacket { seq, codec: Codec::Opus, payload: &[1, 2], ..packet };
        world.peer.write_rtp(world.now, SlotIndex(0), &voice, &mut world.net).unwrap();
        world.step();
    }
    world.steps(3);
    let ssrc = world.peer.slots()[1].ssrc;
    let pictures: Vec<_> = world.client.rtp.iter().filter(|p| p.header.ssrc == ssrc).collect();
    assert_eq!((world.client.rtp.len(), pictures.len()), (40, 20));
    assert_eq!(pictures[0].header.csrc, [0x0020_0002]);
    assert_eq!(&pictures[0].payload[..], packet.payload);
}

#[test]
fn both_sides_report_and_feed_back() {
    let mut world = World::connected();
    let vp8 = world.pt("VP8/90000");
    for seq in 1..=600u16 {
        let (now, wall) = (world.now.mono, world.now.wall);
        if seq % 100 == 0 {
            world.peer.write_sender_report(world.now, SlotIndex(1), wall, 1, &mut world.net);
        }
        world.client.send(now, 1, (vp8, CAMERA, seq), &[0x10, 0x00, 1, 2]);
        let packet = SlotPacket {
            marker: true,
            seq,
            timestamp: 3_000 * u32::from(seq),
            csrc: ParticipantId(2),
            codec: Codec::Vp8,
            facts: PacketFacts::VOICE,
            vp8: None,
            capture: None,
            level: None,
            retransmission: false,
            payload: &[0x10, 0x00, 3],
        };
        world.peer.write_rtp(world.now, SlotIndex(1), &packet, &mut world.net).unwrap();
        world.step();
    }
    let events = &world.seen.events;
    let reported = |e: &Event| matches!(e, Event::SenderReport(TrackKind::Camera, ..));
    assert!(events.iter().any(reported), "sender reports of the camera");
    let main = SlotIndex(1);
    assert!(events.iter().any(|e| matches!(e, Event::Report(slot, 0, _) if *slot == main)));
    assert!(events.iter().any(|e| matches!(e, Event::Twcc(_))), "feedback about the slot");
    let rtt = world.peer.round_trip().expect("a sender report was answered");
    assert!(rtt <= STEP * 4, "{rtt:?}");
    assert!(world.peer.counters().feedbacks_out >= 20, "{:?}", world.peer.counters());
    assert_eq!(world.seen.drops, []);
}

#[test]
fn a_lost_packet_of_the_camera_is_asked_for_and_comes_by_rtx() {
    let mut world = World::connected();
    let vp8 = world.pt("VP8/90000");
    for seq in 1..=60u16 {
        let now = world.now.mono;
        if seq == 30 {
            world.lose_after = Some(0);
        }
        world.client.send(now, 1, (vp8, CAMERA, seq), &[0x10, 0x00, seq as u8]);
        world.step();
    }
    world.steps(60);
    assert!(world.peer.counters().nacks_out > 0);
    let mut seqs: Vec<u16> = world.seen.packets.iter().map(|p| p.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=60).collect::<Vec<u16>>());
}
