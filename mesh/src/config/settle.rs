//! One value for each setting, and where it came from.

use super::file::{File, FileSettings};
use super::flags::{IdentityFlags, LogFlags, NodeFlags, TopologyFlags};
use super::{LogFormat, RoleName, default_route_ip};
use crate::node::{Identity, MemberOptions, NodeOptions, TopologyOptions};
use anyhow::{Context, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;
use relay_proto::NodeId;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;
use topology::model::Region;
use topology::service::Profile;

/// Participants of an edge, links of an origin, unless told otherwise.
const CAPACITY_DEFAULT: u32 = 1_000;
/// Where a topology service listens unless told otherwise.
const TOPOLOGY_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7_400);

/// One line of `mesh check`.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) from: String,
}

/// Log settings of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) level: Option<String>,
}

/// Picks values and remembers where they came from.
struct Picker<'a> {
    matches: &'a ArgMatches,
    file: Option<&'a File>,
    rows: Vec<Row>,
}

type InFile<T> = fn(&FileSettings) -> &Option<Spanned<T>>;

impl<'a> Picker<'a> {
    fn new(matches: &'a ArgMatches, file: Option<&'a File>) -> Self {
        Self { matches, file, rows: Vec::new() }
    }

    fn in_file<T>(&self, get: InFile<T>) -> Option<(&'a File, &'a Spanned<T>)> {
        let file = self.file?;
        get(&file.settings).as_ref().map(|value| (file, value))
    }

    /// Flags over environment over file; nothing otherwise.
    fn optional<T: Clone>(
        &mut self,
        key: &'static str,
        flag: Option<T>,
        get: InFile<T>,
        show: impl Fn(&T) -> String,
    ) -> Option<T> {
        let (value, from) = match (flag, self.in_file(get)) {
            (Some(value), _) => (value, self.outside(key)),
            (None, Some((file, value))) => (value.get_ref().clone(), file.line_of(value)),
            (None, None) => return None,
        };
        self.rows.push(Row { key, value: show(&value), from });
        Some(value)
    }

    /// The same for a path: one of the file is seen from the file.
    fn path(
        &mut self,
        key: &'static str,
        flag: Option<PathBuf>,
        get: InFile<PathBuf>,
    ) -> Option<PathBuf> {
        let from_file = flag.is_none();
        let file = self.file;
        let resolve = |p: &Path| match file {
            Some(file) if from_file => file.resolve(p),
            _ => p.to_owned(),
        };
        let path = self.optional(key, flag, get, |p| resolve(p).display().to_string())?;
        Some(resolve(&path))
    }

    fn or_default<T: Clone>(
        &mut self,
        key: &'static str,
        flag: Option<T>,
        get: InFile<T>,
        show: impl Fn(&T) -> String + Copy,
        default: impl FnOnce() -> T,
    ) -> T {
        self.optional(key, flag, get, show).unwrap_or_else(|| {
            let value = default();
            self.rows.push(Row { key, value: show(&value), from: "default".to_owned() });
            value
        })
    }

    fn required<T>(&self, key: &'static str, value: Option<T>) -> anyhow::Result<T> {
        let flag = key.replace('_', "-");
        let env = key.to_uppercase();
        value.with_context(|| match self.file {
            Some(file) => {
                format!("{}: `{key}` is missing: add it, or give --{flag}", file.path.display())
            }
            None => {
                format!("`{key}` is missing: give --{flag}, MESH_{env}, or a file with --config")
            }
        })
    }

    fn outside(&self, key: &str) -> String {
        match self.matches.try_contains_id(key).ok().and_then(|_| self.matches.value_source(key)) {
            Some(ValueSource::EnvVariable) => format!("MESH_{}", key.to_uppercase()),
            _ => format!("--{}", key.replace('_', "-")),
        }
    }

    /// An error about a value, with its place.
    fn wrong<T>(&self, key: &str, get: InFile<T>, problem: impl Display) -> anyhow::Error {
        let row = self.rows.iter().find(|r| r.key == key);
        let place = match (row, self.in_file(get)) {
            (Some(row), Some((file, value))) if row.from == file.line_of(value) => {
                file.place_of(value)
            }
            (Some(row), _) => row.from.clone(),
            (None, _) => key.to_owned(),
        };
        anyhow::anyhow!("{place}: `{key}`: {problem}")
    }

    fn role(&mut self, role: RoleName) -> anyhow::Result<()> {
        if let Some((file, given)) = self.in_file(|s| &s.role)
            && *given.get_ref() != role
        {
            let given_name = given.get_ref().as_str();
            let place = file.place_of(given);
            bail!(
                "{place}: this file is for `mesh {given_name}`, not for `mesh {}`",
                role.as_str()
            );
        }
        Ok(())
    }

    fn identity(&mut self, flags: &IdentityFlags) -> anyhow::Result<Identity> {
        let chain = self.path("cert", flags.cert.clone(), |s| &s.cert);
        let key = self.path("key", flags.key.clone(), |s| &s.key);
        let ca = self.path("ca", flags.ca.clone(), |s| &s.ca);
        let domain = self.optional(
            "trust_domain",
            flags.trust_domain.clone(),
            |s| &s.trust_domain,
            String::clone,
        );
        Ok(Identity {
            chain: self.required("cert", chain)?,
            key: self.required("key", key)?,
            ca: self.required("ca", ca)?,
            trust_domain: self.required("trust_domain", domain)?,
        })
    }

    fn logs(&mut self, flags: &LogFlags) -> LogSettings {
        let show = |f: &LogFormat| format!("{f:?}").to_lowercase();
        LogSettings {
            format: self.or_default(
                "log_format",
                flags.log_format,
                |s| &s.log_format,
                show,
                LogFormat::default,
            ),
            level: self.optional(
                "log_level",
                flags.log_level.clone(),
                |s| &s.log_level,
                String::clone,
            ),
        }
    }

    fn number(&mut self, flags: &NodeFlags) -> anyhow::Result<NodeId> {
        let node = self.optional("node", flags.node, |s| &s.node, u32::to_string);
        let node = self.required("node", node)?;
        if !(1..=NodeId::MAX).contains(&node) {
            let problem = format!("{node} is no node number: choose one from 1 to {}", NodeId::MAX);
            return Err(self.wrong("node", |s| &s.node, problem));
        }
        Ok(NodeId(node))
    }

    fn region(&mut self, flags: &NodeFlags) -> anyhow::Result<String> {
        let region = self.optional("region", flags.region.clone(), |s| &s.region, String::clone);
        let region = self.required("region", region)?;
        match Region::new(&region) {
            Ok(_) => Ok(region),
            Err(problem) => Err(self.wrong("region", |s| &s.region, problem)),
        }
    }

    fn public_url(&mut self, flags: &NodeFlags, http: SocketAddr) -> anyhow::Result<String> {
        let local = || format!("http://localhost:{}", http.port());
        let url = self.or_default(
            "public_url",
            flags.public_url.clone(),
            |s| &s.public_url,
            String::clone,
            local,
        );
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            let problem = format!("{url:?} is no URL: write one such as https://edge1.example.net");
            return Err(self.wrong("public_url", |s| &s.public_url, problem));
        }
        Ok(url.trim_end_matches('/').to_owned())
    }

    fn via(&mut self, flags: &NodeFlags) -> anyhow::Result<BTreeMap<NodeId, SocketAddr>> {
        let flag = flags
            .via
            .clone()
            .map(|list| list.into_iter().map(|(n, a)| (n.0.to_string(), a)).collect());
        let show = |via: &BTreeMap<String, SocketAddr>| {
            via.iter().map(|(n, a)| format!("{n}={a}")).collect::<Vec<_>>().join(",")
        };
        let via = self.optional("via", flag, |s| &s.via, show).unwrap_or_default();
        let mut checked = BTreeMap::new();
        for (node, address) in via {
            let number = node.parse().ok().filter(|n| (1..=NodeId::MAX).contains(n));
            let number = number.ok_or_else(|| {
                self.wrong(
                    "via",
                    |s| &s.via,
                    format!("{node:?} is no node number (1 to {})", NodeId::MAX),
                )
            })?;
            checked.insert(NodeId(number), address);
        }
        Ok(checked)
    }
}

fn shown<T: Display>(value: &T) -> String {
    value.to_string()
}

fn list(values: &[SocketAddr]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The address others are told: the listening one if it is one, else this machine's.
fn told(listening: SocketAddr) -> IpAddr {
    if listening.ip().is_unspecified() { default_route_ip() } else { listening.ip() }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
}

/// The options of an edge or an origin.
pub(crate) fn settle_node(
    role: RoleName,
    flags: &NodeFlags,
    matches: &ArgMatches,
    file: Option<&File>,
) -> anyhow::Result<(NodeOptions, LogSettings, Vec<Row>)> {
    let mut p = Picker::new(matches, file);
    p.role(role)?;
    let node = p.number(flags)?;
    let region = p.region(flags)?;
    let named = || format!("{region}-{}-{node}", role.as_str());
    let name = p.or_default("name", flags.name.clone(), |s| &s.name, String::clone, named);
    let port = if role == RoleName::Edge { 8_080 } else { 8_090 };
    let local = || SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let http = p.or_default("http", flags.http, |s| &s.http, shown, local);
    let public_url = p.public_url(flags, http)?;
    let media = p.or_default("media", flags.media, |s| &s.media, shown, any_port);
    let media_ip = p.or_default("media_ip", flags.media_ip, |s| &s.media_ip, shown, || told(media));
    let relay = p.or_default("relay", flags.relay, |s| &s.relay, shown, any_port);
    let relay_ip = p.or_default("relay_ip", flags.relay_ip, |s| &s.relay_ip, shown, || told(relay));
    let default_topology = || vec![TOPOLOGY_DEFAULT];
    let topology = p.or_default(
        "topology",
        flags.topology.clone(),
        |s| &s.topology,
        |v| list(v),
        default_topology,
    );
    let identity = p.identity(&flags.identity)?;
    let token_key = p.path("token_key", flags.token_key.clone(), |s| &s.token_key);
    if role == RoleName::Edge {
        p.required("token_key", token_key.as_ref())?;
    }
    let capacity =
        p.or_default("capacity", flags.capacity, |s| &s.capacity, shown, || CAPACITY_DEFAULT);
    let wall_skew_ms =
        p.or_default("wall_skew_ms", flags.wall_skew_ms, |s| &s.wall_skew_ms, shown, || 0);
    let via = p.via(flags)?;
    let logs = p.logs(&flags.logs);
    if topology.is_empty() {
        return Err(p.wrong("topology", |s| &s.topology, "give at least one address"));
    }
    let options = NodeOptions {
        node,
        name,
        region,
        http,
        public_url,
        media,
        media_ip,
        relay,
        relay_ip,
        topology,
        identity,
        token_key,
        via,
        capacity,
        wall_skew_us: wall_skew_ms.saturating_mul(1_000),
    };
    Ok((options, logs, p.rows))
}

/// The options of a topology service.
pub(crate) fn settle_topology(
    flags: &TopologyFlags,
    matches: &ArgMatches,
    file: Option<&File>,
) -> anyhow::Result<(TopologyOptions, LogSettings, Vec<Row>)> {
    let mut p = Picker::new(matches, file);
    p.role(RoleName::Topology)?;
    let listen = p.or_default("listen", flags.listen, |s| &s.listen, shown, || TOPOLOGY_DEFAULT);
    let identity = p.identity(&flags.identity)?;
    let state_dir = p.path("state_dir", flags.state_dir.clone(), |s| &s.state_dir);
    let state_dir = p.required("state_dir", state_dir)?;
    let single = p.optional("single", flags.single.then_some(true), |s| &s.single, shown);
    let member = if single == Some(true) { None } else { Some(p.member(flags, listen)?) };
    let logs = p.logs(&flags.logs);
    Ok((TopologyOptions { listen, identity, state_dir, member }, logs, p.rows))
}

impl Picker<'_> {
    /// What a member of a group has beyond a single process.
    fn member(
        &mut self,
        flags: &TopologyFlags,
        listen: SocketAddr,
    ) -> anyhow::Result<MemberOptions> {
        let region = self.optional("region", flags.region.clone(), |s| &s.region, String::clone);
        let region = self
            .required("region", region)
            .context("a member of a group stands in a region; a service of one process needs --single")?;
        if let Err(problem) = Region::new(&region) {
            return Err(self.wrong("region", |s| &s.region, problem));
        }
        let told = || SocketAddr::new(told(listen), listen.port());
        let advertise =
            self.or_default("advertise", flags.advertise, |s| &s.advertise, shown, told);
        let wan = || Profile::default().to_string();
        let profile =
            self.or_default("profile", flags.profile.clone(), |s| &s.profile, String::clone, wan);
        let profile =
            profile.parse().map_err(|problem| self.wrong("profile", |s| &s.profile, problem))?;
        Ok(MemberOptions { region, advertise, profile })
    }
}
