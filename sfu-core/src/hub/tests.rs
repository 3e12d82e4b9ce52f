//! Three hubs, edge - origin - edge, in told time: who gets what, and what never crosses.

mod bursts;

use super::*;
use crate::canonical::write_link_rtp;
use relay_proto::control::Codec;
use relay_proto::{Class, EncodingSet, PacketFacts};

type Seen = (ParticipantId, u16, u32, Vec<u8>);

/// What a hub's io received in one flush.
#[derive(Default)]
struct Wire {
    slots: Vec<(usize, u16, Seen)>,
    links: Vec<(usize, FlowId, PacketFacts, Vec<u8>)>,
    reports: Vec<(usize, FlowId, [u8; 28])>,
    room: usize,
}

impl HubIo for Wire {
    fn is_full(&self) -> bool {
        self.slots.len() + self.links.len() >= self.room
    }
    fn slot(
        &mut self,
        _: Now,
        target: usize,
        slot: u16,
        p: &SlotPacket<'_>,
    ) -> Result<(), DropReason> {
        self.slots.push((target, slot, (p.csrc, p.seq, p.timestamp, p.payload.to_vec())));
        Ok(())
    }
    fn link(
        &mut self,
        _: Now,
        target: usize,
        flow: FlowId,
        codec: Codec,
        p: &Packet<'_>,
    ) -> Result<(), DropReason> {
        let mut buf = [0; 1_500];
        let len = write_link_rtp(p, codec, &mut buf).unwrap();
        self.links.push((target, flow, p.facts, buf[..len].to_vec()));
        Ok(())
    }
    fn slot_report(&mut self, _: Now, _: usize, _: u16, _: NtpTime, _: u32) {}
    fn link_report(&mut self, _: Now, target: usize, flow: FlowId, report: LinkSenderReport) {
        self.reports.push((target, flow, report.write()));
    }
}

/// Hubs with wires between them; link keys are positions in `wires`.
struct Tree {
    now: Now,
    hubs: Vec<(Hub, FlowIds)>,
    /// Hub and port at each end of a link.
    wires: Vec<[(usize, PortId); 2]>,
    flows: BTreeMap<(usize, usize, FlowId), PortId>,
    heard: BTreeMap<(usize, usize), Vec<(u16, Seen)>>,
    crossed: BTreeMap<(usize, usize), u64>,
    keyframes: Vec<(usize, usize, TrackKind, Encoding)>,
    /// Slice size.
    room: usize,
}

impl Tree {
    fn new(hubs: usize) -> Self {
        let hubs = (1..=hubs)
            .map(|n| (Hub::new(NodeId(n as u32), n as u64), FlowIds::default()))
            .collect();
        Self {
            now: Now {
                mono: Instant::now(),
                wall: NtpTime::from_unix(Duration::from_secs(1_800_000_000)),
            },
            hubs,
            wires: Vec::new(),
            flows: BTreeMap::new(),
            heard: BTreeMap::new(),
            crossed: BTreeMap::new(),
            keyframes: Vec::new(),
            room: 64,
        }
    }

    /// A link from `below` up to `above`.
    fn link(&mut self, below: usize, above: usize) {
        let key = self.wires.len();
        let down = self.hubs[above].0.add_link(self.now, key, Direction::Down);
        let up = self.hubs[below].0.add_link(self.now, key, Direction::Up);
        self.wires.push([(below, up), (above, down)]);
        self.settle();
    }

    fn other_end(&self, hub: usize, link: usize) -> (usize, PortId) {
        let ends = self.wires[link];
        if ends[0].0 == hub { ends[1] } else { ends[0] }
    }

    /// Runs until nothing moves any more, at one moment.
    fn settle(&mut self) {
        for _ in 0..200 {
            let mut moved = false;
            for hub in 0..self.hubs.len() {
                self.hubs[hub].0.on_deadline(self.now);
                let mut wire = Wire { room: self.room, ..Wire::default() };
                let progress = self.hubs[hub].0.flush(self.now, &mut wire);
                assert!(wire.slots.len() + wire.links.len() <= self.room, "a slice is bounded");
                let events = self.hubs[hub].0.take_events().collect::<Vec<_>>();
                moved |= progress == Progress::More || !events.is_empty() || !wire.links.is_empty();
                for event in events {
                    self.event(hub, event);
                }
                self.deliver(hub, wire);
            }
            if !moved {
                return;
            }
        }
        panic!("the hubs never come to rest");
    }

    fn event(&mut self, hub: usize, event: HubEvent) {
        match event {
            HubEvent::Send { link, body } => {
                let (to, port) = self.other_end(hub, link);
                let (peer, flows) = &mut self.hubs[to];
                peer.handle_link(self.now, port, &body, flows).unwrap();
            }
            HubEvent::Keyframe { peer, kind, encoding } => {
                self.keyframes.push((hub, peer, kind, encoding))
            }
            HubEvent::FlowOpened { link, flow, port } => {
                self.flows.insert((hub, link, flow), port);
            }
            HubEvent::FlowClosed { link, flow } => {
                self.flows.remove(&(hub, link, flow));
            }
            HubEvent::Slot { .. } => {}
        }
    }

    fn deliver(&mut self, hub: usize, wire: Wire) {
        for (target, slot, seen) in wire.slots {
            self.heard.entry((hub, target)).or_default().push((slot, seen));
        }
        for (link, flow, facts, rtp) in wire.links {
            let (to, port) = self.other_end(hub, link);
            assert_eq!(
                self.flows.get(&(to, link, flow)),
                Some(&port),
                "announced before it is sent"
            );
            *self.crossed.entry((hub, link)).or_default() += 1;
            let _ = self.hubs[to].0.ingest_link(self.now, port, flow, facts, &rtp);
        }
        for (link, flow, rtcp) in wire.reports {
            let (to, port) = self.other_end(hub, link);
            self.hubs[to].0.link_rtcp(port, flow, &rtcp, 0);
        }
    }

    /// Lets `ms` milliseconds pass.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(5) {
            self.now = self.now.plus(Duration::from_millis(5));
            self.settle();
        }
    }

    /// A participant with microphone, camera (q, h, f) and the default slots.
    fn join(&mut self, hub: usize, target: usize) -> Person {
        let id = ParticipantId((hub as u32 + 1) << 20 | target as u32);
        let mut slots = vec![ViewerSlot::Audio; 3];
        slots.extend(vec![ViewerSlot::Video; 13]);
        slots.push(ViewerSlot::Screen);
        let now = self.now;
        let (h, flows) = &mut self.hubs[hub];
        let port = h.add_peer(now, target, id, &slots);
        h.peer_connected(now, port);
        let track = |kind| TrackId { participant: id, kind };
        h.publish(now, port, track(TrackKind::Mic), Codec::Opus, EncodingSet(1), flows).unwrap();
        h.publish(now, port, track(TrackKind::Camera), Codec::Vp8, EncodingSet(7), flows).unwrap();
        self.settle();
        Person { hub, target, port, id, seq: 0 }
    }

    fn speak(&mut self, who: &mut Person, level: u8) {
        self.utter(who, level);
        self.settle();
    }

    /// The same, but nothing is flushed yet.
    fn utter(&mut self, who: &mut Person, level: u8) {
        who.seq += 1;
        let payload = [who.target as u8; 80];
        let packet = Packet {
            track: TrackId { participant: who.id, kind: TrackKind::Mic },
            encoding: Encoding::Q,
            seq: who.seq,
            timestamp: u32::from(who.seq) * 960,
            marker: false,
            facts: PacketFacts::VOICE,
            level: Some(level),
            payload: &payload,
        };
        let _ = self.hubs[who.hub].0.ingest(self.now, who.port, &packet);
    }

    /// One packet of one frame of each encoding.
    fn film(&mut self, who: &Person, frame: u16, key: bool) {
        self.expose(who, frame, key);
        self.settle();
    }

    /// The same, but nothing is flushed yet.
    fn expose(&mut self, who: &Person, frame: u16, key: bool) {
        for encoding in [Encoding::Q, Encoding::H, Encoding::F] {
            // VP8: extended, picture id of 15 bits, TL0 index, temporal id; then the first payload byte (P = 0: key).
            let payload = vec![
                0x90,
                0xe0,
                0x80 | (frame >> 8) as u8,
                frame as u8,
                frame as u8,
                0x00,
                u8::from(!key),
                encoding.0,
                who.target as u8,
            ];
            let facts = PacketFacts {
                class: Class::Base,
                key,
                frame_start: true,
                frame_end: true,
                discardable: false,
                spatial: 0,
                temporal: 0,
            };
            let packet = Packet {
                track: TrackId { participant: who.id, kind: TrackKind::Camera },
                encoding,
                seq: frame,
                timestamp: u32::from(frame) * 6_000,
                marker: true,
                facts,
                level: None,
                payload: &payload,
            };
            let _ = self.hubs[who.hub].0.ingest(self.now, who.port, &packet);
        }
    }

    fn heard_by(&self, who: &Person) -> &[(u16, Seen)] {
        self.heard.get(&(who.hub, who.target)).map_or(&[], Vec::as_slice)
    }

    fn floor(&mut self, main: &Person, seq: u64) {
        let floor = Floor { seq, main: Some(main.id), recent: vec![main.id] };
        for (hub, _) in &mut self.hubs {
            hub.set_floor(&floor);
        }
        self.settle();
    }
}

struct Person {
    hub: usize,
    target: usize,
    port: PortId,
    id: ParticipantId,
    seq: u16,
}

/// Edges 0 and 2 below the origin 1.
fn three_regions() -> Tree {
    let mut tree = Tree::new(3);
    tree.link(0, 1);
    tree.link(2, 1);
    tree
}

#[test]
fn a_voice_is_heard_across_the_origin_from_its_first_loud_packet() {
    let mut tree = three_regions();
    let mut alice = tree.join(0, 1);
    let bob = tree.join(2, 2);
    for _ in 0..10 {
        tree.speak(&mut alice, 90);
        tree.pass(20);
    }
    assert!(tree.heard_by(&bob).is_empty(), "background noise takes no place");
    for _ in 0..10 {
        tree.speak(&mut alice, 25);
        tree.pass(20);
    }
    let heard = tree.heard_by(&bob);
    assert_eq!(heard.len(), 10, "the first loud packet is included");
    assert!(heard.iter().all(|(slot, seen)| *slot < 3 && seen.0 == alice.id));
    assert!(tree.heard_by(&alice).is_empty(), "nobody hears themself");
}

#[test]
fn a_voice_stays_in_its_region_while_nobody_else_listens() {
    let mut tree = three_regions();
    let mut alice = tree.join(0, 1);
    let carol = tree.join(0, 3);
    for _ in 0..20 {
        tree.speak(&mut alice, 20);
        tree.pass(20);
    }
    assert_eq!(tree.heard_by(&carol).len(), 20);
    assert_eq!(tree.crossed.get(&(0, 0)), None, "nothing went up");
}

#[test]
fn at_most_three_voices_go_up_and_four_come_down() {
    let mut tree = three_regions();
    let mut people: Vec<Person> = (0..6).map(|i| tree.join(if i < 3 { 0 } else { 2 }, i)).collect();
    let listener = tree.join(2, 9);
    for round in 0..100 {
        for person in &mut people {
            tree.speak(person, 30);
        }
        tree.pass(20);
        let up = tree.hubs[0].0.flows().filter(|f| f.1.kind == TrackKind::Mic).count();
        let down =
            tree.hubs[1].0.flows().filter(|f| f.0 == 1 && f.1.kind == TrackKind::Mic).count();
        assert!(up <= 3 && down <= 4, "round {round}: {up} up, {down} down");
    }
    let voices: std::collections::BTreeSet<_> =
        tree.heard_by(&listener).iter().map(|(_, s)| s.0).collect();
    assert!(voices.len() >= 3, "{voices:?}");
}

#[test]
fn video_crosses_only_in_the_encodings_that_are_watched() {
    let mut tree = three_regions();
    let alice = tree.join(0, 1);
    assert_eq!(tree.hubs[0].0.flows().count(), 0, "nobody watches");
    let bob = tree.join(2, 2);
    tree.floor(&alice, 1);
    let flows = |tree: &Tree| -> Vec<u8> { tree.hubs[0].0.flows().map(|f| f.2.0).collect() };
    assert_eq!(flows(&tree), [2], "the main picture of one viewer with room for f");
    tree.hubs[2].0.set_wishes(bob.port, None, None, Some(1_000_000));
    tree.settle();
    assert_eq!(flows(&tree), [1], "with 1 Mbit/s it is h");
    let port = bob.port;
    tree.hubs[2].0.remove_port(tree.now, port);
    tree.settle();
    assert_eq!(flows(&tree), Vec::<u8>::new(), "withdrawn with the viewer");
}

#[test]
fn a_viewer_who_joins_late_gets_a_picture_from_the_cache_without_a_new_key_frame() {
    let mut tree = three_regions();
    let alice = tree.join(0, 1);
    let bob = tree.join(2, 2);
    tree.floor(&alice, 1);
    tree.film(&alice, 1, true);
    for frame in 2..12 {
        tree.pass(66);
        tree.film(&alice, frame, false);
    }
    assert!(tree.heard_by(&bob).len() >= 10);
    let of_alice = |tree: &Tree| tree.keyframes.iter().filter(|k| (k.0, k.1) == (0, 1)).count();
    let asked = of_alice(&tree);
    let carol = tree.join(2, 3);
    tree.pass(400);
    assert!(
        tree.heard_by(&carol).iter().any(|(slot, seen)| *slot == 3 && seen.3[6] == 0),
        "the cached key frame"
    );
    assert_eq!(of_alice(&tree), asked, "and the publisher was not asked");
}

#[test]
fn fifty_viewers_at_once_cost_one_key_frame_request() {
    let mut tree = three_regions();
    let alice = tree.join(0, 1);
    tree.floor(&alice, 1);
    for target in 10..60 {
        tree.join(2, target);
    }
    tree.pass(20);
    let requests: Vec<_> = tree.keyframes.iter().filter(|k| (k.0, k.1) == (0, 1)).collect();
    assert_eq!(requests.len(), 1, "{requests:?}");
}

#[test]
fn a_small_slice_only_delays() {
    let mut tree = three_regions();
    tree.room = 7;
    let mut alice = tree.join(0, 1);
    let viewers: Vec<Person> = (10..40).map(|t| tree.join(2, t)).collect();
    tree.floor(&alice, 1);
    tree.film(&alice, 1, true);
    tree.speak(&mut alice, 20);
    tree.pass(100);
    for viewer in &viewers {
        let slots: Vec<u16> = tree.heard_by(viewer).iter().map(|(slot, _)| *slot).collect();
        assert!(slots.contains(&0) && slots.contains(&3), "{slots:?}");
    }
}

#[test]
fn a_muted_microphone_is_refused_and_frees_its_place() {
    let mut tree = three_regions();
    let mut alice = tree.join(0, 1);
    let bob = tree.join(0, 2);
    tree.speak(&mut alice, 20);
    let track = TrackId { participant: alice.id, kind: TrackKind::Mic };
    let now = tree.now;
    tree.hubs[0].0.mute(now, track, true);
    tree.speak(&mut alice, 20);
    assert_eq!(tree.heard_by(&bob).len(), 1);
    assert_eq!(tree.hubs[0].0.counters().drops.get(DropReason::Muted), 1);
}

#[test]
fn a_camera_that_goes_off_leaves_far_screens_and_comes_back() {
    let mut tree = three_regions();
    let alice = tree.join(0, 1);
    let bob = tree.join(2, 2);
    tree.floor(&alice, 1);
    tree.film(&alice, 1, true);
    tree.pass(100);
    assert!(tree.heard_by(&bob).iter().any(|(slot, _)| *slot == 3), "the picture is seen");
    let camera = TrackId { participant: alice.id, kind: TrackKind::Camera };
    let now = tree.now;
    tree.hubs[0].0.mute(now, camera, true);
    tree.settle();
    assert!(!tree.hubs[2].0.tracks.contains_key(&camera), "no last frame stays");
    tree.hubs[0].0.mute(now, camera, false);
    tree.settle();
    let before = tree.heard_by(&bob).len();
    tree.film(&alice, 2, true);
    tree.pass(100);
    assert!(tree.heard_by(&bob).len() > before, "the picture is back");
}

#[test]
fn a_track_that_comes_back_in_a_loop_is_refused() {
    let mut tree = three_regions();
    let alice = tree.join(0, 1);
    let announce = relay_proto::control::Announce {
        track: TrackId { participant: alice.id, kind: TrackKind::Camera },
        codec: Codec::Vp8,
        encodings: Vec::new(),
        hops: vec![NodeId(9)],
    };
    let (now, port) = (tree.now, tree.wires[0][0].1);
    let (hub, flows) = &mut tree.hubs[0];
    let refused = hub.handle_link(now, port, &Body::Announce(announce), flows);
    assert_eq!(refused, Err(relay_proto::control::Refusal::Loop));
}

#[test]
fn an_encoding_that_never_comes_gives_way_to_the_next_lower() {
    let mut tree = three_regions();
    let alice = tree.join(0, 1);
    let bob = tree.join(2, 2);
    tree.floor(&alice, 1);
    let mut seq = 0;
    for _ in 0..60 {
        seq += 1;
        // Only q and h are sent, and every frame is a key frame.
        for encoding in [Encoding::Q, Encoding::H] {
            let payload = [0x90, 0xe0, 0x80, seq as u8, seq as u8, 0, 0, encoding.0, 1];
            let facts = PacketFacts { class: Class::Base, key: true, ..PacketFacts::VOICE };
            let packet = Packet {
                track: TrackId { participant: alice.id, kind: TrackKind::Camera },
                encoding,
                seq,
                timestamp: u32::from(seq) * 6_000,
                marker: true,
                facts,
                level: None,
                payload: &payload,
            };
            let _ = tree.hubs[0].0.ingest(tree.now, alice.port, &packet);
        }
        tree.pass(66);
    }
    let last = tree.heard_by(&bob).iter().rfind(|(slot, _)| *slot == 3).map(|(_, seen)| seen.3[7]);
    assert_eq!(last, Some(1), "h is shown");
}
