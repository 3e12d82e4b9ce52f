//! The members of a replicated topology service itself, as operators see them.
//!
//! They are not part of the replicated state: Raft's membership is. The types stand here because answers carry them.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One process of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceMember {
    /// Drawn at random when its state directory was made: a directory that was wiped is another member.
    pub id: u64,
    /// The name in its certificate.
    pub name: String,
    /// Where it stands.
    pub region: String,
    /// Where clients and the other members reach it (UDP).
    pub address: SocketAddr,
    /// It counts for majorities; otherwise it only learns.
    pub voter: bool,
    /// The last log index it is known to have; none when the leader has not heard from it yet, or the teller is no leader.
    pub matched: Option<u64>,
    /// Round trip between the teller and it in microseconds; none when they are not connected.
    pub rtt_us: Option<u64>,
}

/// How a replicated service stands, as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Who tells this.
    pub teller: u64,
    /// Names the state's history; 0 before the service was initialised.
    pub cluster: u64,
    /// Raft's term.
    pub term: u64,
    /// Who leads.
    pub leader: Option<u64>,
    /// Last log index of the teller.
    pub last_log: Option<u64>,
    /// Last log index it has applied.
    pub applied: Option<u64>,
    /// Last log index in its snapshot.
    pub snapshot: Option<u64>,
    /// `lan` or `wan`.
    pub profile: String,
    /// By id.
    pub members: Vec<ServiceMember>,
}

impl ServiceStatus {
    /// The member with this name, or with this id in hexadecimal.
    #[must_use]
    pub fn member(&self, named: &str) -> Option<&ServiceMember> {
        let id = u64::from_str_radix(named, 16).ok();
        let by_name = self.members.iter().find(|m| m.name == named);
        by_name.or_else(|| self.members.iter().find(|m| Some(m.id) == id))
    }
}
