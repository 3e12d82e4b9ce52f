//! Joining: an invitation becomes a token of one's own, and the edges to use it at.

use super::edges::nearest;
use super::extract::{Address, Body, Which, Who};
use super::limits::JOIN_LIFETIME;
use super::meetings::{cannot_sign, find, person, sign};
use super::openapi::JoinProblems;
use super::problem::{Kind, Refused};
use super::state::{ApiState, lock, wall};
use super::types::{JoinLimits, Joining, MeetingInfo, NewJoin, clean_name, region};
use crate::signalling::MESSAGES_PER_SECOND;
use crate::token::{AUDIENCE, Bearer, Claims, Grants, InviteRole, draw_sub};
use axum::Json;
use axum::extract::State;
use edge_sfu::signal::SIGNAL_BYTES_MAX;
use relay_proto::MeetingId;
use std::net::IpAddr;
use std::time::Instant;
use topology::model::Meeting;

/// Who joins, and what they may.
struct Joiner {
    role: InviteRole,
    sub: String,
    name: Option<String>,
    grants: Grants,
    /// A host has to admit them.
    waits: bool,
    /// They have said the password, or need not.
    trusted: bool,
}

/// Joins a meeting
///
/// With an invitation, which many may use: each joiner gets a token of their own. Whoever created the meeting joins with their API
/// token. With a join token that is still good, the answer is a new one for the same participant, and new TURN credentials.
#[utoipa::path(post, path = "/api/v1/meetings/{meeting}/join", tag = "participants", operation_id = "joinMeeting",
    params(("meeting" = String, Path, description = "Its id", pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$")),
    request_body = NewJoin,
    responses((status = 200, description = "Where and how to join", body = Joining), JoinProblems),
    security(("bearer" = [])))]
pub(super) async fn join(
    State(state): State<ApiState>,
    who: Who,
    Which(id): Which,
    Address(address): Address,
    Body(wanted): Body<NewJoin>,
) -> Result<Json<Joining>, Refused> {
    let name = clean_name("name", wanted.name.as_deref())?;
    let from = region("region", wanted.region.as_deref())?;
    limit(&state, id, address, &who)?;
    let meeting = find(&state, id, &who).await?;
    if meeting.ended {
        return Err(Refused::ended());
    }
    let joiner = joiner(&who, &meeting, name)?;
    if meeting.has_password && !joiner.trusted {
        check_password(&state, id, address, wanted.password.as_deref()).await?;
    }
    let view = state.config.topology.view();
    let from = from.as_ref().unwrap_or(&state.config.region);
    let now = wall();
    let expires_at = now.saturating_add(JOIN_LIFETIME).as_secs();
    let claims = Claims {
        aud: AUDIENCE.to_owned(),
        meeting: id,
        sub: joiner.sub.clone(),
        name: joiner.name,
        grants: joiner.grants,
        wait: joiner.waits,
        exp: expires_at,
    };
    let turn = state.config.turn.as_ref();
    Ok(Json(Joining {
        meeting: MeetingInfo::from(&*meeting),
        edges: nearest(&view, from, &state.config.rtt),
        ice_servers: turn.map(|turn| turn.server(&joiner.sub, now)).into_iter().collect(),
        token: sign(&state, &claims)?,
        expires_at,
        sub: joiner.sub,
        role: joiner.role,
        waits: joiner.waits,
        limits: JoinLimits {
            max_participants: meeting.participants_max,
            signal_bytes: SIGNAL_BYTES_MAX as u32,
            signal_messages_per_second: MESSAGES_PER_SECOND as u32,
        },
    }))
}

/// How often an address may join, and how often a meeting may be joined.
fn limit(state: &ApiState, id: MeetingId, address: IpAddr, who: &Who) -> Result<(), Refused> {
    let now = Instant::now();
    lock(&state.address_joins).take(address, now).map_err(|quota| {
        let detail = format!("too many joins from this address: try again in {} s", quota.reset_s);
        Refused::quota(quota, detail)
    })?;
    // Meetings that an API token only guesses have no bucket.
    if matches!(who.0, Bearer::Api(_)) {
        return Ok(());
    }
    lock(&state.meeting_joins).take(id, now).map(drop).map_err(|quota| {
        let detail =
            format!("very many join this meeting just now: try again in {} s", quota.reset_s);
        Refused::quota(quota, detail)
    })
}

fn joiner(who: &Who, meeting: &Meeting, name: Option<String>) -> Result<Joiner, Refused> {
    let (role, sub, own_name) = match &who.0 {
        Bearer::Join(claims) => return Ok(renewed(claims)),
        // `find` has let through those only who are host of it.
        Bearer::Api(_) => {
            let claims = person(who)?;
            (InviteRole::Host, Some(claims.sub.clone()), claims.name.clone())
        }
        Bearer::Invite(claims) => (claims.role, claims.sub.clone(), claims.name.clone()),
    };
    let sub = sub.map_or_else(draw_sub, Ok).map_err(|e| cannot_sign(&e))?;
    let host = role == InviteRole::Host;
    Ok(Joiner {
        role,
        sub,
        name: own_name.or(name),
        grants: role.grants(),
        waits: meeting.waiting_room && !host,
        trusted: host,
    })
}

/// The same participant again. The password was said when the token was made.
fn renewed(claims: &Claims) -> Joiner {
    let role = match claims.grants {
        Grants { host: true, .. } => InviteRole::Host,
        Grants { publish: true, .. } => InviteRole::Participant,
        _ => InviteRole::Attendee,
    };
    Joiner {
        role,
        sub: claims.sub.clone(),
        name: claims.name.clone(),
        grants: claims.grants,
        waits: claims.wait,
        trusted: true,
    }
}

async fn check_password(
    state: &ApiState,
    id: MeetingId,
    address: IpAddr,
    said: Option<&str>,
) -> Result<(), Refused> {
    let Some(said) = said.filter(|said| !said.is_empty()) else {
        return Err(Refused::new(
            Kind::Password,
            "this meeting has a password: send it as `password`",
        ));
    };
    let meeting = state.config.topology.fetch_meeting(id).await?;
    let Some(hash) = &meeting.password else { return Ok(()) };
    // A guess is paid for before it is hashed; what was right is paid back.
    let pay = || {
        let paid = lock(&state.wrong_passwords).take((id, address), Instant::now());
        paid.map(drop).map_err(|quota| {
            let detail = format!("too many wrong passwords: try again in {} s", quota.reset_s);
            Refused::quota(quota, detail)
        })
    };
    if state.passwords.is_right(id, hash, said, pay).await? {
        lock(&state.wrong_passwords).give_back(&(id, address));
        return Ok(());
    }
    Err(Refused::new(Kind::Password, "the password is wrong: ask whoever invited you"))
}
