//! How many connections this machine holds to the registry, as Linux tells it. PURE.
//!
//! In:  the text of `/proc/net/tcp` and `tcp6`, and where the registry is. Out: the most that one address of ours holds.
//!
//! Never: counts what others hold; what shares an address behind NAT is not seen here.
//!
//! Rules from Linux: Documentation/networking/proc_net_tcp.rst (addresses in words of the machine's byte order).
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// `ESTABLISHED`.
const OPEN: &str = "01";

/// Connections of one address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) from: IpAddr,
    pub(super) to: String,
    pub(super) connections: u64,
}

/// Connections to one of these addresses.
pub(super) fn count(tables: &str, registry: &[SocketAddr]) -> Option<Load> {
    let mut by_source: BTreeMap<(IpAddr, SocketAddr), u64> = BTreeMap::new();
    for line in tables.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[_slot, local, remote, OPEN, ..] = words.as_slice() else { continue };
        let (Some(local), Some(remote)) = (address(local), address(remote)) else { continue };
        if registry.contains(&remote) {
            let held = by_source.entry((local.ip(), remote)).or_default();
            *held = held.saturating_add(1);
        }
    }
    let ((from, to), connections) = by_source.into_iter().max_by_key(|(_, count)| *count)?;
    Some(Load { from, to: to.to_string(), connections })
}

/// `0100007F:1F40` is 127.0.0.1:8000 on a little-endian machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..ip.len()).step_by(8) {
        let word = u32::from_str_radix(ip.get(at..at.checked_add(8)?)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        // An IPv4 connection of a socket for both.
        Err(_longer) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    const TABLES: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2134 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:C001 0100007F:2134 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 0100007F:2134 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   3: 0100007F:C002 0100007F:2134 06 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   4: 0200007F:C003 0100007F:2134 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   5: 0000000000000000FFFF00000100007F:C004 0000000000000000FFFF00000100007F:2134 01 0:0 00:0 0 0 0 1 1 0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn open_connections_to_the_registry_are_counted_by_the_address_they_come_from() {
        let registry = ["127.0.0.1:8500".parse().unwrap()];
        let load =
            Load { from: "127.0.0.1".parse().unwrap(), to: "127.0.0.1:8500".to_owned(), connections: 2 };
        assert_eq!(count(TABLES, &registry), Some(load));
        assert_eq!(count(TABLES, &["127.0.0.1:1".parse().unwrap()]), None);
        assert_eq!(count("x y z 01\n: : : 01\n", &registry), None);
    }
}
