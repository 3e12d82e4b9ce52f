//! `Idempotency-Key`: a creation that is asked for again is answered again.

use super::limits::{KEY_BYTES_MAX, KEY_KEPT, KEYS_MAX};
use super::problem::{Kind, Refused};
use axum::http::HeaderMap;
use ring::digest;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use topology::model::RequestId;

/// The header.
pub(super) const HEADER: &str = "idempotency-key";

/// A person and their key.
type Named = (String, String);

/// Answers by person and key.
pub(super) struct Answers<T> {
    table: Mutex<Table<T>>,
}

struct Table<T> {
    slots: HashMap<Named, Slot<T>>,
    /// Oldest first.
    order: VecDeque<(Named, Instant)>,
}

struct Slot<T> {
    fingerprint: [u8; 32],
    answer: Option<T>,
}

/// What is known of a key.
pub(super) enum Known<'a, T: Clone> {
    /// Nothing: do it, and tell the place how it went.
    New(Place<'a, T>),
    /// It was done, and this was answered.
    Done(T),
}

/// The place of an answer that is not there yet. Dropped without one (the client hung up, or it failed), the key is free.
pub(super) struct Place<'a, T: Clone> {
    answers: &'a Answers<T>,
    named: Named,
}

impl<T: Clone> Answers<T> {
    pub(super) fn new() -> Self {
        Self { table: Mutex::new(Table { slots: HashMap::new(), order: VecDeque::new() }) }
    }

    /// Looks a key up, and takes it when it is new.
    pub(super) fn begin(
        &self,
        person: &str,
        key: &str,
        fingerprint: [u8; 32],
        now: Instant,
    ) -> Result<Known<'_, T>, Refused> {
        let named = (person.to_owned(), key.to_owned());
        let mut table = self.lock();
        table.forget_old(now);
        match table.slots.get(&named) {
            Some(slot) if slot.fingerprint != fingerprint => Err(reused()),
            Some(Slot { answer: Some(answer), .. }) => Ok(Known::Done(answer.clone())),
            Some(_) => Err(Refused::new(
                Kind::InProgress,
                "a request with this Idempotency-Key is being worked on: ask again in a moment",
            )
            .after(1)),
            None => {
                table.slots.insert(named.clone(), Slot { fingerprint, answer: None });
                table.order.push_back((named.clone(), now));
                Ok(Known::New(Place { answers: self, named }))
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table<T>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Table<T> {
    fn forget_old(&mut self, now: Instant) {
        while let Some((named, at)) = self.order.front() {
            if self.order.len() < KEYS_MAX && now.duration_since(*at) < KEY_KEPT {
                return;
            }
            self.slots.remove(named);
            self.order.pop_front();
        }
    }
}

impl<T: Clone> Place<'_, T> {
    /// This was answered.
    pub(super) fn done(self, answer: T) {
        if let Some(slot) = self.answers.lock().slots.get_mut(&self.named) {
            slot.answer = Some(answer);
        }
    }
}

impl<T: Clone> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let mut table = self.answers.lock();
        if table.slots.get(&self.named).is_some_and(|slot| slot.answer.is_none()) {
            table.slots.remove(&self.named);
            table.order.retain(|(named, _)| *named != self.named);
        }
    }
}

/// The key was used for something else.
pub(super) fn reused() -> Refused {
    Refused::new(
        Kind::KeyReused,
        "this Idempotency-Key was used for another request: draw a new one, such as a UUID",
    )
}

/// The key of a request, if it has one.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let text = first.to_str().unwrap_or_default();
    // The draft writes it as a quoted string, most clients write it bare.
    let key = text.strip_prefix('"').and_then(|k| k.strip_suffix('"')).unwrap_or(text);
    let clean = key.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
    if given.next().is_some() || key.is_empty() || key.len() > KEY_BYTES_MAX || !clean {
        return Err(Refused::new(
            Kind::Malformed,
            format!(
                "Idempotency-Key: give one, of 1 to {KEY_BYTES_MAX} printable ASCII characters without spaces and quotes"
            ),
        ));
    }
    Ok(Some(key.to_owned()))
}

/// The id under which the topology service knows a creation: the same at every edge, so that a retry at another edge finds the
/// same meeting.
pub(super) fn request_id(person: &str, key: &str) -> RequestId {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"mesh api: create a meeting\0");
    context.update(&(person.len() as u64).to_be_bytes());
    context.update(person.as_bytes());
    context.update(key.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&context.finish().as_ref()[..16]);
    RequestId(u128::from_be_bytes(id))
}

/// What tells two bodies apart.
pub(super) fn fingerprint(body: &[u8]) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn new<'a>(answers: &'a Answers<u32>, key: &str, now: Instant) -> Place<'a, u32> {
        match answers.begin("ada", key, [1; 32], now) {
            Ok(Known::New(place)) => place,
            _ => panic!("{key} is not new"),
        }
    }

    #[test]
    fn a_key_is_answered_once_and_then_repeated() {
        let (answers, now) = (Answers::new(), Instant::now());
        let place = new(&answers, "k", now);
        let busy = answers.begin("ada", "k", [1; 32], now);
        assert!(matches!(busy, Err(r) if r.kind == Kind::InProgress));
        place.done(7);
        assert!(matches!(answers.begin("ada", "k", [1; 32], now), Ok(Known::Done(7))));
        let other = answers.begin("ada", "k", [2; 32], now);
        assert!(matches!(other, Err(r) if r.kind == Kind::KeyReused));
        assert!(matches!(answers.begin("bob", "k", [2; 32], now), Ok(Known::New(_))));
        let later = now + KEY_KEPT;
        assert!(matches!(answers.begin("ada", "k", [2; 32], later), Ok(Known::New(_))));
    }

    #[test]
    fn a_key_whose_request_failed_is_free_again() {
        let (answers, now) = (Answers::new(), Instant::now());
        drop(new(&answers, "k", now));
        drop(new(&answers, "k", now));
        assert!(answers.lock().order.is_empty());
    }

    #[test]
    fn the_answers_that_are_kept_have_a_limit() {
        let (answers, start) = (Answers::new(), Instant::now());
        for n in 0..KEYS_MAX as u32 + 10 {
            new(&answers, &n.to_string(), start + Duration::from_millis(n.into())).done(n);
        }
        let table = answers.lock();
        assert_eq!((table.slots.len(), table.order.len()), (KEYS_MAX, KEYS_MAX));
        assert!(!table.slots.contains_key(&("ada".to_owned(), "9".to_owned())));
    }

    #[test]
    fn people_do_not_share_keys_with_the_topology_either() {
        assert_eq!(request_id("ada", "k"), request_id("ada", "k"));
        assert_ne!(request_id("ada", "k"), request_id("bob", "k"));
        assert_ne!(request_id("ada", "bk"), request_id("adab", "k"));
    }
}
