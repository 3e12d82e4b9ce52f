//! One link's protocol, whatever carries it: hellos, heartbeats, clocks, link sequence. Bytes in, verdicts out.
//!
//! [`crate::links::Links`] runs it over QUIC; an in-process link between two hubs of one node can run it over a ring.

use crate::clock::{ClockFilter, ClockSample};
use crate::control::{Control, Hello};
use crate::envelope::{
    Datagram, Enveloped, PacketKind, Shim, Wire, decode_datagram, decode_packet,
};
use crate::facts::{Class, PacketFacts};
use crate::frame::{Frame, HelloAck};
use crate::heartbeat::{HEARTBEAT_BYTES, Heartbeat};
use crate::ids::{FlowId, Lane, NodeId};
use crate::limits::{DEAD_AFTER, SUSPECT_AFTER};
use crate::links_api::DownReason;
use crate::time::{Now, NtpTime};
use crate::transport::channel::ChannelKind;
use crate::window::{Arrival, FlowLoss, FlowTable, SeqWindow};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// The wall clock and the monotonic one may differ by this over one heartbeat; more is a step.
const STEP_US: i64 = 10_000;

/// What this node says of itself.
#[derive(Clone, Debug)]
pub struct LocalNode {
    /// This node.
    pub node: NodeId,
    /// Its region.
    pub region: String,
    /// Distinguishes two runs of it.
    pub instance: u64,
    /// Versions it speaks: lowest and highest.
    pub versions: (u16, u16),
    /// Feature bits.
    pub features: u64,
}

/// What a frame amounts to.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// The peer's hello is acceptable.
    Greeted,
    /// The peer accepts our hello.
    Accepted,
    /// A control message.
    Control(Control),
}

/// What a datagram or a stream packet amounts to.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// An RTP packet.
    Rtp {
        /// Its flow.
        flow: FlowId,
        /// What the ingress edge learned.
        facts: PacketFacts,
        /// Sent again on this link.
        retransmitted: bool,
        /// When the peer sent it, in our clock.
        sent: Option<NtpTime>,
        /// The packet.
        rtp: Bytes,
    },
    /// An RTCP packet.
    Rtcp {
        /// Its flow.
        flow: FlowId,
        /// The packet.
        rtcp: Bytes,
    },
    /// A heartbeat; it was used.
    Heartbeat,
    /// A link datagram of a later version; skipped.
    Unknown,
    /// Seen before, or older than the window.
    Duplicate,
    /// Not decodable.
    Malformed,
}

/// How alive the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Heard on at least one connection within [`SUSPECT_AFTER`].
    Alive,
    /// Neither connection was heard for [`SUSPECT_AFTER`].
    Suspect,
    /// One connection was not heard for [`DEAD_AFTER`]: media and control are both needed.
    Dead,
}

/// What heartbeats of one connection need.
#[derive(Debug, Default)]
struct Pulse {
    count: u16,
    /// Peer's `sent` of its last heartbeat, and our wall clock when it came.
    last: (NtpTime, NtpTime),
    heard: Option<Instant>,
}

/// The protocol state of one link.
#[derive(Debug)]
pub struct LinkSession {
    local: LocalNode,
    lane: Lane,
    hello: Option<Hello>,
    agreed: Option<HelloAck>,
    pulses: [Pulse; 2],
    clock: ClockFilter,
    told: Option<Now>,
    next_seq: u32,
    window: SeqWindow,
    flows: FlowTable,
    peer_lost: u32,
    heartbeats: u64,
}

impl LinkSession {
    /// Before any byte.
    #[must_use]
    pub fn new(local: LocalNode, lane: Lane) -> Self {
        Self {
            local,
            lane,
            hello: None,
            agreed: None,
            pulses: Default::default(),
            clock: ClockFilter::default(),
            told: None,
            next_seq: 0,
            window: SeqWindow::default(),
            flows: FlowTable::default(),
            peer_lost: 0,
            heartbeats: 0,
        }
    }

    /// The frame to begin with.
    #[must_use]
    pub fn greet(&self, now: Now) -> Frame {
        Frame::Hello(Hello {
            version: self.local.versions.1,
            version_min: self.local.versions.0,
            features: self.local.features,
            node: self.local.node,
            lane: self.lane,
            region: self.local.region.clone(),
            instance: self.local.instance,
            sent_at: now.wall,
        })
    }

    /// The frame that accepts the peer's hello; `None` before it came.
    #[must_use]
    pub fn accept(&self) -> Option<Frame> {
        self.agreed.map(Frame::HelloAck)
    }

    /// The peer's hello.
    #[must_use]
    pub fn peer(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Takes a frame. `node` and `region` are what the certificate says.
    ///
    /// # Errors
    /// Why the link must be closed.
    pub fn handle_frame(
        &mut self,
        node: NodeId,
        region: &str,
        frame: Frame,
    ) -> Result<SessionEvent, DownReason> {
        match frame {
            Frame::Hello(hello) => {
                self.check_hello(node, region, &hello)?;
                self.agreed = Some(self.agree(&hello)?);
                self.hello = Some(hello);
                Ok(SessionEvent::Greeted)
            }
            Frame::HelloAck(ack) => {
                if self.hello.is_none() || ack.instance != self.local.instance {
                    return Err(DownReason::Malformed(
                        "hello acknowledged that was not sent".into(),
                    ));
                }
                Ok(SessionEvent::Accepted)
            }
            Frame::Control(_) if self.hello.is_none() => {
                Err(DownReason::Malformed("control before hello".into()))
            }
            Frame::Control(control) => Ok(SessionEvent::Control(control)),
        }
    }

    fn check_hello(&self, node: NodeId, region: &str, hello: &Hello) -> Result<(), DownReason> {
        if self.hello.is_some() {
            return Err(DownReason::Malformed("second hello".into()));
        }
        if hello.node != node || hello.region != region {
            let text = format!(
                "hello says node {} in {}, certificate says node {node} in {region}",
                hello.node, hello.region
            );
            return Err(DownReason::Identity(text));
        }
        if hello.lane != self.lane {
            return Err(DownReason::Malformed("hello of another lane".into()));
        }
        Ok(())
    }

    fn agree(&self, hello: &Hello) -> Result<HelloAck, DownReason> {
        let (min, max) = self.local.versions;
        let version = max.min(hello.version);
        if version < min.max(hello.version_min) {
            return Err(DownReason::Version(format!(
                "node {} speaks {}..={}, node {} speaks {min}..={max}",
                hello.node, hello.version_min, hello.version, self.local.node
            )));
        }
        let features = self.local.features & hello.features;
        Ok(HelloAck { version, features, instance: hello.instance })
    }

    /// A connection stands: its silence counts from now.
    pub fn connected(&mut self, now: Now, kind: ChannelKind) {
        self.pulses[kind as usize].heard = Some(now.mono);
    }

    /// The heartbeat to send on a connection now.
    pub fn beat(&mut self, now: Now, kind: ChannelKind) -> [u8; HEARTBEAT_BYTES] {
        if let Some(told) = self.told {
            let mono = now.mono.saturating_duration_since(told.mono).as_micros() as i64;
            if (now.wall.micros_since(told.wall) - mono).abs() > STEP_US {
                self.clock.reset();
            }
        }
        self.told = Some(now);
        let pulse = &mut self.pulses[kind as usize];
        pulse.count = pulse.count.wrapping_add(1);
        let media = kind == ChannelKind::Media;
        Heartbeat {
            count: pulse.count,
            origin: pulse.last.0,
            received: pulse.last.1,
            sent: now.wall,
            expected: if media { self.window.expected() as u32 } else { 0 },
            lost: if media { self.window.lost() as u32 } else { 0 },
        }
        .to_datagram()
    }

    /// Takes a datagram of one of the connections.
    pub fn handle_datagram(&mut self, now: Now, kind: ChannelKind, bytes: Bytes) -> Received {
        self.pulses[kind as usize].heard = Some(now.mono);
        match decode_datagram(Wire::Native, bytes) {
            Ok(Datagram::Link(body)) => self.handle_link(now, kind, &body),
            Ok(Datagram::Packet(packet)) if kind == ChannelKind::Media => {
                if let Some(shim) = packet.shim
                    && self.window.accept(shim.seq) != Arrival::New
                {
                    return Received::Duplicate;
                }
                let sent = packet.shim.and_then(|shim| self.clock.to_local(shim.sent, now.wall));
                self.received(packet, sent)
            }
            Ok(Datagram::Packet(_)) | Err(_) => Received::Malformed,
        }
    }

    /// Takes a packet that came by a stream. It has no place in the link sequence, and its send time says nothing.
    pub fn handle_packet(&mut self, flow: FlowId, bytes: Bytes) -> Received {
        match decode_packet(Wire::Native, flow, bytes) {
            Ok(packet) if flow.0 != 0 => self.received(packet, None),
            _ => Received::Malformed,
        }
    }

    fn received(&mut self, packet: Enveloped, sent: Option<NtpTime>) -> Received {
        let Enveloped { flow, shim, kind, packet } = packet;
        if kind == PacketKind::Rtcp {
            return Received::Rtcp { flow, rtcp: packet };
        }
        if let Some(&[hi, lo]) = packet.get(2..4) {
            self.flows.count(flow, u16::from_be_bytes([hi, lo]));
        }
        let (facts, retransmitted) =
            shim.map_or((UNKNOWN_FACTS, false), |s| (s.facts, s.retransmitted));
        Received::Rtp { flow, facts, retransmitted, sent, rtp: packet }
    }

    fn handle_link(&mut self, now: Now, kind: ChannelKind, body: &[u8]) -> Received {
        let Some(beat) = Heartbeat::from_link_datagram(body) else { return Received::Unknown };
        self.heartbeats += 1;
        self.pulses[kind as usize].last = (beat.sent, now.wall);
        if kind == ChannelKind::Media {
            self.peer_lost = beat.lost;
        }
        if let Some(sample) = ClockSample::of(&beat, now.wall) {
            self.clock.add(sample);
        }
        Received::Heartbeat
    }

    /// Writes the next link sequence number and the time into an encoded shim: call it when the packet leaves.
    pub fn stamp(&mut self, now: Now, shim: &mut [u8]) {
        Shim::stamp(shim, self.next_seq, now.wall.send_time_24());
        self.next_seq = (self.next_seq + 1) & 0xff_ffff;
    }

    /// How alive the peer is.
    #[must_use]
    pub fn liveness(&self, now: Now) -> Liveness {
        let silence = |pulse: &Pulse| {
            pulse.heard.map_or(Duration::ZERO, |at| now.mono.saturating_duration_since(at))
        };
        let [media, control] = [silence(&self.pulses[0]), silence(&self.pulses[1])];
        if media.max(control) >= DEAD_AFTER {
            Liveness::Dead
        } else if media.min(control) >= SUSPECT_AFTER {
            Liveness::Suspect
        } else {
            Liveness::Alive
        }
    }

    /// The best comparison of the two wall clocks.
    #[must_use]
    pub fn clock(&self) -> Option<ClockSample> {
        self.clock.best()
    }

    /// Datagrams of the peer that never came.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.window.lost()
    }

    /// Datagrams of ours that never reached the peer, as it last said.
    #[must_use]
    pub fn peer_lost(&self) -> u64 {
        u64::from(self.peer_lost)
    }

    /// Heartbeats received.
    #[must_use]
    pub fn heartbeats(&self) -> u64 {
        self.heartbeats
    }

    /// Loss of one flow, as its RTP sequence numbers tell.
    #[must_use]
    pub fn flow_loss(&self, flow: FlowId) -> Option<FlowLoss> {
        self.flows.get(flow)
    }
}

/// What is assumed of a packet without a shim: needed, and nothing else known.
const UNKNOWN_FACTS: PacketFacts = PacketFacts {
    class: Class::Base,
    key: false,
    frame_start: false,
    frame_end: false,
    discardable: false,
    spatial: 0,
    temporal: 0,
};
