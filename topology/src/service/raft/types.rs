//! The types Raft is made of here.

use crate::model::{ApplyError, Command, Reply};
use openraft_rt::deterministic_rng::DeterministicRng;
use openraft_rt_tokio::TokioRuntime;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// tokio, with random draws (election timeouts) that come from a seed: the operating system's in a service, the run's in a
/// simulation. Tasks of Raft must be spawned below [`DeterministicRng::scope`].
pub(crate) type Runtime = DeterministicRng<TokioRuntime>;

openraft::declare_raft_types!(
    /// Raft over the topology's commands.
    pub(crate) Types:
        D = Proposal,
        R = Outcome,
        Node = Member,
        AsyncRuntime = Runtime,
);

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proposal {
    /// Names the state's history; the first one counts.
    Found {
        /// Random, not 0.
        cluster: u64,
    },
    /// A command of the state machine.
    Command(Command),
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { cluster } => write!(f, "found {cluster:x}"),
            Self::Command(_) => f.write_str("command"),
        }
    }
}

/// What an entry led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Nothing that anybody asks for: a blank entry, a change of members.
    Nothing,
    /// What the command answered.
    Answer(Result<Reply, ApplyError>),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Answer(Ok(_)) => "done",
            Self::Answer(Err(_)) => "refused",
        })
    }
}

/// A member as the membership knows it. Its id is drawn with its state directory, so a wiped directory is a stranger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// As in its certificate.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) region: String,
    /// Where it is reached.
    pub(crate) address: SocketAddr,
}

impl Default for Member {
    fn default() -> Self {
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        Self { name: String::new(), region: String::new(), address }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}

pub(crate) type Entry = openraft::type_config::alias::EntryOf<Types>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<Types>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<Types>;
