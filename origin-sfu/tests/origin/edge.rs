//! The other end of a link: says what an edge says, and keeps what it is told.

use crate::far::Far;
use crate::world::{EPOCH, LANE, MEETING, ORIGIN, addr, links};
use relay_proto::control::{Body, Control, Member, Role};
use relay_proto::links::{LinkEvent, LinkId, LinkInput, Links};
use relay_proto::roles::MemberRole;
use relay_proto::{Epoch, FlowId, Machine, NodeId, Now, Outbox, ParticipantId, Progress};
use std::collections::BTreeMap;

pub(crate) struct Edge {
    pub(crate) node: NodeId,
    pub(crate) region: String,
    pub(crate) links: Links,
    out: Outbox<LinkEvent>,
    /// Datagrams on their way here.
    pub(crate) arriving: Vec<Vec<u8>>,
    pub(crate) link: Option<LinkId>,
    /// What it was told, with the epoch.
    pub(crate) heard: Vec<(Epoch, Body)>,
    /// Media packets that came, by flow.
    pub(crate) media: BTreeMap<FlowId, usize>,
    pub(crate) far: Option<Far>,
}

impl Edge {
    pub(crate) fn new(now: Now, node: NodeId, region: &str) -> Self {
        let mut links = links(now, node, region);
        links.connect(now, ORIGIN, LANE, addr(ORIGIN));
        Self {
            node,
            region: region.to_owned(),
            links,
            out: Outbox::new(),
            arriving: Vec::new(),
            link: None,
            heard: Vec::new(),
            media: BTreeMap::new(),
            far: None,
        }
    }

    /// Dials again.
    pub(crate) fn reconnect(&mut self, now: Now) {
        self.links.connect(now, ORIGIN, LANE, addr(ORIGIN));
    }

    /// Somebody here.
    pub(crate) fn member(&self, counter: u32) -> Member {
        Member {
            id: ParticipantId::new(self.node, counter),
            name: format!("p{counter}"),
            edge: self.node,
            mic_muted: false,
            camera_off: false,
            role: MemberRole::Panelist,
            owner: false,
            identity: 0,
            hand: 0,
        }
    }

    pub(crate) fn say(&mut self, now: Now, epoch: Epoch, body: Body) {
        let control = Control { meeting: MEETING, epoch, body };
        self.links.send_control(now, self.link.expect("up"), &control).unwrap();
    }

    /// Announces the tracks of somebody, whose media [`Self::far_moment`] sends.
    pub(crate) fn publish(&mut self, now: Now, far: Far) {
        for body in far.announced(&[self.node]) {
            self.say(now, EPOCH, body);
        }
        self.far = Some(far);
    }

    /// 20 ms of media.
    pub(crate) fn far_moment(&mut self, now: Now) {
        if let (Some(far), Some(link)) = (&mut self.far, self.link) {
            far.moment(now, &mut self.links, link);
        }
    }

    /// The part it was given last.
    pub(crate) fn role(&self) -> Option<Role> {
        self.heard.iter().rev().find_map(|(_, body)| match body {
            Body::Attached { role } => Some(*role),
            _ => None,
        })
    }

    /// Everything it was told since the last call.
    pub(crate) fn take(&mut self) -> Vec<Body> {
        std::mem::take(&mut self.heard).into_iter().map(|(_, body)| body).collect()
    }

    /// Takes what has arrived; the datagrams it sends.
    pub(crate) fn step(&mut self, now: Now) -> Vec<Vec<u8>> {
        for mut data in std::mem::take(&mut self.arriving) {
            let input = LinkInput::Datagram { from: addr(ORIGIN), ecn: 0, data: &mut data };
            self.links.handle(now, input, &mut self.out);
        }
        if self.links.deadline().is_some_and(|at| at <= now.mono) {
            self.links.on_deadline(now, &mut self.out);
        }
        let mut sent = Vec::new();
        loop {
            let progress = self.links.flush(now, &mut self.out);
            for event in std::mem::take(&mut self.out.events) {
                self.event(event);
            }
            for (transmit, bytes) in self.out.net.transmits() {
                sent.extend(bytes.chunks(transmit.segment).map(<[u8]>::to_vec));
            }
            self.out.net.clear();
            if progress == Progress::Done {
                return sent;
            }
        }
    }

    fn event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { link, .. } => self.link = Some(link),
            LinkEvent::Down { .. } => self.link = None,
            LinkEvent::Media { flow, .. } => *self.media.entry(flow).or_default() += 1,
            LinkEvent::Control { control, .. } => {
                if let (Body::Keyframe { encoding, .. }, Some(far)) = (&control.body, &mut self.far)
                {
                    far.wants_key(*encoding);
                }
                self.heard.push((control.epoch, control.body));
            }
            _ => {}
        }
    }
}
