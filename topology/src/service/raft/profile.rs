//! Raft's timing.

use crate::limits::{RAFT_ENTRIES_PER_RPC, RAFT_LOG_KEPT, RAFT_SNAPSHOT_AFTER};
use openraft::{Config, SnapshotPolicy};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Which distances between members the timing is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// One site: a new leader about 1 s after the old one died.
    Lan,
    /// Regions apart: a new leader about 3.5 s after. Round trips of 300 ms fit.
    #[default]
    Wan,
}

impl Profile {
    /// How often a leader says that it lives.
    #[must_use]
    pub fn heartbeat(self) -> Duration {
        Duration::from_millis(match self {
            Self::Lan => 100,
            Self::Wan => 400,
        })
    }

    /// Bounds of the election timeout in milliseconds: 3 to 6 heartbeats on a LAN, 3 to 4 on a WAN, where the spread only
    /// has to be larger than a round trip.
    fn election_ms(self) -> (u64, u64) {
        match self {
            Self::Lan => (300, 600),
            Self::Wan => (1_200, 1_600),
        }
    }

    /// The largest round trip that fits: three quarters of the heartbeat are what one RPC may take.
    #[must_use]
    pub fn round_trip_max(self) -> Duration {
        self.heartbeat() * 3 / 4
    }

    /// A member that has not heard from a leader for this long no longer tells watchers that it is up to date. An election
    /// needs the old lease (`election_ms.1`), a timeout (at most the same) and two round trips.
    #[must_use]
    pub fn stale_after(self) -> Duration {
        Duration::from_millis(self.election_ms().1 * 3)
    }

    /// Raft's own configuration.
    ///
    /// # Errors
    /// Never for these values.
    pub(crate) fn config(self) -> Result<Arc<Config>, openraft::ConfigError> {
        let (min, max) = self.election_ms();
        let config = Config {
            cluster_name: "topology".to_owned(),
            heartbeat_interval: self.heartbeat().as_millis() as u64,
            election_timeout_min: min,
            election_timeout_max: max,
            // A member that was cut off must not depose a working leader when it comes back.
            enable_pre_vote: Some(true),
            // Else a leader that lost its quorum but still reaches one voter blocks the election of another for ever.
            quorum_loss_probe_interval: Some(2 * max),
            install_snapshot_timeout: 30_000,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(RAFT_SNAPSHOT_AFTER),
            replication_lag_threshold: 2 * RAFT_SNAPSHOT_AFTER,
            max_in_snapshot_log_to_keep: RAFT_LOG_KEPT,
            max_payload_entries: RAFT_ENTRIES_PER_RPC,
            ..Config::default()
        };
        config.validate().map(Arc::new)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
        })
    }
}

/// No such profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write lan (members in one site) or wan (members in several regions)")]
pub struct UnknownProfile;

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        match text {
            "lan" => Ok(Self::Lan),
            "wan" => Ok(Self::Wan),
            _ => Err(UnknownProfile),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_profiles_are_accepted_by_raft_and_read_back() {
        for profile in [Profile::Lan, Profile::Wan] {
            let config = profile.config().unwrap();
            assert_eq!(config.enable_pre_vote, Some(true));
            assert!(config.quorum_loss_probe_interval >= Some(2 * config.election_timeout_max));
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert_eq!("fast".parse::<Profile>(), Err(UnknownProfile));
    }
}
