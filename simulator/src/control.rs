//! The control runtime's part: what shards ask of the topology, and what passes between sockets and participants.

use crate::digest::Part;
use crate::node::{NodeCommand, NodeOutput};
use crate::observe::{FloorEvent, LinkChange, SlotEvent};
use crate::participant::Stage;
use crate::time::SimTime;
use crate::world::{Event, World};
use edge_sfu::shard::{EdgeCommand, EdgeOutput, Placement, SocketId};
use edge_sfu::signal::{ClientMessage, ServerMessage, SlotRole};
use origin_sfu::{OriginCommand, OriginOutput};
use relay_proto::{Encoding, NodeId, ParticipantId};
use std::sync::Arc;

impl World {
    /// What a node has for the control runtime.
    pub(crate) fn take_outputs(&mut self, node: usize) {
        let mut outputs = std::mem::take(&mut self.outputs);
        if let Some(n) = self.nodes.get_mut(node) {
            n.take_outputs(&mut outputs);
        }
        for output in outputs.drain(..) {
            match output {
                NodeOutput::Edge(output) => self.edge_output(node, output),
                NodeOutput::Origin(output) => self.origin_output(node, output),
            }
        }
        self.outputs = outputs;
    }

    fn edge_output(&mut self, node: usize, output: EdgeOutput) {
        match output {
            EdgeOutput::Send { socket, message } => {
                let message = Arc::new(*message);
                self.note_message(node, &[socket], &message);
                self.say_to_participants(&[socket], &message);
            }
            EdgeOutput::SendAll { sockets, message } => {
                self.note_message(node, &sockets, &message);
                self.say_to_participants(&sockets, &message);
            }
            EdgeOutput::Close(socket) => {
                if let Some(p) = self.participants.get_mut(socket.0 as usize) {
                    p.stage = Stage::Gone;
                }
            }
            EdgeOutput::NeedPlacement(meeting) => {
                let placement =
                    Some(Placement { epoch: self.epoch, origin: NodeId(self.origin as u32 + 1) });
                self.grant();
                self.answer(node, NodeCommand::Edge(EdgeCommand::Placement { meeting, placement }));
            }
            EdgeOutput::Report(_) => {}
            EdgeOutput::Link { node: neighbour, up, reason } => {
                self.note_link(node, neighbour, up, reason)
            }
        }
    }

    fn origin_output(&mut self, node: usize, output: OriginOutput) {
        match output {
            OriginOutput::NeedPlacement(_) => self.grant(),
            OriginOutput::Report(_) => {}
            OriginOutput::Link { node: neighbour, up, reason } => {
                self.note_link(node, neighbour, up, reason)
            }
        }
    }

    /// The origin is told that it is the origin. It may be told again.
    fn grant(&mut self) {
        let granted = OriginCommand::Granted { meeting: self.meeting, epoch: self.epoch };
        self.answer(self.origin, NodeCommand::Origin(granted));
    }

    /// The topology answers after a while.
    fn answer(&mut self, node: usize, command: NodeCommand) {
        let at = self.time.plus(self.control_delay);
        self.queue.push(at, Event::Command(node, Box::new(command)));
    }

    /// A signalling message travels as long as a packet does; nothing overtakes on a socket.
    fn say_to_participants(&mut self, sockets: &[SocketId], message: &Arc<ServerMessage>) {
        let bytes = serde_json::to_string(&**message).map_or(0, |text| text.len());
        for socket in sockets {
            let place = socket.0 as usize;
            let at = self.time.plus(self.signal_delay(place));
            if let Some(p) = self.participants.get_mut(place) {
                p.signalled.messages += 1;
                p.signalled.bytes += bytes as u64;
            }
            self.queue.push(at, Event::Told(place, Arc::clone(message)));
        }
    }

    pub(crate) fn say_to_edge(&mut self, place: usize, message: ClientMessage) {
        let Some(p) = self.participants.get(place) else { return };
        let command = EdgeCommand::Client { socket: SocketId(place as u64), message };
        let at = self.time.plus(self.signal_delay(place));
        self.queue.push(at, Event::Command(p.plan.edge, Box::new(NodeCommand::Edge(command))));
    }

    fn note_message(&mut self, node: usize, sockets: &[SocketId], message: &ServerMessage) {
        let at = self.time;
        let first = sockets.first().map_or(0, |s| s.0 as usize);
        match message {
            ServerMessage::Floor { main, recent } => {
                let said = format!("floor {main:?} {recent:?}");
                self.fingerprint.note(Part::Decisions, at, node, said.as_bytes());
                self.log.floors.push(FloorEvent { at, edge: node, main: main.map(ParticipantId) });
            }
            ServerMessage::Slots { slots } => {
                for slot in slots {
                    let said = format!("slot {} {:?} {:?}", slot.mid, slot.participant, slot.rid);
                    self.fingerprint.note(Part::Decisions, at, first, said.as_bytes());
                    let role = self.role_of(first, &slot.mid);
                    self.log.slots.push(SlotEvent {
                        at,
                        viewer: first,
                        mid: slot.mid.clone(),
                        role,
                        shows: slot.participant.map(ParticipantId),
                        encoding: slot.rid.as_deref().and_then(Encoding::from_rid),
                    });
                }
            }
            ServerMessage::Joined { participant, .. } => {
                self.ids[first] = Some(ParticipantId(*participant));
                self.fingerprint.note(
                    Part::Decisions,
                    at,
                    first,
                    format!("joined {participant}").as_bytes(),
                );
            }
            ServerMessage::Roster { seq, put, removed, .. } => {
                let ids: Vec<u32> = put.iter().map(|m| m.id).collect();
                let said = format!("roster {seq} {ids:?} {removed:?}");
                self.fingerprint.note(Part::Decisions, at, first, said.as_bytes());
            }
            other => {
                self.fingerprint.note(Part::Decisions, at, first, format!("{other:?}").as_bytes())
            }
        }
    }

    fn role_of(&self, viewer: usize, mid: &str) -> SlotRole {
        let slots = self.participants.get(viewer).map(|p| p.slots.as_slice()).unwrap_or_default();
        slots.iter().find(|(m, _)| m == mid).map_or(SlotRole::Strip, |(_, role)| *role)
    }

    fn note_link(&mut self, node: usize, neighbour: NodeId, up: bool, reason: String) {
        let at: SimTime = self.time;
        self.fingerprint.note(
            Part::Decisions,
            at,
            node,
            format!("link {neighbour} {up} {reason}").as_bytes(),
        );
        self.log.links.push(LinkChange { at, node, neighbour, up, reason });
    }
}
