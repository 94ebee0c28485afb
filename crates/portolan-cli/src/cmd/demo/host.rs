//! The registry of the demo: one of its own, which can be stopped and started again, or somebody's.
//!
//! In:  stop, start. Out: its address, which stays the same.
//!
//! Never: stops a registry that is not ours; carries anything over a stop: what it knew is lost.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::Context;
use portolan_server::{Limits, Server, ServerConfig};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// How long the port may take to be free again.
const PORT_FREE: Duration = Duration::from_secs(3);
/// From one try to listen to the next.
const AGAIN: Duration = Duration::from_millis(20);

/// Where the registry runs.
#[derive(Debug)]
pub(crate) enum Host {
    /// In a set of tasks of this process. Dropping the tasks is as sudden as killing a process: connections break.
    Ours { addr: SocketAddr, tasks: JoinSet<()> },
    /// Elsewhere.
    Theirs,
}

impl Host {
    pub(crate) fn theirs() -> Self {
        Self::Theirs
    }

    /// Starts one on a free port.
    ///
    /// # Errors
    /// No port can be had.
    pub(crate) async fn ours() -> anyhow::Result<Self> {
        let mut tasks = JoinSet::new();
        let addr = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &mut tasks).await?;
        Ok(Self::Ours { addr, tasks })
    }

    /// Its address; empty for somebody's.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Ours { addr, .. } => format!("http://{addr}"),
            Self::Theirs => String::new(),
        }
    }

    /// What it does, in a word or two.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Ours { tasks, .. } if tasks.is_empty() => "stopped",
            Self::Ours { .. } => "up",
            Self::Theirs => "yours",
        }
    }

    /// Stops it, and loses what it knew.
    pub(crate) async fn stop(&mut self) {
        if let Self::Ours { tasks, .. } = self {
            tasks.shutdown().await;
        }
    }

    /// Starts it again on its port.
    ///
    /// # Errors
    /// The port is not free in time.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        let Self::Ours { addr, tasks } = self else { return Ok(()) };
        let begun = Instant::now();
        loop {
            match listen(*addr, tasks).await {
                Ok(_same) => return Ok(()),
                Err(error) if begun.elapsed() > PORT_FREE => return Err(error),
                Err(_taken) => sleep(AGAIN).await,
            }
        }
    }
}

async fn listen(addr: SocketAddr, tasks: &mut JoinSet<()>) -> anyhow::Result<SocketAddr> {
    // The whole fleet is on this one machine.
    let limits = Limits::default().max_connections_per_address(None);
    let config = ServerConfig::default().http_addr(addr).node("demo").limits(limits);
    let server =
        Server::bind(config).await.with_context(|| format!("the demo's registry cannot listen on {addr}"))?;
    let addr = server.http_addr();
    tasks.spawn(server.run(std::future::pending()));
    Ok(addr)
}
