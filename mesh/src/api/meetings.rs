//! Meetings: create, list, look at, invite to, end.

use super::extract::{Asked, Body, Which, Who};
use super::idempotency::{self, Known, Place};
use super::limits::{CREATE_WINDOW, INVITE_LIFETIME, PAGE_MAX};
use super::openapi::{CreateProblems, EndProblems, GetProblems, InviteProblems, ListProblems};
use super::problem::{Kind, Refused};
use super::rate::Quota;
use super::state::{ApiState, lock, wall};
use super::types::{
    Created, Invitation, MeetingInfo, Meetings, MeetingsQuery, NewInvitation, NewMeeting,
    clean_name,
};
use crate::token::{ApiClaims, Bearer, INVITE_AUDIENCE, InviteClaims, InviteRole, draw_sub};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay_proto::MeetingId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use topology::limits::{CREATOR_BYTES_MAX, PARTICIPANTS_MAX};
use topology::model::{Meeting, MeetingKind, MeetingSpec};
use topology::service::{TopologyClient, TopologyView};

/// How long an answer waits for the own view to show what was done, so that whoever asks next sees it.
const SEEN_WITHIN: Duration = Duration::from_secs(1);

/// The meeting, if whoever asks may know of it.
pub(super) async fn find(
    state: &ApiState,
    id: MeetingId,
    who: &Who,
) -> Result<Arc<Meeting>, Refused> {
    let strange = match &who.0 {
        Bearer::Api(_) => false,
        Bearer::Invite(claims) => claims.meeting != id,
        Bearer::Join(claims) => claims.meeting != id,
    };
    if strange {
        return Err(Refused::no_meeting());
    }
    let meeting = state.config.topology.get_meeting(id).await?;
    if who.may_see(&meeting) { Ok(meeting) } else { Err(Refused::no_meeting()) }
}

/// Until the own view shows it, or for a second.
async fn seen(topology: &TopologyClient, shows: impl FnMut(&Arc<TopologyView>) -> bool) {
    let mut views = topology.watch();
    let _ = tokio::time::timeout(SEEN_WITHIN, views.wait_for(shows)).await;
}

/// The person of an API token.
pub(super) fn person(who: &Who) -> Result<&ApiClaims, Refused> {
    let Bearer::Api(claims) = &who.0 else {
        return Err(Refused::new(
            Kind::Forbidden,
            "this needs an API token of the operator, not an invitation or a join token",
        ));
    };
    if claims.sub.is_empty() || claims.sub.len() > CREATOR_BYTES_MAX {
        return Err(Refused::new(
            Kind::Forbidden,
            format!("the token must name a person: a `sub` of 1 to {CREATOR_BYTES_MAX} bytes"),
        ));
    }
    Ok(claims)
}

/// Creates a meeting
///
/// With an `Idempotency-Key`, the same request again (within a day) has the same answer and creates nothing, also at another
/// edge. The answer has an invitation for each role.
#[utoipa::path(post, path = "/api/v1/meetings", tag = "meetings", operation_id = "createMeeting",
    request_body = NewMeeting,
    params(("Idempotency-Key" = Option<String>, Header, nullable = false,
        description = "Names this creation, such as a UUID", pattern = "^(\"[!#-~]{1,128}\"|[!#-~]{1,128})$")),
    responses(
        (status = 201, description = "Created", body = Created, headers(
            ("Location" = String, description = "The meeting"),
            ("RateLimit" = String, description = "What is left of the hour"),
            ("RateLimit-Policy" = String, description = "What an hour allows"))),
        CreateProblems),
    security(("bearer" = [])))]
pub(super) async fn create(
    State(state): State<ApiState>,
    who: Who,
    headers: HeaderMap,
    Body(wanted): Body<NewMeeting>,
) -> Result<Response, Refused> {
    let creator = person(&who)?;
    if !creator.grants.create {
        return Err(Refused::new(Kind::Forbidden, "the token does not grant creating meetings"));
    }
    wanted.spec(&creator.sub, None)?;
    wanted.password()?;
    let key = idempotency::key_of(&headers)?;
    let place = match &key {
        Some(key) => {
            let body = serde_json::to_vec(&wanted).unwrap_or_default();
            let fingerprint = idempotency::fingerprint(&body);
            match state.created.begin(&creator.sub, key, fingerprint, Instant::now())? {
                Known::Done(created) => return Ok(created_response(created, None)),
                Known::New(place) => Some(place),
            }
        }
        None => None,
    };
    let quota = take_creation(&state, &creator.sub)?;
    let made = make(&state, &creator.sub, key.as_deref(), &wanted).await;
    if made.is_err() {
        lock(&state.creates).give_back(&creator.sub);
    }
    let meeting = made?;
    seen(&state.config.topology, |view| view.meeting(meeting.id).is_some()).await;
    let created = created(&state, &meeting)?;
    if let Some(place) = place {
        Place::done(place, created.clone());
    }
    tracing::info!(meeting = %meeting.id, origin = %meeting.origin, "meeting created");
    Ok(created_response(created, Some(&quota)))
}

/// One of the meetings that a person may create in an hour, wherever they create them.
fn take_creation(state: &ApiState, person: &str) -> Result<Quota, Refused> {
    let since = wall().saturating_sub(CREATE_WINDOW).as_millis() as u64;
    let view = state.config.topology.view();
    let own = view.meetings.values().filter(|m| m.creator == person && m.created_ms > since);
    let elsewhere = u32::try_from(own.count()).unwrap_or(u32::MAX);
    let limit = state.config.creates_per_hour;
    let taken = lock(&state.creates).take(person, limit, elsewhere, Instant::now());
    taken.map_err(|quota| {
        let minutes = quota.reset_s.div_ceil(60);
        let detail = format!(
            "you have created {limit} meetings in an hour: use one of them, or create the next in {minutes} min"
        );
        Refused::quota(quota, detail)
    })
}

async fn make(
    state: &ApiState,
    creator: &str,
    key: Option<&str>,
    wanted: &NewMeeting,
) -> Result<Meeting, Refused> {
    let password = match wanted.password()? {
        Some(password) => Some(state.passwords.hash(password.to_owned()).await?),
        None => None,
    };
    let spec = wanted.spec(creator, password)?;
    let request = match key {
        Some(key) => idempotency::request_id(creator, key),
        None => TopologyClient::request_id()?,
    };
    let made = state.config.topology.create_meeting_once(request, spec.clone()).await?;
    // Another edge has done it before: was it the same?
    if is_of(&made, &spec) { Ok(made) } else { Err(idempotency::reused()) }
}

/// Whether a meeting is what `spec` asked for, as far as the topology remembers.
fn is_of(meeting: &Meeting, spec: &MeetingSpec) -> bool {
    let max = if spec.participants_max == 0 { PARTICIPANTS_MAX } else { spec.participants_max };
    meeting.name == spec.name
        && meeting.kind == spec.kind
        && meeting.waiting_room == spec.waiting_room
        && meeting.has_password == spec.password.is_some()
        && meeting.participants_max == max
        && meeting.hint_region.as_ref() == spec.origin_region.as_ref().or(spec.hint_region.as_ref())
}

fn created(state: &ApiState, meeting: &Meeting) -> Result<Created, Refused> {
    let roles: &[InviteRole] = match meeting.kind {
        MeetingKind::Meeting => &[InviteRole::Host, InviteRole::Participant],
        MeetingKind::Webinar => &[InviteRole::Host, InviteRole::Participant, InviteRole::Attendee],
    };
    let invite = |role: &InviteRole| invitation(state, meeting.id, *role, None);
    let invitations = roles.iter().map(invite).collect::<Result<_, _>>()?;
    Ok(Created { meeting: meeting.into(), invitations })
}

fn invitation(
    state: &ApiState,
    meeting: MeetingId,
    role: InviteRole,
    name: Option<String>,
) -> Result<Invitation, Refused> {
    let expires_at = wall().saturating_add(INVITE_LIFETIME).as_secs();
    let sub = name.is_some().then(draw_sub).transpose().map_err(|e| cannot_sign(&e))?;
    let claims =
        InviteClaims { aud: INVITE_AUDIENCE.to_owned(), meeting, role, sub, name, exp: expires_at };
    Ok(Invitation { role, token: sign(state, &claims)?, expires_at })
}

/// Signs a token.
pub(super) fn sign(state: &ApiState, claims: &impl serde::Serialize) -> Result<String, Refused> {
    let Some(issuer) = &state.config.issuer else { return Err(super::off()) };
    issuer.sign(claims).map_err(|error| cannot_sign(&error))
}

/// The key is there and does not sign, or there is no entropy.
pub(super) fn cannot_sign(error: &crate::token::TokenError) -> Refused {
    tracing::error!(%error, "tokens cannot be signed");
    Refused::new(Kind::Unavailable, "this edge cannot sign tokens now: ask another").after(60)
}

fn created_response(created: Created, quota: Option<&Quota>) -> Response {
    let location = format!("/api/v1/meetings/{}", created.meeting.id);
    let mut response =
        (StatusCode::CREATED, [(header::LOCATION, location)], Json(created)).into_response();
    if let Some(quota) = quota {
        response.headers_mut().extend(quota.headers());
    }
    response
}

/// Lists the meetings that one has created
#[utoipa::path(get, path = "/api/v1/meetings", tag = "meetings", operation_id = "listMeetings",
    params(MeetingsQuery),
    responses((status = 200, description = "A page of them", body = Meetings), ListProblems),
    security(("bearer" = [])))]
pub(super) async fn list(
    State(state): State<ApiState>,
    who: Who,
    Asked(query): Asked<MeetingsQuery>,
) -> Result<Json<Meetings>, Refused> {
    let creator = person(&who)?;
    let limit = page(query.limit)?;
    let after = query.after.as_deref().map(str::parse::<MeetingId>).transpose();
    let after = after.map_err(|e| Refused::new(Kind::Malformed, format!("after: {e}")))?;
    let view = state.config.topology.view();
    let mut own = view
        .meetings
        .values()
        .filter(|m| after.is_none_or(|after| m.id > after))
        .filter(|m| m.creator == creator.sub && (query.ended || !m.ended));
    let meetings: Vec<MeetingInfo> =
        own.by_ref().take(limit).map(|m| MeetingInfo::from(&**m)).collect();
    let next = own.next().and(meetings.last()).map(|m| m.id.clone());
    Ok(Json(Meetings { meetings, next }))
}

/// A page's size.
pub(super) fn page(limit: u32) -> Result<usize, Refused> {
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit as usize);
    }
    Err(Refused::new(Kind::Malformed, format!("limit: choose 1 to {PAGE_MAX}")))
}

/// Shows a meeting
#[utoipa::path(get, path = "/api/v1/meetings/{meeting}", tag = "meetings", operation_id = "getMeeting",
    params(("meeting" = String, Path, description = "Its id", pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$")),
    responses((status = 200, description = "The meeting", body = MeetingInfo), GetProblems),
    security(("bearer" = [])))]
pub(super) async fn get(
    State(state): State<ApiState>,
    who: Who,
    Which(id): Which,
) -> Result<Json<MeetingInfo>, Refused> {
    Ok(Json(MeetingInfo::from(&*find(&state, id, &who).await?)))
}

/// Makes one more invitation to a meeting
///
/// Hosts only. With a name it is a personal one.
#[utoipa::path(post, path = "/api/v1/meetings/{meeting}/invitations", tag = "meetings", operation_id = "createInvitation",
    params(("meeting" = String, Path, description = "Its id", pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$")),
    request_body = NewInvitation,
    responses((status = 201, description = "Made", body = Invitation), InviteProblems),
    security(("bearer" = [])))]
pub(super) async fn invite(
    State(state): State<ApiState>,
    who: Who,
    Which(id): Which,
    Body(wanted): Body<NewInvitation>,
) -> Result<(StatusCode, Json<Invitation>), Refused> {
    let name = clean_name("name", wanted.name.as_deref())?;
    let meeting = hosted(&state, id, &who).await?;
    if meeting.ended {
        return Err(Refused::ended());
    }
    Ok((StatusCode::CREATED, Json(invitation(&state, id, wanted.role, name)?)))
}

/// The meeting, if whoever asks is host of it.
async fn hosted(state: &ApiState, id: MeetingId, who: &Who) -> Result<Arc<Meeting>, Refused> {
    let meeting = find(state, id, who).await?;
    if who.is_host(&meeting) {
        return Ok(meeting);
    }
    Err(Refused::new(Kind::Forbidden, "only a host may do this: use the token of a host"))
}

/// Ends a meeting
///
/// Hosts only. Everybody leaves, nobody joins. Ending it again changes nothing.
#[utoipa::path(post, path = "/api/v1/meetings/{meeting}/end", tag = "meetings", operation_id = "endMeeting",
    params(("meeting" = String, Path, description = "Its id", pattern = "^[0-9a-f][0-9a-hjkmnp-tv-z]{12}$")),
    responses((status = 204, description = "It is over"), EndProblems),
    security(("bearer" = [])))]
pub(super) async fn end(
    State(state): State<ApiState>,
    who: Who,
    Which(id): Which,
) -> Result<StatusCode, Refused> {
    let meeting = hosted(&state, id, &who).await?;
    if !meeting.ended {
        state.config.topology.end_meeting(id).await?;
        seen(&state.config.topology, |view| view.meeting(id).is_none_or(|m| m.ended)).await;
        tracing::info!(meeting = %id, "meeting ended");
    }
    Ok(StatusCode::NO_CONTENT)
}
