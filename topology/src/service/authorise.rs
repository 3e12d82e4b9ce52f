//! Who may ask what.

use super::Identity;
use crate::model::State;
use crate::protocol::{Refusal, Request};

/// Operators create, end, move and drain. Nodes speak for themselves, and create and end meetings for the API requests they
/// authenticated. Members of the topology ask for nothing.
pub(super) fn authorise(who: &Identity, request: &Request, state: &State) -> Result<(), Refusal> {
    let allowed = match who {
        Identity::Operator(_) => operator_may(request),
        Identity::Node { .. } => node_may(who, request, state),
        Identity::Topology(_) => false,
    };
    if allowed {
        return Ok(());
    }
    Err(Refusal::NotAllowed { who: who.to_string(), what: name_of(request).to_owned() })
}

fn operator_may(request: &Request) -> bool {
    !matches!(
        request,
        Request::Register { .. }
            | Request::Heartbeat { .. }
            | Request::Goodbye { .. }
            | Request::ReportOccupancy { .. }
    )
}

fn node_may(who: &Identity, request: &Request, state: &State) -> bool {
    let Identity::Node { region, node: me } = who else {
        return false;
    };
    match request {
        Request::Register { record, .. } => record.id == *me && record.region == *region,
        Request::Heartbeat { .. } | Request::Goodbye { .. } | Request::ReportOccupancy { .. } => {
            true
        }
        Request::CreateMeeting { .. } | Request::EndMeeting { .. } | Request::GetMeeting { .. } => {
            true
        }
        Request::Status | Request::Watch => true,
        Request::Drain { node, .. } => node == me,
        Request::ReplaceOrigin { meeting, to, .. } => state.meeting(*meeting).is_some_and(|m| {
            let takes = m.standby == Some(*me) && *to == Some(*me);
            let gives = m.origin == *me && *to != Some(*me);
            takes || gives
        }),
        Request::Forget { .. } | Request::Members(_) => false,
    }
}

fn name_of(request: &Request) -> &'static str {
    match request {
        Request::Register { .. } => "register this node",
        Request::Heartbeat { .. } => "send heartbeats",
        Request::Goodbye { .. } => "say goodbye",
        Request::ReportOccupancy { .. } => "report occupancy",
        Request::CreateMeeting { .. } => "create meetings",
        Request::EndMeeting { .. } => "end meetings",
        Request::GetMeeting { .. } => "read meetings",
        Request::ReplaceOrigin { .. } => "replace the origin of this meeting",
        Request::Drain { .. } => "drain this node",
        Request::Forget { .. } => "forget nodes",
        Request::Status => "read the status",
        Request::Watch => "watch",
        Request::Members(_) => "change the service's members",
    }
}
