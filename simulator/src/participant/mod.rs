//! A simple participant over the clear transport: joins, publishes, watches, listens.

mod camera;
mod heard;
mod picture;
mod sdp;
mod stamp;
mod viewer;
mod voice;

pub use camera::CameraCounters;
pub use heard::HeardTurn;
pub use picture::PictureCounters;
pub use voice::Spoken;

pub(crate) use sdp::Slots;
pub(crate) use viewer::{Moment, Speakers, Viewer};

use crate::random::{Entity, Purpose, between, stream};
use crate::talk::Turn;
use crate::time::{Clock, SimTime};
use camera::Camera;
use edge_sfu::rtcp::{Rtcp, Writer};
use edge_sfu::shard::{Join, SocketId};
use edge_sfu::signal::{ClientMessage, ServerMessage, SlotRole};
use edge_sfu::transport::{ClearClient, Opened, TransportEvent};
use relay_proto::{MeetingId, Net, Now, ParticipantId};
use sfu_core::rtp::RtpView;
use std::time::Duration;
use voice::Voice;

/// Sender and receiver reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);
const RTCP_BYTES: usize = 1_200;
const VOICE_BYTES: usize = 256;
/// A camera's first tick after its microphone's is up to this late: one frame of q.
const CAMERA_PHASE_NS: u64 = 66_000_000;

/// What a participant is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    /// Group and place in it.
    pub(crate) entity: (usize, usize),
    /// The edge's place in the world.
    pub(crate) edge: usize,
    pub(crate) join_at: SimTime,
    pub(crate) camera: bool,
    pub(crate) slots: Slots,
    pub(crate) strip: Option<u32>,
    pub(crate) max_bitrate_bps: Option<u32>,
}

/// Where a participant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Has not joined yet, or waits for the answer.
    Waiting,
    /// Has the answer, and makes the connection.
    Connecting,
    /// Sends and receives.
    Connected,
    /// Was refused, or lost the connection.
    Gone,
}

/// One participant.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) plan: Plan,
    pub(crate) stage: Stage,
    pub(crate) id: Option<ParticipantId>,
    pub(crate) connected_at: Option<SimTime>,
    /// Mids and roles of the slots, once joined.
    pub(crate) slots: Vec<(String, SlotRole)>,
    pub(crate) wall_us: i64,
    pub(crate) viewer: Viewer,
    pub(crate) voice: Voice,
    pub(crate) camera: Option<Camera>,
    pub(crate) problems: Vec<String>,
    /// What the edge said that does not end the meeting for them.
    pub(crate) notices: Vec<String>,
    client: Option<ClearClient>,
    transport_seq: u16,
    report_at: SimTime,
}

impl Participant {
    pub(crate) fn new(seed: u64, place: usize, plan: Plan, turns: Vec<Turn>) -> Self {
        let entity = Entity::Participant(plan.entity.0, plan.entity.1);
        let mut phase = stream(seed, entity, Purpose::Phase);
        let mic = SimTime(between(&mut phase, 0, voice::PACKET.as_nanos() as u64 - 1));
        let camera_at = SimTime(between(&mut phase, 0, CAMERA_PHASE_NS));
        let mut wall = stream(seed, entity, Purpose::WallClock);
        let me = place as u16;
        let camera =
            plan.camera.then(|| Camera::new(me, camera_at, stream(seed, entity, Purpose::Frames)));
        Self {
            stage: Stage::Waiting,
            id: None,
            connected_at: None,
            slots: Vec::new(),
            // Nobody's clock is right; half a second is usual.
            wall_us: between(&mut wall, 0, 1_000_000) as i64 - 500_000,
            viewer: Viewer::new(me),
            voice: Voice::new(me, mic, turns, stream(seed, entity, Purpose::Voice)),
            camera,
            problems: Vec::new(),
            notices: Vec::new(),
            client: None,
            transport_seq: 0,
            report_at: SimTime(u64::MAX),
            plan,
        }
    }

    /// The wish to enter.
    pub(crate) fn join(&self, socket: SocketId, meeting: MeetingId) -> Join {
        let (sdp, publish) = sdp::offer(self.plan.camera, self.plan.slots);
        Join {
            socket,
            meeting,
            name: self.plan.name.clone(),
            may_publish: true,
            may_chat: true,
            owner: false,
            wait: false,
            identity: 0,
            sdp,
            publish,
        }
    }

    /// What the edge says; answers what the participant says to that.
    pub(crate) fn told(&mut self, now: Now, message: &ServerMessage) -> Option<ClientMessage> {
        match message {
            ServerMessage::Joined { participant, sdp, slots, .. } => {
                let Some(answer) = sdp::read_answer(sdp, slots) else {
                    self.problems.push("the answer cannot be read".to_owned());
                    self.stage = Stage::Gone;
                    return None;
                };
                self.id = Some(ParticipantId(*participant));
                self.slots = answer.slots.iter().map(|s| (s.mid.clone(), s.role)).collect();
                self.viewer.joined(&answer.slots);
                self.client = Some(ClearClient::new(now, answer.server, sdp::UFRAG, &answer.ice));
                self.stage = Stage::Connecting;
                let (strip, max_bitrate_bps) = (self.plan.strip, self.plan.max_bitrate_bps);
                let wishes = ClientMessage::Layout { pin: None, strip, max_bitrate_bps };
                (strip.is_some() || max_bitrate_bps.is_some()).then_some(wishes)
            }
            ServerMessage::Error { code, message, fatal, .. } => {
                let said = format!("{code:?}: {message}");
                if *fatal {
                    self.problems.push(said);
                    self.stage = Stage::Gone;
                } else {
                    self.notices.push(said);
                }
                None
            }
            ServerMessage::Ended { reason } => {
                self.problems.push(reason.clone());
                self.stage = Stage::Gone;
                None
            }
            _ => None,
        }
    }

    /// When [`Self::on_deadline`] wants to be called.
    pub(crate) fn deadline(&self, clock: &Clock) -> Option<SimTime> {
        let client = self.client.as_ref()?.deadline().map(|at| clock.time_of(at));
        if self.stage != Stage::Connected {
            return client;
        }
        let camera = self.camera.as_ref().and_then(Camera::deadline);
        [client, camera, Some(self.voice.deadline()), Some(self.report_at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due.
    pub(crate) fn on_deadline(&mut self, now: Now, t: SimTime, net: &mut Net) {
        let Some(client) = &mut self.client else { return };
        if client.deadline().is_some_and(|at| at <= now.mono) {
            client.on_deadline(now, net);
        }
        if self.stage != Stage::Connected {
            return;
        }
        // A packet that the transport refuses while it is being made anew is lost, as at a browser.
        let mut send = |packet: &[u8]| {
            let _ = client.send(net, packet);
        };
        let mut buffer = [0; VOICE_BYTES];
        while self.voice.deadline() <= t {
            if let Some(len) = self.voice.tick(&mut self.transport_seq, &mut buffer) {
                send(&buffer[..len]);
            }
        }
        if let Some(camera) = &mut self.camera {
            camera.tick(t, &mut self.transport_seq, &mut send);
        }
        if self.report_at <= t {
            self.report_at = t.plus(REPORT_EVERY);
            let mut buffer = [0; RTCP_BYTES];
            if let Some(len) = self.viewer.report(now, &mut buffer) {
                send(&buffer[..len]);
            }
            let camera = self.camera.iter().flat_map(|c| c.reports(t));
            for (ssrc, timestamp) in self.voice.report(t).into_iter().chain(camera) {
                let mut writer = Writer::new(&mut buffer);
                writer.sender_report(ssrc, now.wall, timestamp, 0, 0);
                if let Some(len) = writer.finish() {
                    send(&buffer[..len]);
                }
            }
        }
    }

    /// A datagram from the edge. Answers the length of the RTP header, if it was a packet.
    pub(crate) fn receive(
        &mut self,
        at: Moment,
        data: &mut [u8],
        net: &mut Net,
        ids: Speakers<'_>,
    ) -> Option<usize> {
        let client = self.client.as_mut()?;
        match client.handle(at.now, data, net) {
            Opened::Rtp(len) => {
                let view = RtpView::parse(data.get(..len)?)?;
                if let Some(ssrc) = self.viewer.packet(at, &view, ids) {
                    let mut buffer = [0; RTCP_BYTES];
                    let len = viewer::key_request(ssrc, &mut buffer)?;
                    let _ = client.send(net, &buffer[..len]);
                }
                return Some(view.header_len);
            }
            Opened::Rtcp(len) => self.rtcp(at.now, data.get(..len)?),
            Opened::Event(TransportEvent::Connected) => {
                self.stage = Stage::Connected;
                self.connected_at = Some(at.time);
                self.voice.start(at.time);
                if let Some(camera) = &mut self.camera {
                    camera.start(at.time);
                }
                self.report_at = at.time.plus(REPORT_EVERY);
            }
            Opened::Event(TransportEvent::Closed(reason)) => {
                self.problems.push(format!("connection closed: {reason:?}"));
                self.stage = Stage::Gone;
            }
            Opened::Event(TransportEvent::AddressChanged { .. }) | Opened::Nothing => {}
            Opened::Dropped(reason) => {
                self.problems.push(format!("dropped a datagram: {reason:?}"))
            }
        }
        None
    }

    fn rtcp(&mut self, now: Now, data: &[u8]) {
        for packet in viewer::readable(data) {
            match packet {
                Rtcp::Pli { media } => {
                    if let Some(camera) = &mut self.camera {
                        camera.key_requested(media);
                    }
                }
                other => self.viewer.rtcp(now, &other),
            }
        }
    }
}
