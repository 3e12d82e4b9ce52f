//! A node's TOML file: strict, and its errors name file, line and column and say what to do.

use super::suggest::nearest;
use super::{LogFormat, RoleName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The largest file that is read: a thousand `via` lines are 40 kB.
const FILE_BYTES_MAX: u64 = 256 * 1024;

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// What a file may say. Each value knows where it stands.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct FileSettings {
            $($(#[$doc])* pub(crate) $name: Option<Spanned<$type>>,)*
        }

        /// The keys a file may have.
        pub(crate) const KEYS: &[&str] = &[$(stringify!($name)),*];
    };
}

settings! {
    /// What the file is for.
    role: RoleName,
    /// Number, as in the certificate.
    node: u32,
    /// Name for people.
    name: String,
    /// Region, as in the certificate.
    region: String,
    /// HTTP and WebSocket.
    http: SocketAddr,
    /// URL under which clients reach `http`.
    public_url: String,
    /// Participants' media.
    media: SocketAddr,
    /// Address of `media` that participants are told.
    media_ip: IpAddr,
    /// Relay links.
    relay: SocketAddr,
    /// Address of `relay` that nodes are told.
    relay_ip: IpAddr,
    /// Topology services.
    topology: Vec<SocketAddr>,
    /// Where a topology service listens.
    listen: SocketAddr,
    /// Where a topology service keeps its state.
    state_dir: PathBuf,
    /// A topology service of one process.
    single: bool,
    /// Where clients and members reach a member of a group.
    advertise: SocketAddr,
    /// Timing of a group: lan or wan.
    profile: String,
    /// Certificate chain.
    cert: PathBuf,
    /// Its key.
    key: PathBuf,
    /// The cluster's CA.
    ca: PathBuf,
    /// The cluster.
    trust_domain: String,
    /// The token issuer's public key.
    token_key: PathBuf,
    /// Participants or links at most.
    capacity: u32,
    /// Test knob.
    wall_skew_ms: i64,
    /// Dial these addresses instead of the registered ones, by node number.
    via: BTreeMap<String, SocketAddr>,
    /// How log lines look.
    log_format: LogFormat,
    /// What is logged.
    log_level: String,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it is.
    pub(crate) path: PathBuf,
    text: String,
    /// What it says.
    pub(crate) settings: FileSettings,
}

impl File {
    /// Reads and checks a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let size = std::fs::metadata(path).map_err(|e| {
            anyhow::anyhow!("cannot read {shown}: {e}: check the path given with --config")
        })?;
        if !size.is_file() || size.len() > FILE_BYTES_MAX {
            anyhow::bail!("{shown} is not a configuration file: a text file of at most 256 KiB");
        }
        let text = std::fs::read_to_string(path)
            .map_err(|e| anyhow::anyhow!("cannot read {shown}: {e}"))?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> anyhow::Result<Self> {
        match toml::from_str::<FileSettings>(&text) {
            Ok(settings) => Ok(Self { path: path.to_owned(), text, settings }),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                Err(anyhow::anyhow!("{}: {}", place(path, &text, at), advice(error.message())))
            }
        }
    }

    /// `FILE:LINE` of a value.
    pub(crate) fn line_of<T>(&self, value: &Spanned<T>) -> String {
        let (line, _) = line_and_column(&self.text, value.span().start);
        format!("{}:{line}", self.path.display())
    }

    /// `FILE:LINE:COLUMN` of a value.
    pub(crate) fn place_of<T>(&self, value: &Spanned<T>) -> String {
        place(&self.path, &self.text, value.span().start)
    }

    /// A path of the file, seen from where the file is.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |dir| dir.join(path))
    }
}

fn place(path: &Path, text: &str, at: usize) -> String {
    let (line, column) = line_and_column(text, at);
    format!("{}:{line}:{column}", path.display())
}

fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, column)
}

/// What the parser says, with what to do about it.
fn advice(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    if let Some(key) = unknown {
        return match nearest(key, KEYS.iter().copied()) {
            Some(known) => format!("unknown key `{key}`: did you mean `{known}`?"),
            None => format!("unknown key `{key}`: the known ones are {}", KEYS.join(", ")),
        };
    }
    match message.as_str() {
        m if m.contains("socket address") => {
            format!("{m}: write an address and a port, such as \"127.0.0.1:8080\"")
        }
        m if m.contains("IP address") => format!("{m}: write an address, such as \"192.0.2.1\""),
        m if m.starts_with("invalid type") => format!("{m}: change the value"),
        m if m.starts_with("duplicate key") => format!("{m}: remove one of the two"),
        m => format!("{m}: correct this line"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        File::parse(Path::new("edge.toml"), text.to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_likely_one() {
        let error = error_of("node = 3\nregoin = \"eu\"\n");
        assert_eq!(error, "edge.toml:2:1: unknown key `regoin`: did you mean `region`?");
    }

    #[test]
    fn a_wrong_value_is_named_with_line_and_column() {
        let error = error_of("node = 3\n\nhttp = \"localhost\"\n");
        assert!(error.starts_with("edge.toml:3:8: "), "{error}");
        assert!(error.contains("such as \"127.0.0.1:8080\""), "{error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn broken_syntax_is_named_with_line_and_column() {
        let error = error_of("node = 3\nname = \"a\n");
        assert!(error.starts_with("edge.toml:2:"), "{error}");
    }

    #[test]
    fn paths_are_seen_from_the_file() {
        let file =
            File::parse(Path::new("/etc/mesh/edge.toml"), "cert = \"a.crt\"".into()).unwrap();
        assert_eq!(file.resolve(Path::new("a.crt")), Path::new("/etc/mesh/a.crt"));
        assert_eq!(file.resolve(Path::new("/b.crt")), Path::new("/b.crt"));
    }
}
