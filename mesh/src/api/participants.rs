//! Who is in a meeting, and leaving it.

use super::edges::nearest;
use super::extract::{Asked, Which, Who};
use super::meetings::{find, page};
use super::openapi::{LeaveProblems, ParticipantsProblems};
use super::problem::{Kind, Refused};
use super::state::ApiState;
use super::types::{Participant, Participants, ParticipantsQuery};
use crate::signalling::Told;
use crate::token::Bearer;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

/// Lists the participants of a meeting
///
/// For participants and hosts. An edge knows the roster of the meetings it carries: any edge that a participant of the meeting is
/// connected to. Another one answers 409 and names edges to ask. In a meeting of more than 200 attendees are counted in `total`, not listed.
#[utoipa::path(get, path = "/api/v1/meetings/{meeting}/participants", tag = "participants", operation_id = "listParticipants",
    params(("meeting" = String, Path, description = "Its id", pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$"), ParticipantsQuery),
    responses((status = 200, description = "A page of them", body = Participants), ParticipantsProblems),
    security(("bearer" = [])))]
pub(super) async fn list(
    State(state): State<ApiState>,
    who: Who,
    Which(id): Which,
    Asked(query): Asked<ParticipantsQuery>,
) -> Result<Json<Participants>, Refused> {
    let limit = page(query.limit)?;
    let meeting = find(&state, id, &who).await?;
    if matches!(who.0, Bearer::Invite(_)) && !who.is_host(&meeting) {
        return Err(Refused::new(
            Kind::Forbidden,
            "an invitation does not show who is there: join, and ask with the join token",
        ));
    }
    if meeting.ended {
        return Err(Refused::ended());
    }
    let Some(Told { members, total }) = state.config.sockets.roster(id) else {
        return Err(elsewhere(
            &state,
            "nobody of this meeting is connected to this edge: ask the edge that you or another participant joined",
        ));
    };
    let mut rest =
        members.into_iter().filter(|m| query.after.is_none_or(|after| m.id > after)).peekable();
    let participants: Vec<Participant> = rest.by_ref().take(limit).map(Participant::from).collect();
    let more = rest.peek().is_some();
    let next = participants.last().map(|p| p.id).filter(|_| more);
    Ok(Json(Participants { participants, total, next }))
}

/// Leaves a meeting
///
/// Ends all connections of the participant whose join token this is, at the edge that has them. Another edge answers 409.
#[utoipa::path(delete, path = "/api/v1/meetings/{meeting}/participants/me", tag = "participants", operation_id = "leaveMeeting",
    params(("meeting" = String, Path, description = "Its id", pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$")),
    responses((status = 204, description = "Left"), LeaveProblems),
    security(("bearer" = [])))]
pub(super) async fn leave(
    State(state): State<ApiState>,
    who: Who,
    Which(id): Which,
) -> Result<StatusCode, Refused> {
    let Bearer::Join(claims) = &who.0 else {
        return Err(Refused::new(Kind::Forbidden, "send the join token you joined with"));
    };
    if claims.meeting != id {
        return Err(Refused::no_meeting());
    }
    if claims.sub.is_empty() {
        let detail = "this token is a link's, which many use, and names nobody: leave on the socket you joined with";
        return Err(Refused::new(Kind::Forbidden, detail));
    }
    if state.config.sockets.leave(id, &claims.sub) == 0 {
        return Err(elsewhere(
            &state,
            "this participant is not connected to this edge: they have left, or ask the edge they joined",
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}

fn elsewhere(state: &ApiState, detail: &str) -> Refused {
    let view = state.config.topology.view();
    let edges = nearest(&view, &state.config.region, &state.config.rtt);
    let others = edges.into_iter().filter(|edge| edge.url != state.config.url).map(|e| e.url);
    Refused::new(Kind::Elsewhere, detail).edges(others.collect())
}
