//! Runs the binary and waits for conditions.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The binary, undisturbed by this process's environment.
pub(crate) fn mesh() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|k| k.starts_with("MESH_") || k == "RUST_LOG") {
            command.env_remove(key);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Standard output of a command that must succeed.
pub(crate) fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that must fail.
pub(crate) fn failure(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{command:?} succeeded");
    stderr(&output)
}

/// The one line that a command which must fail says.
pub(crate) fn one_line_failure(command: &mut Command) -> String {
    let text = failure(command);
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Until `condition` gives something.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A running `mesh dev`.
pub(crate) struct Dev {
    pub(crate) process: Child,
    pub(crate) record: Value,
    pub(crate) dir: PathBuf,
    said: Arc<Mutex<String>>,
    _temporary: tempfile::TempDir,
}

impl Dev {
    /// Starts one on free ports and waits for its banner.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("state");
        let mut process = mesh()
            .args(["dev", "--http-base", "0", "--json", "--state-dir"])
            .arg(&dir)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let errors = process.stderr.take().unwrap();
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                heard.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let banner = first_line(process.stdout.take().unwrap());
        let line = banner.recv_timeout(PATIENCE).unwrap_or_default();
        let record = serde_json::from_str(&line).unwrap_or(Value::Null);
        let dev = Self { process, record, dir, said, _temporary: temporary };
        assert!(dev.record.is_object(), "no banner: {line} {}", dev.said());
        dev
    }

    /// What it said on standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// `mesh` with these arguments and this state directory.
    pub(crate) fn beside(&self, arguments: &[&str]) -> Command {
        let mut command = mesh();
        command.args(arguments).arg("--state-dir").arg(&self.dir);
        command
    }

    /// All child processes, the topology's included.
    pub(crate) fn pids(&self) -> Vec<u64> {
        let all = ["nodes", "voters"].into_iter().flat_map(|k| self.record[k].as_array().unwrap());
        all.map(|n| n["pid"].as_u64().unwrap()).collect()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        send(u64::from(self.process.id()), signal);
    }

    /// How the nodes stand now.
    pub(crate) fn node(&self, name: &str) -> Value {
        let status = stdout(&mut self.beside(&["dev", "status", "--json"]));
        let status: Value = serde_json::from_str(&status).unwrap();
        let mut nodes = ["nodes", "voters"].into_iter().flat_map(|k| status[k].as_array().unwrap());
        nodes.find(|n| n["name"] == name).unwrap().clone()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // The kernel ends the children with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn first_line(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let _ = sender.send(lines.next().unwrap_or_default());
        // The rest is read away, so that the process never waits for us.
        lines.for_each(drop);
    });
    receiver
}

pub(crate) fn send(pid: u64, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Whether a process is there and not a zombie.
pub(crate) fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|s| s.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

/// Status and body of a request over plain HTTP.
pub(crate) fn http(method: &str, url: &str, headers: &str, body: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host.replace("localhost", "127.0.0.1")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}
