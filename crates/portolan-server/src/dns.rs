//! The DNS interface: Consul's names for services, nodes and addresses, over UDP and TCP.
//!
//! ```text
//! udp, tcp ─ bytes ─▶ desk ─▶ message ─▶ answer ─▶ fit ─▶ write ─ bytes ─▶
//!                      │      (the rest is pure)
//!                      └──▶ recurse: what is not in the domain, and names elsewhere
//! ```
//!
//! In:  settings, and the registry's core. Out: answers until it stops.
//!
//! Never: changes anything; has a question wait for another one's recursors.
//!
//! Rules from Consul 1.21: agent/dns.go. Proof: the modules' tests; `tests/dns` asks a real Consul and this the same.

use std::{io, net::SocketAddr, sync::Arc};

use portolan::Error;
use tokio::{
    net::{TcpListener, UdpSocket},
    task::{JoinError, JoinSet},
};

mod answer;
mod ask;
mod desk;
mod fit;
mod message;
mod name;
mod packets;
mod record;
mod recurse;
mod tcp;
mod udp;
mod write;
mod zone;

pub(crate) use name::Name;
pub use packets::Packets;

use crate::{config::Dns, core::Core, embed::supervise};

use self::desk::Desk;

/// The longest question, in bytes. One with every option that is in use is much shorter.
const MOST_ASKED: usize = 4096;
/// How often a port that is free for TCP is looked for, until it is so for UDP too.
const TRIES: usize = 16;

/// The interface with its port bound, not serving yet.
#[derive(Debug)]
pub(crate) struct Bound {
    dns: Arc<Dns>,
    udp: Arc<UdpSocket>,
    tcp: Arc<TcpListener>,
    addr: SocketAddr,
}

impl Bound {
    /// Binds both ports.
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): the address cannot be listened on.
    pub(crate) async fn bind(dns: &Dns) -> Result<Self, Error> {
        let wanted = dns.addr;
        for _ in 1..TRIES {
            match both(wanted).await {
                Ok((udp, tcp, addr)) => return Ok(Self::of(dns, udp, tcp, addr)),
                // Any port would do, and this one was free for one of the two only.
                Err(failed) if wanted.port() == 0 && failed.kind() == io::ErrorKind::AddrInUse => {}
                Err(failed) => return Err(cannot(wanted, failed)),
            }
        }
        let (udp, tcp, addr) = both(wanted).await.map_err(|failed| cannot(wanted, failed))?;
        Ok(Self::of(dns, udp, tcp, addr))
    }

    fn of(dns: &Dns, udp: UdpSocket, tcp: TcpListener, addr: SocketAddr) -> Self {
        Self { dns: Arc::new(dns.clone()), udp: Arc::new(udp), tcp: Arc::new(tcp), addr }
    }

    /// Where it listens; with the real port.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Starts to serve, in tasks of `tasks`; they end when the registry stops.
    pub(crate) fn serve(self, core: &Arc<Core>, tasks: &mut JoinSet<()>) {
        let Self { dns, udp, tcp, .. } = self;
        let desk = Arc::new(Desk::new(Arc::clone(core), &dns));
        let (of_udp, by_udp) = (Arc::clone(core), Arc::clone(&desk));
        tasks.spawn(supervise("dns over UDP", move || {
            udp::run(Arc::clone(&udp), Arc::clone(&by_udp), Arc::clone(&of_udp))
        }));
        let core = Arc::clone(core);
        tasks.spawn(supervise("dns over TCP", move || {
            tcp::run(Arc::clone(&tcp), Arc::clone(&desk), Arc::clone(&core), Arc::clone(&dns))
        }));
    }
}

async fn both(wanted: SocketAddr) -> io::Result<(UdpSocket, TcpListener, SocketAddr)> {
    let tcp = TcpListener::bind(wanted).await?;
    let addr = tcp.local_addr()?;
    Ok((UdpSocket::bind(addr).await?, tcp, addr))
}

fn cannot(wanted: SocketAddr, failed: io::Error) -> Error {
    let text = if failed.kind() == io::ErrorKind::AddrInUse {
        format!(
            "dns_addr: {wanted} is in use; stop what listens there, or choose another with --dns-addr (or `off`)"
        )
    } else {
        format!("dns_addr: cannot listen on {wanted}; choose another address with --dns-addr (or `off`)")
    };
    Error::config(text).caused_by(failed)
}

fn note(ended: Result<(), JoinError>) {
    if let Err(failed) = ended
        && failed.is_panic()
    {
        tracing::error!(%failed, "an answer to a DNS question panicked; please report this bug");
    }
}
