//! What the machine can do: a bare hyper server that answers everything with one body.
//!
//! In:  where it listens, how many bytes it says. Out: the same answer, until killed.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

/// # Errors
/// When the port is taken.
pub(crate) async fn serve(addr: SocketAddr, bytes: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind(addr).await?;
    let body = Bytes::from(vec![b'x'; bytes]);
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        open.spawn(async move {
            let answer = service_fn(move |_: http::Request<Incoming>| {
                let mut response = Response::new(Full::new(body.clone()));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            // A connection that broke is one that the load has closed.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await);
        });
        while open.try_join_next().is_some() {}
    }
}
