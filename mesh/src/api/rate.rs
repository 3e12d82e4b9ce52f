//! How often somebody may do something: windows for creations, token buckets for joins.

use super::limits::{CREATE_WINDOW, CREATORS_MAX, RATE_KEYS_MAX, Rate};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What is left of an allowance; said in the headers `RateLimit` and `RateLimit-Policy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Names the rule.
    pub policy: &'static str,
    /// So many in a window.
    pub limit: u32,
    /// The window, seconds.
    pub window_s: u64,
    /// Left now.
    pub remaining: u32,
    /// Seconds until there is one more.
    pub reset_s: u64,
}

impl Quota {
    /// As structured fields (the IETF's draft on rate limit headers).
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let policy = format!("\"{}\";q={};w={}", self.policy, self.limit, self.window_s);
        let now = format!("\"{}\";r={};t={}", self.policy, self.remaining, self.reset_s);
        let mut headers = HeaderMap::new();
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", now)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

/// When each person created meetings at this edge, as far back as a window reaches.
#[derive(Debug, Default)]
pub(super) struct Windows(HashMap<String, VecDeque<Instant>>);

impl Windows {
    /// One more by `person`, unless there were `limit` in the last window: here, or (`elsewhere`) in the whole mesh.
    ///
    /// # Errors
    /// What is left: nothing.
    pub(super) fn take(
        &mut self,
        person: &str,
        limit: u32,
        elsewhere: u32,
        now: Instant,
    ) -> Result<Quota, Quota> {
        self.make_room(now);
        let times = self.0.entry(person.to_owned()).or_default();
        times.retain(|at| now.duration_since(*at) < CREATE_WINDOW);
        let used = u32::try_from(times.len()).unwrap_or(u32::MAX).max(elsewhere);
        let oldest = times.front().map_or(Duration::ZERO, |at| now.duration_since(*at));
        let reset_s = CREATE_WINDOW.saturating_sub(oldest).as_secs().max(1);
        let quota = |remaining| Quota {
            policy: "create",
            limit,
            window_s: CREATE_WINDOW.as_secs(),
            remaining,
            reset_s,
        };
        if used >= limit {
            return Err(quota(0));
        }
        times.push_back(now);
        Ok(quota(limit - used - 1))
    }

    /// The last one did not come to be.
    pub(super) fn give_back(&mut self, person: &str) {
        if let Some(times) = self.0.get_mut(person) {
            times.pop_back();
        }
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < CREATORS_MAX {
            return;
        }
        let recent = |times: &VecDeque<Instant>| {
            times.back().is_some_and(|at| now.duration_since(*at) < CREATE_WINDOW)
        };
        self.0.retain(|_, times| recent(times));
        if self.0.len() >= CREATORS_MAX {
            let quietest = self.0.iter().min_by_key(|(_, times)| times.back().copied());
            if let Some(person) = quietest.map(|(person, _)| person.clone()) {
                self.0.remove(&person);
            }
        }
    }
}

/// Token buckets by key.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    policy: &'static str,
    rate: Rate,
    levels: HashMap<K, (f64, Instant)>,
}

impl<K: Eq + Hash> Buckets<K> {
    /// All full.
    #[must_use]
    pub(super) fn new(policy: &'static str, rate: Rate) -> Self {
        Self { policy, rate, levels: HashMap::new() }
    }

    /// Takes one out of the bucket of `key`.
    ///
    /// # Errors
    /// It is empty, or there is no room for another bucket.
    pub(super) fn take(&mut self, key: K, now: Instant) -> Result<Quota, Quota> {
        let level = self.level(&key, now);
        let full = level.is_none() && !self.make_room(now);
        let level = level.unwrap_or(f64::from(self.rate.burst));
        if full || level < 1.0 {
            return Err(self.quota(level, full));
        }
        self.levels.insert(key, (level - 1.0, now));
        Ok(self.quota(level - 1.0, false))
    }

    /// Puts one back.
    pub(super) fn give_back(&mut self, key: &K) {
        if let Some((level, _)) = self.levels.get_mut(key) {
            *level = (*level + 1.0).min(f64::from(self.rate.burst));
        }
    }

    fn level(&self, key: &K, now: Instant) -> Option<f64> {
        self.levels.get(key).map(|(level, at)| {
            let earned = now.duration_since(*at).as_secs_f64() * self.rate.per_second;
            (level + earned).min(f64::from(self.rate.burst))
        })
    }

    fn quota(&self, level: f64, no_room: bool) -> Quota {
        let missing = if no_room { 1.0 } else { (1.0 - level).max(0.0) };
        Quota {
            policy: self.policy,
            limit: self.rate.burst,
            window_s: (f64::from(self.rate.burst) / self.rate.per_second).ceil() as u64,
            remaining: if no_room { 0 } else { level as u32 },
            reset_s: ((missing / self.rate.per_second).ceil() as u64).max(1),
        }
    }

    /// Whether there is room for another bucket; those that are full again need none.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.levels.len() < RATE_KEYS_MAX {
            return true;
        }
        let Rate { burst, per_second } = self.rate;
        self.levels.retain(|_, (level, at)| {
            *level + now.duration_since(*at).as_secs_f64() * per_second < f64::from(burst)
        });
        self.levels.len() < RATE_KEYS_MAX
    }
}

/// Whom an address stands for: a machine, or of IPv6 the network of 64 bits that one subscriber has.
#[must_use]
pub(super) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_an_hour_are_ten_in_any_hour() {
        let (mut windows, start) = (Windows::default(), Instant::now());
        let minute = |m: u64| start + Duration::from_secs(m * 60);
        for m in 0..10 {
            let quota = windows.take("ada", 10, 0, minute(m)).unwrap();
            assert_eq!(quota.remaining, 9 - m as u32);
        }
        let refused = windows.take("ada", 10, 0, minute(30)).unwrap_err();
        assert_eq!((refused.remaining, refused.reset_s), (0, 1_800));
        assert!(windows.take("bob", 10, 0, minute(30)).is_ok(), "another person");
        assert!(windows.take("ada", 10, 0, minute(60)).is_ok(), "the first is an hour ago");
        assert!(windows.take("ada", 10, 0, minute(60)).is_err());
        windows.give_back("ada");
        assert!(windows.take("ada", 10, 0, minute(60)).is_ok());
        assert!(windows.take("eve", 10, 10, minute(60)).is_err(), "ten at other edges");
    }

    #[test]
    fn the_creators_that_are_remembered_have_a_limit() {
        let (mut windows, start) = (Windows::default(), Instant::now());
        for n in 0..CREATORS_MAX + 10 {
            let at = start + Duration::from_millis(n as u64);
            windows.take(&n.to_string(), 10, 0, at).unwrap();
        }
        assert_eq!(windows.0.len(), CREATORS_MAX);
    }

    #[test]
    fn a_bucket_is_emptied_and_fills_again() {
        let rate = Rate { burst: 3, per_second: 0.5 };
        let (mut buckets, start) = (Buckets::new("join", rate), Instant::now());
        let left: Vec<_> = (0..3).map(|_| buckets.take(1, start).unwrap().remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = buckets.take(1, start).unwrap_err();
        assert_eq!((refused.reset_s, refused.window_s), (2, 6));
        assert!(buckets.take(2, start).is_ok());
        assert!(buckets.take(1, start + Duration::from_secs(2)).is_ok());
        assert!(buckets.take(1, start + Duration::from_secs(2)).is_err());
        buckets.give_back(&1);
        assert!(buckets.take(1, start + Duration::from_secs(2)).is_ok());
    }

    #[test]
    fn buckets_have_a_limit_and_full_ones_are_forgotten() {
        let rate = Rate { burst: 2, per_second: 1.0 };
        let (mut buckets, start) = (Buckets::new("join", rate), Instant::now());
        for key in 0..RATE_KEYS_MAX {
            buckets.take(key, start).unwrap();
        }
        assert!(buckets.take(RATE_KEYS_MAX, start).is_err(), "no room");
        assert!(buckets.take(RATE_KEYS_MAX, start + Duration::from_secs(5)).is_ok());
        assert_eq!(buckets.levels.len(), 1);
    }

    #[test]
    fn a_subscriber_has_many_addresses_of_version_6() {
        let of = |text: &str| subscriber(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::7"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::7"), of("2001:db8:1:3::7"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
    }

    #[test]
    fn what_is_left_is_said_in_two_headers() {
        let quota =
            Quota { policy: "create", limit: 10, window_s: 3_600, remaining: 4, reset_s: 90 };
        let headers = quota.headers();
        assert_eq!(headers["ratelimit-policy"], "\"create\";q=10;w=3600");
        assert_eq!(headers["ratelimit"], "\"create\";r=4;t=90");
    }
}
