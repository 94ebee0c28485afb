//! One run of a check.
//!
//! In:  what is asked, and a time limit. Out: a status, and what is to be shown of it, in Consul's words.
//!
//! Differs from Consul: of an HTTP body the first 4 KiB are shown, not the last; a redirect to another scheme is not
//! followed.
//! Never: reads more of an answer than is shown; keeps a connection or a process; waits beyond the limit.
//!
//! Rules from Consul: agent/checks/check.go. Proof: `probe/tests.rs`, and a module each below it.

use std::{io, time::Duration};

use tokio::time::timeout;

use crate::state::rows::{Ask, Health};

mod grpc;
mod h2_ping;
mod http;
mod message;
mod redirect;
#[cfg(unix)]
mod script;
mod socket;
mod tls;

pub(super) use tls::Trusted;

/// What a run found.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) status: Health,
    pub(super) output: String,
}

impl Verdict {
    fn passing(output: String) -> Self {
        Self { status: Health::Passing, output }
    }

    fn critical(output: String) -> Self {
        Self { status: Health::Critical, output }
    }
}

/// Runs a check once.
pub(super) async fn run(ask: &Ask, limit: Option<Duration>, trusted: &Trusted) -> Verdict {
    let limit = limit.unwrap_or_else(|| ask.default_limit());
    match ask {
        Ask::Http(request) => http::http(request, limit, trusted).await,
        Ask::Tcp { target, tls } => socket::tcp(target, tls.as_ref(), limit, trusted).await,
        Ask::Udp { target } => socket::udp(target, limit).await,
        Ask::Grpc { target, service, tls } => grpc::grpc(target, service, tls.as_ref(), limit, trusted).await,
        Ask::H2Ping { target, tls } => h2_ping::h2_ping(target, tls.as_ref(), limit, trusted).await,
        #[cfg(unix)]
        Ask::Script { args } => script::script(args, limit).await,
        // Refused where it is defined, for what a program started could not be ended with it.
        #[cfg(not(unix))]
        Ask::Script { .. } => Verdict::critical("script checks are run on unix systems only".to_owned()),
    }
}

/// What `work` gives within the limit; `None`: nothing.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout(limit, work).await.ok()
}

/// The answer that comes over a connection. The connection moves the bytes meanwhile; both are dropped together, whatever
/// the other side still has to say.
async fn beside<T, E: std::fmt::Display>(
    connection: impl Future<Output = Result<(), E>>,
    answer: impl Future<Output = T>,
) -> T {
    tokio::pin!(connection, answer);
    let mut open = true;
    loop {
        tokio::select! {
            found = &mut answer => return found,
            ended = &mut connection, if open => {
                open = false;
                if let Err(failed) = ended {
                    tracing::debug!(%failed, "a checked service broke the connection");
                }
            }
        }
    }
}

fn plain(failed: &io::Error) -> String {
    match failed.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".to_owned(),
        _ => failed.to_string(),
    }
}

#[cfg(test)]
mod tests;
