//! What is read from a request before a handler sees it; what cannot be read is a problem.

use super::problem::{Kind, Refused};
use super::rate::subscriber;
use super::state::ApiState;
use crate::token::{Bearer, InviteRole, TokenError};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use relay_proto::MeetingId;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use topology::model::Meeting;

/// The JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Refused> {
        match Json::<Object<T>>::from_request(request, state).await {
            Ok(Json(Object(body))) => Ok(Self(body)),
            Err(rejection) => Err(bad_body(&rejection)),
        }
    }
}

/// Written as an object: serde also reads a struct from an array, by position.
struct Object<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

fn bad_body(rejection: &JsonRejection) -> Refused {
    let text = rejection.body_text();
    match rejection {
        JsonRejection::JsonDataError(_) => Refused::new(Kind::Invalid, text),
        JsonRejection::MissingJsonContentType(_) => Refused::new(
            Kind::MediaType,
            "send the body as JSON, with `Content-Type: application/json`",
        ),
        _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Refused::new(
            Kind::TooLarge,
            format!("the body is longer than {} bytes", super::limits::BODY_BYTES_MAX),
        ),
        _ => Refused::new(Kind::Malformed, text),
    }
}

/// The query.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<ApiState> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Refused> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Refused::new(Kind::Malformed, rejection.body_text())),
        }
    }
}

/// The meeting in the path.
pub(super) struct Which(pub(super) MeetingId);

impl FromRequestParts<ApiState> for Which {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Refused> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        // What is no id is no meeting either: the same answer as for any other guess.
        let id = path.ok().and_then(|Path(text)| text.parse().ok());
        id.map(Self).ok_or_else(Refused::no_meeting)
    }
}

/// Whom the request comes from, as far as the network tells.
pub(super) struct Address(pub(super) IpAddr);

impl FromRequestParts<ApiState> for Address {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer =
            peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip().to_canonical());
        let forwarded = parts.headers.get_all("x-forwarded-for").iter();
        let hops: Vec<&str> = forwarded
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        Ok(Self(subscriber(behind(peer, &hops, &state.config.trusted_proxies))))
    }
}

/// The last address that no trusted proxy has: what stands before it anybody may have written.
fn behind(peer: IpAddr, hops: &[&str], trusted: &[IpAddr]) -> IpAddr {
    let mut from = peer;
    for hop in hops.iter().rev() {
        if !trusted.contains(&from) {
            break;
        }
        let Ok(before) = hop.trim().parse::<IpAddr>() else { break };
        from = before.to_canonical();
    }
    from
}

/// Who asks: the verified token of `Authorization: Bearer`.
pub(super) struct Who(pub(super) Bearer);

impl FromRequestParts<ApiState> for Who {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Refused> {
        let given = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token else {
            return Err(Refused::new(
                Kind::Unauthenticated,
                "send a token: `Authorization: Bearer TOKEN`",
            ));
        };
        state.config.verifier.verify_any(token).map(Self).map_err(|error| match error {
            error @ TokenError::Key { .. } => {
                tracing::error!(%error, "token key unusable");
                Refused::new(Kind::Unavailable, "this edge cannot check tokens now").after(60)
            }
            error => Refused::new(Kind::Unauthenticated, error.to_string()),
        })
    }
}

impl Who {
    /// Whether they may do what a host may: who created the meeting, an admin, and whoever a token makes host of it.
    pub(super) fn is_host(&self, meeting: &Meeting) -> bool {
        match &self.0 {
            Bearer::Api(claims) => {
                let created = !meeting.creator.is_empty() && claims.sub == meeting.creator;
                claims.grants.admin || created
            }
            Bearer::Invite(claims) => {
                claims.meeting == meeting.id && claims.role == InviteRole::Host
            }
            Bearer::Join(claims) => claims.meeting == meeting.id && claims.grants.host,
        }
    }

    /// Whether they may know of it.
    pub(super) fn may_see(&self, meeting: &Meeting) -> bool {
        let invited = match &self.0 {
            Bearer::Api(_) => false,
            Bearer::Invite(claims) => claims.meeting == meeting.id,
            Bearer::Join(claims) => claims.meeting == meeting.id,
        };
        invited || self.is_host(meeting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (proxy, client) = (ip("192.0.2.1"), ip("198.51.100.7"));
        let hops = ["203.0.113.9", " 198.51.100.7"];
        assert_eq!(behind(proxy, &hops, &[]), proxy);
        assert_eq!(behind(proxy, &hops, &[proxy]), client, "the client wrote what stands before");
        assert_eq!(behind(proxy, &hops, &[proxy, client]), ip("203.0.113.9"), "two proxies");
        assert_eq!(behind(client, &hops, &[proxy]), client);
        assert_eq!(behind(proxy, &["nonsense"], &[proxy]), proxy);
    }
}
