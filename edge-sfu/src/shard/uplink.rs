//! How an edge is attached to a meeting's tree: to its origin, and, where another edge of the region came first, to that head.

use super::command::Placement;
use relay_proto::NodeId;
use relay_proto::control::Role;
use relay_proto::links::LinkId;
use sfu_core::hub::PortId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An attach that was not answered, or refused, is repeated after this long.
pub(super) const ATTACH_RETRY: Duration = Duration::from_millis(500);

/// One neighbour this edge attaches to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attachment {
    /// The neighbour.
    pub(super) node: NodeId,
    /// The link to it.
    pub(super) link: LinkId,
    /// Whether it has answered.
    pub(super) attached: bool,
}

/// One edge's place in the tree of one meeting.
#[derive(Debug, Default)]
pub(super) struct Uplink {
    /// Where the meeting is.
    pub(super) placement: Option<Placement>,
    /// To the origin: roster, digests, floor; and media, while this edge is the head of its region.
    pub(super) origin: Option<Attachment>,
    /// To the head of the region: media, while this edge is a child.
    pub(super) head: Option<Attachment>,
    /// The part the origin gave this edge.
    pub(super) role: Option<Role>,
    /// The hub's port for media upward, with the link it is for.
    pub(super) media: Option<(LinkId, PortId)>,
    /// Children of this head: their links and ports.
    pub(super) children: BTreeMap<LinkId, PortId>,
    /// When to attach again.
    pub(super) retry: Option<Instant>,
}

impl Uplink {
    /// The link that media goes upward by, once its neighbour has answered.
    #[must_use]
    pub(super) fn media_link(&self) -> Option<LinkId> {
        let attachment = match self.role? {
            Role::Head => self.origin,
            Role::Child { .. } => self.head,
        };
        attachment.filter(|a| a.attached).map(|a| a.link)
    }

    /// The link for roster, digests and floor.
    #[must_use]
    pub(super) fn control_link(&self) -> Option<LinkId> {
        self.origin.filter(|a| a.attached).map(|a| a.link)
    }

    /// Whether this edge is its region's head.
    #[must_use]
    pub(super) fn is_head(&self) -> bool {
        self.role == Some(Role::Head)
    }
}
