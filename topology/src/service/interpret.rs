//! What a request means: commands for the state machine, or a question. The same for one process and for a group.

use crate::model::{
    ApplyError, CommandKind, Load, MeetingSpec, NodeState, RequestId, RttTable, State,
};
use crate::protocol::{MembersRequest, Request};
use relay_proto::{MeetingId, NodeId};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is wanted.
pub(super) enum Wish {
    /// Put this command in order; answer what it answers.
    Propose {
        /// Names it.
        request: Option<RequestId>,
        /// What to do.
        kind: CommandKind,
        /// It must survive before it is answered.
        sync: bool,
    },
    /// Draw a meeting id, and propose that.
    Create {
        /// Names it.
        request: RequestId,
        /// What is wanted.
        spec: MeetingSpec,
    },
    /// A node lives.
    Beat {
        /// Which process of it.
        instance: u64,
        /// How busy.
        load: Load,
    },
    /// One meeting.
    Get(MeetingId),
    /// Numbers about the whole.
    Status,
    /// The service's own members.
    Members(MembersRequest),
    /// Connections turn this one into a subscription.
    Watch,
}

/// What `request` of node `me` (none for operators) means.
pub(super) fn interpret(me: NodeId, request: Request) -> Wish {
    let named = |request, kind| Wish::Propose { request: Some(request), kind, sync: true };
    match request {
        Request::Register { request, record } => named(request, CommandKind::RegisterNode(record)),
        Request::Heartbeat { instance, load } => Wish::Beat { instance, load },
        Request::Goodbye { instance } => {
            let kind = CommandKind::SetState { node: me, instance, state: NodeState::Down };
            Wish::Propose { request: None, kind, sync: true }
        }
        Request::ReportOccupancy { reports } => {
            let kind = CommandKind::ReportOccupancy { node: me, reports };
            Wish::Propose { request: None, kind, sync: false }
        }
        Request::CreateMeeting { request, spec } => Wish::Create { request, spec },
        Request::EndMeeting { request, meeting } => {
            named(request, CommandKind::EndMeeting { meeting })
        }
        Request::GetMeeting { meeting } => Wish::Get(meeting),
        Request::ReplaceOrigin { request, meeting, from_epoch, to } => {
            named(request, CommandKind::ReplaceOrigin { meeting, from_epoch, to })
        }
        Request::Drain { request, node, on } => named(request, CommandKind::Drain { node, on }),
        Request::Forget { request, node } => named(request, CommandKind::Forget { node }),
        Request::Status => Wish::Status,
        Request::Members(members) => Wish::Members(members),
        Request::Watch => Wish::Watch,
    }
}

/// The commands a heartbeat leads to: only what moves the replicated state a step. With `settle` a load is written down
/// anew while meetings count as pending on it.
///
/// # Errors
/// The node is not registered, or another process is.
pub(super) fn beat(
    state: &State,
    me: NodeId,
    instance: u64,
    load: Load,
    settle: bool,
) -> Result<Vec<CommandKind>, ApplyError> {
    let node = state.node(me).ok_or(ApplyError::UnknownNode(me))?;
    if node.record.instance != instance {
        return Err(ApplyError::InstanceReplaced { node: me });
    }
    let mut commands = Vec::new();
    if matches!(node.state, NodeState::Suspect | NodeState::Down) {
        commands.push(CommandKind::SetState { node: me, instance, state: NodeState::Online });
    }
    let settles = settle && node.placed_since_report > 0;
    if settles || node.load.moved(load, node.record.capacity) {
        commands.push(CommandKind::NodeHeartbeat { node: me, instance, load });
    }
    Ok(commands)
}

/// The command that brings a configured table into force, when it is not.
pub(super) fn wanted_rtt(state: &State, rtt: &RttTable) -> Option<CommandKind> {
    (state.rtt() != rtt).then(|| CommandKind::SetRtt(rtt.clone()))
}

/// Milliseconds since 1970.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}
