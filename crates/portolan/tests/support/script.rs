//! A server that plays exact bytes: what a registry says on a connection, and what it does then.
//!
//! In:  a list of replies; the last one is played again and again. Out: the address, and the requests as they came.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use portolan::registry::consul::ConsulConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What happens after the bytes of a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The connection is closed.
    Close,
    /// The next request on it is answered.
    Listen,
    /// Nothing, for ever.
    Hang,
}

/// Bytes and what follows them.
#[derive(Clone)]
pub(crate) struct Played {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// A whole reply of a status with a body.
pub(crate) fn reply(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Played {
    let body = body.as_ref();
    let mut bytes =
        format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Played { bytes, then: Then::Listen }
}

/// A whole good reply.
pub(crate) fn json(body: impl AsRef<[u8]>) -> Played {
    reply(200, "Content-Type: application/json\r\nX-Consul-Index: 7\r\n", body)
}

/// The server. Dropping it ends it.
pub(crate) struct Script {
    at: SocketAddr,
    requests: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

impl Script {
    /// Plays these in turn, one a request.
    pub(crate) async fn start(played: Vec<Played>) -> Result<Self, Failure> {
        Self::serve(played, None).await
    }

    /// The same over TLS.
    pub(crate) async fn start_tls(
        played: Vec<Played>,
        tls: tokio_rustls::TlsAcceptor,
    ) -> Result<Self, Failure> {
        Self::serve(played, Some(tls)).await
    }

    async fn serve(played: Vec<Played>, tls: Option<tokio_rustls::TlsAcceptor>) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let (sender, requests) = mpsc::channel(10_000);
        let (played, next) = (Arc::new(played), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _peer)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let (played, next, sender, tls) =
                    (Arc::clone(&played), Arc::clone(&next), sender.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => play(stream, &played, &next, &sender).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => play(stream, &played, &next, &sender).await,
                            Err(_refused) => {}
                        },
                    }
                });
            }
        });
        Ok(Self { at, requests, _tasks: tasks })
    }

    pub(crate) fn config(&self) -> Result<ConsulConfig, Failure> {
        Ok(ConsulConfig::default().address(format!("http://{}", self.at))?)
    }

    pub(crate) fn port(&self) -> u16 {
        self.at.port()
    }

    /// The next request: head and body.
    pub(crate) async fn request(&mut self) -> Result<String, Failure> {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), self.requests.recv()).await?;
        next.ok_or_else(|| "the server ended".into())
    }
}

async fn play(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    played: &[Played],
    next: &AtomicUsize,
    requests: &mpsc::Sender<String>,
) {
    while let Some(request) = read_request(&mut stream).await {
        if requests.try_send(request).is_err() {
            return;
        }
        let turn = next.fetch_add(1, Ordering::SeqCst);
        let Some(now) = played.get(turn).or(played.last()) else { return };
        if stream.write_all(&now.bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        match now.then {
            Then::Listen => {}
            Then::Hang => std::future::pending().await,
            Then::Close => {
                if stream.shutdown().await.is_err() {
                    return;
                }
                // Read on until the other side closes too: closing with unread bytes would reset the connection.
                let mut rest = [0; 1024];
                while matches!(stream.read(&mut rest).await, Ok(1..)) {}
                return;
            }
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut part).await {
            Ok(read @ 1..) => bytes.extend_from_slice(part.get(..read)?),
            _ => return None,
        }
    }
}
