//! What is written down while a world runs: decisions with their times, and which flows crossed which link when.

use crate::time::SimTime;
use edge_sfu::signal::SlotRole;
use relay_proto::{Encoding, NodeId, ParticipantId, TrackId, TrackKind};
use sfu_core::report::ShardReport;
use std::collections::BTreeMap;

/// An edge told its participants of a floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloorEvent {
    /// When.
    pub at: SimTime,
    /// The edge's place.
    pub edge: usize,
    /// Who has the main picture.
    pub main: Option<ParticipantId>,
}

/// An edge told a participant what a slot shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotEvent {
    /// When.
    pub at: SimTime,
    /// The viewer's place.
    pub viewer: usize,
    /// The slot's m-line.
    pub mid: String,
    /// What it is for.
    pub role: SlotRole,
    /// Who is in it.
    pub shows: Option<ParticipantId>,
    /// Which encoding.
    pub encoding: Option<Encoding>,
}

/// A link came up or went down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// When.
    pub at: SimTime,
    /// Who noticed.
    pub node: usize,
    /// The neighbour.
    pub neighbour: NodeId,
    /// Whether it is up.
    pub up: bool,
    /// Why it is not.
    pub reason: String,
}

/// A stretch of time in which a flow crossed a link, as far as samples tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSpan {
    /// The sending node's place.
    pub from: usize,
    /// The receiving node's place.
    pub to: usize,
    /// What.
    pub track: TrackId,
    /// Which encoding.
    pub encoding: Encoding,
    /// Sent unasked, because somebody began to speak.
    pub pushed: bool,
    /// First sample.
    pub start: SimTime,
    /// Last sample.
    pub end: SimTime,
    /// Packets sent by then.
    pub packets: u64,
}

/// Everything written down.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Floors, in order.
    pub floors: Vec<FloorEvent>,
    /// Slots, in order.
    pub slots: Vec<SlotEvent>,
    /// Links, in order.
    pub links: Vec<LinkChange>,
    /// Flows, in order of their beginning.
    pub flows: Vec<FlowSpan>,
    /// Most voices that crossed from one node to another at one moment.
    pub voices_max: BTreeMap<(usize, usize), usize>,
    open: BTreeMap<(usize, usize, TrackId, Encoding), usize>,
    sampled: Option<SimTime>,
}

impl Log {
    /// Writes down what crosses the links of all nodes now.
    pub(crate) fn sample(&mut self, now: SimTime, reports: impl Iterator<Item = ShardReport>) {
        let before = self.sampled.replace(now);
        for (from, report) in reports.enumerate() {
            let mut voices: BTreeMap<usize, usize> = BTreeMap::new();
            for flow in &report.flows {
                let to = (flow.node.0 as usize).saturating_sub(1);
                if flow.track.kind == TrackKind::Mic {
                    *voices.entry(to).or_default() += 1;
                }
                let span = FlowSpan {
                    from,
                    to,
                    track: flow.track,
                    encoding: flow.encoding,
                    pushed: flow.pushed,
                    start: now,
                    end: now,
                    packets: flow.packets,
                };
                self.note(span, before);
            }
            for (to, count) in voices {
                let max = self.voices_max.entry((from, to)).or_default();
                *max = count.max(*max);
            }
        }
    }

    fn note(&mut self, span: FlowSpan, before: Option<SimTime>) {
        let key = (span.from, span.to, span.track, span.encoding);
        let known = self.open.get(&key).and_then(|i| self.flows.get_mut(*i));
        if let Some(known) = known
            && Some(known.end) == before
            && known.pushed == span.pushed
            && known.packets <= span.packets
        {
            known.end = span.end;
            known.packets = span.packets;
            return;
        }
        self.open.insert(key, self.flows.len());
        self.flows.push(span);
    }
}
