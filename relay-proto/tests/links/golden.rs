//! The wire, byte by byte. A change here needs a change of docs/relay-wire.md and of the protocol version.

use bytes::Bytes;
use proptest::prelude::*;
use relay_proto::control::{
    Announce, Body, ChatMessage, ChatPost, Codec, Control, EncodingInfo, Floor, Hello, Member,
    Refusal, Role, RosterChange, SpeakerLevel, Want,
};
use relay_proto::envelope::{
    Datagram, PacketKind, SHIM_BYTES, Shim, StreamDecoder, Wire, WireError, decode_datagram,
    write_envelope, write_stream_head,
};
use relay_proto::frame::{Frame, FrameDecoder, FrameError, HelloAck};
use relay_proto::roles::{Barrier, HostAction, HostRefusal, Knocker, MemberRole, Settings};
use relay_proto::{
    Class, Encoding, EncodingSet, Epoch, FlowId, Lane, MeetingId, NodeId, NtpTime, PacketFacts,
    ParticipantId, TrackId, TrackKind, limits,
};

const RTP15: &str = "806f123400010203deadbeefa1a2a3";
const PLI12: &str = "81ce000200000001deadbeef";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|d| u8::from_str_radix(&d.iter().collect::<String>(), 16).unwrap())
        .collect()
}

fn media(datagram: Datagram) -> (u64, Option<Shim>, PacketKind, String) {
    match datagram {
        Datagram::Packet(p) => (p.flow.0, p.shim, p.kind, hex(&p.packet)),
        Datagram::Link(_) => panic!("link control"),
    }
}

#[test]
fn roq_datagrams_match_the_vectors() {
    for (head, flow) in [
        ("00", 0),
        ("3f", 63),
        ("4040", 64),
        ("7fff", 16_383),
        ("80004000", 16_384),
        ("bfffffff", 1_073_741_823),
        ("c000000040000000", 1_073_741_824),
        ("ffffffffffffffff", (1 << 62) - 1),
        ("4000", 0),
    ] {
        let decoded = decode_datagram(Wire::Roq, unhex(&format!("{head}{RTP15}"))).unwrap();
        assert_eq!(media(decoded), (flow, None, PacketKind::Rtp, RTP15.to_owned()));
        if head != "4000" {
            let mut buf = [0; 16];
            let shim = Shim { facts: PacketFacts::VOICE, retransmitted: false, seq: 0, sent: 0 };
            let (len, _) = write_envelope(&mut buf, Wire::Roq, FlowId(flow), &shim).unwrap();
            assert_eq!(hex(&buf[..len]), head);
        }
    }
    let pli = decode_datagram(Wire::Roq, unhex(&format!("3f{PLI12}"))).unwrap();
    assert_eq!(media(pli).2, PacketKind::Rtcp);
}

#[test]
fn native_datagrams_match_the_vectors() {
    let facts = PacketFacts {
        class: Class::Base,
        key: true,
        frame_start: true,
        frame_end: false,
        discardable: false,
        spatial: 1,
        temporal: 2,
    };
    let shim = Shim { facts, retransmitted: false, seq: 0x01_0203, sent: 0x0a_0b0c };
    let voice = Shim { facts: PacketFacts::VOICE, retransmitted: true, seq: 0xff_ffff, sent: 0 };
    for (flow, shim, golden) in
        [(64, shim, "4040 70 28 010203 0a0b0c"), (1, voice, "01 1a 00 ffffff 000000")]
    {
        let mut buf = [0; 16];
        let (len, at) = write_envelope(&mut buf, Wire::Native, FlowId(flow), &shim).unwrap();
        assert_eq!(hex(&buf[..len]), golden.replace(' ', ""));
        assert_eq!(at + SHIM_BYTES, len);
        let decoded = decode_datagram(Wire::Native, unhex(&format!("{golden}{RTP15}"))).unwrap();
        assert_eq!(media(decoded), (flow, Some(shim), PacketKind::Rtp, RTP15.to_owned()));
    }
    assert_eq!(decode_datagram(Wire::Native, unhex("00 09")), Ok(Datagram::Link(unhex("09"))));
    assert_eq!(write_envelope(&mut [0; 16], Wire::Native, FlowId(0), &shim), None);
    assert_eq!(write_envelope(&mut [0; 16], Wire::Native, FlowId(1 << 62), &shim), None);
}

#[test]
fn malformed_datagrams_are_refused() {
    let cases = [
        (Wire::Roq, "", WireError::Truncated),
        (Wire::Roq, "40", WireError::Truncated),
        (Wire::Roq, "00", WireError::NoPacket),
        (Wire::Native, "00", WireError::NoPacket),
        (Wire::Native, "01", WireError::NoPacket),
        (Wire::Native, "01 1a00ffffff0000", WireError::Truncated),
        (Wire::Native, "01 1a00ffffff000000", WireError::Truncated),
        (Wire::Roq, "01 406f123400010203deadbeef", WireError::NotRtp),
        (Wire::Roq, "01 c06f123400010203deadbeef", WireError::NotRtp),
        (Wire::Roq, "01 806f123400010203deadbe", WireError::Truncated),
        (Wire::Roq, "01 81ce0002000000", WireError::Truncated),
    ];
    for (wire, text, error) in cases {
        assert_eq!(decode_datagram(wire, unhex(text)), Err(error), "{text}");
    }
    for (second, kind) in [
        ("bf", PacketKind::Rtp),
        ("c0", PacketKind::Rtcp),
        ("df", PacketKind::Rtcp),
        ("e0", PacketKind::Rtp),
    ] {
        let packet = unhex(&format!("80{second}123400010203deadbeef"));
        assert_eq!(PacketKind::of(&packet), Ok(kind), "{second}");
    }
}

#[test]
fn streams_match_the_vectors() {
    let mut decoder = StreamDecoder::default();
    decoder.push(&unhex(&format!("4040 0f {RTP15} 0c {PLI12}")));
    assert_eq!(decoder.next_packet(), Ok(Some((FlowId(64), unhex(RTP15)))));
    assert_eq!(decoder.next_packet(), Ok(Some((FlowId(64), unhex(PLI12)))));
    assert_eq!((decoder.next_packet(), decoder.finish()), (Ok(None), Ok(())));
    let mut buf = [0; 16];
    let len = write_stream_head(&mut buf, FlowId(1), 100).unwrap();
    assert_eq!(hex(&buf[..len]), "014064");
}

#[test]
fn malformed_streams_are_refused() {
    for (text, error) in [
        ("", WireError::Truncated),
        ("40", WireError::Truncated),
        ("4040", WireError::NoPacket),
        ("4040 40", WireError::Truncated),
        ("4040 0f 806f", WireError::Truncated),
    ] {
        let mut decoder = StreamDecoder::default();
        decoder.push(&unhex(text));
        assert_eq!((decoder.next_packet(), decoder.finish()), (Ok(None), Err(error)), "{text}");
    }
    for (text, len) in
        [("01 00", 0), ("01 ffffffffffffffff", (1 << 62) - 1), ("01 80004001", 16_385)]
    {
        let mut decoder = StreamDecoder::default();
        decoder.push(&unhex(text));
        assert_eq!(decoder.next_packet(), Err(WireError::Length(len)), "{text}");
    }
}

fn control(body: Body) -> Frame {
    Frame::Control(Control { meeting: MeetingId(0x0102_0304_0506_0708), epoch: Epoch(4), body })
}

fn member() -> Member {
    Member {
        id: ParticipantId(7),
        name: "Zoë".into(),
        edge: NodeId(3),
        mic_muted: true,
        camera_off: false,
        role: MemberRole::Panelist,
        owner: false,
        identity: 0,
        hand: 0,
    }
}

/// One of each message.
fn messages() -> Vec<Frame> {
    let track = TrackId { participant: ParticipantId(0x0010_0005), kind: TrackKind::Camera };
    let announce = Announce {
        track,
        codec: Codec::Vp8,
        encodings: vec![EncodingInfo {
            encoding: Encoding::H,
            flow: FlowId(300),
            bitrate_bps: 500_000,
        }],
        hops: vec![NodeId(3), NodeId(1)],
    };
    let level = SpeakerLevel {
        participant: ParticipantId(7),
        loudness: 90,
        silent_ms: 0,
        speaking_ms: 1_200,
    };
    let floor = Floor {
        seq: 9,
        main: Some(ParticipantId(7)),
        recent: vec![ParticipantId(7), ParticipantId(8)],
    };
    let hello = Hello {
        version: 1,
        version_min: 1,
        features: 1,
        node: NodeId(3),
        lane: Lane(5),
        region: "eu-1".into(),
        instance: 77,
        sent_at: NtpTime(0xeb00_0000_8000_0000),
    };
    let mut frames = vec![
        Frame::Hello(hello),
        Frame::HelloAck(HelloAck { version: 1, features: 1, instance: 77 }),
        control(Body::Attach { region: "eu-1".into() }),
        control(Body::Attached { role: Role::Head }),
        control(Body::Attached { role: Role::Child { head: NodeId(3) } }),
        control(Body::Detach),
        control(Body::Announce(announce)),
        control(Body::Withdraw(track)),
        control(Body::Demand {
            seq: 2,
            wants: vec![Want { track, encodings: EncodingSet(5) }],
            voices: true,
        }),
        control(Body::Keyframe { track, encoding: Encoding::F }),
        control(Body::Digest(vec![level])),
        control(Body::Floor(floor)),
        control(Body::RosterRequest(RosterChange::Put(member()))),
        control(Body::Roster { seq: 3, change: RosterChange::Remove(ParticipantId(7)) }),
        control(Body::RosterSnapshot { seq: 3, members: vec![member()], first: true, last: true }),
        control(Body::Refused(Refusal::StaleEpoch(Epoch(6)))),
        control(Body::Refused(Refusal::Loop)),
        control(Body::Ended),
    ];
    frames.extend(people_frames());
    frames
}

/// Chat, roles and the door.
fn people_frames() -> Vec<Frame> {
    let post = ChatPost {
        key: 0x0102_0304_0506,
        from: ParticipantId(7),
        name: "Zoë".into(),
        to: Some(ParticipantId(9)),
        text: "hello".into(),
    };
    let knocker = Knocker { id: ParticipantId(9), name: "Zoë".into(), identity: 0x1122 };
    let message = ChatMessage { seq: 11, at_ms: 1_800_000_000_123, post: post.clone() };
    vec![
        control(Body::ChatRequest(post.clone())),
        control(Body::Chat(message.clone())),
        control(Body::ChatHistory { seq: 12, messages: vec![message], last: true }),
        control(Body::Settings(Settings {
            locked: true,
            waiting_room: false,
            chat_locked: true,
            pinned_share: Some(ParticipantId(7)),
        })),
        control(Body::HostRequest {
            key: 5,
            from: ParticipantId(7),
            action: HostAction::Mute { target: ParticipantId(9), kind: TrackKind::Mic },
        }),
        control(Body::HostAnswer {
            key: 5,
            from: ParticipantId(7),
            refused: Some(HostRefusal::Gone),
        }),
        control(Body::Command {
            by: ParticipantId(7),
            action: HostAction::Deny { target: ParticipantId(9) },
        }),
        control(Body::Knock(knocker.clone())),
        control(Body::KnockEnded(ParticipantId(9))),
        control(Body::Knocking { people: vec![knocker], total: 60 }),
        control(Body::TurnedAway { participant: ParticipantId(9), barrier: Barrier::Waits }),
    ]
}

/// One of each message, with the bytes it must have.
fn frames() -> Vec<(Frame, String)> {
    let (frames, golden) = (messages(), include_str!("../golden/frames.hex"));
    let golden: Vec<&str> = golden.lines().filter(|l| !l.starts_with('#')).collect();
    let made: Vec<String> = frames.iter().map(|f| hex(&f.encode().unwrap())).collect();
    // Whoever changes the wire on purpose finds the new file in this message.
    assert_eq!(made, golden, "tests/golden/frames.hex would be:\n{}", made.join("\n"));
    frames.into_iter().zip(made).collect()
}

#[test]
fn frames_match_the_golden_file() {
    for (frame, golden) in frames() {
        let bytes = frame.encode().unwrap();
        assert_eq!(hex(&bytes), golden, "{frame:?}");
        let mut decoder = FrameDecoder::default();
        decoder.push(&bytes);
        assert_eq!(decoder.next_frame(), Ok(Some(frame)));
        assert_eq!(decoder.buffered(), 0);
    }
}

#[test]
fn an_unknown_kind_is_skipped_and_counted() {
    let (frame, _) = frames().swap_remove(0);
    let mut decoder = FrameDecoder::default();
    decoder.push(&unhex("00000003 0001 0099 aabbcc 00000000 0007 0100"));
    decoder.push(&frame.encode().unwrap());
    assert_eq!(decoder.next_frame(), Ok(Some(frame)));
    assert_eq!(decoder.unknown(), 2);
}

#[test]
fn a_frame_over_the_limit_is_refused_by_its_header() {
    let mut decoder = FrameDecoder::default();
    decoder.push(&unhex("00010001 0001 0003"));
    assert_eq!(decoder.next_frame(), Err(FrameError::TooLong(65_537)));
}

#[test]
fn malformed_bodies_are_refused() {
    let whole = control(Body::Detach).encode().unwrap();
    let body = hex(&whole[8..]);
    for (text, what) in [
        ("00000000 0001 0003".to_owned(), "empty"),
        (format!("{:08x} 0001 0003 {body}00", whole.len() - 7), "left over"),
        (format!("{:08x} 0001 0003 {}", whole.len() - 9, &body[..body.len() - 2]), "cut"),
        (format!("{:08x} 0002 0003 {body}", whole.len() - 8), "version"),
        // A vector that claims 2^32 members: refused before it is allocated.
        ("0000000f 0001 0003 fc01020304 04 0b 03 fc ffffffff 01 01".to_owned(), "claims too much"),
    ] {
        let mut decoder = FrameDecoder::default();
        decoder.push(&unhex(&text));
        assert!(decoder.next_frame().is_err(), "{what}");
    }
}

#[test]
fn what_passes_a_limit_is_neither_written_nor_read() {
    let track = TrackId { participant: ParticipantId(1), kind: TrackKind::Mic };
    let want = Want { track, encodings: EncodingSet(1) };
    for body in [
        Body::Attach { region: "x".repeat(limits::REGION_BYTES_MAX + 1) },
        Body::Demand { seq: 1, wants: vec![want; limits::WANTS_MAX + 1], voices: false },
        Body::Demand {
            seq: 1,
            wants: vec![Want { track, encodings: EncodingSet(8) }],
            voices: false,
        },
        Body::Keyframe { track, encoding: Encoding(3) },
        Body::Floor(Floor {
            recent: vec![ParticipantId(1); limits::FLOOR_RECENT_MAX + 1],
            ..Floor::default()
        }),
    ] {
        assert!(matches!(control(body).encode(), Err(FrameError::Limit(_))));
    }
    // Written by somebody without limits: Keyframe { encoding: 3 }.
    let good = control(Body::Keyframe { track, encoding: Encoding(2) }).encode().unwrap();
    let mut bad = good;
    *bad.last_mut().unwrap() = 3;
    let mut decoder = FrameDecoder::default();
    decoder.push(&bad);
    assert!(matches!(decoder.next_frame(), Err(FrameError::Body { .. })));
}

#[test]
fn a_full_part_of_a_history_fits_one_frame_and_a_longer_text_none() {
    let post = |chars| ChatPost {
        key: u64::MAX,
        from: ParticipantId(u32::MAX),
        name: "\u{1F600}".repeat(limits::NAME_CHARS_MAX),
        to: Some(ParticipantId(u32::MAX)),
        text: "\u{1F600}".repeat(chars),
    };
    let message =
        ChatMessage { seq: u64::MAX, at_ms: u64::MAX, post: post(limits::CHAT_CHARS_MAX) };
    let history = |messages| control(Body::ChatHistory { seq: u64::MAX, messages, last: true });
    let full = history(vec![message.clone(); limits::CHAT_HISTORY_MAX]);
    assert!(full.encode().unwrap().len() <= limits::CONTROL_BYTES_MAX + 8);
    for body in [
        history(vec![message; limits::CHAT_HISTORY_MAX + 1]),
        control(Body::ChatRequest(post(limits::CHAT_CHARS_MAX + 1))),
    ] {
        assert!(matches!(body.encode(), Err(FrameError::Limit(_))));
    }
}

#[test]
fn a_full_snapshot_fits_one_frame() {
    let member = Member {
        id: ParticipantId(u32::MAX),
        name: "\u{1F600}".repeat(limits::NAME_CHARS_MAX),
        edge: NodeId(NodeId::MAX),
        mic_muted: true,
        camera_off: true,
        role: MemberRole::Panelist,
        owner: false,
        identity: 0,
        hand: 0,
    };
    let members = vec![member; limits::SNAPSHOT_MEMBERS_MAX];
    let frame = control(Body::RosterSnapshot { seq: u64::MAX, members, first: true, last: true });
    assert!(frame.encode().unwrap().len() <= limits::CONTROL_BYTES_MAX + 8);
}

prop_compose! {
    fn any_shim()(
        bits: u8, flags: [bool; 5], spatial in 0_u8..8, temporal in 0_u8..8, seq in 0_u32..1 << 24, sent in 0_u32..1 << 24,
    ) -> Shim {
        let [key, frame_start, frame_end, discardable, retransmitted] = flags;
        let class = Class::from_bits(bits);
        let facts = PacketFacts { class, key, frame_start, frame_end, discardable, spatial, temporal };
        Shim { facts, retransmitted, seq, sent }
    }
}

proptest! {
    #[test]
    fn a_shim_reads_back(shim in any_shim(), seq in 0_u32..1 << 24, sent in 0_u32..1 << 24) {
        let mut bytes = shim.to_bytes();
        prop_assert_eq!(Shim::from_bytes(bytes), shim);
        Shim::stamp(&mut bytes, seq, sent);
        prop_assert_eq!(Shim::from_bytes(bytes), Shim { seq, sent, ..shim });
    }

    #[test]
    fn no_datagram_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode_datagram(Wire::Native, bytes.clone().into());
        let _ = decode_datagram(Wire::Roq, bytes.into());
    }

    #[test]
    fn a_stream_reads_the_same_however_it_is_cut(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..8),
        flow in 0_u64..1 << 62,
        cuts in prop::collection::vec(1_usize..100, 1..50),
    ) {
        let mut head = [0; 16];
        let first = write_stream_head(&mut head, FlowId(flow), packets[0].len()).unwrap();
        let mut wire = head[..first].to_vec();
        wire.extend(&packets[0]);
        for packet in &packets[1..] {
            let len = relay_proto::varint::write_varint(&mut head, packet.len() as u64).unwrap();
            wire.extend(&head[..len]);
            wire.extend(packet);
        }
        let (mut decoder, mut found) = (StreamDecoder::default(), Vec::new());
        let mut cuts = cuts.into_iter().cycle();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = later;
            decoder.push(now);
            while let Some((f, packet)) = decoder.next_packet().unwrap() {
                prop_assert_eq!(f, FlowId(flow));
                found.push(packet.to_vec());
            }
        }
        prop_assert_eq!(decoder.finish(), Ok(()));
        prop_assert_eq!(found, packets);
    }

    #[test]
    fn frames_read_the_same_however_they_are_cut(cuts in prop::collection::vec(1_usize..40, 1..50)) {
        let (frames, hexes): (Vec<_>, Vec<_>) = frames().into_iter().unzip();
        let wire = unhex(&hexes.concat());
        let (mut decoder, mut found) = (FrameDecoder::default(), Vec::new());
        let mut cuts = cuts.into_iter().cycle();
        let mut rest = &wire[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = later;
            decoder.push(now);
            while let Some(frame) = decoder.next_frame().unwrap() {
                found.push(frame);
            }
        }
        prop_assert_eq!(found, frames);
    }

    #[test]
    fn no_frame_panics(which in 0_usize..29, at in 0_usize..200, flip: u8, tail in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = frames().swap_remove(which).0.encode().unwrap();
        let len = bytes.len();
        bytes[at % len] ^= flip;
        bytes.extend(tail);
        let mut decoder = FrameDecoder::default();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next_frame() {}
    }
}
