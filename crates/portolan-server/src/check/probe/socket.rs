//! TCP and UDP checks.
//!
//! In:  `host:port` and a time limit. Out: a verdict.
//!
//! Differs from Consul: a UDP service that says nothing within the limit is passing, as Consul's documentation has it
//! (its code waits without end).
//! Never: sends anything but an empty datagram; reads more than one.
//!
//! Rules from Consul: agent/checks/check.go `CheckTCP`, `CheckUDP`.

use std::{io, net::SocketAddr, time::Duration};

use portolan::registry::consul::Offer;
use tokio::net::{UdpSocket, lookup_host};

use super::{Trusted, Verdict, plain, within};
use crate::state::rows::Trust;

/// Opens a connection, over TLS where it is asked for, and closes it.
pub(super) async fn tcp(target: &str, tls: Option<&Trust>, limit: Duration, trusted: &Trusted) -> Verdict {
    let kind = if tls.is_some() { "TCP+TLS" } else { "TCP" };
    match within(limit, trusted.open(target, tls, Offer::Nothing)).await {
        Some(Ok(_)) => Verdict::passing(format!("{kind} connect {target}: Success")),
        Some(Err(failed)) => Verdict::critical(failed),
        None => Verdict::critical(format!("dial tcp {target}: i/o timeout")),
    }
}

/// Sends an empty datagram. An answer is passing, and so is silence; only a refusal is critical.
pub(super) async fn udp(target: &str, limit: Duration) -> Verdict {
    match within(limit, exchange(target)).await {
        Some(Ok(())) | None => Verdict::passing(format!("UDP connect {target}: Success")),
        Some(Err(failed)) => Verdict::critical(failed),
    }
}

async fn exchange(target: &str) -> Result<(), String> {
    let failed = |what: &str| {
        let what = format!("{what} udp {target}");
        move |failed: io::Error| format!("{what}: {}", plain(&failed))
    };
    let addr = lookup_host(target).await.map_err(failed("dial"))?.next();
    let addr = addr.ok_or_else(|| format!("dial udp {target}: no such host"))?;
    let any: SocketAddr = if addr.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(failed("dial"))?;
    socket.connect(addr).await.map_err(failed("dial"))?;
    socket.send(&[]).await.map_err(failed("write"))?;
    socket.recv(&mut [0]).await.map_err(failed("read")).map(|_| ())
}
