//! The server, from outside.

use super::serve::{Answer, Ask};
use edge_sfu::signal::PublishLine;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// What the shard has counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stats {
    pub(super) cpu_ns: u64,
    pub(super) datagrams_out: u64,
    pub(super) send_calls: u64,
    pub(super) rss_kb: u64,
}

/// A running server; it ends with this.
pub(super) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    stats: Receiver<Stats>,
    /// Sockets and their answers, in the order in which they came.
    pub(super) joined: Receiver<(u64, String)>,
    pub(super) media: SocketAddr,
}

impl Child {
    pub(super) fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut next =
            move || -> Option<Answer> { Some(serde_json::from_str(&lines.next()?.ok()?).unwrap()) };
        let Some(Answer::Ready { media }) = next() else { panic!("the server does not start") };
        let ((say_joined, joined), (say_stats, stats)) = (channel(), channel());
        std::thread::spawn(move || {
            while let Some(answer) = next() {
                match answer {
                    Answer::Joined { socket, sdp } => {
                        let _ = say_joined.send((socket, sdp));
                    }
                    Answer::Stats { cpu_ns, datagrams_out, send_calls, rss_kb } => {
                        let stats = Stats { cpu_ns, datagrams_out, send_calls, rss_kb };
                        let _ = say_stats.send(stats);
                    }
                    Answer::Ready { .. } => {}
                }
            }
        });
        Self { process, input, stats, joined, media }
    }

    fn ask(&mut self, ask: &Ask) {
        let line = serde_json::to_string(ask).unwrap();
        writeln!(self.input, "{line}").and_then(|()| self.input.flush()).unwrap();
    }

    pub(super) fn join(&mut self, socket: u64, sdp: &str, publish: Vec<PublishLine>) {
        self.ask(&Ask::Join { socket, sdp: sdp.to_owned(), publish });
    }

    pub(super) fn stats(&mut self) -> Stats {
        self.ask(&Ask::Stats);
        self.stats.recv().unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
