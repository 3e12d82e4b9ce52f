//! The one task that owns the state: puts commands in order, writes them, answers, and tells the watchers.
//!
//! A turn takes all requests that wait (at most `GROUP_COMMIT_MAX`), applies them, writes them with one fsync, and only then
//! answers and publishes: nobody ever sees what a power cut could take back.

use super::authorise::authorise;
use super::detector::{Detector, Settling};
use super::feed::{Feed, Frames, Update};
use super::interpret::{Wish, beat, interpret, unix_ms, wanted_rtt};
use super::random::{random_u64, random_u128};
use super::store::{Store, StoreError};
use super::{Identity, ServiceError};
use crate::limits::{GROUP_COMMIT_MAX, REPAIRS_PER_TURN, TICK};
use crate::model::{
    ApplyError, Change, Command, CommandKind, Load, MeetingSpec, NodeState, Reply, RequestId,
    RttTable, State,
};
use crate::protocol::{Refusal, Request, Response};
use relay_proto::{MeetingId, NodeId};
use std::time::Instant;
use tokio::sync::{broadcast, mpsc, oneshot};

/// What connections ask the core.
pub(super) enum CoreMessage {
    /// A request of an identity, and where the answer goes.
    Request(Identity, Box<Request>, oneshot::Sender<Response>),
    /// A watcher begins, or fell behind.
    Subscribe(oneshot::Sender<Subscription>),
    /// Write everything and go.
    Stop,
}

/// A place in the feed.
pub(super) struct Subscription {
    pub(super) revision: u64,
    pub(super) snapshot: Frames,
    pub(super) updates: broadcast::Receiver<Update>,
}

pub(super) struct Core {
    state: State,
    store: Store,
    feed: Feed,
    detector: Detector,
    changes: Vec<Change>,
    answers: Vec<(oneshot::Sender<Response>, Response)>,
    subscribers: Vec<oneshot::Sender<Subscription>>,
    /// This turn's commands must survive before they are answered.
    sync: bool,
    settling: Settling,
}

impl Core {
    pub(super) fn new(state: State, store: Store) -> Self {
        let feed = Feed::new(store.cluster());
        Self {
            state,
            store,
            feed,
            detector: Detector::default(),
            changes: Vec::new(),
            answers: Vec::new(),
            subscribers: Vec::new(),
            sync: false,
            settling: Settling::from(Instant::now()),
        }
    }

    /// Until stopped, or until the disk fails.
    pub(super) async fn run(
        mut self,
        rtt: RttTable,
        mut inbox: mpsc::Receiver<CoreMessage>,
    ) -> Result<(), ServiceError> {
        if let Some(kind) = wanted_rtt(&self.state, &rtt) {
            // A refused table is a configuration error; the caller has checked its length.
            self.propose(None, kind, true).map_err(ServiceError::Rtt)?;
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(GROUP_COMMIT_MAX);
        loop {
            tokio::select! {
                count = inbox.recv_many(&mut batch, GROUP_COMMIT_MAX) => if count == 0 { break },
                _ = ticks.tick() => self.tick(),
            }
            let mut stop = false;
            for message in batch.drain(..) {
                match message {
                    CoreMessage::Request(who, request, reply) => {
                        self.request(&who, *request, reply)
                    }
                    CoreMessage::Subscribe(reply) => self.subscribers.push(reply),
                    CoreMessage::Stop => stop = true,
                }
            }
            self.repair_broken();
            self = self.commit().await?;
            self.tell()?;
            if stop {
                break;
            }
        }
        Ok(())
    }

    fn request(&mut self, who: &Identity, request: Request, reply: oneshot::Sender<Response>) {
        let answer = authorise(who, &request, &self.state).and_then(|()| self.answer(who, request));
        self.answers.push((reply, answer));
    }

    fn answer(&mut self, who: &Identity, request: Request) -> Response {
        let me = match who {
            Identity::Node { node, .. } => *node,
            _ => NodeId::NONE,
        };
        match interpret(me, request) {
            Wish::Propose { request, kind, sync } => {
                if let CommandKind::RegisterNode(record) = &kind {
                    self.detector.heard(record.id, Instant::now());
                }
                self.propose(request, kind, sync)
            }
            Wish::Beat { instance, load } => self.heartbeat(me, instance, load),
            Wish::Create { request, spec } => return self.create(request, &spec),
            Wish::Get(meeting) => return get_meeting(&self.state, meeting),
            Wish::Status => Ok(Reply::Status(self.state.status())),
            Wish::Members(_) => return Err(Refusal::NotReplicated),
            Wish::Watch => {
                return Err(Refusal::Malformed("watch has its own stream".to_owned()));
            }
        }
        .map_err(Refusal::from)
    }

    /// A clash of 64-bit ids is a lottery win; drawing once more costs nothing.
    fn create(&mut self, request: RequestId, spec: &MeetingSpec) -> Response {
        let mut draw = || {
            let meeting = MeetingId(random_u64().map_err(|_| Refusal::Unavailable)?);
            let kind = CommandKind::CreateMeeting { meeting, spec: spec.clone() };
            self.propose(Some(request), kind, true).map_err(Refusal::from)
        };
        match draw() {
            Err(Refusal::Apply(ApplyError::MeetingIdTaken(_))) => draw(),
            other => other,
        }
    }

    fn heartbeat(&mut self, me: NodeId, instance: u64, load: Load) -> Result<Reply, ApplyError> {
        let commands = beat(&self.state, me, instance, load, self.settling.due())?;
        self.detector.heard(me, Instant::now());
        for kind in commands {
            self.propose(None, kind, false)?;
        }
        Ok(Reply::Done)
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for (node, instance, state) in self.detector.verdicts(self.state.nodes(), now) {
            tracing::warn!(node = node.0, ?state, "node is silent");
            // The verdict is about the instance in the state, so it cannot be refused.
            let _ = self.propose(
                None,
                CommandKind::SetState { node, instance, state },
                state == NodeState::Down,
            );
        }
        if self.state.repairs_waiting() > 0 {
            let _ = self.propose(None, CommandKind::Repair, true);
        }
        self.settling.tick(now);
        self.feed.forget_old_snapshot(&self.state);
    }

    fn repair_broken(&mut self) {
        for _ in 0..REPAIRS_PER_TURN {
            if self.state.broken() == 0 {
                return;
            }
            // Cannot be refused.
            let _ = self.propose(None, CommandKind::Repair, true);
        }
    }

    /// Apply a command, and put it in the log when it had an effect.
    fn propose(
        &mut self,
        request: Option<RequestId>,
        kind: CommandKind,
        sync: bool,
    ) -> Result<Reply, ApplyError> {
        let before = self.state.revision();
        let command = Command { request, now_ms: unix_ms(), kind };
        let reply = self.state.apply(&command, &mut self.changes)?;
        if self.state.revision() != before {
            self.sync |= sync;
            self.log(&command);
        }
        Ok(reply)
    }

    fn log(&mut self, command: &Command) {
        if let Err(error) = self.store.append(self.state.revision(), command) {
            // Every command fits (limits.rs); should one not, the next commit fails and the service stops.
            tracing::error!(%error, "command cannot be logged");
            self.store.poison();
        }
    }

    /// Write the turn's commands off the async threads.
    async fn commit(mut self) -> Result<Self, ServiceError> {
        if !self.store.is_dirty() {
            return Ok(self);
        }
        let written = tokio::task::spawn_blocking(move || -> (Self, Result<(), StoreError>) {
            let result = self.store.flush(std::mem::take(&mut self.sync)).and_then(|()| {
                if self.store.wants_snapshot() { self.store.fold(&self.state) } else { Ok(()) }
            });
            (self, result)
        });
        let (mut core, result) = written.await.map_err(|e| ServiceError::Stopped(e.to_string()))?;
        if let Err(error) = result {
            for (reply, _) in core.answers.drain(..) {
                let _ = reply.send(Err(Refusal::Unavailable));
            }
            return Err(error.into());
        }
        Ok(core)
    }

    /// Answer and publish. Whoever does not listen any more is no error.
    fn tell(&mut self) -> Result<(), ServiceError> {
        self.feed.publish(&self.state, &mut self.changes)?;
        for (reply, answer) in self.answers.drain(..) {
            let _ = reply.send(answer);
        }
        for reply in std::mem::take(&mut self.subscribers) {
            let _ = reply.send(self.feed.subscribe(&self.state)?);
        }
        Ok(())
    }
}

/// One meeting, and who takes part.
pub(super) fn get_meeting(state: &State, id: MeetingId) -> Response {
    let meeting = state.meeting(id).ok_or(ApplyError::UnknownMeeting(id))?;
    let participants = state.participants(id);
    Ok(Reply::Meeting { meeting: Box::new(meeting.clone()), participants })
}

/// A fresh request id.
pub(super) fn request_id() -> Result<RequestId, super::random::NoRandom> {
    random_u128().map(RequestId)
}
