//! What clients are told about ICE: the operator's TURN servers, with credentials that end by themselves.
//!
//! The credentials are those of the "REST API for access to TURN services" draft, which coturn calls `use-auth-secret`: the
//! user name is `EXPIRY:SUB`, the password HMAC-SHA1 of it under a secret that both sides know, in base 64. No TURN server
//! has to be told of a participant.

use super::limits::TURN_LIFETIME;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// One entry of a browser's `RTCConfiguration.iceServers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IceServer {
    /// `turn:` and `turns:` URLs.
    pub urls: Vec<String>,
    /// `EXPIRY:SUB`, the expiry in seconds since 1970.
    pub username: String,
    /// Its password.
    pub credential: String,
}

/// An operator's TURN servers.
#[derive(Clone)]
pub struct Turn {
    urls: Vec<String>,
    key: hmac::Key,
}

impl Turn {
    /// These URLs, and the secret that their servers have (`static-auth-secret`).
    #[must_use]
    pub fn new(urls: Vec<String>, secret: &[u8]) -> Self {
        Self { urls, key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret) }
    }

    /// For `sub`, good from `now` (since 1970) for [`TURN_LIFETIME`].
    #[must_use]
    pub fn server(&self, sub: &str, now: Duration) -> IceServer {
        let expiry = now.saturating_add(TURN_LIFETIME).as_secs();
        let username = format!("{expiry}:{sub}");
        let credential = STANDARD.encode(hmac::sign(&self.key, username.as_bytes()));
        IceServer { urls: self.urls.clone(), username, credential }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_is_the_keyed_digest_of_the_name() {
        let turn = Turn::new(vec!["turn:turn.example.net:3478".into()], b"north");
        let server = turn.server("ada", Duration::from_secs(1_000));
        assert_eq!(server.username, "4600:ada");
        // printf 4600:ada | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(server.credential, "0JJtCRGEP3odSXCX4I+WMiRVGmw=");
        assert_eq!(server.urls, ["turn:turn.example.net:3478"]);
    }
}
