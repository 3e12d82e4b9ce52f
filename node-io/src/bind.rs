//! What to tell an operator whose port is taken.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// The same error in one line that says which port it was, whose, and what to do.
pub(crate) fn bind_error(
    error: &io::Error,
    protocol: &str,
    addr: SocketAddr,
    who: &str,
) -> io::Error {
    let port = addr.port();
    let advice = match error.kind() {
        ErrorKind::AddrInUse => {
            let flag = if protocol == "UDP" { "u" } else { "t" };
            format!(
                "{protocol} port {port} is already in use: stop the other process \
                 (find it with `ss -l{flag}np 'sport = :{port}'`) or choose another port"
            )
        }
        ErrorKind::PermissionDenied => {
            format!(
                "{protocol} port {port} needs privilege: choose a port above 1023 or grant CAP_NET_BIND_SERVICE"
            )
        }
        ErrorKind::AddrNotAvailable => {
            format!("{} is not an address of this machine (`ip addr` lists them)", addr.ip())
        }
        _ => format!("{protocol} {addr}: {error}"),
    };
    io::Error::new(error.kind(), format!("{who} cannot listen on {addr}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_what_to_do() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 8080));
        let error = bind_error(&ErrorKind::AddrInUse.into(), "TCP", addr, "edge-1 http");
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(
            text.contains("edge-1 http") && text.contains("port 8080") && text.contains("ss -ltnp")
        );
        assert!(!text.contains('\n'));
    }
}
