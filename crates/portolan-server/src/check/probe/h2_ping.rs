//! HTTP/2 pings.
//!
//! In:  `host:port` and a time limit. Out: a verdict; an answered ping is passing.
//!
//! Never: opens a stream; keeps the connection.
//!
//! Rules from Consul: agent/checks/check.go `CheckH2PING`.

use std::time::Duration;

use h2::{Ping, client};
use portolan::registry::consul::Offer;

use super::{Trusted, Verdict, tls::Stream, within};
use crate::state::rows::Trust;

/// Connects, and waits for the answer to one ping.
pub(super) async fn h2_ping(
    target: &str,
    tls: Option<&Trust>,
    limit: Duration,
    trusted: &Trusted,
) -> Verdict {
    let pinged = async {
        let stream = trusted.open(target, tls, Offer::Http2).await;
        let stream = stream.map_err(|why| format!("Failed to dial to {target}: {why}"))?;
        ping(stream).await
    };
    match within(limit, pinged).await {
        Some(Ok(())) => Verdict::passing("HTTP2 ping was successful".to_owned()),
        Some(Err(failed)) => Verdict::critical(failed),
        None => Verdict::critical("HTTP2 ping failed: context deadline exceeded".to_owned()),
    }
}

async fn ping(stream: Box<dyn Stream>) -> Result<(), String> {
    let failed = |failed: h2::Error| format!("HTTP2 ping failed: {failed}");
    // The sender is held: without one the connection would say goodbye.
    let (_sender, mut connection) = client::handshake(stream).await.map_err(failed)?;
    let mut pings = connection.ping_pong().ok_or("HTTP2 ping failed: no ping can be sent")?;
    tokio::select! {
        answered = pings.ping(Ping::opaque()) => answered.map(|_pong| ()).map_err(failed),
        ended = connection => match ended {
            Ok(()) => Err("HTTP2 ping failed: the connection was closed".to_owned()),
            Err(broken) => Err(failed(broken)),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::JoinSet,
    };

    use super::*;
    use crate::state::rows::Health;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn listener() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        (listener, addr)
    }

    #[tokio::test]
    async fn an_answered_ping_is_passing() {
        let (listener, addr) = listener().await;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok(_)) = connection.accept().await {}
        });
        let verdict = h2_ping(&addr, None, LIMIT, &Trusted::default()).await;
        assert_eq!((verdict.status, &*verdict.output), (Health::Passing, "HTTP2 ping was successful"));
        tasks.shutdown().await;
        let verdict = h2_ping(&addr, None, LIMIT, &Trusted::default()).await;
        let says = format!("Failed to dial to {addr}: dial tcp {addr}: connect: connection refused");
        assert_eq!((verdict.status, verdict.output), (Health::Critical, says));
    }

    #[tokio::test]
    async fn silence_and_what_speaks_no_http2_are_critical() {
        for (reply, limit, says) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], LIMIT, "HTTP2 ping failed: "),
            (b"", Duration::from_millis(50), "HTTP2 ping failed: context deadline exceeded"),
        ] {
            let (listener, addr) = listener().await;
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(reply).await.unwrap();
                // Until the check hangs up.
                let mut rest = Vec::new();
                drop(stream.read_to_end(&mut rest).await);
            });
            let verdict = h2_ping(&addr, None, limit, &Trusted::default()).await;
            assert_eq!(verdict.status, Health::Critical);
            assert!(verdict.output.starts_with(says), "{}", verdict.output);
        }
    }
}
