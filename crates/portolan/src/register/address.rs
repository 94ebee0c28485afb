//! Finds the address under which an instance is registered, and the host's name.
//!
//! In:  what the user asked for, and where the registry is. Out: one address that others can be told.
//!
//! Never: sends a packet (a datagram socket that is connected only chooses its route); gives out an address that means
//! every address; tells a registry elsewhere a loopback address that nobody asked for.
//!
//! Proof: `address/tests.rs`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{UdpSocket, lookup_host},
    time::timeout,
};

use super::spec::Address;
use crate::error::{Error, Kind};

/// How long the name of the registry's host may take to resolve.
const LOOKUP: Duration = Duration::from_secs(2);
/// Where Linux tells the host's name.
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// The address to register. `endpoint` is the registry's `host:port`, if a network lies between.
///
/// # Errors
/// [`Kind::Config`] when the address cannot be used; [`Kind::Unreachable`] when there is no route to the registry.
pub(crate) async fn find(wanted: &Address, endpoint: Option<&str>) -> Result<String, Error> {
    match (wanted, endpoint) {
        (Address::Given(address), _) => Ok(address.clone()),
        (Address::Node, _) => Ok(String::new()),
        (Address::Auto, None) => Ok(Ipv4Addr::LOCALHOST.to_string()),
        (Address::Auto, Some(endpoint)) => {
            let (local, registry) = route(endpoint).await?;
            usable("auto", local, Some(registry)).map(|address| address.to_string())
        }
        (Address::Interface(name), _) => {
            let registry = match endpoint {
                Some(endpoint) => Some(route(endpoint).await?.1),
                None => None,
            };
            let found = on_interface(name)?;
            usable(&wanted.to_string(), found, registry).map(|address| address.to_string())
        }
    }
}

/// The local address from which the route to `endpoint` leaves, and the address of `endpoint`.
async fn route(endpoint: &str) -> Result<(IpAddr, IpAddr), Error> {
    let problem = |what: &str| {
        let text =
            format!("address: {what} the registry at {endpoint}; give an address, or \"interface:NAME\"");
        Error::new(Kind::Unreachable, text)
    };
    let found = match timeout(LOOKUP, lookup_host(endpoint)).await {
        Ok(Ok(found)) => found,
        Ok(Err(cause)) => return Err(problem("cannot resolve the name of").caused_by(cause)),
        Err(late) => return Err(problem("no answer in 2s to the name of").caused_by(late)),
    };
    let mut last = problem("no address has");
    for registry in found {
        match local_towards(registry).await {
            Ok(local) => return Ok((local, registry.ip())),
            Err(cause) => last = problem("no route to").caused_by(cause),
        }
    }
    Err(last)
}

async fn local_towards(registry: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr =
        if registry.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(registry).await?;
    Ok(socket.local_addr()?.ip())
}

/// Refuses what the registry could not pass on to anyone.
fn usable(field: &str, found: IpAddr, registry: Option<IpAddr>) -> Result<IpAddr, Error> {
    let found = found.to_canonical();
    if found.is_unspecified() {
        let what = format!("address: {field} found {found}, which is no address to connect to; give one");
        return Err(Error::new(Kind::Config, what));
    }
    match registry.map(|registry| registry.to_canonical()) {
        Some(registry) if found.is_loopback() && !registry.is_loopback() => {
            let what = format!(
                "address: {field} found {found}, which only this machine can reach, but the registry is at {registry}; \
                 give an address that others reach"
            );
            Err(Error::new(Kind::Config, what))
        }
        _ => Ok(found),
    }
}

fn on_interface(name: &str) -> Result<IpAddr, Error> {
    let all = if_addrs::get_if_addrs().map_err(|cause| {
        let what = "address: cannot list the network interfaces; give an address instead";
        Error::new(Kind::Config, what).caused_by(cause)
    })?;
    let mut names: Vec<&str> = all.iter().map(|interface| interface.name.as_str()).collect();
    names.dedup();
    if !names.contains(&name) {
        let known = names.join(", ");
        return Err(Error::config(format!("address: there is no interface {name:?}; there are {known}")));
    }
    let here: Vec<IpAddr> =
        all.iter().filter(|interface| interface.name == name).map(if_addrs::Interface::ip).collect();
    best(&here).ok_or_else(|| {
        Error::config(format!("address: interface {name:?} has no global address; give an address instead"))
    })
}

/// The first global address, IPv4 before IPv6; a loopback address if there is nothing else.
fn best(addresses: &[IpAddr]) -> Option<IpAddr> {
    let global = |address: &IpAddr| match address {
        IpAddr::V4(four) => !(four.is_loopback() || four.is_link_local() || four.is_unspecified()),
        IpAddr::V6(six) => !(six.is_loopback() || six.is_unicast_link_local() || six.is_unspecified()),
    };
    let four = addresses.iter().find(|address| address.is_ipv4() && global(address));
    let six = || addresses.iter().find(|address| global(address));
    four.or_else(six).or_else(|| addresses.iter().find(|address| address.is_loopback())).copied()
}

/// The host's name; `None` where the system does not tell it.
pub(crate) fn hostname() -> Option<String> {
    // Read from memory by the kernel: it does not block.
    let text = std::fs::read_to_string(HOSTNAME).ok()?;
    let name = text.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
