//! Join tokens: JWTs signed with Ed25519. Edges hold the public key only.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use relay_proto::MeetingId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The one audience that is accepted.
pub const AUDIENCE: &str = "mesh-join";
/// Longest token: a header of 30 bytes, claims of at most 600, a signature of 64, in base 64.
pub const TOKEN_BYTES_MAX: usize = 2_048;
/// Clocks of the issuer and an edge may differ by this much.
const LEEWAY_S: u64 = 5;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// May send microphone, camera and screen.
    #[serde(default)]
    pub publish: bool,
    /// May receive.
    #[serde(default)]
    pub subscribe: bool,
    /// May chat.
    #[serde(default)]
    pub chat: bool,
    /// May act as host.
    #[serde(default)]
    pub host: bool,
}

impl Grants {
    /// A participant like any other.
    pub const PARTICIPANT: Self = Self { publish: true, subscribe: true, chat: true, host: false };
    /// An attendee of a webinar.
    pub const ATTENDEE: Self = Self { publish: false, subscribe: true, chat: true, host: false };
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom the token is: [`AUDIENCE`].
    pub aud: String,
    /// The meeting.
    pub meeting: MeetingId,
    /// Who, as the issuer knows them; empty for an invitation that many may use.
    #[serde(default)]
    pub sub: String,
    /// Display name; wins over what the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it allows.
    pub grants: Grants,
    /// Seconds since 1970 at which it ends.
    pub exp: u64,
}

/// Why a token is not accepted, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Longer than any good one.
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes: ask for a new one")]
    TooLong,
    /// Past its end.
    #[error("the token has expired: ask for a new meeting link")]
    Expired,
    /// For something else.
    #[error(
        "the token is not for joining meetings of this mesh (audience): ask for a new meeting link"
    )]
    Audience,
    /// Not signed by the issuer with the one algorithm that is accepted.
    #[error("the token is not valid here: ask for a new meeting link")]
    Signature,
    /// No token, or one without the claims it needs. The client is told no more than of a wrong signature.
    #[error("the token is not valid here: ask for a new meeting link")]
    Malformed,
    /// A key cannot be used.
    #[error("{what}: {reason}")]
    Key {
        /// Which.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl TokenError {
    /// Label of the `reason` dimension of `mesh_tokens_refused_total`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Expired => "expired",
            Self::Audience => "audience",
            Self::Signature => "signature",
            Self::Malformed => "malformed",
            Self::Key { .. } => "key",
        }
    }
}

/// Checks tokens.
#[derive(Clone)]
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// With the issuer's public key (PEM, SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`TokenError::Key`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TokenError> {
        let key = DecodingKey::from_ed_pem(pem)
            .map_err(|e| TokenError::Key { what: "public token key", reason: e.to_string() })?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        validation.leeway = LEEWAY_S;
        Ok(Self { key, validation })
    }

    /// The claims of a good token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        use jsonwebtoken::errors::ErrorKind;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        match jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation) {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::ExpiredSignature => TokenError::Expired,
                ErrorKind::InvalidAudience => TokenError::Audience,
                ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => TokenError::Signature,
                _ => TokenError::Malformed,
            }),
        }
    }
}

/// Signs tokens.
pub struct Issuer(EncodingKey);

impl Issuer {
    /// With a private key (PEM, PKCS #8).
    ///
    /// # Errors
    /// [`TokenError::Key`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, TokenError> {
        EncodingKey::from_ed_pem(pem)
            .map(Self)
            .map_err(|e| TokenError::Key { what: "private token key", reason: e.to_string() })
    }

    /// A token for a meeting, good from `now` (since 1970) for `lifetime`.
    ///
    /// # Errors
    /// [`TokenError::Key`] when the key cannot sign.
    pub fn issue(
        &self,
        meeting: MeetingId,
        name: Option<String>,
        grants: Grants,
        now: Duration,
        lifetime: Duration,
    ) -> Result<String, TokenError> {
        let exp = now.saturating_add(lifetime).as_secs();
        let claims =
            Claims { aud: AUDIENCE.to_owned(), meeting, sub: String::new(), name, grants, exp };
        self.sign(&claims)
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// [`TokenError::Key`] when the key cannot sign.
    pub fn sign(&self, claims: &Claims) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.0)
            .map_err(|e| TokenError::Key { what: "private token key", reason: e.to_string() })
    }
}

/// A fresh key pair: private (PKCS #8) and public (SubjectPublicKeyInfo) PEM.
///
/// # Errors
/// [`TokenError::Key`] when there is no entropy.
pub fn generate_keys() -> Result<(String, String), TokenError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
        .map_err(|e| TokenError::Key { what: "token key", reason: e.to_string() })?;
    Ok((pair.serialize_pem(), pair.public_key_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(4_000_000_000);

    fn pair() -> (Issuer, Verifier) {
        let (private, public) = generate_keys().unwrap();
        (
            Issuer::from_pem(private.as_bytes()).unwrap(),
            Verifier::from_pem(public.as_bytes()).unwrap(),
        )
    }

    fn issue(issuer: &Issuer) -> String {
        issuer.issue(MeetingId(7), None, Grants::PARTICIPANT, NOW, Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_good_token_says_its_meeting_and_grants() {
        let (issuer, verifier) = pair();
        let claims = verifier.verify(&issue(&issuer)).unwrap();
        assert_eq!((claims.meeting, claims.grants), (MeetingId(7), Grants::PARTICIPANT));
    }

    #[test]
    fn a_token_of_another_issuer_is_refused() {
        let ((issuer, _), (_, verifier)) = (pair(), pair());
        assert!(matches!(verifier.verify(&issue(&issuer)), Err(TokenError::Signature)));
    }

    #[test]
    fn what_is_no_token_is_malformed() {
        let (_, verifier) = pair();
        for text in ["", "x", "a.b.c", "e30.e30.e30"] {
            assert!(matches!(verifier.verify(text), Err(TokenError::Malformed)), "{text}");
        }
    }

    #[test]
    fn expired_wrong_audience_and_oversize_tokens_are_told_apart() {
        let (issuer, verifier) = pair();
        let old = issuer
            .issue(
                MeetingId(7),
                None,
                Grants::ATTENDEE,
                Duration::from_secs(1_000),
                Duration::from_secs(60),
            )
            .unwrap();
        assert!(matches!(verifier.verify(&old), Err(TokenError::Expired)));
        let claims = Claims {
            aud: "another".into(),
            meeting: MeetingId(7),
            sub: String::new(),
            name: None,
            grants: Grants::PARTICIPANT,
            exp: NOW.as_secs(),
        };
        let foreign = issuer.sign(&claims).unwrap();
        assert!(matches!(verifier.verify(&foreign), Err(TokenError::Audience)));
        assert!(matches!(verifier.verify(&"x".repeat(3_000)), Err(TokenError::TooLong)));
    }

    #[test]
    fn a_token_signed_with_the_public_key_as_a_shared_secret_is_refused() {
        let (private, public) = generate_keys().unwrap();
        let issuer = Issuer::from_pem(private.as_bytes()).unwrap();
        let verifier = Verifier::from_pem(public.as_bytes()).unwrap();
        let claims = verifier.verify(&issue(&issuer)).unwrap();
        let forged = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &EncodingKey::from_secret(public.as_bytes()),
        )
        .unwrap();
        assert!(matches!(verifier.verify(&forged), Err(TokenError::Signature)));
    }
}
