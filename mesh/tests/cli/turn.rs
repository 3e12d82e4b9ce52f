//! Credentials of the join reply in front of a real TURN server: Debian's coturn, with a port and processes of its own.

use super::harness::until;
use mesh::api::Turn;
use std::net::UdpSocket;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret of the operator";

/// A running `turnserver`, ended by its number.
struct Coturn {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Coturn {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("turnserver");
        command
            .args(["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1", "--no-cli"])
            .args(["--no-tls", "--no-dtls", "--allow-loopback-peers", "--realm", "mesh.test"])
            .args(["--use-auth-secret", "--static-auth-secret", SECRET, "--log-file", "stdout"])
            .args(["--listening-port", &port.to_string()])
            .args(["--pidfile".into(), dir.path().join("pid").into_os_string()])
            .args(["--db".into(), dir.path().join("db").into_os_string()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("turnserver runs: install it with `apt-get install coturn`");
        Self { process, port, _dir: dir }
    }

    /// Allocates relayed addresses and sends a few datagrams through them, as coturn's own client does it.
    fn allocate(&self, username: &str, password: &str) -> Output {
        Command::new("turnutils_uclient")
            .args(["-y", "-c", "-n", "1", "-m", "1", "-l", "100", "-p", &self.port.to_string()])
            .args(["-u", username, "-w", password, "127.0.0.1"])
            .output()
            .expect("turnutils_uclient runs: it is in Debian's package coturn")
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn coturn_takes_a_credential_until_it_ends_and_no_other() {
    let coturn = Coturn::start();
    let url = format!("turn:127.0.0.1:{}", coturn.port);
    let turn = Turn::new(vec![url.clone()], SECRET.as_bytes());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let good = turn.server("p-0123456789abcdef", now);
    assert_eq!(good.urls, [url]);
    until("an allocation is made with the credential of a join reply", || {
        coturn.allocate(&good.username, &good.credential).status.success().then_some(())
    });
    let old = turn.server("p-0123456789abcdef", now - Duration::from_secs(2 * 3_600));
    let stranger = Turn::new(Vec::new(), b"another secret").server("p-0123456789abcdef", now);
    let longer = format!("9{}", good.username);
    let refused = [
        ("expired", &old.username, &old.credential),
        ("of another secret", &stranger.username, &stranger.credential),
        ("of another name", &longer, &good.credential),
    ];
    for (what, username, credential) in refused {
        let output = coturn.allocate(username, credential);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() && said.contains("Cannot complete Allocation"),
            "{what}: {said}"
        );
    }
    let again = coturn.allocate(&good.username, &good.credential);
    assert!(again.status.success(), "the server was there all the time");
}
