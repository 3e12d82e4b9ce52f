//! Commands about meetings.

use super::node::check_len;
use super::{
    ApplyError, Candidate, Change, Demand, Meeting, MeetingSpec, Node, OccupancyReport, Placement,
    Region, RegionDemand, Reply, State, place,
};
use crate::limits::{ENDED_KEPT, MEETINGS_MAX, PARTICIPANTS_MAX, REPORTS_PER_COMMAND};
use relay_proto::{Epoch, MeetingId, NodeId};
use std::collections::BTreeSet;

impl State {
    pub(super) fn create_meeting(
        &mut self,
        id: MeetingId,
        spec: &MeetingSpec,
        now_ms: u64,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        spec.check()?;
        if self.meetings.contains_key(&id) {
            return Err(ApplyError::MeetingIdTaken(id));
        }
        if self.live as usize >= MEETINGS_MAX {
            return Err(ApplyError::MeetingsFull(self.live));
        }
        let hint = spec.origin_region.clone().or_else(|| spec.hint_region.clone());
        let placement = self.place_new(id, spec, hint.as_ref())?;
        let participants_max =
            if spec.participants_max == 0 { PARTICIPANTS_MAX } else { spec.participants_max };
        let meeting = Meeting {
            id,
            name: spec.name.clone(),
            origin: placement.origin,
            standby: placement.standby,
            epoch: Meeting::FIRST_EPOCH,
            created_ms: now_ms,
            hint_region: hint,
            allowed_regions: spec.allowed_regions.clone(),
            participants_max,
            ended: false,
            kind: spec.kind,
            waiting_room: spec.waiting_room,
            has_password: spec.password.is_some(),
            password: spec.password.clone(),
            creator: spec.creator.clone(),
        };
        self.count_placed(placement.origin);
        if meeting.standby.is_none() {
            self.unplaced.entry(id).or_default();
        }
        self.live += 1;
        self.meetings.insert(id, meeting.clone());
        changes.push(Change::Meeting(id));
        Ok(Reply::Meeting { meeting: Box::new(meeting), participants: 0 })
    }

    fn place_new(
        &self,
        id: MeetingId,
        spec: &MeetingSpec,
        hint: Option<&Region>,
    ) -> Result<Placement, ApplyError> {
        let standbys = self.candidates(&spec.allowed_regions);
        let origins: Vec<_> = match &spec.origin_region {
            Some(region) => standbys.iter().filter(|c| c.region == region).copied().collect(),
            None => standbys.clone(),
        };
        place(id, &hint_demand(hint), &origins, &standbys, &self.rtt).ok_or_else(|| {
            let regions = match &spec.origin_region {
                Some(region) => region.to_string(),
                None => regions_text(&spec.allowed_regions),
            };
            ApplyError::NoOrigin { regions }
        })
    }

    /// Online origin nodes in `allowed` regions, by number.
    pub(super) fn candidates(&self, allowed: &BTreeSet<Region>) -> Vec<Candidate<'_>> {
        let fits = |n: &&Node| allowed.is_empty() || allowed.contains(&n.record.region);
        self.nodes
            .values()
            .filter(|n| Self::takes_meetings(n))
            .filter(fits)
            .map(candidate)
            .collect()
    }

    /// Who takes part in the meeting: by the nodes' reports, else by the hint.
    pub(super) fn demand(&self, meeting: &Meeting) -> Demand {
        let mut demand = Demand::new();
        for (node, o) in self.occupancy.get(&meeting.id).into_iter().flatten() {
            let Some(node) = self.nodes.get(node) else {
                continue;
            };
            let region: &mut RegionDemand = demand.entry(node.record.region.clone()).or_default();
            region.listeners = region.listeners.saturating_add(o.participants);
            region.talk_permille = region.talk_permille.saturating_add(u32::from(o.talk_permille));
        }
        if demand.is_empty() { hint_demand(meeting.hint_region.as_ref()) } else { demand }
    }

    pub(super) fn count_placed(&mut self, origin: NodeId) {
        if let Some(node) = self.nodes.get_mut(&origin) {
            node.placed_since_report = node.placed_since_report.saturating_add(1);
        }
    }

    pub(super) fn end_meeting(
        &mut self,
        id: MeetingId,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        let meeting = self.meetings.get_mut(&id).ok_or(ApplyError::UnknownMeeting(id))?;
        if meeting.ended {
            return Ok(Reply::Done);
        }
        meeting.ended = true;
        self.live = self.live.saturating_sub(1);
        self.occupancy.remove(&id);
        self.broken.remove(&id);
        self.leaving.remove(&id);
        self.unplaced.remove(&id);
        self.ended.push_back(id);
        changes.push(Change::Meeting(id));
        while self.ended.len() > ENDED_KEPT {
            if let Some(oldest) = self.ended.pop_front() {
                self.meetings.remove(&oldest);
                changes.push(Change::MeetingGone(oldest));
            }
        }
        Ok(Reply::Done)
    }

    /// Fenced: only who knows the epoch in force may ask for the next.
    pub(super) fn replace_origin(
        &mut self,
        id: MeetingId,
        from_epoch: Epoch,
        to: Option<NodeId>,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, ApplyError> {
        let meeting = self.meetings.get(&id).ok_or(ApplyError::UnknownMeeting(id))?;
        if meeting.ended {
            return Err(ApplyError::MeetingEnded(id));
        }
        if meeting.epoch != from_epoch {
            return Err(ApplyError::StaleEpoch { meeting: id, current: meeting.epoch });
        }
        let placement = self.place_instead(meeting, to)?;
        self.grant(id, placement.origin, placement.standby, changes);
        let meeting = self.meetings.get(&id).ok_or(ApplyError::UnknownMeeting(id))?.clone();
        Ok(Reply::Meeting { participants: self.participants(id), meeting: Box::new(meeting) })
    }

    fn place_instead(
        &self,
        meeting: &Meeting,
        to: Option<NodeId>,
    ) -> Result<Placement, ApplyError> {
        let standbys = self.candidates(&meeting.allowed_regions);
        let origins: Vec<_> = match to {
            // Whoever was named is taken whatever its load; the standby even when suspect: it may act already.
            Some(node) => {
                let warm =
                    self.nodes.get(&node).filter(|n| meeting.names(node) && Self::alive_origin(n));
                let named =
                    standbys.iter().find(|c| c.node == node).copied().or(warm.map(candidate));
                named.map(|c| Candidate { used_permille: 0, ..c }).into_iter().collect()
            }
            None => standbys.iter().filter(|c| c.node != meeting.origin).copied().collect(),
        };
        place(meeting.id, &self.demand(meeting), &origins, &standbys, &self.rtt).ok_or_else(|| {
            match to {
                Some(node) => ApplyError::NotEligible(node),
                None => ApplyError::NoOrigin { regions: regions_text(&meeting.allowed_regions) },
            }
        })
    }

    /// Name origin and standby under a new even epoch.
    pub(super) fn grant(
        &mut self,
        id: MeetingId,
        origin: NodeId,
        standby: Option<NodeId>,
        changes: &mut Vec<Change>,
    ) {
        let Some(meeting) = self.meetings.get_mut(&id) else {
            return;
        };
        let moved = meeting.origin != origin;
        // What was lost belonged to the placement before.
        self.broken.remove(&id);
        self.leaving.remove(&id);
        self.unplaced.remove(&id);
        meeting.epoch = meeting.next_epoch();
        meeting.origin = origin;
        meeting.standby = standby.filter(|s| *s != origin);
        if meeting.standby.is_none() {
            self.unplaced.entry(id).or_default();
        }
        if moved {
            self.count_placed(origin);
        }
        changes.push(Change::Meeting(id));
    }

    pub(super) fn report_occupancy(
        &mut self,
        node: NodeId,
        reports: &[OccupancyReport],
    ) -> Result<Reply, ApplyError> {
        check_len("occupancy report", reports.len(), REPORTS_PER_COMMAND)?;
        if !self.nodes.contains_key(&node) {
            return Err(ApplyError::UnknownNode(node));
        }
        for report in reports {
            // A report about a meeting that just ended is late, not wrong.
            if self.meetings.get(&report.meeting).is_none_or(|m| m.ended) {
                continue;
            }
            let nodes = self.occupancy.entry(report.meeting).or_default();
            if report.occupancy.participants == 0 {
                nodes.remove(&node);
            } else {
                nodes.insert(node, report.occupancy);
            }
            if nodes.is_empty() {
                self.occupancy.remove(&report.meeting);
            }
        }
        Ok(Reply::Done)
    }
}

pub(super) fn candidate(node: &Node) -> Candidate<'_> {
    Candidate {
        node: node.id(),
        region: &node.record.region,
        used_permille: node.predicted_permille(),
    }
}

fn hint_demand(hint: Option<&Region>) -> Demand {
    let one = RegionDemand { listeners: 1, talk_permille: 1_000 };
    hint.map(|region| (region.clone(), one)).into_iter().collect()
}

fn regions_text(allowed: &BTreeSet<Region>) -> String {
    if allowed.is_empty() {
        return "any region".to_owned();
    }
    allowed.iter().map(Region::as_str).collect::<Vec<_>>().join(", ")
}
