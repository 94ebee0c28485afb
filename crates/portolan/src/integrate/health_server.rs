//! A small listener for a health endpoint that has a port of its own: HTTP/1.1, and nothing else.
//!
//! In:  an endpoint and an address. Out: answers, until the handle is closed or dropped.
//!
//! Never: has more than 64 connections, or one for longer than 5 min; waits for a head for longer than 5 s; leaves a task
//! behind.
//!
//! Proof: `health_server/tests.rs`, and `tests/health_endpoint.rs` over sockets.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::HealthService;
use crate::{
    error::{Error, Kind},
    register::HealthEndpoint,
    tasks::Tasks,
};

/// How many connections are served at once; others wait to be accepted. A registry and an orchestrator need two.
const CONNECTIONS: usize = 64;
/// How long a request's head may take, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may live until no other request is taken from it.
const LIFE: Duration = Duration::from_secs(300);
/// How long the answer under way may take then: the longest deadline of a probe, and some.
const LAST_ANSWER: Duration = Duration::from_secs(65);
/// The pause after an accept that failed, for example because descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How much of a request is held: a head is far smaller. hyper's least is 8 KiB.
const BUFFER: usize = 16 * 1024;

/// A health endpoint that is served. It ends when this is dropped; [`close`](Self::close) waits for that.
#[derive(Debug)]
#[must_use = "the endpoint is served until this is dropped"]
pub struct HealthServer {
    addr: SocketAddr,
    tasks: Tasks,
}

impl HealthEndpoint {
    /// Serves this endpoint on an address of its own, over HTTP/1.1; port 0 takes any that is free. Feature
    /// `health-server`.
    ///
    /// At most 64 connections are served at once, others wait; a request's head may take 5 s.
    ///
    /// # Errors
    /// [`Kind::Config`] when the address is in use or cannot be listened on, naming it.
    ///
    /// # Cancel safety
    /// Dropping the future gives the port back.
    pub async fn serve(&self, addr: SocketAddr) -> Result<HealthServer, Error> {
        let cannot = |failed: io::Error| {
            let what = if failed.kind() == io::ErrorKind::AddrInUse {
                format!("health.addr: {addr} is in use; stop what listens there, or choose another port")
            } else {
                format!(
                    "health.addr: cannot listen on {addr}; choose an address of this machine, and a port it may use"
                )
            };
            Error::new(Kind::Config, what).caused_by(failed)
        };
        let listener = TcpListener::bind(addr).await.map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        let (listener, service, tasks) = (Arc::new(listener), self.service(), Tasks::new());
        let stop = tasks.stop();
        tasks.spawn("health_server", move || accept(Arc::clone(&listener), service.clone(), stop.clone()));
        Ok(HealthServer { addr, tasks })
    }
}

impl HealthServer {
    /// Where it listens; with the real port when port 0 was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes no further request, and waits until those under way are answered.
    ///
    /// # Errors
    /// [`Kind::Timeout`] when some were not after `within`; they are cut then.
    ///
    /// # Cancel safety
    /// The server has stopped taking requests at the first poll; dropping the future then ends it at once.
    pub async fn close(self, within: Duration) -> Result<(), Error> {
        self.tasks.close(within).await
    }
}

async fn accept(listener: Arc<TcpListener>, service: HealthService, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => note(ended),
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, service.clone(), stop.clone()));
                }
                Err(failed) => {
                    tracing::warn!(%failed, "a connection to the health endpoint could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failed) = ended
        && failed.is_panic()
    {
        tracing::error!(%failed, "a connection's task panicked; please report this bug");
    }
}

async fn connection<I>(stream: I, service: HealthService, stop: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let mut end = Instant::now() + LIFE;
    let mut ending = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(failed) = ended {
                    tracing::debug!(%failed, "a connection to the health endpoint broke");
                }
                return;
            }
            () = stop.cancelled(), if !ending => {}
            () = sleep_until(end) => {}
        }
        if ending {
            return;
        }
        ending = true;
        end = Instant::now() + LAST_ANSWER;
        connection.as_mut().graceful_shutdown();
    }
}

#[cfg(test)]
mod tests;
