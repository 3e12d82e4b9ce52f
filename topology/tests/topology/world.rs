//! A tiny harness: a state, a clock that is told, and request ids that count.

use relay_proto::{MeetingId, NodeId};
use topology::model::*;

pub(crate) fn region(text: &str) -> Region {
    Region::new(text).unwrap()
}

pub(crate) fn record(id: u32, role: Role, at: &str, instance: u64) -> NodeRecord {
    NodeRecord {
        id: NodeId(id),
        name: format!("n{id}"),
        role,
        region: region(at),
        http_url: format!("http://127.0.0.1:{}", 8000 + id),
        signal_url: format!("ws://127.0.0.1:{}/v1/signal", 8000 + id),
        media: "127.0.0.1:9000".parse().unwrap(),
        relay: vec!["127.0.0.1:9001".parse().unwrap()],
        instance,
        capacity: 1_000,
    }
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) changes: Vec<Change>,
    now_ms: u64,
}

impl World {
    /// A world with these origin nodes, all of instance 1.
    pub(crate) fn with_origins(nodes: &[(u32, &str)]) -> Self {
        let mut world = Self::default();
        for (id, at) in nodes {
            world.ok(CommandKind::RegisterNode(record(*id, Role::Origin, at, 1)));
        }
        world
    }

    pub(crate) fn apply(&mut self, kind: CommandKind) -> Result<Reply, ApplyError> {
        self.apply_as(None, kind)
    }

    pub(crate) fn apply_as(
        &mut self,
        request: Option<RequestId>,
        kind: CommandKind,
    ) -> Result<Reply, ApplyError> {
        self.now_ms += 1;
        self.changes.clear();
        self.state.apply(&Command { request, now_ms: self.now_ms, kind }, &mut self.changes)
    }

    pub(crate) fn ok(&mut self, kind: CommandKind) -> Reply {
        self.apply(kind).unwrap()
    }

    pub(crate) fn create(&mut self, id: u64, spec: MeetingSpec) -> Meeting {
        match self.ok(CommandKind::CreateMeeting { meeting: MeetingId(id), spec }) {
            Reply::Meeting { meeting, .. } => *meeting,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn meeting(&self, id: u64) -> &Meeting {
        self.state.meeting(MeetingId(id)).unwrap()
    }

    /// (origin, standby or 0, epoch)
    pub(crate) fn placement(&self, id: u64) -> (u32, u32, u64) {
        let m = self.meeting(id);
        (m.origin.0, m.standby.map_or(0, |s| s.0), m.epoch.0)
    }

    pub(crate) fn down(&mut self, node: u32) {
        let instance = self.state.node(NodeId(node)).unwrap().record.instance;
        let kind = CommandKind::SetState { node: NodeId(node), instance, state: NodeState::Down };
        self.ok(kind);
        self.repair();
    }

    pub(crate) fn repair(&mut self) {
        for _ in 0..1_000 {
            if self.state.repairs_waiting() == 0 {
                return;
            }
            self.ok(CommandKind::Repair);
        }
        panic!("repair does not end");
    }
}

pub(crate) fn near(at: &str) -> MeetingSpec {
    MeetingSpec { hint_region: Some(region(at)), ..MeetingSpec::default() }
}
