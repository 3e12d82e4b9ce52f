//! Datagrams the kernel dropped because a socket's receive buffer was full.

use std::collections::BTreeMap;

/// Drops by local port, over IPv4 and IPv6. `/proc` is read once a scrape; the media path pays nothing.
pub(super) fn kernel_drops() -> BTreeMap<u16, u64> {
    let mut drops = BTreeMap::new();
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        for (port, dropped) in
            std::fs::read_to_string(table).unwrap_or_default().lines().filter_map(parse)
        {
            *drops.entry(port).or_insert(0) += dropped;
        }
    }
    drops
}

/// A line is `sl local_address:PORT ... drops`, the port in hexadecimal (proc(5)).
fn parse(line: &str) -> Option<(u16, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    Some((u16::from_str_radix(port, 16).ok()?, fields.next_back()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_gives_port_and_drops() {
        let line = "  463: 0100007F:1151 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1234 2 0000000000000000 17";
        assert_eq!(parse(line), Some((4_433, 17)));
        assert_eq!(parse("   sl  local_address rem_address   st tx_queue drops"), None);
    }
}
