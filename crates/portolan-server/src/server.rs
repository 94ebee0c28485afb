//! The HTTP server: listens, with and without TLS, accepts connections, and stops within a deadline.
//!
//! In:  a config, and a future that ends when the registry is to stop. Out: Consul's interface, until then.
//!
//! Never: answers anything before it runs; leaves a task behind when `run` returns.
//!
//! Proof: `tests/http/serving.rs`, `tests/http/tls.rs`.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use portolan::Error;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, timeout_at},
};

mod connection;
mod exposed;
mod front;
mod paced;
pub(crate) mod places;
mod tls;
mod wire;

pub use tls::Certificates;

use crate::{
    config::{Hosts, ServerConfig},
    core::Core,
    dns, durable,
    embed::{Embedded, background},
    store::{Trouble, dir::Dir},
};

use self::{connection::Serving, exposed::Guarded};

/// How many connections wait to be accepted, as far as the system allows; the handshake of one more would be tried again after
/// a second. As Go's, by Linux's default.
const BACKLOG: u32 = 4096;
/// The pause after an accept that failed, for example because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The registry with its port bound, not serving yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    http_addr: SocketAddr,
    secure: Option<Secure>,
    dns: Option<dns::Bound>,
    hosts: Hosts,
    core: Arc<Core>,
}

/// Where TLS is spoken.
#[derive(Debug)]
struct Secure {
    listener: TcpListener,
    addr: SocketAddr,
    certificates: Certificates,
}

impl Server {
    /// Checks the settings, binds the port, and reads what is kept. Nothing is answered before [`Server::run`].
    ///
    /// # Errors
    /// [`Kind::Config`](portolan::Kind::Config): a setting is out of range, or the address cannot be listened on;
    /// the text names the address and the flag that changes it; or the data directory cannot be used: another process
    /// has it, a newer version wrote it, it is damaged, or cannot be written.
    ///
    /// # Cancel safety
    /// Dropping the future gives the port back, and the data directory once it has been read.
    pub async fn bind(config: ServerConfig) -> Result<Self, Error> {
        config.validate()?;
        let hosts = Hosts::new(&config.node, &config.allowed_hosts)?;
        let (listener, http_addr) = listen("http", config.http_addr)?;
        let secure = match config.https.clone() {
            None => None,
            Some(https) => {
                let (listener, addr) = listen("https", https.addr)?;
                Some(Secure { listener, addr, certificates: Certificates::open(https).await? })
            }
        };
        let dns = match &config.dns {
            None => None,
            Some(dns) => Some(dns::Bound::bind(dns).await?),
        };
        // The port first: a second registry is told of the first by its address.
        let core = Arc::new(open(config).await?);
        Ok(Self { listener, http_addr, secure, dns, hosts, core })
    }

    /// Where it listens; with the real port when port 0 was asked for.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where it listens for HTTPS, if it does; with the real port.
    #[must_use]
    pub fn https_addr(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|secure| secure.addr)
    }

    /// Where it answers DNS, if it does; with the real port.
    #[must_use]
    pub fn dns_addr(&self) -> Option<SocketAddr> {
        self.dns.as_ref().map(dns::Bound::addr)
    }

    /// The certificates of HTTPS, to have them read again while it serves.
    #[must_use]
    pub fn certificates(&self) -> Option<Certificates> {
        self.secure.as_ref().map(|secure| secure.certificates.clone())
    }

    /// A warning for each address at which more than this machine can reach the registry, and is held up by nothing: with
    /// what helps.
    #[must_use]
    pub fn exposed(&self) -> Vec<String> {
        let asks = self.core.config.https.as_ref().is_some_and(|https| https.client_ca.is_some());
        let certificates = if asks { Guarded::By } else { Guarded::Nothing };
        let denies = self.core.config.shown_default_policy() == "deny";
        let tokens = if denies { Guarded::By } else { Guarded::Nothing };
        exposed::warnings(self.http_addr, self.https_addr(), certificates, tokens)
    }

    /// The same registry without the network, for the program that carries it. Checks run only while the server does, and
    /// with a data directory a write is answered only then: before it waits, and afterwards it is refused.
    #[must_use]
    pub fn embedded(&self) -> Embedded {
        Embedded::beside(Arc::clone(&self.core))
    }

    /// Serves until `shutdown` ends, or somebody asks for it by `/v1/agent/leave`; then answers what is open, and returns within `grace`.
    ///
    /// # Cancel safety
    /// Dropping the future ends everything at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Self { listener, http_addr, secure, dns, hosts, core } = self;
        let _stop_when_dropped = core.stopping.clone().drop_guard();
        let mut tasks = background(&core);
        if let Some(dns) = dns {
            dns.serve(&core, &mut tasks);
        }
        let serving = Serving::new(&core, hosts);
        let mut connections = JoinSet::new();
        let https_addr = secure.as_ref().map(|secure| secure.addr);
        tracing::info!(%http_addr, ?https_addr, node = %core.config.node, "the registry serves");
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                accepted = accept(&listener, secure.as_ref()) => match accepted {
                    Ok((accepted, certificates)) => {
                        let tls = certificates.map(Certificates::acceptor);
                        serving.take(accepted, tls, &mut connections);
                    }
                    Err(failed) => {
                        tracing::warn!(%failed, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => note(ended),
                () = &mut shutdown => break,
                () = core.left.cancelled() => break,
            }
        }
        drop((listener, secure));
        core.stopping.cancel();
        let deadline = Instant::now() + core.config.grace;
        let drain = async {
            while let Some(ended) = connections.join_next().await {
                note(ended);
            }
        };
        if timeout_at(deadline, drain).await.is_err() {
            tracing::warn!(open = connections.len(), "connections were cut at the end of the grace period");
            connections.shutdown().await;
        }
        serving.end().await;
        tasks.shutdown().await;
        if let Err(trouble) = durable::close(&core).await {
            tracing::error!(%trouble, "the data directory could not be closed; what was acknowledged is in it");
        }
        tracing::info!("the registry has stopped");
    }
}

/// Listens at `wanted`, which `what`, `http` or `https`, is for.
fn listen(what: &str, wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let cannot = |failed: io::Error| {
        let text = if failed.kind() == io::ErrorKind::AddrInUse {
            format!(
                "{what}_addr: {wanted} is in use; stop what listens there, or choose another with --{what}-addr"
            )
        } else {
            format!("{what}_addr: cannot listen on {wanted}; choose another address with --{what}-addr")
        };
        Error::config(text).caused_by(failed)
    };
    let open = || {
        let socket = if wanted.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // On unix a registry that stopped can start again at once; elsewhere this would share the port.
        socket.set_reuseaddr(cfg!(unix))?;
        socket.bind(wanted)?;
        let listener = socket.listen(BACKLOG)?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    };
    open().map_err(cannot)
}

type Accepted<'a> = ((TcpStream, SocketAddr), Option<&'a Certificates>);

/// The next connection, with the certificates where it comes in by TLS.
async fn accept<'a>(plain: &TcpListener, secure: Option<&'a Secure>) -> io::Result<Accepted<'a>> {
    let by_tls = async {
        match secure {
            Some(secure) => Ok((secure.listener.accept().await?, Some(&secure.certificates))),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        accepted = plain.accept() => Ok((accepted?, None)),
        accepted = by_tls => accepted,
    }
}

/// The registry, with what its data directory holds.
async fn open(config: ServerConfig) -> Result<Core, Error> {
    let Some(path) = config.data_dir.clone() else { return Ok(Core::new(config)) };
    let failed = {
        let path = path.display().to_string();
        move |what: String| Error::config(format!("data_dir: {path}: {what}"))
    };
    let opened = spawn_blocking(move || Core::open(config, Box::new(Dir::take(&path)?)));
    match opened.await {
        Ok(opened) => opened.map_err(|trouble: Trouble| failed(trouble.to_string())),
        Err(panicked) => Err(failed(format!("reading it failed: {panicked}; please report this bug"))),
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failed) = ended
        && failed.is_panic()
    {
        tracing::error!(%failed, "a connection's task panicked; please report this bug");
    }
}
