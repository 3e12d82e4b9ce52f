//! The client's life with one connection: watch, register, heartbeats.

use super::client::Shared;
use super::core::request_id;
use super::frames::receive;
use super::registration::Registration;
use super::view::{TopologyView, ViewBuilder};
use crate::limits::{CALL_TIMEOUT, FRAME_BYTES_MAX, HEARTBEAT, WATCH_SILENCE_MAX};
use crate::model::{ApplyError, NodeRecord, Reply};
use crate::protocol::{Refusal, Request, Response, WatchItem, encode};
use quinn::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Why a session ended.
pub(super) type SessionError = Box<dyn std::error::Error + Send + Sync>;

/// One request on its own stream.
pub(super) async fn exchange(
    connection: &Connection,
    frame: &[u8],
) -> Result<Response, SessionError> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(frame).await?;
    send.finish()?;
    Ok(receive::<Response>(&mut recv, FRAME_BYTES_MAX).await?)
}

/// Until the connection is of no more use. `useful` is set once it has shown a whole view.
pub(super) async fn run(
    shared: &Shared,
    connection: &Connection,
    useful: &AtomicBool,
) -> Result<(), SessionError> {
    tokio::select! {
        result = watch(shared, connection, useful) => result,
        result = keep_registered(shared, connection) => result,
        error = connection.closed() => Err(error.into()),
    }
}

async fn watch(
    shared: &Shared,
    connection: &Connection,
    useful: &AtomicBool,
) -> Result<(), SessionError> {
    let (mut send, mut recv) = connection.open_bi().await?;
    send.write_all(&encode(&Request::Watch)?).await?;
    send.finish()?;
    let mut builder = ViewBuilder::default();
    loop {
        let item = receive::<WatchItem>(&mut recv, FRAME_BYTES_MAX);
        let item = timeout(shared.silence_max(), item).await??;
        let whole = matches!(item, WatchItem::SnapshotEnd { .. });
        let mut outcome = Ok(false);
        shared.view.send_if_modified(|view| {
            let before = whole.then(|| view.clone());
            outcome = builder.take(item, view);
            if let Some(before) = before {
                warn_of_lost_history(&before, view);
            }
            matches!(outcome, Ok(true))
        });
        outcome?;
        if whole {
            useful.store(true, Ordering::Relaxed);
        }
    }
}

fn warn_of_lost_history(before: &Arc<TopologyView>, now: &Arc<TopologyView>) {
    if before.cluster != 0 && before.cluster != now.cluster {
        tracing::warn!(before = before.meetings.len(), "the topology service has lost its state");
    }
}

/// Register whenever a record is set, then send heartbeats; again when the service forgot this node.
async fn keep_registered(shared: &Shared, connection: &Connection) -> Result<(), SessionError> {
    let mut wanted = shared.wanted.subscribe();
    loop {
        let record = wanted.borrow_and_update().clone();
        let Some(record) = record else {
            wanted.changed().await?;
            continue;
        };
        if matches!(*shared.registration.borrow(), Registration::Replaced) {
            wanted.changed().await?;
            continue;
        }
        let state = register(connection, &record).await?;
        let registered = matches!(state, Registration::Registered(_));
        if let Registration::Refused(refusal) = &state {
            tracing::error!(%refusal, "registration refused");
        }
        shared.registration.send_replace(state);
        if !registered {
            wanted.changed().await?;
            continue;
        }
        tokio::select! {
            result = heartbeats(shared, connection, &record) => result?,
            changed = wanted.changed() => changed?,
        }
    }
}

async fn register(
    connection: &Connection,
    record: &NodeRecord,
) -> Result<Registration, SessionError> {
    let request = Request::Register { request: request_id()?, record: record.clone() };
    let answer = timeout(CALL_TIMEOUT, exchange(connection, &encode(&request)?)).await??;
    match answer {
        Ok(Reply::Node(node)) => Ok(Registration::Registered(Arc::from(node))),
        Ok(_) => Err("an answer to another question".into()),
        Err(Refusal::Unavailable) => Err(Refusal::Unavailable.into()),
        Err(refusal) => Ok(Registration::Refused(refusal)),
    }
}

/// Until the service forgot this process (then register again) or another took its place (then never again).
async fn heartbeats(
    shared: &Shared,
    connection: &Connection,
    record: &NodeRecord,
) -> Result<(), SessionError> {
    let mut beats = interval(HEARTBEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let load = *shared.load.borrow();
        let beat = encode(&Request::Heartbeat { instance: record.instance, load })?;
        match timeout(WATCH_SILENCE_MAX, exchange(connection, &beat)).await?? {
            // Without a leader there is nobody to hear it; whether this member is of use is for the watch to say.
            Ok(_) | Err(Refusal::Unavailable) => {}
            Err(Refusal::Apply(ApplyError::UnknownNode(_))) => return Ok(()),
            Err(Refusal::Apply(ApplyError::InstanceReplaced { node })) => {
                tracing::error!(
                    node = node.0,
                    "another process registered with this node's number"
                );
                shared.registration.send_replace(Registration::Replaced);
                return Ok(());
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
}
