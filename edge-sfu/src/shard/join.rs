//! Participants come, speak and go.

use super::command::{complaint, refusal};
use super::io::EdgeIo;
use super::limits::{MEETINGS_MAX, WAITING_MAX};
use super::meeting::EdgeMeeting;
use super::peers::Entry;
use super::sink::Note;
use super::{EdgeCommand, EdgeOutput, EdgeShard, Join, SocketId, new_hub};
use crate::peer::Peer;
use crate::sdp::Answer;
use crate::signal::{
    ClientMessage, ErrorCode, PublishLine, SIGNAL_VERSION, ServerMessage, SlotRole,
};
use relay_proto::control::{Member, RosterChange};
use relay_proto::limits::NAME_CHARS_MAX;
use relay_proto::{Now, Outbox, ParticipantId, TrackId, TrackKind};
use sfu_core::hub::ViewerSlot;
use std::time::Duration;

/// Round trip assumed for a viewer that has not reported one.
const ROUND_TRIP_DEFAULT: Duration = Duration::from_millis(100);

impl EdgeShard {
    pub(super) fn command(&mut self, now: Now, command: EdgeCommand, out: &mut Outbox<EdgeOutput>) {
        match command {
            EdgeCommand::Join(join) => self.join(now, *join, out),
            EdgeCommand::Client { socket, message } => self.client(now, socket, message, out),
            EdgeCommand::SocketClosed(socket) => {
                if let Some(peer) = self.peers.of_socket(socket) {
                    self.remove_peer(now, peer, out);
                } else {
                    self.stop_waiting(now, socket);
                }
            }
            EdgeCommand::Placement { meeting, placement } => {
                self.placed(now, meeting, placement, out)
            }
            EdgeCommand::PlacementUnknown(meeting) => self.placement_unknown(now, meeting, out),
            EdgeCommand::Report => {
                let report = self.report();
                out.events.push(EdgeOutput::Report(Box::new(report)));
            }
            EdgeCommand::Nodes(nodes) => {
                self.relay.set_nodes(now, nodes);
                self.attach_all(now);
            }
        }
    }

    fn placement_unknown(
        &mut self,
        now: Now,
        id: relay_proto::MeetingId,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(key) = self.meetings.key_of(id) else { return };
        let Some(meeting) = self.meetings.get_mut(key) else { return };
        for join in std::mem::take(&mut meeting.waiting) {
            let text = "the mesh cannot be asked where this meeting is just now: try again in a few seconds";
            out.events.extend(refusal(join.socket, ErrorCode::Unavailable, text));
        }
        self.forget_if_empty(now, key);
    }

    fn join(&mut self, now: Now, join: Join, out: &mut Outbox<EdgeOutput>) {
        if self.peers.of_socket(join.socket).is_some() {
            let text = "this socket is in a meeting already: open another for a second one";
            out.events.push(complaint(join.socket, ErrorCode::OutOfOrder, text));
            return;
        }
        if self.peers.len() >= self.config.peers_max {
            let text = "this edge is full: try one of the others, or again in a while";
            out.events.extend(refusal(join.socket, ErrorCode::Busy, text));
            return;
        }
        let key = match self.meetings.key_of(join.meeting) {
            Some(key) => key,
            None if self.meetings.len() >= MEETINGS_MAX => {
                let text = "this edge holds as many meetings as it can: try another edge";
                out.events.extend(refusal(join.socket, ErrorCode::Busy, text));
                return;
            }
            None => {
                let hub = new_hub(self.config.node, &mut self.rng);
                self.meetings.insert(EdgeMeeting::new(join.meeting, hub))
            }
        };
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        if meeting.is_open(now.mono) {
            self.enter(now, key, join, out);
        } else if meeting.waiting.len() >= WAITING_MAX {
            out.events.extend(refusal(
                join.socket,
                ErrorCode::Busy,
                "too many wait for this meeting: try again",
            ));
        } else {
            if meeting.uplink.placement.is_none() {
                out.events.push(EdgeOutput::NeedPlacement(join.meeting));
            }
            meeting.waiting.push(join);
            self.meetings.touch(key);
        }
    }

    /// An id for somebody who enters, or waits to.
    pub(super) fn next_participant(&mut self) -> ParticipantId {
        self.admitted = self.admitted.wrapping_add(1);
        ParticipantId::new(self.config.node, self.admitted)
    }

    /// Lets a participant in: answers the offer, makes the peer, tells everybody.
    pub(super) fn admit(
        &mut self,
        now: Now,
        key: usize,
        participant: ParticipantId,
        join: Join,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(meeting) = self.meetings.get_mut(key) else {
            return;
        };
        let role = join.role();
        let accepted = Peer::accept(
            now,
            &self.config.peer,
            participant,
            &join.sdp,
            &join.publish,
            role.publishes(),
            &mut self.rng,
        );
        let (peer, answer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                out.events.extend(refusal(join.socket, ErrorCode::Sdp, error.to_string()));
                self.forget_if_empty(now, key);
                return;
            }
        };
        let peer_key = self.peers.next_key();
        if self.gate.register(peer_key, peer.local_ice()).is_err() {
            out.events.extend(refusal(
                join.socket,
                ErrorCode::Busy,
                "too many are joining: try again in a second",
            ));
            self.forget_if_empty(now, key);
            return;
        }
        let port = meeting.hub.add_peer(now, peer_key, participant, &viewer_slots(&peer));
        let member = member(participant, &join, &answer);
        meeting.local.insert(participant, member.clone());
        meeting.sockets.insert(participant, join.socket);
        let greeting = meeting.greeting(role);
        let entry = Entry::new(peer, key, port, participant, &join);
        self.peers.insert(entry);
        self.publish_sources(now, peer_key, &answer);
        let joined = ServerMessage::Joined {
            version: SIGNAL_VERSION,
            meeting: join.meeting,
            participant: participant.0,
            region: self.config.region.clone(),
            node: self.config.name.clone(),
            role: role.into(),
            owner: join.owner,
            sdp: answer.sdp,
            slots: answer.slots,
        };
        for message in std::iter::once(joined).chain(greeting) {
            out.events.push(EdgeOutput::Send { socket: join.socket, message: Box::new(message) });
        }
        self.request_change(now, key, RosterChange::Put(member));
        self.meetings.touch(key);
    }

    /// Makes the hub's tracks follow what the answer accepted.
    fn publish_sources(&mut self, now: Now, peer: usize, answer: &Answer) {
        let Some(entry) = self.peers.get(peer) else {
            return;
        };
        let (port, participant) = (entry.port, entry.participant);
        let Some(meeting) = self.meetings.get_mut(entry.meeting) else {
            return;
        };
        for kind in TrackKind::ALL {
            let id = TrackId { participant, kind };
            match answer.sources.iter().find(|s| s.kind == kind) {
                Some(source) => {
                    let flows = &mut self.relay.flow_ids;
                    // A hub that is full forwards nothing of this source; its packets are counted there.
                    let _ =
                        meeting.hub.publish(now, port, id, source.codec, source.encodings, flows);
                }
                None => meeting.hub.withdraw(now, id),
            }
        }
    }

    fn client(
        &mut self,
        now: Now,
        socket: SocketId,
        message: ClientMessage,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(peer) = self.peers.of_socket(socket) else {
            match message {
                ClientMessage::Ping { id } if self.waits(socket) => {
                    let message = Box::new(ServerMessage::Pong { id });
                    out.events.push(EdgeOutput::Send { socket, message });
                }
                ClientMessage::Leave => {
                    self.stop_waiting(now, socket);
                    out.events.push(EdgeOutput::Close(socket));
                }
                _ if self.waits(socket) => {}
                _ => out.events.push(complaint(socket, ErrorCode::OutOfOrder, "join first")),
            }
            return;
        };
        match message {
            ClientMessage::Join { .. } => {
                let text = "this socket is in a meeting already";
                out.events.push(complaint(socket, ErrorCode::OutOfOrder, text));
            }
            ClientMessage::Renegotiate { sdp, publish } => {
                self.renegotiate(now, peer, &sdp, &publish, out)
            }
            ClientMessage::Mute { kind, muted } => self.mute(now, peer, kind.into(), muted, out),
            ClientMessage::Layout { pin, strip, max_bitrate_bps } => {
                if let Some(entry) = self.peers.get(peer) {
                    let (port, meeting) = (entry.port, entry.meeting);
                    if let Some(meeting) = self.meetings.get_mut(meeting) {
                        let strip = strip.map(|s| s as usize);
                        meeting.hub.set_wishes(
                            port,
                            pin.map(ParticipantId),
                            strip,
                            max_bitrate_bps.map(u64::from),
                        );
                    }
                    self.meetings.touch(meeting);
                }
            }
            ClientMessage::Chat { key, to, text } => self.write(now, peer, key, to, text, out),
            ClientMessage::Hand { raised } => self.raise_hand(now, peer, raised),
            ClientMessage::Host { key, action } => self.host_action(now, peer, key, action, out),
            ClientMessage::RosterPage { after, search } => {
                self.roster_page(now, peer, after, search.as_deref(), out)
            }
            ClientMessage::Leave => {
                self.remove_peer(now, peer, out);
                out.events.push(EdgeOutput::Close(socket));
            }
            ClientMessage::Ping { id } => {
                out.events.push(EdgeOutput::Send {
                    socket,
                    message: Box::new(ServerMessage::Pong { id }),
                });
            }
        }
    }

    fn renegotiate(
        &mut self,
        now: Now,
        peer: usize,
        sdp: &str,
        publish: &[PublishLine],
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(entry) = self.peers.get_mut(peer) else {
            return;
        };
        let (socket, key, port, may_publish) =
            (entry.socket, entry.meeting, entry.port, entry.may_publish);
        let ice = entry.peer.local_ice().ufrag.clone();
        let answer = match entry.peer.renegotiate(now, sdp, publish, may_publish, &mut self.rng) {
            Ok(answer) => answer,
            Err(error) => {
                out.events.push(complaint(socket, ErrorCode::Sdp, error.to_string()));
                return;
            }
        };
        if entry.peer.local_ice().ufrag != ice
            && self.gate.register(peer, entry.peer.local_ice()).is_err()
        {
            out.events.push(complaint(socket, ErrorCode::Busy, "ICE restart refused: try again"));
            return;
        }
        let slots = viewer_slots(&entry.peer);
        if let Some(meeting) = self.meetings.get_mut(key) {
            meeting.hub.set_slots(now, port, &slots);
        }
        self.publish_sources(now, peer, &answer);
        let message = ServerMessage::Renegotiated { sdp: answer.sdp, slots: answer.slots };
        out.events.push(EdgeOutput::Send { socket, message: Box::new(message) });
        self.peers.rearm(peer);
        self.meetings.touch(key);
    }

    fn mute(
        &mut self,
        now: Now,
        peer: usize,
        kind: TrackKind,
        muted: bool,
        out: &mut Outbox<EdgeOutput>,
    ) {
        let Some(entry) = self.peers.get(peer) else {
            return;
        };
        let (key, participant, socket) = (entry.meeting, entry.participant, entry.socket);
        if !entry.may_publish {
            out.events.push(complaint(
                socket,
                ErrorCode::Forbidden,
                "your role does not allow publishing: raise a hand to be promoted",
            ));
            return;
        }
        self.set_muted(now, key, participant, kind, muted);
    }

    /// A participant is gone: everything of theirs goes.
    pub(super) fn remove_peer(&mut self, now: Now, peer: usize, out: &mut Outbox<EdgeOutput>) {
        let Some(mut entry) = self.peers.remove(peer) else {
            return;
        };
        self.gate.remove(peer);
        entry.peer.close(now, &mut out.net);
        let key = entry.meeting;
        if let Some(meeting) = self.meetings.get_mut(key) {
            meeting.hub.remove_port(now, entry.port);
            meeting.local.remove(&entry.participant);
            meeting.sockets.remove(&entry.participant);
            meeting.slots.remove(&peer);
        }
        self.request_change(now, key, RosterChange::Remove(entry.participant));
        self.drain_hub(now, key, Some(out));
        self.forget_if_empty(now, key);
        self.meetings.touch(key);
    }

    pub(super) fn forget_if_empty(&mut self, now: Now, key: usize) {
        let empty = self.meetings.get(key).is_some_and(|m| {
            m.local.is_empty()
                && m.waiting.is_empty()
                && m.lobby.is_empty()
                && m.uplink.children.is_empty()
        });
        if empty {
            self.detach(now, key);
        }
    }

    pub(super) fn forget_meeting(&mut self, key: usize) {
        if let Some(meeting) = self.meetings.remove(key) {
            self.relay.forget_meeting(key, meeting.id);
        }
    }

    /// Does what a peer said while it was borrowed.
    pub(super) fn settle_notes(&mut self, now: Now, peer: usize, out: &mut Outbox<EdgeOutput>) {
        let mut notes = std::mem::take(&mut self.notes);
        for note in notes.drain(..) {
            let Some(entry) = self.peers.get_mut(peer) else {
                break;
            };
            let (port, key, socket) = (entry.port, entry.meeting, entry.socket);
            let rtt = entry.peer.round_trip().unwrap_or(ROUND_TRIP_DEFAULT);
            let Some(meeting) = self.meetings.get_mut(key) else {
                break;
            };
            match note {
                Note::Connected => {
                    entry.connected = true;
                    self.gate.opened(peer);
                    meeting.hub.peer_connected(now, port);
                }
                Note::Nack(slot, seq) => {
                    let mut io = EdgeIo {
                        peers: &mut self.peers,
                        relay: &mut self.relay,
                        net: &mut out.net,
                    };
                    meeting.hub.nack(now, port, slot.0, seq, rtt, &mut io);
                }
                Note::Key(slot) => meeting.hub.viewer_wants_key(now, port, slot.0),
                Note::Estimate(bps) => meeting.hub.set_estimate(port, bps),
                Note::Closed(reason) => {
                    let text = format!("the media connection is gone ({reason:?}): join again");
                    out.events.extend(refusal(socket, ErrorCode::Unavailable, text));
                    self.remove_peer(now, peer, out);
                }
            }
        }
        self.notes = notes;
    }
}

/// What the roster says of somebody who enters.
fn member(id: ParticipantId, join: &Join, answer: &Answer) -> Member {
    Member {
        id,
        name: display_name(&join.name),
        edge: id.node(),
        mic_muted: !has_source(answer, TrackKind::Mic),
        camera_off: !has_source(answer, TrackKind::Camera),
        role: join.role(),
        owner: join.owner,
        identity: join.identity,
        hand: 0,
    }
}

fn has_source(answer: &Answer, kind: TrackKind) -> bool {
    answer.sources.iter().any(|s| s.kind == kind)
}

fn viewer_slots(peer: &Peer) -> Vec<ViewerSlot> {
    peer.slots()
        .iter()
        .map(|slot| match slot.role {
            SlotRole::Audio => ViewerSlot::Audio,
            SlotRole::Main | SlotRole::Strip => ViewerSlot::Video,
            SlotRole::Screen => ViewerSlot::Screen,
        })
        .collect()
}

/// A name to show: control characters out, at most [`NAME_CHARS_MAX`] characters, never empty.
pub(super) fn display_name(name: &str) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let clean = clean.trim();
    if clean.is_empty() { "Guest".to_owned() } else { clean.to_owned() }
}
