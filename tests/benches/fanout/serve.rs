//! The server's process: a shard of an edge, told what to do by lines on standard input.

use edge_sfu::peer::PeerConfig;
use edge_sfu::shard::{EdgeCommand, EdgeConfig, EdgeOutput, EdgeShard, Join, Placement, SocketId};
use edge_sfu::signal::{PublishLine, ServerMessage};
use edge_sfu::transport::{DtlsIdentity, TransportConfig};
use node_io::{MailboxFull, MailboxSender, ShardConfig, ShardStats, try_spawn_shard};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use relay_proto::links::{Links, LinksConfig, LinksError};
use relay_proto::transport::dev::DevCa;
use relay_proto::{Epoch, MeetingId, NodeId, NodeName};
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

const MEETING: MeetingId = MeetingId(7);
const PEERS_MAX: usize = 2_000;

/// What the server is asked.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Ask {
    Join { socket: u64, sdp: String, publish: Vec<PublishLine> },
    Stats,
}

/// What it answers.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Answer {
    Ready { media: SocketAddr },
    Joined { socket: u64, sdp: String },
    Stats { cpu_ns: u64, datagrams_out: u64, send_calls: u64, rss_kb: u64 },
}

fn say(answer: &Answer) {
    let line = serde_json::to_string(answer).unwrap();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

fn tell(commands: &MailboxSender<EdgeCommand>, mut command: EdgeCommand) {
    while let Err(MailboxFull::Full(back)) = commands.try_send(command) {
        command = back;
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stats(stats: &ShardStats) -> Answer {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    Answer::Stats {
        cpu_ns: stats.cpu_ns.load(Relaxed),
        datagrams_out: stats.media.datagrams_out.load(Relaxed),
        send_calls: stats.media.send_calls.load(Relaxed),
        rss_kb: pages * 4,
    }
}

fn links() -> LinksConfig {
    let name =
        NodeName { trust_domain: "bench.mesh".into(), region: "here".into(), node: NodeId(1) };
    let identity = DevCa::new([1; 32]).unwrap().issue(&name).unwrap();
    LinksConfig::new(name, 1, identity, [1; 32])
}

/// Serves until standard input ends.
pub(super) fn serve() {
    let any = SocketAddr::new(super::LOOPBACK, 0);
    let config = ShardConfig::new("bench", Some(any), any);
    let dtls = DtlsIdentity::generate().unwrap();
    let mut shard = try_spawn_shard::<EdgeShard, _, _, _>(config, move |now, addrs| {
        let transport = TransportConfig::dtls(dtls, addrs.media.into_iter().collect());
        let config = EdgeConfig {
            node: NodeId(1),
            name: "bench".into(),
            region: "here".into(),
            peer: PeerConfig { transport },
            peers_max: PEERS_MAX,
        };
        let links = Links::new(now, links())?;
        Ok::<_, LinksError>(EdgeShard::new(config, links, ChaCha12Rng::from_seed([1; 32])))
    })
    .unwrap();
    say(&Answer::Ready { media: shard.media_addr.unwrap() });
    let (mut outputs, counted) = (shard.take_outputs(), Arc::clone(&shard.stats));
    let commands = shard.commands.clone();
    std::thread::spawn(move || {
        while let Some(output) = outputs.blocking_recv() {
            match output {
                EdgeOutput::NeedPlacement(meeting) => {
                    let placement = Some(Placement { epoch: Epoch(2), origin: NodeId(2) });
                    tell(&commands, EdgeCommand::Placement { meeting, placement });
                }
                EdgeOutput::Send { socket, message } => match *message {
                    ServerMessage::Joined { sdp, .. } => {
                        say(&Answer::Joined { socket: socket.0, sdp });
                    }
                    ServerMessage::Error { message, .. } => eprintln!("{socket:?}: {message}"),
                    _ => {}
                },
                _ => {}
            }
        }
    });
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match serde_json::from_str(&line).unwrap() {
            Ask::Stats => say(&stats(&counted)),
            Ask::Join { socket, sdp, publish } => tell(
                &shard.commands,
                EdgeCommand::Join(Box::new(Join {
                    socket: SocketId(socket),
                    meeting: MEETING,
                    name: format!("p{socket}"),
                    may_publish: !publish.is_empty(),
                    may_chat: false,
                    owner: false,
                    wait: false,
                    identity: 0,
                    sdp,
                    publish,
                })),
            ),
        }
    }
    std::process::exit(0);
}
