//! Joining: offer, answer over the WebSocket, and the socket held open until the run ends.

use super::camera::Camera;
use super::clock;
use super::directory::Directory;
use super::feedback::Feedback;
use super::fleet::{Order, Progress};
use super::full::Fulls;
use super::limits::{ANSWER, ERRORS_MAX, RETRIES_MAX};
use super::mic::{Mic, Wire};
use super::plan::{EdgePlace, LoadOptions, Member, Plan};
use super::publisher::Publisher;
use super::sdp::{Answer, Lines, LocalSide, PAYLOAD_TYPES, offer};
use super::secure::{Identity, Transport};
use super::socket::Pool;
use super::thin::Thin;
use super::viewer::{Milestones, Viewer};
use anyhow::{Context, bail};
use edge_sfu::signal::{ClientMessage, ErrorCode, PublishLine, SIGNAL_VERSION, ServerMessage};
use futures_util::{SinkExt, StreamExt};
use rand::TryRngCore;
use rand::rngs::OsRng;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// What all joins of a run share.
pub(super) struct Shared {
    pub(super) options: LoadOptions,
    pub(super) plan: Plan,
    pub(super) edges: Vec<EdgePlace>,
    /// By meeting.
    pub(super) tokens: Vec<String>,
    pub(super) identity: Identity,
    pub(super) pool: Arc<Pool>,
    pub(super) directory: Arc<Directory>,
    pub(super) progress: Arc<Progress>,
    pub(super) fulls: Fulls,
    pub(super) orders: mpsc::Sender<Order>,
    /// Turns true when everybody is to leave.
    pub(super) leave: watch::Receiver<bool>,
    pub(super) signal: SignalCounts,
    pub(super) errors: Mutex<Vec<String>>,
}

/// What the sockets carried to participants.
#[derive(Debug, Default)]
pub(super) struct SignalCounts {
    /// Bytes in all.
    pub(super) bytes: AtomicU64,
    /// Bytes of rosters.
    pub(super) roster_bytes: AtomicU64,
    /// The most bytes that one participant received.
    pub(super) most: AtomicU64,
    /// Joins refused as busy, and tried again.
    pub(super) busy: AtomicU64,
    /// Sockets that were closed by the edge.
    pub(super) closed: AtomicU64,
}

impl Shared {
    /// Notes what went wrong.
    pub(super) fn error(&self, text: String) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() < ERRORS_MAX {
            errors.push(text);
        }
    }
}

/// An open socket of one participant.
pub(super) struct Signal {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    received: u64,
}

impl Signal {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let url = format!("{}/v1/signal", url.trim_end_matches('/').replacen("http", "ws", 1));
        let (socket, _) = tokio::time::timeout(ANSWER, tokio_tungstenite::connect_async(&url))
            .await
            .with_context(|| format!("{url} does not answer"))?
            .with_context(|| format!("cannot open {url}"))?;
        Ok(Self { socket, received: 0 })
    }

    /// Says something.
    pub(super) async fn say(&mut self, message: &ClientMessage) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(serde_json::to_string(message)?)).await?)
    }

    /// The next message other than a roster; `None`: the socket is closed.
    pub(super) async fn next(&mut self, shared: &Shared) -> anyhow::Result<Option<ServerMessage>> {
        loop {
            let text = match self.socket.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
                Some(Ok(_)) => bail!("a message that is not text"),
            };
            let bytes = text.len() as u64;
            self.received += bytes;
            shared.signal.bytes.fetch_add(bytes, Ordering::Relaxed);
            shared.signal.most.fetch_max(self.received, Ordering::Relaxed);
            // A thousand participants parse a thousand rosters: nobody here needs them.
            if text.starts_with(r#"{"type":"roster""#) {
                shared.signal.roster_bytes.fetch_add(bytes, Ordering::Relaxed);
                continue;
            }
            return Ok(Some(serde_json::from_str(&text).context(text.to_string())?));
        }
    }
}

/// An answered join.
pub(super) struct Joined {
    pub(super) signal: Signal,
    pub(super) participant: u32,
    pub(super) sdp: String,
    pub(super) times: Milestones,
}

/// Opens a socket and joins, again while the edge says it is busy.
///
/// # Errors
/// Why not.
pub(super) async fn ask(
    shared: &Shared,
    member: &Member,
    sdp: &str,
    publish: &[PublishLine],
) -> anyhow::Result<Joined> {
    let asked_us = clock::now_us();
    let mut edge = shared.edges[member.edge].url.clone();
    for _ in 0..RETRIES_MAX {
        let mut signal = Signal::open(&edge).await?;
        let join = ClientMessage::Join {
            version: SIGNAL_VERSION,
            token: shared.tokens[member.meeting].clone(),
            name: Some(format!("load {}", member.number)),
            sdp: sdp.to_owned(),
            publish: publish.to_vec(),
        };
        signal.say(&join).await?;
        let said = tokio::time::timeout(ANSWER, signal.next(shared)).await;
        match said.context("no answer to join")?? {
            Some(ServerMessage::Joined { participant, sdp, .. }) => {
                let answered_us = Some(clock::now_us());
                let times = Milestones { asked_us, answered_us, ..Milestones::default() };
                return Ok(Joined { signal, participant, sdp, times });
            }
            Some(ServerMessage::Error { code: ErrorCode::Busy, retry_after_ms, edges, .. }) => {
                shared.signal.busy.fetch_add(1, Ordering::Relaxed);
                // Once the edges that it names, then the own one again.
                if let Some(other) = edges.into_iter().find(|e| *e != edge) {
                    edge = other;
                }
                let pause = u64::from(retry_after_ms.unwrap_or(1_000));
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            Some(ServerMessage::Error { code, message, .. }) => bail!("{code:?}: {message}"),
            Some(other) => bail!("not an answer to join: {other:?}"),
            None => bail!("the edge closed the socket"),
        }
    }
    bail!("the edges stayed busy")
}

/// A thin participant: joins, and stays until everybody is to leave.
pub(super) async fn attend(
    shared: Arc<Shared>,
    member: Member,
    hold: tokio::sync::OwnedSemaphorePermit,
) {
    match enter(&shared, &member).await {
        Ok(signal) => {
            drop(hold);
            stay(&shared, &member, signal).await;
            let _ = shared.orders.send(Order::Gone(member.number));
        }
        Err(error) => {
            shared.progress.failed.fetch_add(1, Ordering::Relaxed);
            let edge = &shared.edges[member.edge].name;
            shared.error(format!("participant {} at {edge}: {error:#}", member.number));
        }
    }
}

/// SSRCs of a participant: its number, and what it is.
fn ssrc(number: u32, what: u32) -> u32 {
    0x1000_0000 | number << 4 | what
}

fn credentials() -> anyhow::Result<(String, String)> {
    let mut seed = [0_u8; 16];
    OsRng.try_fill_bytes(&mut seed)?;
    let text: String = seed.iter().map(|b| format!("{b:02x}")).collect();
    Ok((text[..8].to_owned(), text[8..32].to_owned()))
}

async fn enter(shared: &Shared, member: &Member) -> anyhow::Result<Signal> {
    let options = &shared.options;
    let place = shared.pool.place(member.number);
    let (ufrag, pwd) = credentials()?;
    let publishes = member.speaker.is_some();
    let lines = Lines {
        mic: publishes,
        camera: publishes,
        audio_slots: options.voices,
        video_slots: options.pictures,
    };
    let local = LocalSide {
        ufrag: ufrag.clone(),
        pwd: pwd.clone(),
        fingerprint: shared.identity.fingerprint.clone(),
        addr: place.addr,
        mic_ssrc: ssrc(member.number, 0),
    };
    let (sdp, publish) = offer(&lines, &local);
    let Joined { mut signal, participant, sdp, times } =
        ask(shared, member, &sdp, &publish).await?;
    shared.directory.joined(member.number, participant);
    let answer = Answer::read(&sdp)?;
    let viewer = Viewer::new(member.number, &answer.slots, times);
    let wanted = options.voices + options.pictures;
    anyhow::ensure!(viewer.slots.len() == wanted, "{} slots of {wanted}", viewer.slots.len());
    let transport =
        Transport::new(Instant::now(), &shared.identity, &place, (ufrag, pwd), &answer)?;
    let now_us = clock::now_us();
    let phase_us = u64::from(member.number) * 17_130;
    let feedback = Feedback::new(ssrc(member.number, 15), now_us, phase_us);
    let publisher = member.speaker.map(|speaker| publisher(shared, member, speaker, now_us));
    let thin = Thin::new(viewer, publisher, feedback, transport, place, answer.remote);
    shared.orders.send(Order::Add(Box::new(thin))).ok().context("the driver has ended")?;
    wish(shared, &mut signal).await?;
    Ok(signal)
}

/// Tells the edge what the participant wants to see.
pub(super) async fn wish(shared: &Shared, signal: &mut Signal) -> anyhow::Result<()> {
    let options = &shared.options;
    let strip = Some(options.pictures.saturating_sub(1) as u32);
    signal.say(&ClientMessage::Layout { pin: None, strip, max_bitrate_bps: options.max_bps }).await
}

fn publisher(shared: &Shared, member: &Member, speaker: usize, now_us: u64) -> Publisher {
    /// Voices and frames of many do not leave all at once.
    const SPREAD_US: u64 = 7_919;
    let number = member.number;
    let phase_us = u64::from(number) * SPREAD_US;
    let (opus, vp8, rtx) = PAYLOAD_TYPES;
    let wire = |pt, mid: &str| Wire { pt, rtx_pt: rtx, mid: mid.to_owned() };
    let voice = shared.plan.schedules[member.meeting].voice(speaker);
    let mic = Mic::new(number, ssrc(number, 0), voice, wire(opus, "0"), now_us + phase_us % 20_000);
    let ssrcs = |i| (ssrc(number, 1 + i as u32), ssrc(number, 4 + i as u32));
    let first_us = now_us + phase_us % 50_000;
    let camera = Camera::new(number, ssrcs, shared.options.fps, wire(vp8, "1"), first_us);
    Publisher::new(number, Some(mic), Some(camera))
}

/// Reads the socket until the run ends, or the edge closes it.
pub(super) async fn stay(shared: &Shared, member: &Member, mut signal: Signal) {
    let mut leave = shared.leave.clone();
    loop {
        tokio::select! {
            said = signal.next(shared) => match said {
                Ok(Some(ServerMessage::Error { code, message, fatal, .. })) => {
                    shared.error(format!("participant {}: {code:?}: {message}", member.number));
                    if fatal {
                        shared.signal.closed.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    shared.signal.closed.fetch_add(1, Ordering::Relaxed);
                    shared.error(format!("participant {}: the edge closed the socket", member.number));
                    return;
                }
                Err(error) => shared.error(format!("participant {}: {error:#}", member.number)),
            },
            // The guard of the value must not live on while the farewell is said.
            () = async { leave.wait_for(|leave| *leave).await.map_or((), |_| ()) } => {
                let _ = signal.say(&ClientMessage::Leave).await;
                return;
            }
        }
    }
}
