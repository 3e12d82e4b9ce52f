//! Passwords of meetings: Argon2id, one hash at a time, and a crowd that knows the password costs one.

use super::limits::{ARGON2_KIB, ARGON2_PASSES, HASH_WAIT, HASHES_AT_ONCE, PROVED_MAX};
use super::problem::{Kind, Refused};
use argon2::password_hash::{PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use rand::TryRngCore;
use rand::rngs::OsRng;
use relay_proto::MeetingId;
use ring::hmac;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use topology::model::PasswordHash;

/// Salt of a hash: what the Argon2 RFC (9106, section 3.1) recommends.
const SALT_BYTES: usize = 16;

/// Makes and checks hashes.
pub(super) struct Passwords {
    argon2: Argon2<'static>,
    places: Arc<Semaphore>,
    /// Of this process only: a digest is worth nothing elsewhere.
    key: hmac::Key,
    /// A keyed digest of the password that was right.
    proved: Mutex<HashMap<MeetingId, hmac::Tag>>,
}

impl Passwords {
    /// With the parameters of `limits`.
    pub(super) fn new() -> anyhow::Result<Self> {
        let params = Params::new(ARGON2_KIB, ARGON2_PASSES, 1, None)
            .map_err(|e| anyhow::anyhow!("argon2: {e}"))?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &ring::rand::SystemRandom::new())
            .map_err(|_| anyhow::anyhow!("no entropy"))?;
        Ok(Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            places: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            key,
            proved: Mutex::default(),
        })
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Refused> {
        let waiting = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(HASH_WAIT, waiting).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(busy()),
        }
    }

    /// A salted hash.
    pub(super) async fn hash(&self, password: String) -> Result<PasswordHash, Refused> {
        let place = self.place().await?;
        let mut salt = [0; SALT_BYTES];
        OsRng.try_fill_bytes(&mut salt).map_err(|_| busy())?;
        let argon2 = self.argon2.clone();
        let hashing = tokio::task::spawn_blocking(move || {
            let _place = place;
            let salt = SaltString::encode_b64(&salt)?;
            argon2.hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
        });
        match hashing.await {
            Ok(Ok(hash)) => Ok(PasswordHash(hash)),
            _ => Err(busy()),
        }
    }

    /// Whether `password` is that of `meeting`. A password that has to be hashed needs `allowed`, which is asked when its turn
    /// has come: one at a time.
    pub(super) async fn is_right(
        &self,
        meeting: MeetingId,
        hash: &PasswordHash,
        password: &str,
        allowed: impl FnOnce() -> Result<(), Refused>,
    ) -> Result<bool, Refused> {
        // The hash is part of it: another meeting under the same number has another one.
        let said = [hash.0.as_bytes(), b"\0", password.as_bytes()].concat();
        if self.knows(meeting, &said) {
            return Ok(true);
        }
        let place = self.place().await?;
        if self.knows(meeting, &said) {
            return Ok(true);
        }
        allowed()?;
        let (argon2, hash, password) = (self.argon2.clone(), hash.0.clone(), password.to_owned());
        let checking = tokio::task::spawn_blocking(move || {
            let parsed = argon2::PasswordHash::new(&hash);
            parsed.is_ok_and(|p| argon2.verify_password(password.as_bytes(), &p).is_ok())
        });
        let right = checking.await.map_err(|_| busy())?;
        if right {
            self.remember(meeting, &said);
        }
        drop(place);
        Ok(right)
    }

    /// Whether this was right before.
    fn knows(&self, meeting: MeetingId, said: &[u8]) -> bool {
        let proved = self.proved.lock().unwrap_or_else(PoisonError::into_inner);
        proved.get(&meeting).is_some_and(|tag| hmac::verify(&self.key, said, tag.as_ref()).is_ok())
    }

    fn remember(&self, meeting: MeetingId, said: &[u8]) {
        let mut proved = self.proved.lock().unwrap_or_else(PoisonError::into_inner);
        if proved.len() >= PROVED_MAX {
            proved.clear();
        }
        proved.insert(meeting, hmac::sign(&self.key, said));
    }
}

fn busy() -> Refused {
    Refused::new(Kind::Unavailable, "too many passwords are being checked: try again in a moment")
        .after(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_its_hash_is_salted() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("böse Käse 🧀".into()).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(hash.0.len() <= topology::limits::PASSWORD_HASH_BYTES_MAX);
        assert_ne!(hash, passwords.hash("böse Käse 🧀".into()).await.unwrap());
        let is = |text: &'static str| passwords.is_right(MeetingId(1), &hash, text, || Ok(()));
        assert!(!is("böse Käse").await.unwrap());
        assert!(is("böse Käse 🧀").await.unwrap());
        assert!(!is("").await.unwrap(), "the memory of a right one helps no wrong one");
        let other = passwords.hash("other".into()).await.unwrap();
        let before = "böse Käse 🧀";
        assert!(!passwords.is_right(MeetingId(1), &other, before, || Ok(())).await.unwrap());
    }

    #[tokio::test]
    async fn a_crowd_with_the_right_password_costs_one_hash() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("open".into()).await.unwrap();
        let hashed = std::cell::Cell::new(0);
        let count = || {
            hashed.set(hashed.get() + 1);
            Ok(())
        };
        let crowd = (0..100).map(|_| passwords.is_right(MeetingId(1), &hash, "open", count));
        let right = futures_util::future::join_all(crowd).await;
        assert!(right.into_iter().all(|right| right.unwrap()));
        assert_eq!(hashed.get(), 1);
    }

    #[tokio::test]
    async fn a_guess_that_is_not_allowed_is_not_hashed() {
        let passwords = Passwords::new().unwrap();
        let hash = passwords.hash("open".into()).await.unwrap();
        let guess = passwords.is_right(MeetingId(1), &hash, "open", || Err(busy())).await;
        assert_eq!(guess.unwrap_err().kind, Kind::Unavailable);
    }
}
