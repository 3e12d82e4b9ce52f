//! Operators' requests about the members themselves.

use super::replica::{NotLeading, Replica};
use super::types::Member;
use crate::limits::{CATCH_UP_LIMIT, LEADER_WAIT, MEMBERS_MAX};
use crate::model::{Reply, ServiceMember, ServiceStatus};
use crate::protocol::{MembersRequest, Refusal, Response};
use openraft::ChangeMembers;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A new voter may be this many entries behind: about what arrives during a round trip.
const LAG_MAX: u64 = 256;

fn refused(why: impl Into<String>) -> Refusal {
    Refusal::Members(why.into())
}

impl Replica {
    /// How this member sees the group.
    pub(super) fn status(&self) -> ServiceStatus {
        let metrics = self.metrics();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let matched = |id: &u64| {
            let replication = metrics.replication.as_ref()?;
            Some((*replication.get(id)?)?.index)
        };
        let describe = |(id, member): (&u64, &Member)| ServiceMember {
            id: *id,
            name: member.name.clone(),
            region: member.region.clone(),
            address: member.address,
            voter: voters.contains(id),
            matched: matched(id),
            rtt_us: self.peers.round_trip(*id).map(|rtt| rtt.as_micros() as u64),
        };
        ServiceStatus {
            teller: self.id,
            cluster: self.machine.read(|content| content.cluster),
            term: metrics.current_term,
            leader: metrics.current_leader,
            last_log: metrics.last_log_index,
            applied: metrics.last_applied.map(|id| id.index),
            snapshot: metrics.snapshot.map(|id| id.index),
            profile: self.profile.to_string(),
            members: membership.nodes().map(describe).collect(),
        }
    }

    fn told(&self) -> Response {
        Ok(Reply::Members(Box::new(self.status())))
    }

    /// Founds the cluster of this member and `others`. All must be empty, so that no history is ever mixed with another.
    pub(super) async fn init(&self, others: &[SocketAddr]) -> Response {
        let known = self.status();
        if !known.members.is_empty() {
            let there = |address: &SocketAddr| known.members.iter().any(|m| m.address == *address);
            return match others.iter().find(|address| !there(*address)) {
                None => self.told(),
                Some(missing) => Err(refused(format!(
                    "there is a cluster already, and {missing} is not in it: take it in with `mesh topology join`"
                ))),
            };
        }
        let mut members = BTreeMap::from([(self.id, self.me.clone())]);
        for address in others {
            let (id, member, empty) = self.found(*address).await?;
            if id == self.id {
                continue;
            }
            if !empty {
                return Err(refused(format!(
                    "{member} has been in a cluster before: stop it, empty its state directory, and start it again"
                )));
            }
            if members.values().any(|m| m.name == member.name) {
                return Err(refused(format!(
                    "two members are named {}: give each a certificate of its own",
                    member.name
                )));
            }
            members.insert(id, member);
        }
        if members.len() > MEMBERS_MAX {
            return Err(refused(format!("more than {MEMBERS_MAX} members")));
        }
        let count = members.len();
        self.raft.initialize(members).await.map_err(|e| refused(e.to_string()))?;
        tracing::info!(members = count, "cluster initialised");
        let named = self.until(|| self.machine.read(|content| content.cluster != 0));
        match timeout(CATCH_UP_LIMIT, named).await {
            Ok(()) => self.told(),
            Err(_) => Err(refused("the cluster was made, but has no leader yet: check that a majority of it runs")),
        }
    }

    /// Folds the log of this member into a snapshot.
    pub(super) async fn fold(&self) -> Response {
        let target = self.metrics().last_applied.map(|id| id.index);
        self.raft.trigger().snapshot().await.map_err(|_| Refusal::Unavailable)?;
        let folded = self.until(|| self.metrics().snapshot.map(|id| id.index) >= target);
        match timeout(CATCH_UP_LIMIT, folded).await {
            Ok(()) => self.told(),
            Err(_) => Err(refused("the snapshot is not written yet: check the disk")),
        }
    }

    /// Carries out what only the leader can.
    pub(super) async fn change_members(
        &self,
        asked: MembersRequest,
    ) -> Result<Response, NotLeading> {
        let changed = match asked {
            MembersRequest::Join { address, voter } => self.join(address, voter).await,
            MembersRequest::Remove { member } => self.remove(&member).await,
            MembersRequest::Transfer { to } => self.transfer(&to).await,
            MembersRequest::Status | MembersRequest::Init { .. } | MembersRequest::Snapshot => {
                Err(refused("this is answered by the member that is asked"))
            }
        };
        Ok(changed.and_then(|()| self.told()))
    }

    /// Learns first, then votes: a majority never waits for a member that has nothing yet.
    async fn join(&self, address: SocketAddr, voter: bool) -> Result<(), Refusal> {
        let (id, member, empty) = self.found(address).await?;
        let status = self.status();
        let known = status.members.iter().find(|m| m.id == id);
        if known.is_none() {
            self.check_newcomer(id, &member, empty, &status)?;
            let added = self.raft.add_learner(id, member.clone(), false).await;
            added.map_err(|e| refused(e.to_string()))?;
            tracing::info!(%member, "member taken in");
        }
        if !voter || known.is_some_and(|m| m.voter) {
            return Ok(());
        }
        let near = self.until(|| {
            let status = self.status();
            let matched = status.members.iter().find(|m| m.id == id).and_then(|m| m.matched);
            matched.is_some_and(|at| at + LAG_MAX >= status.last_log.unwrap_or(0))
        });
        if timeout(CATCH_UP_LIMIT, near).await.is_err() {
            return Err(refused(format!(
                "{member} does not have the log after {} s and only learns: repeat this when it has",
                CATCH_UP_LIMIT.as_secs()
            )));
        }
        self.change(ChangeMembers::AddVoterIds([id].into())).await
    }

    fn check_newcomer(
        &self,
        id: u64,
        member: &Member,
        empty: bool,
        status: &ServiceStatus,
    ) -> Result<(), Refusal> {
        if self.machine.read(|content| content.retired.contains(&id)) || !empty {
            return Err(refused(format!(
                "{member} has been in a cluster before: stop it, empty its state directory, and start it again"
            )));
        }
        if let Some(other) = status.members.iter().find(|m| m.name == member.name) {
            return Err(refused(format!(
                "there is a member {} at {} already: remove it first if it is gone for good",
                other.name, other.address
            )));
        }
        if status.members.len() >= MEMBERS_MAX {
            return Err(refused(format!("there are already {MEMBERS_MAX} members")));
        }
        Ok(())
    }

    async fn remove(&self, named: &str) -> Result<(), Refusal> {
        let status = self.status();
        let Some(member) = status.member(named) else {
            return Err(unknown(named, &status));
        };
        if member.id == self.id {
            return Err(refused(format!(
                "{named} leads: hand over first with `mesh topology transfer`"
            )));
        }
        let ids: BTreeSet<u64> = [member.id].into();
        let change = if member.voter {
            ChangeMembers::RemoveVoters(ids)
        } else {
            ChangeMembers::RemoveNodes(ids)
        };
        self.change(change).await?;
        self.peers.keep_only(&self.machine.members());
        tracing::info!(member = named, "member removed");
        Ok(())
    }

    async fn change(&self, change: ChangeMembers<u64, Member>) -> Result<(), Refusal> {
        let changed = self.raft.change_membership(change, false).await;
        changed.map(drop).map_err(|e| refused(e.to_string()))
    }

    async fn transfer(&self, named: &str) -> Result<(), Refusal> {
        let status = self.status();
        let Some(to) = status.member(named) else {
            return Err(unknown(named, &status));
        };
        if !to.voter {
            return Err(refused(format!("{named} only learns: it cannot lead")));
        }
        self.raft.trigger().transfer_leader(to.id).await.map_err(|_| Refusal::Unavailable)?;
        let moved = self.until(|| self.metrics().current_leader == Some(to.id));
        timeout(LEADER_WAIT, moved).await.map_err(|_| {
            refused(format!("{named} did not take over in {} s: ask again", LEADER_WAIT.as_secs()))
        })
    }

    async fn found(&self, address: SocketAddr) -> Result<(u64, Member, bool), Refusal> {
        if address == self.me.address {
            return Ok((self.id, self.me.clone(), self.log.is_empty()));
        }
        self.peers.who_is(address).await.map_err(|error| {
            refused(format!("no member is reached at {address} ({error}): check that it runs"))
        })
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        while !holds() {
            sleep(LOOK_EVERY).await;
        }
    }
}

fn unknown(named: &str, status: &ServiceStatus) -> Refusal {
    let names: Vec<&str> = status.members.iter().map(|m| m.name.as_str()).collect();
    refused(format!("there is no member {named}: the members are {}", names.join(", ")))
}
