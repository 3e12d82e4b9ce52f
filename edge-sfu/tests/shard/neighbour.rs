//! The other end of a relay link: says what an origin says, and takes everything.

use crate::world::{EPOCH, ORIGIN, links, relay_addr};
use relay_proto::control::{Body, Control, Role};
use relay_proto::links::{LinkEvent, LinkId, LinkInput, Links};
use relay_proto::{Machine, MeetingId, Now, Outbox, Progress};

pub(crate) struct Neighbour {
    pub(crate) links: Links,
    out: Outbox<LinkEvent>,
    /// Datagrams on their way here.
    pub(crate) arriving: Vec<Vec<u8>>,
    pub(crate) link: Option<LinkId>,
    /// Bodies said to it.
    pub(crate) heard: Vec<Body>,
    /// Media packets that came.
    pub(crate) media: usize,
}

impl Neighbour {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            links: links(now, ORIGIN),
            out: Outbox::new(),
            arriving: Vec::new(),
            link: None,
            heard: Vec::new(),
            media: 0,
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
                if matches!(control.body, Body::Attach { .. }) {
                    let role = Body::Attached { role: Role::Head };
                    self.say(now, control.meeting, role);
                }
                self.heard.push(control.body);
            }
            _ => {}
        }
    }
}
