//! One meeting at one edge: its hub, its place in the tree, its roster.

use super::chat::Chat;
use super::command::{EdgeOutput, Join, Placement, SocketId};
use super::host::Knocking;
use super::roster::Roster;
use super::uplink::Uplink;
use crate::signal::{ErrorCode, ServerMessage, SlotState};
use relay_proto::control::{Floor, Member};
use relay_proto::roles::{MemberRole, Settings};
use relay_proto::{Encoding, Epoch, MeetingId, ParticipantId};
use sfu_core::hub::Hub;
use sfu_core::meetings::Meeting;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// A slot, and what it shows now.
type SlotChange = (u16, Option<(ParticipantId, Encoding)>);

/// One meeting at this edge.
#[derive(Debug)]
pub(super) struct EdgeMeeting {
    pub(super) id: MeetingId,
    pub(super) hub: Hub,
    pub(super) uplink: Uplink,
    pub(super) roster: Roster,
    pub(super) chat: Chat,
    pub(super) settings: Settings,
    /// Whether the origin has said how the meeting is set.
    pub(super) informed: bool,
    /// Joins are held until it has, and until then at most.
    pub(super) held_until: Option<Instant>,
    /// Who waits to be let in, as hosts know it.
    pub(super) knocking: Knocking,
    /// Joins that wait for the placement, and for the origin to say how the meeting is set.
    pub(super) waiting: Vec<Join>,
    /// Joins that wait to be let in.
    pub(super) lobby: BTreeMap<ParticipantId, Join>,
    /// Participants here, as the origin is told of them.
    pub(super) local: BTreeMap<ParticipantId, Member>,
    /// Sockets of the participants here.
    pub(super) sockets: BTreeMap<ParticipantId, SocketId>,
    /// Slots whose content changed in this turn, by peer.
    pub(super) slots: BTreeMap<usize, Vec<SlotChange>>,
    /// The floor as clients know it.
    pub(super) told: Floor,
    /// Clients were told that the origin cannot be reached.
    pub(super) cut_off: bool,
}

impl EdgeMeeting {
    pub(super) fn new(id: MeetingId, hub: Hub) -> Self {
        Self {
            id,
            hub,
            uplink: Uplink::default(),
            roster: Roster::default(),
            chat: Chat::default(),
            settings: Settings::default(),
            informed: false,
            held_until: None,
            knocking: Knocking::default(),
            lobby: BTreeMap::new(),
            waiting: Vec::new(),
            local: BTreeMap::new(),
            sockets: BTreeMap::new(),
            slots: BTreeMap::new(),
            told: Floor::default(),
            cut_off: false,
        }
    }

    /// Whether joins are let in or kept out by what is known now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        let waited = self.held_until.is_some_and(|until| until <= now);
        self.uplink.placement.is_some() && (self.informed || waited)
    }

    /// What a client is told after the answer to its join.
    pub(super) fn greeting(&mut self, role: MemberRole) -> Vec<ServerMessage> {
        let floor = floor_message(self.hub.floor());
        let mut greeting = vec![self.roster.message(), floor, self.settings_message()];
        if role == MemberRole::Host {
            greeting.push(self.knocking_message());
        }
        greeting.extend(self.chat.message());
        greeting
    }

    /// Says something to every participant here.
    pub(super) fn tell_all(&self, message: ServerMessage, out: &mut Vec<EdgeOutput>) {
        if self.sockets.is_empty() {
            return;
        }
        let sockets = self.sockets.values().copied().collect();
        out.push(EdgeOutput::SendAll { sockets, message: Arc::new(message) });
    }

    /// The origin is lost: clients are told once that they hear their own region at most.
    pub(super) fn tell_cut_off(&mut self, out: &mut Vec<EdgeOutput>) {
        if std::mem::replace(&mut self.cut_off, true) {
            return;
        }
        let message = ServerMessage::Error {
            code: ErrorCode::Unavailable,
            message: "the other regions cannot be reached just now: waiting for them".to_owned(),
            fatal: false,
            retry_after_ms: None,
            edges: Vec::new(),
        };
        self.tell_all(message, out);
    }

    /// Tells clients of a new floor.
    pub(super) fn tell_floor(&mut self, out: &mut Vec<EdgeOutput>) {
        let floor = self.hub.floor();
        if self.told == *floor {
            return;
        }
        self.told = floor.clone();
        self.tell_all(floor_message(&self.told), out);
    }
}

impl Meeting for EdgeMeeting {
    fn id(&self) -> MeetingId {
        self.id
    }

    fn epoch(&self) -> Epoch {
        self.uplink.placement.map_or(Epoch(0), |p: Placement| p.epoch)
    }

    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn hub_mut(&mut self) -> &mut Hub {
        &mut self.hub
    }

    fn deadline(&self) -> Option<Instant> {
        let held = self.held_until.filter(|_| !self.waiting.is_empty());
        [self.hub.deadline(), self.roster.deadline(), self.uplink.retry, held]
            .into_iter()
            .flatten()
            .min()
    }
}

pub(super) fn floor_message(floor: &Floor) -> ServerMessage {
    ServerMessage::Floor {
        main: floor.main.map(|p| p.0),
        recent: floor.recent.iter().map(|p| p.0).collect(),
    }
}

/// A slot's content as the client is told: mids are the peer's.
pub(super) fn slot_state(
    mid: &str,
    shown: Option<(ParticipantId, Encoding)>,
    is_audio: bool,
) -> SlotState {
    SlotState {
        mid: mid.to_owned(),
        participant: shown.map(|(p, _)| p.0),
        rid: shown.filter(|_| !is_audio).map(|(_, e)| e.rid().to_owned()),
    }
}
