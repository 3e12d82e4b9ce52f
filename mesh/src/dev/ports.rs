//! Which ports are free, and who has those that are not.

use anyhow::{Context, bail};
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// A table of the kernel's sockets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// Refuses a port that is taken: by whom, and what to do.
pub(crate) fn check(port: u16, wanted_by: &str) -> anyhow::Result<()> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(addr) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let by = holder(Protocol::Tcp, port).map(|who| format!(" by {who}")).unwrap_or_default();
            bail!(
                "TCP port {port} (for {wanted_by}) is in use{by}: stop that process, or choose other ports with \
                 --http-base"
            )
        }
        Err(error) => Err(error).with_context(|| {
            format!("TCP port {port} (for {wanted_by}) cannot be used: choose other ports with --http-base")
        }),
    }
}

/// Free TCP ports, all different: they are held together, then let go.
pub(crate) fn free_tcp(count: usize) -> anyhow::Result<Vec<u16>> {
    let held: Result<Vec<_>, _> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let held = held.context("no free TCP port")?;
    Ok(held.iter().filter_map(|l| l.local_addr().ok()).map(|a| a.port()).collect())
}

/// Free UDP ports, all different.
pub(crate) fn free_udp(count: usize) -> anyhow::Result<Vec<u16>> {
    let held: Result<Vec<_>, _> =
        (0..count).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let held = held.context("no free UDP port")?;
    Ok(held.iter().filter_map(|s| s.local_addr().ok()).map(|a| a.port()).collect())
}

/// Whether some process has bound a port, as far as the kernel tells.
pub(crate) fn is_bound(protocol: Protocol, port: u16) -> bool {
    !inodes(protocol, port).is_empty()
}

/// Name and number of the process that listens on a port, if it can be seen.
fn holder(protocol: Protocol, port: u16) -> Option<String> {
    let sockets: Vec<String> =
        inodes(protocol, port).iter().map(|inode| format!("socket:[{inode}]")).collect();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|n| n.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else { continue };
        let mut links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
        if links.any(|link| sockets.iter().any(|s| link.as_os_str() == s.as_str())) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim()));
        }
    }
    None
}

/// Inodes of listening (TCP) or bound (UDP) sockets of a port.
fn inodes(protocol: Protocol, port: u16) -> Vec<String> {
    let (tables, wanted) = match protocol {
        Protocol::Tcp => (["/proc/net/tcp", "/proc/net/tcp6"], Some("0A")),
        Protocol::Udp => (["/proc/net/udp", "/proc/net/udp6"], None),
    };
    let suffix = format!(":{port:04X}");
    let tables = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    let mut found = Vec::new();
    for table in tables {
        for line in table.lines().skip(1) {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, state, ..] = cells[..] else { continue };
            if local.ends_with(&suffix)
                && wanted.is_none_or(|w| w == state)
                && let Some(inode) = cells.get(9)
            {
                found.push((*inode).to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_naming_who_has_it() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check(port, "edge one").unwrap_err().to_string();
        assert!(
            error.contains(&format!("TCP port {port} (for edge one) is in use by ")),
            "{error}"
        );
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        assert!(error.contains("--http-base"), "{error}");
    }

    #[test]
    fn a_bound_udp_port_is_seen() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(is_bound(Protocol::Udp, port));
    }
}
