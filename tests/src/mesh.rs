//! The mesh under test: a child process `mesh dev` with its own child processes.
//!
//! One at a time: [`Mesh::start`] waits until the mesh of another test has ended.

use crate::http;
use crate::report::{Shard, Wan};
use crate::wait;
use anyhow::{Context, bail, ensure};
use mesh::token::{Grants, Issuer};
use relay_proto::MeetingId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use topology::model::{MeetingSpec, Region};
use topology::service::{ClientConfig, TopologyClient, load_identity};

/// The banner comes in this time even on a busy machine.
const START: Duration = Duration::from_secs(30);
/// `mesh dev` says that it ends within 3 s; then it is killed.
const STOP: Duration = Duration::from_secs(6);
/// All other tests end within this time.
const ALONE: Duration = Duration::from_secs(900);
/// Tokens are good for this long.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// One node, as the banner and the status say.
#[derive(Clone, Debug, Deserialize)]
pub struct NodeInfo {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// `edge` or `origin`.
    pub role: String,
    /// Its region.
    pub region: String,
    /// Its process.
    pub pid: Option<u32>,
    /// How it stands.
    pub state: String,
    /// Its HTTP.
    pub url: String,
    /// Its log.
    pub log: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Banner {
    nodes: Vec<NodeInfo>,
    control: String,
    topology: Vec<SocketAddr>,
    voters: Vec<NodeInfo>,
    trust_domain: String,
    state_dir: PathBuf,
    media_ip: IpAddr,
}

/// The running mesh. Dropped, it ends, and all its processes with it.
pub struct Mesh {
    child: Child,
    banner: Banner,
    issuer: Issuer,
    topology: Option<TopologyClient>,
    runtime: Option<tokio::runtime::Runtime>,
    _dir: tempfile::TempDir,
    _alone: std::fs::File,
}

/// The binary: `MESH_BIN`, or built now beside the tests.
///
/// # Panics
/// When it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("MESH_BIN") {
            return PathBuf::from(path);
        }
        let tests = std::env::current_exe().expect("the path of the tests");
        let dir = tests.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
        let target = dir.parent().expect("target/PROFILE");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            // Together with the tests: cargo then chooses the same features, and nothing is built twice.
            .args(["build", "--quiet", "--profile", "ci", "-p", "mesh-tests", "-p", "mesh"])
            .args(["--bin", "mesh"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the mesh binary cannot be built");
        target.join("ci").join("mesh")
    })
}

/// One mesh at a time, whatever runs the tests: two would fight for the cores, and the figures would mean nothing.
fn alone() -> anyhow::Result<std::fs::File> {
    let tests = std::env::current_exe()?;
    let lock = std::fs::File::create(tests.with_file_name("mesh-tests.lock"))?;
    let free = || match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    wait::until(ALONE, "the meshes of other tests end", free);
    Ok(lock)
}

impl Mesh {
    /// Starts three regions with `mesh dev`; `args` are further arguments.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(args: &[&str]) -> Self {
        Self::try_start(args).unwrap_or_else(|e| panic!("mesh dev does not start: {e:#}"))
    }

    fn try_start(args: &[&str]) -> anyhow::Result<Self> {
        let alone = alone()?;
        let dir = tempfile::tempdir()?;
        let mut child = Command::new(binary())
            .args(["dev", "--http-base", "0", "--json", "--state-dir"])
            .arg(dir.path().join("dev"))
            .args(args)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot run {}", binary().display()))?;
        let line = match first_line(&mut child) {
            Ok(line) => line,
            Err(error) => {
                end(&mut child);
                return Err(error);
            }
        };
        let banner: Banner = serde_json::from_str(&line).with_context(|| line.clone())?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let file = |name: &str| banner.state_dir.join(name);
        let issuer = Issuer::from_pem(&std::fs::read(file("token.key"))?)?;
        let config = operator(&banner, banner.topology.clone())?;
        let topology = runtime.block_on(async { TopologyClient::connect(config) })?;
        Ok(Self {
            child,
            banner,
            issuer,
            topology: Some(topology),
            runtime: Some(runtime),
            _dir: dir,
            _alone: alone,
        })
    }

    /// Address of this machine that participants use.
    #[must_use]
    pub fn media_ip(&self) -> IpAddr {
        self.banner.media_ip
    }

    /// Where the mesh keeps its files.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.banner.state_dir
    }

    /// All nodes as they were at the start.
    #[must_use]
    pub fn nodes(&self) -> &[NodeInfo] {
        &self.banner.nodes
    }

    /// The edges of a region.
    #[must_use]
    pub fn edges(&self, region: &str) -> Vec<NodeInfo> {
        self.of("edge", region)
    }

    /// The first edge of a region.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn edge(&self, region: &str) -> NodeInfo {
        self.of("edge", region).into_iter().next().expect("an edge in that region")
    }

    /// The origin node of a region.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn origin(&self, region: &str) -> NodeInfo {
        self.of("origin", region).into_iter().next().expect("an origin in that region")
    }

    fn of(&self, role: &str, region: &str) -> Vec<NodeInfo> {
        let all = self.banner.nodes.iter();
        all.filter(|n| n.role == role && n.region == region).cloned().collect()
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().expect("it runs until the mesh is dropped")
    }

    /// A meeting with its origin in `region`.
    ///
    /// # Panics
    /// When the topology does not make it.
    #[must_use]
    pub fn meeting(&self, region: &str) -> MeetingId {
        let topology = self.topology.as_ref().expect("it runs until the mesh is dropped");
        let spec = MeetingSpec {
            origin_region: Some(Region::new(region).expect("a region's name")),
            ..MeetingSpec::default()
        };
        let made = self.runtime().block_on(async {
            tokio::time::timeout(Duration::from_secs(10), topology.create_meeting(spec)).await
        });
        made.expect("the topology answers within 10 s").expect("a meeting").id
    }

    /// A token for a participant like any other.
    ///
    /// # Panics
    /// When it cannot be signed.
    #[must_use]
    pub fn token(&self, meeting: MeetingId) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a date after 1970");
        let issued = self.issuer.issue(meeting, None, Grants::PARTICIPANT, now, TOKEN_LIFETIME);
        issued.expect("a token")
    }

    /// Where a node receives media and relay datagrams.
    ///
    /// # Panics
    /// When the topology does not know it.
    #[must_use]
    pub fn addresses(&self, node: &NodeInfo) -> (SocketAddr, SocketAddr) {
        let topology = self.topology.as_ref().expect("it runs until the mesh is dropped");
        let live = self.runtime().block_on(topology.live(Duration::from_secs(10)));
        live.expect("the topology answers within 10 s");
        let view = topology.view();
        let known = view.node(relay_proto::NodeId(node.id)).expect("a node of this mesh");
        (known.record.media, known.record.relay[0])
    }

    /// The first flights of QUIC connections with certificates of this mesh, as they are on the wire.
    ///
    /// # Panics
    /// When there is no socket.
    #[must_use]
    pub fn first_flights(&self, count: usize) -> Vec<Vec<u8>> {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let addr = socket.local_addr().expect("an address");
        let config = self.operator(vec![addr]).expect("the operator's certificate");
        let mut flights = Vec::new();
        let mut buffer = [0; 2_048];
        while flights.len() < count {
            let config = config.clone();
            let client = self.runtime().block_on(async { TopologyClient::connect(config) });
            let client = client.expect("a client");
            // One client repeats its first flight a few times; then another one begins.
            for _ in 0..2 {
                let (len, _) = socket.recv_from(&mut buffer).expect("a first flight within 5 s");
                flights.push(buffer[..len].to_vec());
            }
            self.runtime().block_on(async { drop(client) });
        }
        flights
    }

    fn operator(&self, addrs: Vec<SocketAddr>) -> anyhow::Result<ClientConfig> {
        operator(&self.banner, addrs)
    }

    /// What the tests' own tokens are signed with.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// How a node's shard stands.
    ///
    /// # Panics
    /// When the node does not answer.
    #[must_use]
    pub fn shard(&self, node: &NodeInfo) -> Shard {
        let url = format!("{}/debug/shard", node.url.trim_end_matches('/'));
        let json = http::get(&url).unwrap_or_else(|e| panic!("{}: {e:#}", node.name));
        serde_json::from_str(&json).unwrap_or_else(|e| panic!("{}: {e}: {json}", node.name))
    }

    /// A node's metrics, name and labels to value.
    ///
    /// # Panics
    /// When the node does not answer.
    #[must_use]
    pub fn metrics(&self, node: &NodeInfo) -> BTreeMap<String, f64> {
        let url = format!("{}/metrics", node.url.trim_end_matches('/'));
        let text = http::get(&url).unwrap_or_else(|e| panic!("{}: {e:#}", node.name));
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        lines
            .filter_map(|l| {
                let (name, value) = l.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// What has passed between regions on the emulated network so far.
    ///
    /// # Panics
    /// When the supervisor does not answer.
    #[must_use]
    pub fn wan(&self) -> Wan {
        let json = http::get(&format!("{}/wan", self.banner.control));
        Wan::read(&json.expect("the supervisor answers"))
    }

    /// Adds an edge and waits until it is ready.
    ///
    /// # Errors
    /// The supervisor's reason.
    pub fn add_edge(&self, region: &str) -> anyhow::Result<NodeInfo> {
        self.order("nodes", Some(&json!({ "region": region })))
    }

    /// Kills a node.
    ///
    /// # Errors
    /// The supervisor's reason.
    pub fn kill(&self, node: &NodeInfo) -> anyhow::Result<NodeInfo> {
        self.order(&format!("nodes/{}/kill", node.name), None)
    }

    fn order(&self, path: &str, body: Option<&Value>) -> anyhow::Result<NodeInfo> {
        let url = format!("{}/{path}", self.banner.control);
        match http::ask("POST", &url, body)? {
            (200, text) => serde_json::from_str(&text).with_context(|| text.clone()),
            (status, text) => bail!("{status}: {text}"),
        }
    }

    /// Waits until every node's shard says what is wanted of it.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub fn until_shard(
        &self,
        limit: Duration,
        what: &str,
        node: &NodeInfo,
        mut check: impl FnMut(&Shard) -> Result<(), String>,
    ) {
        wait::until(limit, what, || {
            check(&self.shard(node)).map_err(|e| format!("{}: {e}", node.name))
        });
    }
}

fn operator(banner: &Banner, addrs: Vec<SocketAddr>) -> anyhow::Result<ClientConfig> {
    let file = |name: &str| banner.state_dir.join(name);
    let (cert, key) = (file("nodes/operator.crt"), file("nodes/operator.key"));
    let identity = load_identity(&cert, &key, &file("ca.crt"))?;
    Ok(ClientConfig { addrs, identity, trust_domain: banner.trust_domain.clone() })
}

fn first_line(child: &mut Child) -> anyhow::Result<String> {
    let output = child.stdout.take().context("its output")?;
    let (sender, receiver) = mpsc::channel();
    // The thread ends with the process, whose output it goes on reading so that nothing is held up.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let line = receiver.recv_timeout(START).context("no banner")?;
    ensure!(line.starts_with('{'), "not the JSON banner: {line}");
    Ok(line)
}

/// Asks the process to end; kills it when it does not.
fn end(child: &mut Child) {
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let limit = std::time::Instant::now() + STOP;
    while std::time::Instant::now() < limit {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let topology = self.topology.take();
            runtime.block_on(async { drop(topology) });
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        if std::thread::panicking() {
            println!("logs of the failed mesh:");
            for node in &self.banner.nodes {
                let log = std::fs::read_to_string(&node.log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                for line in &lines[lines.len().saturating_sub(15)..] {
                    println!("  {}: {line}", node.name);
                }
            }
        }
        end(&mut self.child);
    }
}
