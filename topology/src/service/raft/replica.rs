//! One member: answers requests when it leads, and passes them to the leader when it does not.

use super::log::LogStore;
use super::machine::Machine;
use super::peers::Peers;
use super::profile::Profile;
use super::types::{Member, Outcome, Proposal, Types};
use super::wire::{Answer, Ask};
use crate::limits::{CATCH_UP_LIMIT, LEADER_WAIT};
use crate::model::{
    ApplyError, Command, CommandKind, Load, MeetingSpec, NodeState, Reply, RequestId, RttTable,
};
use crate::protocol::{MembersRequest, Refusal, Request, Response};
use crate::service::Identity;
use crate::service::authorise::authorise;
use crate::service::core::{Subscription, get_meeting};
use crate::service::detector::{Detector, Settling};
use crate::service::interpret::{Wish, beat, interpret, unix_ms};
use crate::service::random::random_u64;
use openraft::async_runtime::WatchReceiver;
use openraft::Instant as _;
use openraft::raft::ReadPolicy;
use openraft::{RaftMetrics, ServerState};
use relay_proto::{MeetingId, NodeId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How long to wait before the leader is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) type Raft = openraft::Raft<Types, Machine>;

/// What only the leader keeps, and only in memory.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) detector: Detector,
    pub(super) settling: Settling,
}

impl Leading {
    /// After an election every node gets its full time: nobody knows when it was last heard.
    pub(super) fn begin() -> Self {
        Self { detector: Detector::default(), settling: Settling::from(Instant::now()) }
    }
}

/// One member of the group.
pub(crate) struct Replica {
    pub(super) id: u64,
    pub(super) me: Member,
    pub(super) trust_domain: Arc<str>,
    pub(super) profile: Profile,
    pub(super) rtt: RttTable,
    pub(super) raft: Raft,
    pub(super) machine: Machine,
    pub(super) log: LogStore,
    pub(super) peers: Arc<Peers>,
    pub(super) leading: Mutex<Leading>,
    /// When a leader was last heard from.
    pub(super) heard: Mutex<Option<Instant>>,
    /// Something happened that may have to be repaired.
    pub(super) nudge: Notify,
}

/// This member does not lead, or cannot reach a majority.
pub(super) struct NotLeading;

impl Replica {
    pub(super) fn metrics(&self) -> RaftMetrics<Types> {
        self.raft.metrics().borrow_watched().clone()
    }

    pub(super) fn leads(&self) -> bool {
        self.metrics().state == ServerState::Leader
    }

    pub(super) fn leading(&self) -> MutexGuard<'_, Leading> {
        self.leading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A leader spoke.
    pub(super) fn hear_leader(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether what this member has is what the group has, as far as time tells.
    pub(crate) fn is_current(&self) -> bool {
        let stale = self.profile.stale_after();
        let metrics = self.metrics();
        if metrics.state == ServerState::Leader {
            return metrics.last_quorum_acked.is_none_or(|acked| acked.elapsed() < stale);
        }
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_some_and(|at| at.elapsed() < stale)
    }

    /// A place in this member's own feed.
    pub(crate) fn subscribe(&self) -> Option<Subscription> {
        match self.machine.subscribe()? {
            Ok(subscription) => Some(subscription),
            Err(error) => {
                tracing::error!(%error, "the state does not fit the watch protocol");
                None
            }
        }
    }

    /// The answer to a client of this member. Who does not lead passes it on.
    pub(crate) async fn serve(&self, who: &Identity, request: Request) -> Response {
        let limit = match &request {
            Request::Members(asked) => {
                self.machine.read(|content| authorise(who, &request, &content.state))?;
                if let Some(answer) = self.serve_here(asked).await {
                    return answer;
                }
                CATCH_UP_LIMIT + LEADER_WAIT
            }
            _ => LEADER_WAIT,
        };
        let answer = timeout(limit, self.until_answered(who, &request)).await;
        answer.unwrap_or(Err(Refusal::Unavailable))
    }

    async fn serve_here(&self, asked: &MembersRequest) -> Option<Response> {
        match asked {
            MembersRequest::Status => Some(Ok(Reply::Members(Box::new(self.status())))),
            MembersRequest::Init { others } => Some(self.init(others).await),
            MembersRequest::Snapshot => Some(self.fold().await),
            MembersRequest::Join { .. }
            | MembersRequest::Remove { .. }
            | MembersRequest::Transfer { .. } => None,
        }
    }

    /// Asks whoever leads, until somebody does and answers. Every request is safe to repeat.
    async fn until_answered(&self, who: &Identity, request: &Request) -> Response {
        loop {
            let answer = match self.leader() {
                Some((id, _)) if id == self.id => self.lead(who, request.clone()).await.ok(),
                Some((id, member)) => self.forward(id, &member, who, request).await,
                None => None,
            };
            match answer {
                None | Some(Err(Refusal::Unavailable)) => sleep(LOOK_AGAIN).await,
                Some(answer) => return answer,
            }
        }
    }

    /// Who leads, as far as this member knows.
    pub(super) fn leader(&self) -> Option<(u64, Member)> {
        let metrics = self.metrics();
        let id = metrics.current_leader?;
        let member = metrics.membership_config.membership().get_node(&id)?;
        Some((id, member.clone()))
    }

    async fn forward(
        &self,
        id: u64,
        leader: &Member,
        who: &Identity,
        request: &Request,
    ) -> Option<Response> {
        let who = who.uri(&self.trust_domain);
        let ask = Ask::Forward { who, request: request.clone() };
        match self.peers.peer(id, leader).ask(ask).await {
            Ok(Answer::Forwarded(response)) => Some(response),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(leader = leader.name, %error, "the leader does not answer");
                None
            }
        }
    }

    /// The answer of the leader.
    pub(super) async fn lead(
        &self,
        who: &Identity,
        request: Request,
    ) -> Result<Response, NotLeading> {
        if !self.leads() {
            return Err(NotLeading);
        }
        if let Err(refusal) = self.machine.read(|c| authorise(who, &request, &c.state)) {
            return Ok(Err(refusal));
        }
        let me = match who {
            Identity::Node { node, .. } => *node,
            _ => NodeId::NONE,
        };
        match interpret(me, request) {
            Wish::Propose { request, kind, .. } => self.propose(request, kind).await,
            Wish::Create { request, spec } => self.create(request, &spec).await,
            Wish::Beat { instance, load } => self.heartbeat(me, instance, load).await,
            Wish::Get(meeting) => {
                self.confirm().await?;
                Ok(self.machine.read(|content| get_meeting(&content.state, meeting)))
            }
            Wish::Status => {
                self.confirm().await?;
                Ok(Ok(Reply::Status(self.machine.read(|content| content.state.status()))))
            }
            Wish::Members(asked) => self.change_members(asked).await,
            Wish::Watch => Ok(Err(Refusal::Malformed("watch has its own stream".to_owned()))),
        }
    }

    /// A read after this sees everything that was answered before it.
    async fn confirm(&self) -> Result<(), NotLeading> {
        let read = self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await;
        read.map(drop).map_err(|_| NotLeading)
    }

    /// Puts a command in order, and answers what it answered.
    pub(super) async fn propose(
        &self,
        request: Option<RequestId>,
        kind: CommandKind,
    ) -> Result<Response, NotLeading> {
        let repairs = match &kind {
            CommandKind::RegisterNode(record) => {
                self.leading().detector.heard(record.id, Instant::now());
                true
            }
            CommandKind::SetState { state, .. } => *state == NodeState::Down,
            _ => false,
        };
        let command = Command { request, now_ms: unix_ms(), kind };
        let written = self.raft.client_write(Proposal::Command(command)).await;
        if repairs {
            self.nudge.notify_one();
        }
        match written.map(|written| written.data) {
            Ok(Outcome::Answer(answer)) => Ok(answer.map_err(Refusal::from)),
            Ok(Outcome::Nothing) | Err(_) => Err(NotLeading),
        }
    }

    /// A clash of 64-bit ids is a lottery win; drawing once more costs nothing.
    async fn create(&self, request: RequestId, spec: &MeetingSpec) -> Result<Response, NotLeading> {
        let mut drawn = self.draw(request, spec).await?;
        if matches!(drawn, Err(Refusal::Apply(ApplyError::MeetingIdTaken(_)))) {
            drawn = self.draw(request, spec).await?;
        }
        Ok(drawn)
    }

    async fn draw(&self, request: RequestId, spec: &MeetingSpec) -> Result<Response, NotLeading> {
        let Ok(id) = random_u64() else {
            return Ok(Err(Refusal::Unavailable));
        };
        let kind = CommandKind::CreateMeeting { meeting: MeetingId(id), spec: spec.clone() };
        self.propose(Some(request), kind).await
    }

    async fn heartbeat(
        &self,
        me: NodeId,
        instance: u64,
        load: Load,
    ) -> Result<Response, NotLeading> {
        let settle = self.leading().settling.due();
        let commands = self.machine.read(|c| beat(&c.state, me, instance, load, settle));
        let commands = match commands {
            Ok(commands) => commands,
            Err(refused) => return Ok(Err(refused.into())),
        };
        self.leading().detector.heard(me, Instant::now());
        for kind in commands {
            if let Err(refusal) = self.propose(None, kind).await? {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(Reply::Done))
    }
}
