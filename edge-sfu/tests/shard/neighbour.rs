//! The other end of a relay link: says what an origin says, and takes everything.

use crate::far::Far;
use crate::world::{EPOCH, ORIGIN, links, relay_addr};
use relay_proto::control::{Body, Control, Floor, Role};
use relay_proto::links::{LinkEvent, LinkId, LinkInput, Links};
use relay_proto::roles::Settings;
use relay_proto::{Machine, MeetingId, NodeId, Now, Outbox, Progress};

pub(crate) struct Neighbour {
    pub(crate) node: NodeId,
    /// The part it gives the edge that attaches.
    pub(crate) role: Role,
    /// It does not answer who attaches.
    pub(crate) silent: bool,
    pub(crate) links: Links,
    out: Outbox<LinkEvent>,
    /// Datagrams on their way here.
    pub(crate) arriving: Vec<Vec<u8>>,
    pub(crate) link: Option<LinkId>,
    /// Bodies said to it.
    pub(crate) heard: Vec<Body>,
    /// Media packets that came.
    pub(crate) media: usize,
    /// Who it sends media of.
    pub(crate) far: Option<Far>,
}

impl Neighbour {
    /// The origin.
    pub(crate) fn new(now: Now) -> Self {
        Self::at(now, ORIGIN)
    }

    /// Another node.
    pub(crate) fn at(now: Now, node: NodeId) -> Self {
        Self {
            node,
            role: Role::Head,
            silent: false,
            links: links(now, node),
            out: Outbox::new(),
            arriving: Vec::new(),
            link: None,
            heard: Vec::new(),
            media: 0,
            far: None,
        }
    }

    /// Somebody speaks and is seen behind this neighbour, and has the floor.
    pub(crate) fn announce(&mut self, now: Now, meeting: MeetingId, far: Far) {
        for body in far.announced(&[far.participant.node(), ORIGIN]) {
            self.say(now, meeting, body);
        }
        let main = Some(far.participant);
        self.say(now, meeting, Body::Floor(Floor { seq: 1, main, recent: vec![far.participant] }));
        self.far = Some(far);
    }

    /// 20 ms of whoever is far away.
    pub(crate) fn far_moment(&mut self, now: Now) {
        if let (Some(far), Some(link)) = (&mut self.far, self.link) {
            far.moment(now, &mut self.links, link);
        }
    }

    pub(crate) fn say(&mut self, now: Now, meeting: MeetingId, body: Body) {
        let control = Control { meeting, epoch: EPOCH, body };
        self.links.send_control(now, self.link.unwrap(), &control).unwrap();
    }

    /// Takes what has arrived; the datagrams it sends.
    pub(crate) fn step(&mut self, now: Now) -> Vec<Vec<u8>> {
        let edge = relay_addr(crate::world::EDGE);
        for mut data in std::mem::take(&mut self.arriving) {
            let input = LinkInput::Datagram { from: edge, ecn: 0, data: &mut data };
            self.links.handle(now, input, &mut self.out);
        }
        if self.links.deadline().is_some_and(|at| at <= now.mono) {
            self.links.on_deadline(now, &mut self.out);
        }
        for event in std::mem::take(&mut self.out.events) {
            self.event(now, event);
        }
        let mut sent = Vec::new();
        loop {
            let progress = self.links.flush(now, &mut self.out);
            for (transmit, bytes) in self.out.net.transmits() {
                sent.extend(bytes.chunks(transmit.segment).map(<[u8]>::to_vec));
            }
            self.out.net.clear();
            if progress == Progress::Done {
                return sent;
            }
        }
    }

    fn event(&mut self, now: Now, event: LinkEvent) {
        match event {
            LinkEvent::Up { link, .. } => self.link = Some(link),
            LinkEvent::Down { .. } => self.link = None,
            LinkEvent::Media { .. } => self.media += 1,
            LinkEvent::Control { control, .. } => {
                if matches!(control.body, Body::Attach { .. }) && !self.silent {
                    let role = Body::Attached { role: self.role };
                    self.say(now, control.meeting, role);
                    if self.node == ORIGIN {
                        self.say(now, control.meeting, Body::Settings(Settings::default()));
                    }
                }
                if let (Body::Keyframe { encoding, .. }, Some(far)) = (&control.body, &mut self.far)
                {
                    far.wants_key(*encoding);
                }
                self.heard.push(control.body);
            }
            _ => {}
        }
    }
}
