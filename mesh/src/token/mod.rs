//! Tokens: JWTs signed with Ed25519. Edges that only take joins hold the public key; those that serve the API, both.

mod claims;

pub use claims::{
    API_AUDIENCE, AUDIENCE, ApiClaims, ApiGrants, Bearer, Claims, Grants, INVITE_AUDIENCE,
    InviteClaims, InviteRole,
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::TryRngCore;
use rand::rngs::OsRng;
use relay_proto::MeetingId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Write as _;
use std::time::Duration;

/// Longest token: a header of 30 bytes, claims of at most 1,200 (128 of `sub`, 256 of name, escaped), a signature of 64, in
/// base 64.
pub const TOKEN_BYTES_MAX: usize = 2_048;
/// Clocks of the issuer and an edge may differ by this much.
const LEEWAY_S: u64 = 5;
/// Random bytes of a drawn `sub`: nobody guesses another's.
const SUB_BYTES: usize = 16;

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

    /// The claims of a good join token.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        // The audience is judged before the claims: a good token for something else is no nonsense.
        let claims: serde_json::Value = self.decode(token, &self.validation)?;
        serde_json::from_value(claims).map_err(|_| TokenError::Malformed)
    }

    /// The claims of a good token of any audience.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify_any(&self, token: &str) -> Result<Bearer, TokenError> {
        let mut any = self.validation.clone();
        any.set_audience(&[AUDIENCE, API_AUDIENCE, INVITE_AUDIENCE]);
        let claims: serde_json::Value = self.decode(token, &any)?;
        let audience = claims.get("aud").and_then(|aud| aud.as_str()).map(str::to_owned);
        let bearer = match audience.as_deref() {
            Some(AUDIENCE) => serde_json::from_value(claims).map(Bearer::Join),
            Some(API_AUDIENCE) => serde_json::from_value(claims).map(Bearer::Api),
            Some(INVITE_AUDIENCE) => serde_json::from_value(claims).map(Bearer::Invite),
            // A list of audiences would be good for more than one thing.
            _ => return Err(TokenError::Audience),
        };
        bearer.map_err(|_| TokenError::Malformed)
    }

    fn decode<T: DeserializeOwned + Clone>(
        &self,
        token: &str,
        validation: &Validation,
    ) -> Result<T, TokenError> {
        use jsonwebtoken::errors::ErrorKind;
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        match jsonwebtoken::decode::<T>(token, &self.key, validation) {
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

    /// A join token for a meeting, good from `now` (since 1970) for `lifetime`, with a drawn `sub`.
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
        let sub = draw_sub()?;
        let wait = false;
        self.sign(&Claims { aud: AUDIENCE.to_owned(), meeting, sub, name, grants, wait, exp })
    }

    /// A token with these claims: [`Claims`], [`ApiClaims`] or [`InviteClaims`].
    ///
    /// # Errors
    /// [`TokenError::Key`] when the key cannot sign.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, TokenError> {
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &self.0)
            .map_err(|e| TokenError::Key { what: "private token key", reason: e.to_string() })
    }
}

/// A `sub` that nobody has.
///
/// # Errors
/// [`TokenError::Key`] when there is no entropy.
pub fn draw_sub() -> Result<String, TokenError> {
    let mut bytes = [0; SUB_BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|e| TokenError::Key { what: "drawing a sub", reason: e.to_string() })?;
    let mut sub = String::from("p-");
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(sub, "{byte:02x}");
    }
    Ok(sub)
}

/// Whether the two are halves of one key.
///
/// # Errors
/// They are not, or a key cannot be used.
pub fn check_pair(issuer: &Issuer, verifier: &Verifier) -> Result<(), TokenError> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let minute = Duration::from_secs(60);
    let token =
        issuer.issue(MeetingId(0), None, Grants::ATTENDEE, now.unwrap_or_default(), minute)?;
    verifier.verify(&token).map(drop)
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
            wait: false,
            exp: NOW.as_secs(),
        };
        let foreign = issuer.sign(&claims).unwrap();
        assert!(matches!(verifier.verify(&foreign), Err(TokenError::Audience)));
        assert!(matches!(verifier.verify(&"x".repeat(3_000)), Err(TokenError::TooLong)));
    }

    #[test]
    fn tokens_of_different_audiences_are_different_things() {
        let (issuer, verifier) = pair();
        let exp = NOW.as_secs();
        let grants = ApiGrants { create: true, admin: false };
        let api =
            ApiClaims { aud: API_AUDIENCE.into(), sub: "ada".into(), name: None, grants, exp };
        let invite = InviteClaims {
            aud: INVITE_AUDIENCE.into(),
            meeting: MeetingId(7),
            role: InviteRole::Attendee,
            sub: None,
            name: None,
            exp,
        };
        let (api_token, invite_token) = (issuer.sign(&api).unwrap(), issuer.sign(&invite).unwrap());
        assert_eq!(verifier.verify_any(&api_token).unwrap(), Bearer::Api(api.clone()));
        assert_eq!(verifier.verify_any(&invite_token).unwrap(), Bearer::Invite(invite));
        assert!(matches!(verifier.verify_any(&issue(&issuer)).unwrap(), Bearer::Join(_)));
        for token in [&api_token, &invite_token] {
            assert!(matches!(verifier.verify(token), Err(TokenError::Audience)), "{token}");
        }
        let halves = [
            serde_json::json!({ "aud": [AUDIENCE, API_AUDIENCE], "exp": exp }),
            serde_json::json!({ "aud": API_AUDIENCE, "exp": exp }),
            serde_json::json!({ "aud": "another", "exp": exp, "sub": "ada" }),
        ];
        for claims in halves {
            assert!(verifier.verify_any(&issuer.sign(&claims).unwrap()).is_err(), "{claims}");
        }
    }

    #[test]
    fn every_join_token_has_a_sub_of_its_own() {
        let (issuer, verifier) = pair();
        let sub = || verifier.verify(&issue(&issuer)).unwrap().sub;
        let (one, other) = (sub(), sub());
        assert!(one.len() == 34 && one != other, "{one} {other}");
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
