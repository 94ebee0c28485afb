//! Opens connections to one address of a configuration: TCP, TLS over TCP, or a unix socket.
//!
//! In:  the address and the TLS settings. Out: a byte stream on which the wanted protocol is spoken.
//!
//! Never: takes longer than the connect timeout, the TLS handshake included; leaves a dead peer unnoticed (keepalive).

use std::{
    fmt,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OnceCell,
    time::timeout,
};
use tower_service::Service;

use super::{
    config::{Address, ConsulConfig, Scheme},
    tls::Tls,
};
use crate::{
    duration::format_duration,
    error::{Error, Kind},
};

/// A silent connection is probed after this, and again at this distance; three unanswered probes end it.
const KEEPALIVE: Duration = Duration::from_secs(15);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The agent does not speak HTTP/2 over TLS.
#[derive(Debug)]
pub(super) struct NoHttp2;

impl fmt::Display for NoHttp2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TLS did not agree on HTTP/2")
    }
}

impl std::error::Error for NoHttp2 {}

/// Opens connections. Clones share the TLS settings.
#[derive(Clone)]
pub(super) struct Dial {
    shared: Arc<Shared>,
    wanted: Wanted,
}

/// What is to be spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Only HTTP/1.1.
    Http1,
    /// Only HTTP/2: an error where TLS does not agree on it.
    Http2,
}

struct Shared {
    tcp: HttpConnector,
    socket: Option<Arc<PathBuf>>,
    /// The host of an `https://` address.
    tls_host: Option<String>,
    /// Given, or the system's roots, loaded when the first connection needs them.
    tls: OnceCell<Tls>,
    limit: Duration,
}

impl Dial {
    pub(super) fn new(config: &ConsulConfig, address: &Address) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(3));
        // The outer limit covers all addresses of a host; this one leaves time for the second.
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let tls_host = (address.scheme() == Scheme::Https).then(|| address.host().to_owned());
        let shared = Shared {
            tcp,
            socket: address.socket_path().cloned(),
            tls_host,
            tls: OnceCell::new_with(config.tls.clone()),
            limit: config.connect_timeout,
        };
        Self { shared: Arc::new(shared), wanted: Wanted::Http1 }
    }

    /// The same for connections that speak this.
    pub(super) fn wanting(&self, wanted: Wanted) -> Self {
        Self { shared: Arc::clone(&self.shared), wanted }
    }
}

impl Shared {
    async fn open(&self, uri: Uri, wanted: Wanted) -> Result<Stream, Cause> {
        if let Some(path) = &self.socket {
            return socket(path).await;
        }
        let tcp = self.tcp.clone().call(uri).await?.into_inner();
        let Some(host) = &self.tls_host else {
            return Ok(Stream::new(tcp));
        };
        let tls = self.tls.get_or_try_init(system_roots).await?;
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.clone())?,
        };
        let config = match wanted {
            Wanted::Http2 => &tls.config,
            Wanted::Http1 => &tls.http1,
        };
        let stream = tokio_rustls::TlsConnector::from(Arc::clone(config))
            .connect(name, tcp)
            .await
            .map_err(|cause| Handshake(cause.to_string()))?;
        if wanted == Wanted::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(NoHttp2.into());
        }
        Ok(Stream::new(stream))
    }
}

#[cfg(unix)]
async fn socket(path: &std::path::Path) -> Result<Stream, Cause> {
    Ok(Stream::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn socket(_path: &std::path::Path) -> Result<Stream, Cause> {
    Err("unix sockets do not exist on this system".into())
}

/// The system's certificates are files: they are read on a thread that may block.
async fn system_roots() -> Result<Tls, Error> {
    tokio::task::spawn_blocking(Tls::system).await.map_err(|cause| {
        Error::new(Kind::Unreachable, "tls: the system's certificates could not be loaded").caused_by(cause)
    })?
}

/// A TLS handshake that failed. An agent that has too many connections closes one here without a word.
#[derive(Debug)]
struct Handshake(String);

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the TLS handshake failed: {}", self.0)?;
        let text = self.0.to_ascii_lowercase();
        if ["eof", "reset", "broken pipe", "closed"].iter().any(|cut| text.contains(cut)) {
            f.write_str("; with many connections open, raise the agent's limits.http_max_conns_per_client")?;
        }
        Ok(())
    }
}

impl std::error::Error for Handshake {}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = Cause;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Cause>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (shared, wanted) = (Arc::clone(&self.shared), self.wanted);
        Box::pin(async move {
            match timeout(shared.limit, shared.open(uri, wanted)).await {
                Ok(opened) => opened,
                Err(_elapsed) => {
                    Err(format!("no connection within {} (connect_timeout)", format_duration(shared.limit))
                        .into())
                }
            }
        })
    }
}

trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// An open connection.
pub(super) struct Stream {
    io: TokioIo<Box<dyn Bytes>>,
}

impl Stream {
    fn new(io: impl Bytes + 'static) -> Self {
        Self { io: TokioIo::new(Box::new(io)) }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }
}
