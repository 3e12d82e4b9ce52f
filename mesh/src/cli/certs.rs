//! `mesh certs`.

use crate::dev::banner::say;
use crate::dev::pki::Ca;
use crate::dev::state::write_secret;
use crate::token;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use relay_proto::NodeId;
use std::path::{Path, PathBuf};
use topology::model::Region;

/// Arguments.
#[derive(Args, Debug)]
pub(super) struct CertsArgs {
    /// Directory of the files
    #[arg(long, default_value = ".", value_name = "DIR", global = true)]
    dir: PathBuf,
    /// The cluster's name, as all its certificates say it
    #[arg(
        long,
        env = "MESH_TRUST_DOMAIN",
        default_value = "mesh.dev",
        value_name = "NAME",
        global = true
    )]
    trust_domain: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A cluster's CA: ca.crt, ca.key
    Ca,
    /// A node: node-N.crt, node-N.key
    Node {
        /// Its number
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(NodeId::MAX)))]
        node: u32,
        /// Its region
        #[arg(long, value_parser = Region::new)]
        region: Region,
    },
    /// A topology service: topology-NAME.crt, .key
    Topology {
        /// Its name
        #[arg(long, default_value = "single", value_parser = name)]
        name: String,
    },
    /// An operator: operator-NAME.crt, .key
    Operator {
        /// Their name
        #[arg(long, value_parser = name)]
        name: String,
    },
    /// A key pair for join tokens: token.key (the issuer's), token.pub (for edges)
    TokenKeys,
}

fn name(text: &str) -> Result<String, String> {
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    let fits = (1..=64).contains(&text.len());
    (clean && fits)
        .then(|| text.to_owned())
        .ok_or_else(|| "1 to 64 letters, digits or -_.@".to_owned())
}

pub(super) fn run(args: &CertsArgs) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot use {}", args.dir.display()))?;
    let file = |name: &str| args.dir.join(name);
    let domain = &args.trust_domain;
    match &args.what {
        What::Ca => {
            let (_, pem) = Ca::generate()?;
            write_pair(&file("ca.crt"), &pem.cert, &file("ca.key"), &pem.key)
        }
        What::TokenKeys => {
            let (private, public) = token::generate_keys()?;
            write_pair(&file("token.pub"), &public, &file("token.key"), &private)
        }
        What::Node { node, region } => {
            let uri = format!("spiffe://{domain}/node/{}/{node}", region.as_str());
            issue(&args.dir, &format!("node-{node}"), &uri)
        }
        What::Topology { name } => issue(
            &args.dir,
            &format!("topology-{name}"),
            &format!("spiffe://{domain}/topology/{name}"),
        ),
        What::Operator { name } => issue(
            &args.dir,
            &format!("operator-{name}"),
            &format!("spiffe://{domain}/operator/{name}"),
        ),
    }
}

fn issue(dir: &Path, name: &str, uri: &str) -> anyhow::Result<()> {
    let path = dir.join("ca.key");
    let key = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}: make a CA with `mesh certs ca`, or say where it is with --dir",
            path.display()
        )
    })?;
    let ca = Ca::from_key(&key).with_context(|| path.display().to_string())?;
    let pem = ca.issue(name, uri)?;
    write_pair(
        &dir.join(format!("{name}.crt")),
        &pem.cert,
        &dir.join(format!("{name}.key")),
        &pem.key,
    )
}

/// Writes two files; never over others.
fn write_pair(public: &Path, text: &str, private: &Path, secret: &str) -> anyhow::Result<()> {
    for path in [public, private] {
        if path.exists() {
            bail!(
                "{} is there already: move it away, or choose another directory with --dir",
                path.display()
            );
        }
    }
    write_secret(private, secret)?;
    write_secret(public, text)?;
    say(&format!("{}\n{}", public.display(), private.display()));
    Ok(())
}
